-- How journals end, and the version of the log at this moment. Without devices: all of them, each
-- after its device.
-- KEYS: log, tips. ARGV: 'all' or 'of', devices.
local version = redis.call('HGET', KEYS[1], 'version') or '0'
local endings
if ARGV[1] == 'all' then
  endings = redis.call('HGETALL', KEYS[2])
else
  endings = {}
  for index = 2, #ARGV do
    endings[index - 1] = redis.call('HGET', KEYS[2], ARGV[index]) or ''
  end
end
return {version, endings}
