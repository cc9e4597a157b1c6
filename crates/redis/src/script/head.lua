-- stickystore, layout version 1: what both scripts know of a stored text, and of the users that they are given.
-- KEYS: the users. ARGV: grace, then what each user takes, in their order: its caller's now first.
-- Answers what its script says of one user; of several a list of it.
-- A text begins "1 <11 characters of base64url> <milliseconds>"; nothing after that is ever decoded here.
local HEAD = '^1 ([%w_-][%w_-][%w_-][%w_-][%w_-][%w_-][%w_-][%w_-][%w_-][%w_-][AEIMQUYcgkosw048]) (%d+)()'

-- Its name (a revision or an epoch), its time as a number, and where the rest begins; nothing if it is damaged.
local function head(text)
  local name, digits, rest = string.match(text, HEAD)
  if not name or #digits > 16 or (#digits > 1 and string.byte(digits) == 48) then return nil end
  local time = tonumber(digits)
  if time > 9007199254740991 then return nil end
  return name, time, rest
end

-- An entry's revision, expiry (0 is never), and where extra and value begin; nothing if it is damaged.
local function entry(text)
  local revision, expiry, rest = head(text)
  if not revision or string.byte(text, rest) ~= 32 then return nil end
  return revision, expiry, rest + 1
end

-- A mark's epoch and end; nothing if it is damaged.
local function mark(text)
  local epoch, ends, rest = head(text)
  if not epoch or rest ~= #text + 1 or ends == 0 then return nil end
  return epoch, ends
end

local function whole(number) return string.format('%.0f', number) end

-- The error of a command, by name where it is a right that is missing: servers differ in what they say.
local function failed(reply, name)
  if type(reply) ~= 'table' or not reply.err then return nil end
  if string.find(reply.err, "can't run this command", 1, true) then
    return "NOPERM this user has no permissions to run the '" .. name .. "' command"
  end
  return reply.err
end

-- Runs a command of the user whose turn it is; its error, if it fails. What fails first has changed nothing; what fails later
-- has.
local is_changed
local function run(name, ...)
  local err = failed(redis.pcall(name, ...), name)
  if err then return {err = is_changed and 'HALFWRITTEN ' .. err or err} end
  is_changed = true
end

local now
local grace, at = tonumber(ARGV[1]), 2

-- One user after the other; what is wrong with one is its own answer.
local function each(user)
  if not KEYS[2] then
    now, at = tonumber(ARGV[at]), at + 1
    return user(KEYS[1])
  end
  local answers = {}
  for i = 1, #KEYS do
    is_changed, now, at = false, tonumber(ARGV[at]), at + 1
    answers[i] = user(KEYS[i])
  end
  return answers
end
