-- A log and its statements from an index on, of one moment.
-- KEYS: log, statements. ARGV: index.
return {
  redis.call('HMGET', KEYS[1], 'version', 'epoch', 'length', 'terms'),
  redis.call('LRANGE', KEYS[2], ARGV[1], -1),
}
