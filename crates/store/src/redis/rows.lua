-- Rows of a cell, as `layout.rs` describes them: a head of 71 bytes, the payload, and a signature
-- if the last byte of the head says so.
local HEAD, SIGNATURE = 71, 64
-- Most arguments that are handed to one command.
local ARGUMENTS_MAX = 1000

local function rows(cell)
  local at = 1
  return function()
    if at > #cell then
      return nil
    end
    local from = at
    at = from + HEAD + struct.unpack('>I4', cell, from)
    local signed = string.byte(cell, from + HEAD - 1) == 1
    if signed then
      at = at + SIGNATURE
    end
    return string.sub(cell, from, at - 1), string.sub(cell, from + 6, from + 37), signed
  end
end

-- Adds a signature to the row with a hash, unless it has one.
local function sign(entries, seq, hash, signature)
  local cell = ''
  for row, of, signed in rows(redis.call('HGET', entries, seq) or '') do
    if of == hash and not signed then
      row = string.sub(row, 1, HEAD - 1) .. '\1' .. string.sub(row, HEAD + 1) .. signature
    end
    cell = cell .. row
  end
  if cell ~= '' then
    redis.call('HSET', entries, seq, cell)
  end
end

-- Takes the rows with these hashes (one after the other in a string) out of a cell.
local function drop(entries, seq, hashes)
  local out, cell = {}, ''
  for at = 1, #hashes, 32 do
    out[string.sub(hashes, at, at + 31)] = true
  end
  for row, of in rows(redis.call('HGET', entries, seq) or '') do
    if not out[of] then
      cell = cell .. row
    end
  end
  if cell == '' then
    redis.call('HDEL', entries, seq)
  else
    redis.call('HSET', entries, seq, cell)
  end
end

-- Hands a range of ARGV to a command about one key, in parts.
local function many(command, key, from, to)
  for first = from, to, ARGUMENTS_MAX do
    local last = math.min(first + ARGUMENTS_MAX - 1, to)
    redis.call(command, key, unpack(ARGV, first, last))
  end
end

-- How journals end now, and how that compares: whether each is as it was expected to be, and
-- whether any was written by this very call before.
local function compare(tips, devices, expected, stamp)
  local now, same, mine = {}, true, false
  for index, device in ipairs(devices) do
    local ending = redis.call('HGET', tips, device) or ''
    now[index] = ending
    same = same and ending == expected[index]
    mine = mine or string.sub(ending, 1, 16) == stamp
  end
  return now, same, mine
end

-- The places up to the tips of a journal.
local function places(ending)
  local sum = 0
  for at = 17, #ending, 104 do
    sum = sum + struct.unpack('>I8', ending, at)
  end
  return sum
end

-- Carries out what was decided about one journal. Counts and arguments stand in ARGV from `at` on:
-- new cells, rows for cells that may hold others, places to empty, rows to take out, signatures.
-- Returns where the next journal begins.
local function carry_out(entries, at)
  local function count()
    at = at + 1
    return tonumber(ARGV[at - 1])
  end
  local cells = count()
  many('HSET', entries, at, at + 2 * cells - 1)
  at = at + 2 * cells
  for _ = 1, count() do
    local cell = redis.call('HGET', entries, ARGV[at]) or ''
    redis.call('HSET', entries, ARGV[at], cell .. ARGV[at + 1])
    at = at + 2
  end
  local places = count()
  many('HDEL', entries, at, at + places - 1)
  at = at + places
  for _ = 1, count() do
    drop(entries, ARGV[at], ARGV[at + 1])
    at = at + 2
  end
  for _ = 1, count() do
    sign(entries, ARGV[at], ARGV[at + 1], ARGV[at + 2])
    at = at + 3
  end
  return at
end
