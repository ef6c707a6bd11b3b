-- Lists a process that is there, until some time after now; or lists it no more, if no time is given.
-- Whoever was not heard of for that long goes.
-- KEYS: replicas. ARGV: again, stamp, id, life in milliseconds, most of them, what it says.
if not ARGV[4] then
  redis.call('HDEL', KEYS[1], ARGV[3])
  return {'done'}
end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local all = redis.call('HGETALL', KEYS[1])
local others, last = 0, now + ARGV[4]
for index = 1, #all, 2 do
  local ends = struct.unpack('>I8', all[index + 1])
  if ends <= now then
    redis.call('HDEL', KEYS[1], all[index])
  elseif all[index] ~= ARGV[3] then
    others, last = others + 1, math.max(last, ends)
  end
end
if others >= tonumber(ARGV[5]) then
  return {'full'}
end
local said = struct.pack('>I8', now + ARGV[4]) .. struct.pack('>I8', now) .. ARGV[6]
redis.call('HSET', KEYS[1], ARGV[3], said)
redis.call('PEXPIRE', KEYS[1], string.format('%.0f', last - now))
return {'done'}
