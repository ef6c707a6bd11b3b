-- Stores a session. KEYS: session. ARGV: again, stamp, life in milliseconds, session.
redis.call('SET', KEYS[1], ARGV[4], 'PX', ARGV[3])
return {'done'}
