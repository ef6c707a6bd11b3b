-- Leaves a message in a link session.
-- KEYS: link. ARGV: again, stamp, channel, message, time, side, text, most messages of a side.
local side = ARGV[6]
local link = redis.call('HMGET', KEYS[1], 'expires', side)
if not link[1] or tonumber(link[1]) <= tonumber(ARGV[5]) then
  return {'gone'}
end
local count, last = tonumber(link[2] or '0'), nil
for index = 1, count do
  last = redis.call('HGET', KEYS[1], side .. index) or ''
  if string.sub(last, 1, 16) == ARGV[2] then
    return {'done'}
  end
end
if last and string.sub(last, 17) == ARGV[7] then
  return {'same'}
end
if count >= tonumber(ARGV[8]) then
  return {'taken'}
end
redis.call('HSET', KEYS[1], side, count + 1, side .. (count + 1), ARGV[2] .. ARGV[7])
redis.call('PUBLISH', ARGV[3], ARGV[4])
return {'done'}
