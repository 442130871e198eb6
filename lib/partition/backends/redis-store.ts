import { InvalidArgumentError } from '../../errors.js'
import { PartitionBackendError, type EntryChange, type EntryInfo, type EntryState, type EntryUsage, type EntryStatus, type Marks, type Partition } from '../backend.js'
import { firstNumber } from '../marks.js'
import { DATATYPES, type Datatype } from '../key-types.js'
import type { RedisCommands, Reply } from './redis-client.js'

/**
 * Keys: `{prefix:kind:partition key}:v:hash` is the value, a set or a string of bits, `…:i:hash` what is known of it beside. The
 * hash tag puts a partition key's entries on one node of a cluster, where they can be intersected. Either may be evicted: a lost
 * value is a miss (each carries a sign of its own that an absent key cannot show), lost information counts as unknown.
 */

/** How one kind of value is told apart. */
export interface RedisValues {
  readonly type: string
  readonly kind: string
  /** One state per key. Values of other types and of other datatypes are 'none'. */
  states(partition: Partition, keys: readonly string[]): Promise<EntryState[]>
}

/** A value ready to be put in place by the script that also writes the information. */
export type RedisValue = { readonly mode: 'move', readonly from: string, readonly size: number } | { readonly mode: 'string', readonly bytes: Buffer }

/** Registry and entries; the backends add values. */
export interface RedisStore {
  valueKey(partition: Partition, hash: string): string
  /** A key for passing use on the node of the partition's entries. */
  passingKey(partition: Partition): string
  register(name: string, datatype: Datatype): Promise<Datatype>
  partitions(): Promise<Partition[]>
  datatypeOf(name: string): Promise<Datatype | undefined>
  write(partition: Partition, hash: string, change: EntryChange, value: RedisValue | undefined, ifNumber: number | undefined): Promise<boolean>
  begin(name: string): Promise<number>
  begun(): Promise<string[]>
  mark(name: string, scopes: readonly string[]): Promise<void>
  marks(name: string, scopes: readonly string[]): Promise<Marks>
  info(partition: Partition, hash: string): Promise<EntryInfo | undefined>
  states(partition: Partition, hashes: readonly string[]): Promise<EntryState[]>
  list(partition: Partition): AsyncGenerator<readonly EntryInfo[]>
  remove(partition: Partition, hashes: readonly string[]): Promise<void>
  forget(partition: Partition): Promise<void>
  bytes(partition: Partition, hash: string): Promise<number | undefined>
  usage(partition: Partition): AsyncGenerator<readonly EntryUsage[]>
  touch(partition: Partition, uses: ReadonlyMap<string, number>): Promise<void>
  close(): Promise<void>
}

const FIELDS = ['query', 'status', 'tables', 'stored', 'expires'] as const
const SCAN_COUNT = '1000'
const KEYS_PER_COMMAND = 500

// The information goes first: the one step that can fail, on a key of another type, must leave the value as it was.
const WRITE = `
local value, info, marks, from = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local mode, given, expires, number = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
if number ~= '' and redis.call('HGET', marks, '*') ~= number then
  if mode == 'move' then redis.call('DEL', from) end
  return 0
end
if mode == 'move' and redis.call('SCARD', from) ~= tonumber(given) then
  redis.call('DEL', from)
  return redis.error_reply('TRYAGAIN the set was evicted while it was written')
end
if mode ~= 'none' then redis.call('HDEL', info, 'expires') end
local stored = mode == 'none' and redis.call('HGET', info, 'stored')
if #ARGV > 4 then redis.call('HSET', info, unpack(ARGV, 5)) end
if stored then redis.call('HSET', info, 'stored', stored) end
if mode == 'none' then return 1 end
if mode == 'move' then
  redis.call('RENAME', from, value)
  redis.call('PERSIST', value)
else
  redis.call('SET', value, given)
end
if expires == '' then
  redis.call('PERSIST', info)
else
  redis.call('HSET', info, 'expires', expires)
  redis.call('PEXPIREAT', value, expires)
  redis.call('PEXPIREAT', info, expires)
end
return 1`

// The count of a partition key's invalidations: '*' is the last number, 'born' its first. One that was evicted begins again, higher.
const COUNT = `
if redis.call('HEXISTS', KEYS[1], '*') == 0 then
  redis.call('DEL', KEYS[1])
  redis.call('HSET', KEYS[1], '*', ARGV[1], 'born', ARGV[1])
end
`
const BEGIN = `${COUNT} return redis.call('HGET', KEYS[1], '*')`
const MARK = `${COUNT}
local number = redis.call('HINCRBY', KEYS[1], '*', 1)
for i = 2, #ARGV do redis.call('HSET', KEYS[1], 's' .. ARGV[i], number) end
return number`
const MARKS = `${COUNT}
local fields = { '*', 'born' }
for i = 2, #ARGV do fields[i + 1] = ARGV[i] == '*' and '*' or 's' .. ARGV[i] end
return redis.call('HMGET', KEYS[1], unpack(fields))`
// no information is made for what is gone
const TOUCH = `
for i = 1, #KEYS do
  if redis.call('EXISTS', KEYS[i]) == 1 and tonumber(redis.call('HGET', KEYS[i], 'used') or '0') < tonumber(ARGV[i]) then
    redis.call('HSET', KEYS[i], 'used', ARGV[i])
  end
end`

function literalGlob(text: string): string {
  return text.replace(/[*?[\]\\^-]/g, '\\$&')
}

/** A key of another type than ours tells nothing. */
function nothingIfOther(error: unknown): null {
  if (error instanceof PartitionBackendError && /WRONGTYPE/.test(error.message)) return null
  throw error
}

/** Registry and information in Redis, for values of one kind. */
export function redisStore(redis: RedisCommands, values: RedisValues, { keyPrefix = 'partitioncache' }: { keyPrefix?: string | undefined }): RedisStore {
  if (keyPrefix === '' || /[{}]/.test(keyPrefix)) throw new InvalidArgumentError({ argument: 'keyPrefix', expected: 'a text without braces', found: keyPrefix })
  const registry = `{${keyPrefix}:${values.kind}}:partition_keys`
  const tagOf = (name: string): string => `{${keyPrefix}:${values.kind}:${encodeURIComponent(name)}}:`
  const valueKey = ({ name }: Partition, hash: string): string => `${tagOf(name)}v:${hash}`
  const marksKey = (name: string): string => `${tagOf(name)}marks`
  const begun = `{${keyPrefix}:${values.kind}}:begun`
  const infoKey = ({ name }: Partition, hash: string): string => `${tagOf(name)}i:${hash}`
  let passing = 0

  function datatypeIn(reply: Reply): Datatype | undefined {
    return DATATYPES.find(datatype => datatype === reply)
  }
  function infoOf(hash: string, state: EntryState, reply: Reply): EntryInfo | undefined {
    const [query, status, tables, stored, expires] = (reply as readonly (string | null)[]).map(field => field ?? undefined)
    if (state === 'none' && query === undefined && status === undefined && tables === undefined && stored === undefined) return undefined
    return {
      hash, state, query, tables: tables === undefined ? undefined : JSON.parse(tables) as string[],
      // 'ok' spoke of a set that is gone
      status: state === 'none' && status === 'ok' ? undefined : status as EntryStatus | undefined,
      storedAt: stored === undefined ? undefined : Number(stored), expiresAt: expires === undefined ? undefined : Number(expires)
    }
  }
  async function infos(partition: Partition, hashes: readonly string[]): Promise<EntryInfo[]> {
    const [states, replies] = await Promise.all([
      values.states(partition, hashes.map(hash => valueKey(partition, hash))),
      Promise.all(hashes.map(async hash => {
        const key = infoKey(partition, hash)
        return await redis.send(key, ['HMGET', key, ...FIELDS]).catch(nothingIfOther) ?? FIELDS.map(() => null)
      }))])
    return hashes.flatMap((hash, i) => infoOf(hash, states[i]!, replies[i]!) ?? [])
  }
  async function * scan({ name }: Partition): AsyncGenerator<string[]> {
    const tag = tagOf(name)
    const seen = new Set<string>()
    for (const send of await redis.nodes()) {
      let cursor = '0'
      do {
        const [next, keys] = await send(['SCAN', cursor, 'MATCH', `${literalGlob(tag)}[vi]:*`, 'COUNT', SCAN_COUNT]) as [string, string[]]
        cursor = String(next)
        const fresh = [...new Set(keys.map(key => String(key).slice(tag.length + 2)))].filter(hash => !seen.has(hash))
        for (const hash of fresh) seen.add(hash)
        if (fresh.length > 0) yield fresh
      } while (cursor !== '0')
    }
  }
  async function remove(partition: Partition, hashes: readonly string[]): Promise<void> {
    for (let i = 0; i < hashes.length; i += KEYS_PER_COMMAND) {
      const keys = hashes.slice(i, i + KEYS_PER_COMMAND).flatMap(hash => [valueKey(partition, hash), infoKey(partition, hash)])
      await redis.send(keys[0]!, ['UNLINK', ...keys])
    }
  }

  return {
    valueKey,
    passingKey: ({ name }) => `${tagOf(name)}t:${process.pid}:${Date.now()}:${Math.random()}:${++passing}`,
    async register(name, datatype) {
      const [, held] = await Promise.all([redis.send(registry, ['HSETNX', registry, name, datatype]), redis.send(registry, ['HGET', registry, name])])
      return datatypeIn(held) ?? datatype
    },
    async partitions() {
      const names = await redis.send(registry, ['HKEYS', registry]) as string[]
      if (names.length === 0) return []
      const held = await redis.send(registry, ['HMGET', registry, ...names]) as string[]
      return names.flatMap((name, i) => {
        const datatype = datatypeIn(held[i]!)
        return datatype ? [{ name, datatype }] : []
      })
    },
    datatypeOf: async name => datatypeIn(await redis.send(registry, ['HGET', registry, name])),
    async begin(name) {
      // named before it is counted: an invalidation that does not find the name comes before everything
      await redis.send(begun, ['SADD', begun, name])
      return Number(await redis.send(marksKey(name), ['EVAL', BEGIN, '1', marksKey(name), String(firstNumber())]))
    },
    begun: async () => await redis.send(begun, ['SMEMBERS', begun]) as string[],
    async mark(name, scopes) {
      await redis.send(marksKey(name), ['EVAL', MARK, '1', marksKey(name), String(firstNumber()), ...scopes.filter(scope => scope !== '*')])
    },
    async marks(name, scopes) {
      const [number, ...numbers] = await redis.send(marksKey(name), ['EVAL', MARKS, '1', marksKey(name), String(firstNumber()), ...scopes]) as (string | null)[]
      return { number: Number(number), marked: Math.max(...numbers.map(Number)) }
    },
    async write(partition, hash, { query, status, tables, storedAt, expiresAt }, value, ifNumber) {
      const [key, info] = [valueKey(partition, hash), infoKey(partition, hash)]
      const fields = Object.entries({ query, status, tables: tables && JSON.stringify(tables), stored: storedAt?.toString() })
        .flatMap(([field, text]) => text === undefined ? [] : [field, text])
      const given = value === undefined ? '' : value.mode === 'move' ? String(value.size) : value.bytes
      const from = value?.mode === 'move' ? [value.from] : []
      const answer = await redis.send(key, ['EVAL', WRITE, String(3 + from.length), key, info, marksKey(partition.name), ...from,
        value?.mode ?? 'none', given, expiresAt?.toString() ?? '', ifNumber?.toString() ?? '', ...fields])
      return Number(answer) === 1
    },
    info: async (partition, hash) => (await infos(partition, [hash]))[0],
    states: (partition, hashes) => values.states(partition, hashes.map(hash => valueKey(partition, hash))),
    async * list(partition) {
      for await (const hashes of scan(partition)) {
        const page = await infos(partition, hashes)
        if (page.length > 0) yield page
      }
    },
    remove,
    async forget(partition) {
      for await (const hashes of scan(partition)) await remove(partition, hashes)
      await redis.send(registry, ['HDEL', registry, partition.name])
    },
    async * usage(partition) {
      for await (const hashes of scan(partition)) {
        const [entries, sizes, uses] = await Promise.all([infos(partition, hashes),
          // an estimate by a few members: counting them all would hold up the server
          Promise.all(hashes.map(hash => redis.send(valueKey(partition, hash), ['MEMORY', 'USAGE', valueKey(partition, hash)]))),
          Promise.all(hashes.map(hash => redis.send(infoKey(partition, hash), ['HGET', infoKey(partition, hash), 'used']).catch(nothingIfOther)))])
        const positions = new Map(hashes.map((hash, i) => [hash, i]))
        yield entries.map(({ hash, state, storedAt }) => {
          const [size, used] = [sizes[positions.get(hash)!], uses[positions.get(hash)!]]
          return { hash, state, bytes: state === 'set' ? Number(size ?? 0) : 0, storedAt, usedAt: used == null ? undefined : Number(used) }
        })
      }
    },
    async touch(partition, uses) {
      const all = [...uses]
      for (let i = 0; i < all.length; i += KEYS_PER_COMMAND) {
        const some = all.slice(i, i + KEYS_PER_COMMAND)
        const keys = some.map(([hash]) => infoKey(partition, hash))
        await redis.send(keys[0]!, ['EVAL', TOUCH, String(keys.length), ...keys, ...some.map(([, at]) => String(at))])
      }
    },
    async bytes(partition, hash) {
      const key = valueKey(partition, hash)
      const bytes = await redis.send(key, ['MEMORY', 'USAGE', key, 'SAMPLES', '0'])
      return typeof bytes === 'number' ? bytes : undefined
    },
    close: () => redis.close(),
  }
}

