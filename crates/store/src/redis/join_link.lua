-- Joins a link session. KEYS: link. ARGV: again, stamp, channel, message, time.
local link = redis.call('HMGET', KEYS[1], 'expires', 'joined')
if not link[1] or tonumber(link[1]) <= tonumber(ARGV[5]) then
  return {'gone'}
end
if link[2] then
  return {link[2] == ARGV[2] and 'done' or 'taken'}
end
redis.call('HSET', KEYS[1], 'joined', ARGV[2])
redis.call('PUBLISH', ARGV[3], ARGV[4])
return {'done'}
