-- The processes that were there, and the time.
-- KEYS: replicas.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
return {string.format('%.0f', now), unpack(redis.call('HGETALL', KEYS[1]))}
