-- Redeems a nonce. KEYS: nonce. ARGV: again, stamp, life in milliseconds.
local by = redis.call('GET', KEYS[1])
if by then
  return {by == ARGV[2] and 'done' or 'taken'}
end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
return {'done'}
