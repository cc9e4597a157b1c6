-- All changes of one user: judged first, by core's tables (`decide`), then written.
-- ARGV: now, grace, check ('*' ignores, '' wants no live mark, else the epoch), then for each change one of
--   I key head value | P key head value | R key read head value | D key | X key read
-- Answers for each change the number of its outcome, or the stored text that was kept.
local INSERTED, WRITTEN, REPLACED, UNCHANGED, REMOVED, ABSENT, GONE, ERASED, DAMAGED = 1, 2, 3, 4, 5, 6, 7, 8, 9
-- How many fields a write that adds one looks at for what may be swept.
local SWEPT = 2

local check, changes, names, named, at = ARGV[3], {}, {''}, {}, 4
while ARGV[at] do
  local op = ARGV[at]
  local change = {op = op, name = ARGV[at + 1]}
  at = at + 2
  if op == 'R' or op == 'X' then
    change.read = ARGV[at]
    at = at + 1
  end
  if op == 'I' or op == 'P' or op == 'R' then
    change.head, change.value = ARGV[at], ARGV[at + 1]
    change.revision, change.expiry = entry(change.head)
    at = at + 2
  end
  changes[#changes + 1] = change
  names[#names + 1] = change.name
  named[change.name] = true
end

local stored = redis.pcall('HMGET', key, unpack(names))
local err = failed(stored, 'HMGET')
if err then return {err = err} end

local epoch, ends = '', 0
if stored[1] then
  local marked
  marked, ends = mark(stored[1])
  if not marked then return {err = 'FOREIGN the mark is damaged'} end
  if now < ends then epoch = marked end
end
local passes = check == '*' or check == epoch

local function value_of(text, rest)
  if string.byte(text, rest) == 43 then
    local length, start = string.match(text, '^(%d+) ()', rest + 1)
    if not length then return nil end
    rest = start + tonumber(length) + 1
  end
  return string.sub(text, rest)
end

-- The answer, and whether to write or to delete.
local function judge(change, text)
  local op, live, damaged = change.op, false, false
  local revision, expiry, rest
  if text then
    revision, expiry, rest = entry(text)
    damaged = not revision
    live = not damaged and (expiry == 0 or now < expiry)
  end
  if not passes and (op == 'P' or (op == 'I' and not live)) then return ERASED end
  if op == 'P' then return WRITTEN, true end
  if op == 'D' then
    if live or damaged then return REMOVED, false, true end
    return ABSENT
  end
  if damaged then return DAMAGED end
  if not live then
    if op == 'I' then return INSERTED, true end
    return op == 'R' and GONE or ABSENT
  end
  if op == 'I' and revision == change.revision then return INSERTED end
  if op == 'R' and revision == change.revision then return REPLACED end
  if op == 'R' and revision == change.read then
    if value_of(text, rest) == change.value then return UNCHANGED end
    return REPLACED, true
  end
  if op == 'X' and revision == change.read then return REMOVED, false, true end
  return text
end

local answers, sets, deletes, needed, grows = {}, {'HSET', key}, {'HDEL', key}, 0, false
for i, change in ipairs(changes) do
  local text = stored[i + 1]
  local answer, write, delete = judge(change, text)
  answers[i] = answer
  if write then
    sets[#sets + 1] = change.name
    sets[#sets + 1] = change.head .. change.value
    needed = math.max(needed, change.expiry == 0 and math.huge or change.expiry - now + grace)
    grows = grows or not text
  elseif delete then
    deletes[#deletes + 1] = change.name
  end
end

-- What ended longer than the grace ago, by the caller's clock and the server's.
if grows then
  local server
  local function swept(time)
    if time == 0 or time + grace >= now then return false end
    if not server then
      local clock = redis.call('TIME')
      server = tonumber(clock[1]) * 1000 + math.floor(tonumber(clock[2]) / 1000)
    end
    return time + grace < server
  end
  if stored[1] and swept(ends) then deletes[#deletes + 1] = '' end
  local some = redis.pcall('HRANDFIELD', key, SWEPT, 'WITHVALUES')
  -- Servers before 6.2 have no such command: they sweep users only, whole.
  for i = 1, some.err and 0 or #some, 2 do
    local name = some[i]
    local revision, expiry = entry(some[i + 1])
    if revision and name ~= '' and not named[name] and swept(expiry) then deletes[#deletes + 1] = name end
  end
end

-- Writes before deletes, so that the hash, and with it its life, never ends in between.
local commands = {}
if #sets > 2 then
  local life = redis.call('PTTL', key)
  local raise
  if life ~= -1 and needed == math.huge then
    raise = life >= 0 and {'PERSIST', key} or nil
  elseif life ~= -1 and needed > life then
    raise = {'PEXPIRE', key, whole(needed)}
  end
  if raise and life >= 0 then commands[#commands + 1] = raise end
  commands[#commands + 1] = sets
  if raise and life < 0 then commands[#commands + 1] = raise end
end
if #deletes > 2 then commands[#commands + 1] = deletes end
return run(commands) or answers
