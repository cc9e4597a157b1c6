-- Takes away everything of one user and leaves a mark; by core's `decide_erase`.
-- ARGV of a user: the new epoch, when its mark ends. Answers whether a live or damaged entry stood.
return each(function(key)
  local epoch, ends = ARGV[at], tonumber(ARGV[at + 1])
  at = at + 2

  local stored, stood = redis.pcall('HGETALL', key), false
  local err = failed(stored, 'HGETALL')
  if err then
    if string.sub(err, 1, 9) ~= 'WRONGTYPE' then return {err = err} end
    stood = true
  end
  for i = 1, #stored, 2 do
    if stored[i] == '' then
      local marked, until_then = mark(stored[i + 1])
      if not marked then
        stood = true
      elseif now < until_then then
        -- This very erasure, sent again: what stands now is newer than it.
        -- The last character is the attempt's number.
        if string.sub(marked, 1, 10) == string.sub(epoch, 1, 10) then return 1 end
        ends = math.max(ends, until_then)
      end
    else
      local revision, expiry = entry(stored[i + 1])
      if not revision or expiry == 0 or now < expiry then stood = true end
    end
  end
  return run('UNLINK', key)
    or run('HSET', key, '', '1 ' .. epoch .. ' ' .. whole(ends))
    or run('PEXPIRE', key, whole(ends - now + grace))
    or (stood and 1 or 0)
end)
