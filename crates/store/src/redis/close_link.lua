-- Ends a link session. KEYS: link. ARGV: again, stamp, channel, message.
if redis.call('DEL', KEYS[1]) == 0 then
  return {ARGV[1] == '1' and 'done' or 'same'}
end
redis.call('PUBLISH', ARGV[3], ARGV[4])
return {'done'}
