#!lua name=unabridged_ledger_v1

-- The steps of the ledger, each atomic in the store. The version stands in the names, so that old
-- and new proxies can run side by side while a deployment rolls; change it with the meaning.
--
-- Keys, all with the same {org} tag:
--   PREFIX epoch    hash: g (generation), n (number of seeds)
--   PREFIX leases   sorted set: ids of holds by the time they expire, in ms of the store's clock
--   PREFIX h:ID     hash: s (held, settled, released, expired), e (entry), c (claims)
--   PREFIX c:ID     hash: u (used, reserved included), r (reserved), i (incarnation)
--   PREFIX j:G      stream of one generation: e (entry), c (counters and what each is charged)
--
-- A counter counts only if its incarnation begins with the generation. After a flush, a restored
-- backup or an eviction it is missing or of another one, and is seeded from SQL before use.
--
-- Amounts are strings of whole numbers all the way: a Lua number is exact to 2^53 alone, which
-- is nine million dollars in nano-dollars. HINCRBY adds exactly, `above` compares exactly.

local REMEMBERED_MS = 86400000 -- how long the outcome of a hold is known, for repeated calls
local SWEPT = 100              -- most expired holds that one call gives back

local function now_ms()
  local time = redis.call('TIME')
  return tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
end

local function generation(prefix, candidate)
  local g = redis.call('HGET', prefix .. 'epoch', 'g')
  if g then return g end
  redis.call('HSET', prefix .. 'epoch', 'g', candidate)
  return candidate
end

local function above(a, b)
  if string.sub(a, 1, 1) == '-' then return false end
  if #a ~= #b then return #a > #b end
  return a > b
end

-- The store does not take -0 for a number.
local function minus(amount)
  return amount == '0' and '0' or '-' .. amount
end

local function incarnation(counter, g)
  local i = redis.call('HGET', counter, 'i')
  if i and string.sub(i, 1, #g + 1) == g .. ':' then return i end
  return nil
end

local function level(counter)
  local values = redis.call('HMGET', counter, 'u', 'r')
  return values[1] or '', values[2] or ''
end

-- Gives back what a hold has reserved: a counter that was seeded anew since does not hold it.
local function give_back(prefix, id)
  local claims = cjson.decode(redis.call('HGET', prefix .. 'h:' .. id, 'c') or '[]')
  for n = 1, #claims, 3 do
    local counter, amount, was = claims[n], claims[n + 1], claims[n + 2]
    if redis.call('HGET', counter, 'i') == was then
      redis.call('HINCRBY', counter, 'u', minus(amount))
      redis.call('HINCRBY', counter, 'r', minus(amount))
    end
  end
end

local function close(prefix, id, outcome)
  local record = prefix .. 'h:' .. id
  redis.call('HDEL', record, 'e', 'c')
  redis.call('HSET', record, 's', outcome)
  redis.call('PEXPIRE', record, REMEMBERED_MS)
  redis.call('ZREM', prefix .. 'leases', id)
end

-- The hold of a proxy that died: its reservation is given back, and the ledger says so.
local function sweep(prefix, g)
  local late = redis.call('ZRANGEBYSCORE', prefix .. 'leases', '-inf', now_ms(), 'LIMIT', 0, SWEPT)
  for _, id in ipairs(late) do
    local entry = redis.call('HGET', prefix .. 'h:' .. id, 'e')
    give_back(prefix, id)
    if entry and entry ~= '' then
      redis.call('XADD', prefix .. 'j:' .. g, '*', 'e', entry, 'c', '[]')
    end
    close(prefix, id, 'expired')
  end
end

-- KEYS: epoch. ARGV: prefix, generation to begin, id, lease ms, entry, then for each counter its
-- key, amount, limit (-1: none).
-- Gives ok, used, reserved, ...; refused, index, used, reserved, ...; unseeded, index, ...; gone.
local function reserve(keys, args)
  local prefix, id, lease = args[1], args[3], tonumber(args[4])
  local g = generation(prefix, args[2])
  sweep(prefix, g)
  local record = prefix .. 'h:' .. id
  local state = redis.call('HGET', record, 's')
  if state == 'settled' or state == 'released' then return {'gone'} end
  local claims, unseeded = {}, {'unseeded'}
  for n = 6, #args, 3 do
    local i = incarnation(args[n], g)
    if i then
      table.insert(claims, args[n])
      table.insert(claims, args[n + 1])
      table.insert(claims, i)
    else
      table.insert(unseeded, tostring((n - 6) / 3))
    end
  end
  if state ~= 'held' then
    if #unseeded > 1 then return unseeded end
    local refused = {'refused'}
    for n = 6, #args, 3 do
      redis.call('HINCRBY', args[n], 'u', args[n + 1])
    end
    for n = 6, #args, 3 do
      local used, reserved = level(args[n])
      if args[n + 2] ~= '-1' and args[n + 1] ~= '0' and above(used, args[n + 2]) then
        table.insert(refused, tostring((n - 6) / 3))
      end
    end
    if #refused > 1 then
      for n = 6, #args, 3 do
        redis.call('HINCRBY', args[n], 'u', minus(args[n + 1]))
      end
      local told = {'refused'}
      for n = 2, #refused do
        local used, reserved = level(args[6 + 3 * tonumber(refused[n])])
        table.insert(told, refused[n])
        table.insert(told, used)
        table.insert(told, reserved)
      end
      return told
    end
    for n = 6, #args, 3 do
      redis.call('HINCRBY', args[n], 'r', args[n + 1])
    end
    redis.call('HSET', record, 's', 'held', 'e', args[5], 'c', cjson.encode(claims))
    redis.call('PERSIST', record)
  end
  redis.call('ZADD', prefix .. 'leases', now_ms() + lease, id)
  local told = {'ok'}
  for n = 6, #args, 3 do
    local used, reserved = level(args[n])
    table.insert(told, used)
    table.insert(told, reserved)
  end
  return told
end

-- One settled hold: gives back what it had reserved and charges what it came to, even if it was
-- never held, or no longer is: the money is spent. `charges` are counters and amounts, `valid` says
-- which counters count.
local function charge(prefix, g, id, entry, charges, valid)
  local record = prefix .. 'h:' .. id
  local state = redis.call('HGET', record, 's')
  if state == 'settled' then return end
  if state == 'held' then give_back(prefix, id) end
  for n = 1, #charges, 2 do
    if valid[charges[n]] then redis.call('HINCRBY', charges[n], 'u', charges[n + 1]) end
  end
  local listed = #charges > 0 and cjson.encode(charges) or '[]'
  redis.call('XADD', prefix .. 'j:' .. g, '*', 'e', entry, 'c', listed)
  close(prefix, id, 'settled')
end

-- KEYS: epoch. ARGV: prefix, generation to begin, then for each hold its id, its entry, how many
-- counters it is charged to, and for each of these its key and the amount.
-- Gives used, reserved of each counter that was named, in the order in which they were first
-- (empty: to be seeded).
local function settle(keys, args)
  local prefix = args[1]
  local g = generation(prefix, args[2])
  local named, valid = {}, {}
  local n = 3
  while n <= #args do
    local charges = {}
    local last = n + 2 + 2 * tonumber(args[n + 2])
    for c = n + 3, last, 2 do
      local counter = args[c]
      if valid[counter] == nil then
        valid[counter] = incarnation(counter, g) ~= nil
        table.insert(named, counter)
      end
      table.insert(charges, counter)
      table.insert(charges, args[c + 1])
    end
    charge(prefix, g, args[n], args[n + 1], charges, valid)
    n = last + 1
  end
  sweep(prefix, g)
  local told = {}
  for _, counter in ipairs(named) do
    local used, reserved = level(counter)
    table.insert(told, valid[counter] and used or '')
    table.insert(told, valid[counter] and reserved or '')
  end
  return told
end

-- KEYS: epoch. ARGV: prefix, id. A reservation that arrives after its release is not granted.
local function release(keys, args)
  local prefix, id = args[1], args[2]
  local state = redis.call('HGET', prefix .. 'h:' .. id, 's')
  if state == 'settled' then return {'again'} end
  if state == 'held' then give_back(prefix, id) end
  close(prefix, id, 'released')
  return {'released'}
end

-- KEYS: epoch. ARGV: prefix, generation to begin, counter keys.
-- Gives the generation, then used, reserved of each (empty: to be seeded).
local function read(keys, args)
  local prefix = args[1]
  local g = generation(prefix, args[2])
  sweep(prefix, g)
  local told = {g}
  for n = 3, #args do
    local used, reserved = level(args[n])
    local valid = incarnation(args[n], g)
    table.insert(told, valid and used or '')
    table.insert(told, valid and reserved or '')
  end
  return told
end

-- What holds in force have reserved on counters that were just seeded.
local function take_over(prefix, fresh)
  for _, id in ipairs(redis.call('ZRANGE', prefix .. 'leases', 0, -1)) do
    local record = prefix .. 'h:' .. id
    local claims = cjson.decode(redis.call('HGET', record, 'c') or '[]')
    local changed = false
    for n = 1, #claims, 3 do
      if fresh[claims[n]] then
        redis.call('HINCRBY', claims[n], 'u', claims[n + 1])
        redis.call('HINCRBY', claims[n], 'r', claims[n + 1])
        claims[n + 2] = fresh[claims[n]]
        changed = true
      end
    end
    if changed then redis.call('HSET', record, 'c', cjson.encode(claims)) end
  end
end

-- Whether an id of a stream is behind another.
local function behind(a, b)
  local a_ms, a_n = string.match(a, '(%d+)-(%d+)')
  local b_ms, b_n = string.match(b, '(%d+)-(%d+)')
  if a_ms ~= b_ms then return above(a_ms, b_ms) end
  return above(a_n, b_n)
end

-- Whether a stream still has all that was ever added behind a position. What is copied to SQL is
-- trimmed but for the last entry, so it has if that one is not behind the position.
local function complete(stream, position)
  if redis.call('EXISTS', stream) == 0 then return true end
  local flat, info = redis.call('XINFO', 'STREAM', stream), {}
  for n = 1, #flat, 2 do info[flat[n]] = flat[n + 1] end
  if info['entries-added'] == info['length'] then return true end
  return not behind(info['first-entry'][1], position)
end

-- KEYS: epoch. ARGV: prefix, generation the position belongs to, position in its stream up to
-- which SQL has the entries, then for each counter its key, its sum in SQL and its lifetime in ms
-- (0: for ever). What the stream holds behind the position is added, so nothing is missed or
-- counted twice; nothing is seeded if a worker has trimmed some of that since the sums were taken.
local function seed(keys, args)
  local prefix, position = args[1], args[3]
  local g = generation(prefix, args[2])
  if g ~= args[2] then return {'moved', g} end
  if not complete(prefix .. 'j:' .. g, position) then return {'trimmed', g} end
  local fresh = {}
  for n = 4, #args, 3 do
    local counter = args[n]
    if not incarnation(counter, g) then
      local n_seed = redis.call('HINCRBY', prefix .. 'epoch', 'n', 1)
      redis.call('DEL', counter)
      local i = g .. ':' .. n_seed
      redis.call('HSET', counter, 'u', args[n + 1], 'r', '0', 'i', i)
      if args[n + 2] ~= '0' then redis.call('PEXPIRE', counter, args[n + 2]) end
      fresh[counter] = i
    end
  end
  if next(fresh) == nil then return {'had', g} end
  local pending = redis.call('XRANGE', prefix .. 'j:' .. g, '(' .. position, '+')
  for _, item in ipairs(pending) do
    local charged = cjson.decode(item[2][4])
    for n = 1, #charged, 2 do
      if fresh[charged[n]] then redis.call('HINCRBY', charged[n], 'u', charged[n + 1]) end
    end
  end
  take_over(prefix, fresh)
  return {'seeded', g}
end

-- KEYS: epoch. ARGV: prefix, generation that was found wanting, generation to begin, the last
-- id of its stream (empty: none), behind which nothing may have come that nobody would copy any
-- more. Every counter is seeded anew; the holds in force go on.
local function renew(keys, args)
  local g = generation(args[1], args[2])
  local last = redis.call('XREVRANGE', args[1] .. 'j:' .. g, '+', '-', 'COUNT', 1)
  local id = last[1] and last[1][1] or ''
  if g == args[2] and id == args[4] then
    redis.call('HSET', args[1] .. 'epoch', 'g', args[3])
  end
  return {redis.call('HGET', args[1] .. 'epoch', 'g')}
end

redis.register_function('unabridged_reserve_v1', reserve)
redis.register_function('unabridged_settle_v1', settle)
redis.register_function('unabridged_release_v1', release)
redis.register_function('unabridged_read_v1', read)
redis.register_function('unabridged_seed_v1', seed)
redis.register_function('unabridged_renew_v1', renew)
