#!lua name=unabridged_shelf_v1

-- One tenant's part of the cache, each step atomic. All keys of a tenant have the same {tag}.
--
--   PREFIX i        sorted set: names of the values by when they were last used
--   PREFIX b        hash: bytes of each value, and of all together ('')
--   PREFIX v:NAME   a value, with its lifetime
--   PREFIX l:NAME   who computes it, as long as that process says so
--
-- What has expired by itself is still counted until it is the least recently used: the sum is
-- never below what is there, so the cap holds.

local OVERHEAD = 200 -- bytes that a value takes besides its own, about

local function now()
  local time = redis.call('TIME')
  return tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
end

local function forget(prefix, name)
  local size = redis.call('HGET', prefix .. 'b', name)
  redis.call('DEL', prefix .. 'v:' .. name)
  redis.call('ZREM', prefix .. 'i', name)
  if size then
    redis.call('HDEL', prefix .. 'b', name)
    redis.call('HINCRBY', prefix .. 'b', '', -tonumber(size))
  end
end

-- ARGV: prefix, names. Gives each value; empty: there is none.
local function get(keys, args)
  local told = {}
  for n = 2, #args do
    local value = redis.call('GET', args[1] .. 'v:' .. args[n])
    if value then redis.call('ZADD', args[1] .. 'i', 'XX', now(), args[n]) end
    table.insert(told, value or '')
  end
  return told
end

-- ARGV: prefix, who asks, ms, names. Gives each value; 'mine': it is for who asks to compute;
-- 'other': somebody else does.
local function take(keys, args)
  local told = get(keys, {args[1], unpack(args, 4)})
  for n, value in ipairs(told) do
    if value == '' then
      local lease = args[1] .. 'l:' .. args[n + 3]
      local got = redis.call('SET', lease, args[2], 'NX', 'PX', args[3])
      told[n] = (got or redis.call('GET', lease) == args[2]) and 'mine' or 'other'
    end
  end
  return told
end

-- ARGV: prefix, who asks, ms (0: give up), names.
local function hold(keys, args)
  for n = 4, #args do
    local lease = args[1] .. 'l:' .. args[n]
    if redis.call('GET', lease) == args[2] then
      if args[3] == '0' then redis.call('DEL', lease) else redis.call('PEXPIRE', lease, args[3]) end
    end
  end
  return #args - 3
end

-- ARGV: prefix, most bytes, lifetime in ms, then name, value, ... Gives how many had to go.
local function put(keys, args)
  local prefix, most, lifetime = args[1], tonumber(args[2]), tonumber(args[3])
  for n = 4, #args, 2 do
    forget(prefix, args[n])
    local size = #args[n + 1] + OVERHEAD
    redis.call('SET', prefix .. 'v:' .. args[n], args[n + 1], 'PX', lifetime)
    redis.call('ZADD', prefix .. 'i', now(), args[n])
    redis.call('HSET', prefix .. 'b', args[n], size)
    redis.call('HINCRBY', prefix .. 'b', '', size)
    redis.call('DEL', prefix .. 'l:' .. args[n])
  end
  local gone = 0
  while tonumber(redis.call('HGET', prefix .. 'b', '') or 0) > most do
    local oldest = redis.call('ZRANGE', prefix .. 'i', 0, 0)
    if #oldest == 0 then break end
    forget(prefix, oldest[1])
    gone = gone + 1
  end
  for _, key in ipairs({'i', 'b'}) do
    if redis.call('PTTL', prefix .. key) < lifetime then
      redis.call('PEXPIRE', prefix .. key, lifetime)
    end
  end
  return gone
end

-- ARGV: prefix, most at once. Gives how many were dropped: call again until it is none.
local function drop(keys, args)
  local names = redis.call('ZRANGE', args[1] .. 'i', 0, tonumber(args[2]) - 1)
  for _, name in ipairs(names) do forget(args[1], name) end
  if #names == 0 then redis.call('DEL', args[1] .. 'b', args[1] .. 'i') end
  return #names
end

redis.register_function('unabridged_get_v1', get)
redis.register_function('unabridged_take_v1', take)
redis.register_function('unabridged_hold_v1', hold)
redis.register_function('unabridged_put_v1', put)
redis.register_function('unabridged_drop_v1', drop)
