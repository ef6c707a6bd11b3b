-- Puts what the operator says of an identity in the place of what was expected to be said, and
-- raises the version of its log.
-- KEYS: log. ARGV: again, stamp, channel, message, expected and new terms.
local log = redis.call('HMGET', KEYS[1], 'version', 'terms')
if not log[1] then
  return {'unknown'}
end
local now = log[2] or ''
if now ~= ARGV[5] then
  -- Sent again: they may be there since the first time.
  return {ARGV[1] == '1' and now == ARGV[6] and 'done' or 'conflict'}
end
if now == ARGV[6] then
  return {'same'}
end
redis.call('HSET', KEYS[1], 'terms', ARGV[6])
redis.call('HINCRBY', KEYS[1], 'version', 1)
redis.call('PUBLISH', ARGV[3], ARGV[4])
return {'done'}
