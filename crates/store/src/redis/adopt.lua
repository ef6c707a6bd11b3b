-- Takes over statements, if the log ends where it was expected to and the journals that they cut
-- end as it was decided under; drops what is outside the cuts.
-- KEYS: log, statements, tips, entries of each journal.
-- ARGV: again, stamp, channel, message, expected position and last record, store epoch, number of
-- statements, statements, number of journals, per journal device, expected and new ending, then
-- what is carried out in each.
local statements = tonumber(ARGV[8])
local journals = tonumber(ARGV[9 + statements])
local length = redis.call('HGET', KEYS[1], 'length') or '0'
local last = redis.call('LINDEX', KEYS[2], -1) or ''
if length ~= ARGV[5] or last ~= ARGV[6] then
  -- Sent again: they may be there since the first time.
  if ARGV[1] == '1' and statements > 0 then
    local from = tonumber(ARGV[5])
    local there = redis.call('LRANGE', KEYS[2], from, from + statements - 1)
    local all = #there == statements
    for index, record in ipairs(there) do
      all = all and record == ARGV[8 + index]
    end
    if all then
      return {'done'}
    end
  end
  return {'conflict'}
end
local devices, expected, endings = {}, {}, {}
for index = 1, journals do
  local at = 7 + statements + 3 * index
  devices[index], expected[index], endings[index] = ARGV[at], ARGV[at + 1], ARGV[at + 2]
end
local now, same = compare(KEYS[3], devices, expected, ARGV[2])
if not same then
  return {'changed', unpack(now)}
end
redis.call('HSETNX', KEYS[1], 'epoch', ARGV[7])
redis.call('HINCRBY', KEYS[1], 'version', 1)
many('RPUSH', KEYS[2], 9, 8 + statements)
redis.call('HINCRBY', KEYS[1], 'length', statements)
local at = 10 + statements + 3 * journals
for index = 1, journals do
  at = carry_out(KEYS[3 + index], at)
  if endings[index] == '' and expected[index] ~= '' then
    redis.call('HDEL', KEYS[3], devices[index])
    redis.call('UNLINK', KEYS[3 + index])
  elseif endings[index] ~= expected[index] then
    redis.call('HSET', KEYS[3], devices[index], endings[index])
  end
end
redis.call('PUBLISH', ARGV[3], ARGV[4])
return {'done'}
