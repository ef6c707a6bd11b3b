-- Opens a link session. KEYS: link. ARGV: again, stamp, life in milliseconds, end, time.
local link = redis.call('HMGET', KEYS[1], 'expires', 'opened')
if link[1] and tonumber(link[1]) > tonumber(ARGV[5]) then
  return {link[2] == ARGV[2] and 'done' or 'taken'}
end
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], 'expires', ARGV[4], 'opened', ARGV[2])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return {'done'}
