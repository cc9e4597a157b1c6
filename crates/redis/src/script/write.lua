-- All changes of one user: judged first, by core's tables (`decide`), then written.
-- ARGV of a user: check ('*' ignores, '' wants no live mark, else the epoch), then for each change one of
--   I key head value | P key head value | R key read head value | D key | X key read
-- Answers for each change the number of its outcome, or the stored text that was kept.
local INSERTED, WRITTEN, REPLACED, UNCHANGED, REMOVED, ABSENT, GONE, ERASED, DAMAGED = 1, 2, 3, 4, 5, 6, 7, 8, 9
-- How many fields a write that adds one looks at for what may be swept.
local SWEPT = 2

-- The check, the changes and their names of the next user. A check is no letter of a change.
local function asked()
  local check, changes, names = ARGV[at], {}, {''}
  at = at + 1
  while true do
    local op, read, head, value, revision, expiry = ARGV[at]
    local last = at + 1
    if op == 'R' or op == 'X' then
      last = last + 1
      read = ARGV[last]
    end
    if op == 'I' or op == 'P' or op == 'R' then
      last = last + 2
      head, value = ARGV[last - 1], ARGV[last]
      revision, expiry = entry(head)
    elseif op ~= 'X' and op ~= 'D' then
      return check, changes, names
    end
    changes[#changes + 1] = {op = op, read = read, head = head, value = value, revision = revision, expiry = expiry}
    names[#names + 1] = ARGV[at + 1]
    at = last + 1
  end
end

local function value_of(text, rest)
  if string.byte(text, rest) == 43 then
    local length, start = string.match(text, '^(%d+) ()', rest + 1)
    if not length then return nil end
    rest = start + tonumber(length) + 1
  end
  return string.sub(text, rest)
end

-- The answer, and whether to write or to delete.
local function judge(change, text, passes)
  local op, live, damaged = change.op, false, false
  if op == 'P' then
    if passes then return WRITTEN, true end
    return ERASED
  end
  local revision, expiry, rest
  if text then
    revision, expiry, rest = entry(text)
    damaged = not revision
    live = not damaged and (expiry == 0 or now < expiry)
  end
  if op == 'I' and not live and not passes then return ERASED end
  if op == 'D' then
    if live or damaged then return REMOVED, false, true end
    return ABSENT
  end
  if damaged then return DAMAGED end
  if not live then
    if op == 'I' then return INSERTED, true end
    return op == 'R' and GONE or ABSENT
  end
  if revision == change.revision then
    if op == 'I' then return INSERTED end
    if op == 'R' then return REPLACED end
  end
  if op == 'R' and revision == change.read then
    if value_of(text, rest) == change.value then return UNCHANGED end
    return REPLACED, true
  end
  if op == 'X' and revision == change.read then return REMOVED, false, true end
  return text
end

-- Whether what ended then did so longer than the grace ago, by the caller's clock and the server's.
local server
local function swept(time)
  if time == 0 or time + grace >= now then return false end
  if not server then
    local clock = redis.pcall('TIME')
    -- An error that is raised would be that of all users, also of those who are written.
    if clock.err then return false end
    server = tonumber(clock[1]) * 1000 + math.floor(tonumber(clock[2]) / 1000)
  end
  return time + grace < server
end

-- Adds to these deletes what of the user may be swept, but none of these names.
local function sweep(key, deletes, names)
  local some = redis.pcall('HRANDFIELD', key, SWEPT, 'WITHVALUES')
  -- Servers before 6.2 have no such command: they sweep users only, whole.
  if some.err or #some == 0 then return end
  local named = {}
  for i = 1, #names do named[names[i]] = true end
  for i = 1, #some, 2 do
    local name = some[i]
    local revision, expiry = entry(some[i + 1])
    if revision and not named[name] and swept(expiry) then deletes[#deletes + 1] = name end
  end
end

-- Makes the hash last so long, or for ever.
local function last_longer(how, key, time)
  if how == 'PERSIST' then return run(how, key) end
  return run(how, key, whole(time))
end

return each(function(key)
  local check, changes, names = asked()
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

  local answers, sets, deletes, needed, grows = {}, {'HSET', key}, {'HDEL', key}, 0, false
  for i = 1, #changes do
    local change, text = changes[i], stored[i + 1]
    local answer, write, delete = judge(change, text, passes)
    answers[i] = answer
    if write then
      sets[#sets + 1] = names[i + 1]
      sets[#sets + 1] = change.head .. change.value
      needed = math.max(needed, change.expiry == 0 and math.huge or change.expiry - now + grace)
      grows = grows or not text
    elseif delete then
      deletes[#deletes + 1] = names[i + 1]
    end
  end
  if grows then
    if stored[1] and swept(ends) then deletes[#deletes + 1] = '' end
    sweep(key, deletes, names)
  end

  -- Writes before deletes, so that the hash, and with it its life, never ends in between.
  local broken
  if #sets > 2 then
    local life = redis.pcall('PTTL', key)
    local refused = failed(life, 'PTTL')
    if refused then return {err = refused} end
    local raise = life ~= -1 and needed > life and (needed < math.huge and 'PEXPIRE' or life >= 0 and 'PERSIST')
    if raise and life >= 0 then broken = last_longer(raise, key, needed) end
    broken = broken or run(unpack(sets))
    if raise and life < 0 and not broken then broken = last_longer(raise, key, needed) end
  end
  if #deletes > 2 and not broken then broken = run(unpack(deletes)) end
  return broken or answers
end)
