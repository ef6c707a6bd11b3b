-- Appends to journals, if the log has the version and the journals end as they were decided under.
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
if (redis.call('HGET', KEYS[1], 'version') or '0') ~= version then
  return {'moved'}
end
if not same then
  return {'changed', unpack(now)}
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
