-- Appends one statement, if the log ends where it was expected to, with the signed tips that are
-- kept at this moment of the devices that it ends.
-- KEYS: log, statements, tips.
-- ARGV: again, stamp, channel, message, expected position and last record, store epoch, service
-- time, statement, devices.
local TIPS_LENGTH_AT, TIPS_AT = 9, 13
local length = redis.call('HGET', KEYS[1], 'length') or '0'
local last = redis.call('LINDEX', KEYS[2], -1) or ''
if length ~= ARGV[5] or last ~= ARGV[6] then
  -- Sent again: it may be there since the first time.
  local record = ARGV[1] == '1' and redis.call('LINDEX', KEYS[2], ARGV[5])
  if record then
    local tips = struct.unpack('>I4', record, TIPS_LENGTH_AT)
    if string.sub(record, TIPS_AT + tips) == ARGV[9] then
      return {'done', record}
    end
  end
  return {'conflict'}
end
local tips = {}
for index = 10, #ARGV do
  local ending = redis.call('HGET', KEYS[3], ARGV[index]) or ''
  for at = 17, #ending, 104 do
    tips[#tips + 1] = ARGV[index] .. string.sub(ending, at, at + 103)
  end
end
tips = table.concat(tips)
local record = ARGV[8] .. struct.pack('>I4', #tips) .. tips .. ARGV[9]
redis.call('HSETNX', KEYS[1], 'epoch', ARGV[7])
redis.call('HINCRBY', KEYS[1], 'version', 1)
redis.call('RPUSH', KEYS[2], record)
redis.call('HINCRBY', KEYS[1], 'length', 1)
redis.call('PUBLISH', ARGV[3], ARGV[4])
return {'done', record}
