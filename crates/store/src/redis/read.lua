-- Reads cells of a journal, whole or only the heads of their rows, and the version of the log at
-- this moment; as many as fit into a number of bytes, and at least one.
-- KEYS: log, entries. ARGV: 'cells' or 'heads', bytes, and per range the first and last place.
local answer = {redis.call('HGET', KEYS[1], 'version') or '0'}
local bytes, bytes_max = 0, tonumber(ARGV[2])
for index = 3, #ARGV, 2 do
  for seq = tonumber(ARGV[index]), tonumber(ARGV[index + 1]) do
    local cell = redis.call('HGET', KEYS[2], string.format('%.0f', seq)) or ''
    bytes = bytes + #cell
    if ARGV[1] == 'heads' then
      local heads = ''
      for row in rows(cell) do
        heads = heads .. string.sub(row, 1, HEAD)
      end
      cell = heads
    end
    answer[#answer + 1] = cell
    if bytes >= bytes_max then
      return answer
    end
  end
end
return answer
