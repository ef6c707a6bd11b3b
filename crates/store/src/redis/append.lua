-- Appends to journals, if the log has the version and the journals end as they were decided under;
-- and if the operator, whose terms `operator.rs` lays out, lets the identity have them.
-- KEYS: log, tips, entries of each journal.
-- ARGV: again, stamp, channel, message, version, number of journals, per journal device, expected
-- and new ending, then what is carried out in each.
local version, journals = ARGV[5], tonumber(ARGV[6])
local devices, expected, endings = {}, {}, {}
for index = 1, journals do
  local at = 4 + 3 * index
  devices[index], expected[index], endings[index] = ARGV[at], ARGV[at + 1], ARGV[at + 2]
end
local now, same, mine = compare(KEYS[2], devices, expected, ARGV[2])
if mine then
  return {'done'}
end
local log = redis.call('HMGET', KEYS[1], 'version', 'terms')
if (log[1] or '0') ~= version then
  return {'moved'}
end
local terms = log[2] or ''
local flags = terms ~= '' and string.byte(terms, 2) or 0
if flags % 2 == 1 then
  return {'blocked'}
end
if not same then
  return {'changed', unpack(now)}
end
if flags >= 2 then
  local grows, used = 0, 0
  for index = 1, journals do
    grows = grows + places(endings[index]) - places(expected[index])
  end
  local all = redis.call('HGETALL', KEYS[2])
  for index = 2, #all, 2 do
    used = used + places(all[index])
  end
  if grows > 0 and used + grows > struct.unpack('>I8', terms, 3) then
    return {'over'}
  end
end
local at = 7 + 3 * journals
for index = 1, journals do
  at = carry_out(KEYS[2 + index], at)
  if endings[index] ~= expected[index] then
    redis.call('HSET', KEYS[2], devices[index], endings[index])
  end
end
if ARGV[4] ~= '' then
  redis.call('PUBLISH', ARGV[3], ARGV[4])
end
return {'done'}
