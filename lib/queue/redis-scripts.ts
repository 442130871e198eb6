/**
 * The queues inside Redis: each operation is one Lua script, so it happens whole and alone. All keys of a queue share the hash tag
 * `{prefix:kind}`, which puts them on one node of a cluster.
 *
 *   ids      hash   hash NUL partition key → id of the job
 *   ready    zset   place of each job that may be taken, by -priority; a place is a number that grows, as 16 digits, `:` and the id
 *   delayed  zset   ids by the time (ms) from when on they may be taken
 *   leased   zset   ids by the time their lease ends
 *   dead     zset   ids by themselves, so in order of their push
 *   meta     hash   last id, last place, last lease
 *   job:<id> hash   item (JSON), key (its field of ids), priority, rerun, tries, lease, place, again, error, died
 *
 * A lease's number is at least the time in µs, so it is not used twice even where a restart lost the last ones.
 * The states and moves are those of `postgresql-schema.ts`.
 */
export const REDIS_KEYS = ['ids', 'ready', 'delayed', 'leased', 'dead', 'meta', 'job:'] as const

const PRELUDE = `
local ids, ready, delayed, leased, dead, meta, job = unpack(KEYS)
local channel = ARGV[1]
local clock = redis.call('TIME')
local now = tonumber(clock[1]) * 1000 + math.floor(tonumber(clock[2]) / 1000)
local function text(number) return string.format('%.0f', number) end
local function enter(id)
  local place = string.format('%016.0f', redis.call('HINCRBY', meta, 'place', 1)) .. ':' .. id
  redis.call('ZADD', ready, -tonumber(redis.call('HGET', job .. id, 'priority') or 0), place)
  redis.call('HSET', job .. id, 'place', place)
end
local function leave(id)
  local place = redis.call('HGET', job .. id, 'place')
  if place then redis.call('ZREM', ready, place) end
  redis.call('ZREM', delayed, id)
  redis.call('ZREM', leased, id)
end
local function held(id, lease)
  local ends = redis.call('ZSCORE', leased, id)
  return ends and tonumber(ends) > now and redis.call('HGET', job .. id, 'lease') == lease
end
local function put(id, delay)
  if delay > 0 then redis.call('ZADD', delayed, now + delay, id) else enter(id) end
end
local function bury(id, why)
  leave(id)
  redis.call('HSET', job .. id, 'died', now)
  redis.call('HDEL', job .. id, 'lease', 'again')
  if why then redis.call('HSET', job .. id, 'error', why) end
  redis.call('ZADD', dead, tonumber(id), id)
end
local function tell() redis.call('PUBLISH', channel, '') end
`

/** ARGV of each after the channel, in the order of its comment. */
export const REDIS_SCRIPTS = {
  /** key, item, priority, rerun, delay of each job → inserted, merged */
  push: `
local inserted, merged = 0, 0
for i = 2, #ARGV, 5 do
  local key, item, priority, rerun, delay = ARGV[i], ARGV[i + 1], tonumber(ARGV[i + 2]), tonumber(ARGV[i + 3]), tonumber(ARGV[i + 4])
  local id = redis.call('HGET', ids, key)
  -- an entry whose job was evicted says nothing
  if not id or redis.call('EXISTS', job .. id) == 0 then
    id = text(redis.call('HINCRBY', meta, 'id', 1))
    redis.call('HSET', ids, key, id)
    redis.call('HSET', job .. id, 'item', item, 'key', key, 'priority', priority, 'rerun', rerun, 'tries', 0)
    put(id, delay)
    inserted = inserted + 1
  elseif not redis.call('ZSCORE', dead, id) then
    local old = redis.call('HMGET', job .. id, 'priority', 'rerun', 'place', 'tries', 'lease')
    if priority > tonumber(old[1]) then
      redis.call('HSET', job .. id, 'priority', priority)
      if old[3] and redis.call('ZSCORE', ready, old[3]) then redis.call('ZADD', ready, -priority, old[3]) end
    end
    if rerun > tonumber(old[2]) then redis.call('HSET', job .. id, 'rerun', rerun) end
    local due = redis.call('ZSCORE', delayed, id)
    if old[5] then redis.call('HSET', job .. id, 'again', 1)
    elseif due and tonumber(old[4]) == 0 and now + delay < tonumber(due) then
      redis.call('ZREM', delayed, id)
      put(id, delay)
    end
    merged = merged + 1
  end
end
if inserted + merged > 0 then tell() end
return {inserted, merged}`,
  /** count, length of the lease in ms, attempts at most → died, ms until the next is due or '', and a list of id, lease, item, priority, rerun, attempt of each */
  take: `
local count, length, most = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
for _, from in ipairs({delayed, leased}) do
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', from, '-inf', now, 'LIMIT', 0, 1000)) do
    redis.call('ZREM', from, id)
    redis.call('HDEL', job .. id, 'lease', 'again')
    enter(id)
  end
end
local died, found = 0, {}
for _, place in ipairs(redis.call('ZRANGE', ready, 0, count - 1)) do
  local id = string.sub(place, 18)
  redis.call('ZREM', ready, place)
  local of = redis.call('HMGET', job .. id, 'item', 'priority', 'rerun', 'tries')
  local tries = tonumber(of[4])
  if not of[1] or not tries then
    -- evicted
  elseif tries >= most then
    bury(id, redis.call('HGET', job .. id, 'error') or ('its lease ran out ' .. of[4] .. ' times'))
    died = died + 1
  else
    local lease = math.max(tonumber(redis.call('HGET', meta, 'lease') or 0) + 1, tonumber(clock[1]) * 1000000 + tonumber(clock[2]))
    redis.call('HSET', meta, 'lease', text(lease))
    redis.call('HSET', job .. id, 'lease', text(lease), 'tries', tries + 1)
    redis.call('ZADD', leased, now + length, id)
    for _, field in ipairs({id, text(lease), of[1], of[2], of[3], tries + 1}) do found[#found + 1] = field end
  end
end
local wait = ''
if #found == 0 then
  for _, from in ipairs({delayed, leased}) do
    local first = redis.call('ZRANGE', from, 0, 0, 'WITHSCORES')
    if first[2] and (wait == '' or tonumber(first[2]) - now < wait) then wait = tonumber(first[2]) - now end
  end
  if wait ~= '' then wait = text(wait) end
end
return {died, wait, found}`,
  /** id, lease of each → the ids held */
  ack: `
local done, again = {}, false
for i = 2, #ARGV, 2 do
  local id = ARGV[i]
  if held(id, ARGV[i + 1]) then
    done[#done + 1] = id
    if redis.call('HEXISTS', job .. id, 'again') == 1 then
      redis.call('ZREM', leased, id)
      redis.call('HDEL', job .. id, 'lease', 'again', 'error')
      redis.call('HSET', job .. id, 'tries', 0)
      enter(id)
      again = true
    else
      redis.call('HDEL', ids, redis.call('HGET', job .. id, 'key'))
      redis.call('ZREM', leased, id)
      redis.call('DEL', job .. id)
    end
  end
end
if again then tell() end
return done`,
  /** attempts at most, then id, lease, delay, error or '', counts (0, 1), is dead (0, 1) of each → id, 0 or 1 (dead) of those held */
  nack: `
local most, back, alive = tonumber(ARGV[2]), {}, false
for i = 3, #ARGV, 6 do
  local id, why = ARGV[i], ARGV[i + 3]
  if held(id, ARGV[i + 1]) then
    local dies = ARGV[i + 5] == '1' or (ARGV[i + 4] == '1' and tonumber(redis.call('HGET', job .. id, 'tries')) >= most)
    if why == '' then why = nil end
    if dies then bury(id, why)
    else
      redis.call('ZREM', leased, id)
      redis.call('HDEL', job .. id, 'lease', 'again')
      if why then redis.call('HSET', job .. id, 'error', why) end
      if ARGV[i + 4] == '0' then redis.call('HINCRBY', job .. id, 'tries', -1) end
      put(id, tonumber(ARGV[i + 2]))
      alive = true
    end
    back[#back + 1] = id
    back[#back + 1] = dies and 1 or 0
  end
end
if alive then tell() end
return back`,
  /** ms, then id, lease of each → the ids held */
  extend: `
local kept = {}
for i = 3, #ARGV, 2 do
  if held(ARGV[i], ARGV[i + 1]) then
    redis.call('ZADD', leased, now + tonumber(ARGV[2]), ARGV[i])
    kept[#kept + 1] = ARGV[i]
  end
end
return kept`,
  /** → waiting, delayed, leased, dead */
  counts: `
local late, over = redis.call('ZCOUNT', delayed, '-inf', now), redis.call('ZCOUNT', leased, '-inf', now)
return {redis.call('ZCARD', ready) + late + over, redis.call('ZCARD', delayed) - late, redis.call('ZCARD', leased) - over, redis.call('ZCARD', dead)}`,
  /** 1: the dead too → how many of a thousand were removed */
  clear: `
local gone = {}
for _, from in ipairs(ARGV[2] == '1' and {ready, delayed, leased, dead} or {ready, delayed, leased}) do
  for _, member in ipairs(redis.call('ZRANGE', from, 0, 999 - #gone)) do gone[#gone + 1] = {from, member} end
  if #gone >= 1000 then break end
end
for _, one in ipairs(gone) do
  local id = one[1] == ready and string.sub(one[2], 18) or one[2]
  local key = redis.call('HGET', job .. id, 'key')
  if key then redis.call('HDEL', ids, key) end
  redis.call('ZREM', one[1], one[2])
  redis.call('DEL', job .. id)
end
return #gone`,
  /** how many, after which id → id, item, priority, rerun, attempts, error or '', died of each */
  dead: `
local found = {}
for _, id in ipairs(redis.call('ZRANGEBYSCORE', dead, '(' .. ARGV[3], '+inf', 'LIMIT', 0, ARGV[2])) do
  local of = redis.call('HMGET', job .. id, 'item', 'priority', 'rerun', 'tries', 'error', 'died')
  if of[1] then
    found[#found + 1] = id
    for i = 1, 6 do found[#found + 1] = of[i] or '' end
  end
end
return found`,
  /** ids → how many were revived */
  retry: `
local revived = 0
for i = 2, #ARGV do
  local id = ARGV[i]
  if redis.call('ZREM', dead, id) == 1 then
    redis.call('HDEL', job .. id, 'error', 'died')
    redis.call('HSET', job .. id, 'tries', 0, 'rerun', math.max(1, tonumber(redis.call('HGET', job .. id, 'rerun') or 0)))
    enter(id)
    revived = revived + 1
  end
end
if revived > 0 then tell() end
return revived`
}

/** A script as it is sent. */
export function redisScript(name: keyof typeof REDIS_SCRIPTS): string {
  return PRELUDE + REDIS_SCRIPTS[name]
}
