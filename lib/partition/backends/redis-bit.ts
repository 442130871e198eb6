import { andBits, bitsToSet, packBits } from '../bitmap.js'
import { EVICTION_ORDERS, type BackendSupport, type EntryState, type Intersection, type Partition, type PartitionBackend } from '../backend.js'
import { bitKeys, bitLimit, type BitOptions } from './integer-bits.js'
import { isRefusal, redisCommands, type RedisOptions } from './redis-client.js'
import { redisStore } from './redis-store.js'

export const redisBitSupport: BackendSupport = { datatypes: ['integer'], shared: true, persistent: true, evictsBy: EVICTION_ORDERS, integers: [0, 2 ** 26 - 1] }

/** The byte before the bits. Its last bit survives an AND of sets, and an absent key, read as zeros, clears it. */
const SET = 1
const NULL = 2
/** A string ends at 2^32 bits, the byte before them included. */
const MOST_BITS = 2 ** 32 - 64
const KEYS_PER_SCRIPT = 1000

// One atomic step, so that nothing is evicted, expires or is replaced between looking and ANDing.
const AND = `
local used, keys = {}, {}
for i = 2, #KEYS do
  if redis.pcall('GETRANGE', KEYS[i], 0, 0) == '\\1' then
    used[#used + 1] = i - 2
    keys[#keys + 1] = KEYS[i]
  end
end
if #keys == 0 then return {} end
if #keys == 1 then return {redis.call('GET', keys[1]), used} end
redis.call('BITOP', 'AND', KEYS[1], unpack(keys))
local bits = redis.call('GET', KEYS[1])
redis.call('DEL', KEYS[1])
return {bits, used}`

interface Anded { bits: Uint8Array | undefined, used: readonly string[] }

/** Integers from 0 as packed bits in Redis strings, ANDed there. Any number of processes; single server or cluster. */
export async function redisBitBackend({ bitsize, maxBitsize, ...options }: RedisOptions & BitOptions): Promise<PartitionBackend> {
  const type = 'redis_bit'
  const limit = bitLimit({ bitsize, maxBitsize }, MOST_BITS)
  const redis = await redisCommands(type, options)
  const store = redisStore(redis, { type, kind: 'bit', states }, options)

  async function states(_: Partition, keys: readonly string[]): Promise<EntryState[]> {
    return Promise.all(keys.map(async (key): Promise<EntryState> => {
      const head = await redis.send(key, ['GETRANGE', key, '0', '0'], { binary: true }).catch((error: unknown) => {
        if (isRefusal(error)) return null
        throw error
      })
      const byte = Buffer.isBuffer(head) ? head[0] : undefined
      return byte === SET ? 'set' : byte === NULL ? 'null' : 'none'
    }))
  }
  /** Where scripts may not write (a read-only replica, no memory left): the AND in this process. */
  async function fetchAndAnd(keys: readonly string[], hashes: readonly string[]): Promise<Anded> {
    const values = await redis.send(keys[0]!, ['MGET', ...keys], { binary: true }) as readonly (Buffer | null)[]
    const isSet = (value: Buffer | null | undefined): value is Buffer => value?.[0] === SET
    const maps = values.filter(isSet).map(value => value.subarray(1))
    return { bits: maps.length === 0 ? undefined : andBits(maps), used: hashes.filter((_, i) => isSet(values[i])) }
  }
  async function and(partition: Partition, hashes: readonly string[]): Promise<Anded> {
    const keys = hashes.map(hash => store.valueKey(partition, hash))
    try {
      const [bits, used] = await redis.send(keys[0]!, ['EVAL', AND, String(keys.length + 1), store.passingKey(partition), ...keys], { binary: true }) as [Buffer?, number[]?]
      return { bits: bits?.subarray(1), used: used?.map(i => hashes[Number(i)]!) ?? [] }
    } catch (error) {
      if (isRefusal(error)) return fetchAndAnd(keys, hashes)
      throw error
    }
  }

  return {
    ...store,
    type,
    supports: { ...redisBitSupport, integers: [0, limit - 1] },
    async write(partition, hash, change, ifNumber) {
      const bytes = change.keys === undefined ? undefined : change.keys === null ? Uint8Array.of(NULL) : packBits(bitKeys(change.keys, limit, type), 1)
      if (change.keys) bytes![0] = SET
      return store.write(partition, hash, change, bytes && { mode: 'string', bytes: Buffer.from(bytes.buffer) }, ifNumber)
    },
    async intersect(partition, hashes): Promise<Intersection> {
      const parts: Anded[] = []
      for (let i = 0; i < hashes.length; i += KEYS_PER_SCRIPT) parts.push(await and(partition, hashes.slice(i, i + KEYS_PER_SCRIPT)))
      const maps = parts.flatMap(({ bits }) => bits ? [bits] : [])
      return { keys: maps.length === 0 ? undefined : bitsToSet(maps.length === 1 ? maps[0]! : andBits(maps)), used: parts.flatMap(({ used }) => used) }
    },
  }
}
