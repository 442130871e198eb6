import { EVICTION_ORDERS, PartitionBackendError, type BackendSupport, type EntryState, type Intersection, type Partition, type PartitionBackend } from '../backend.js'
import type { Datatype, StoredKey } from '../key-types.js'
import { isRefusal, redisCommands, type RedisOptions } from './redis-client.js'
import { redisStore } from './redis-store.js'

export const redisSetSupport: BackendSupport = { datatypes: ['integer', 'text'], shared: true, persistent: true, evictsBy: EVICTION_ORDERS }

/**
 * Members that are no keys. Every set has the one of its datatype, so an empty set is there and an intersection without it shows
 * that one of the sets was not. Text keys start with 's', so neither looks like the other.
 */
const SIGNS = { integer: '!i', text: '!t', null: '!n' }
const SIGN_START = '!'
const TEXT_START = 's'
const MEMBERS_PER_COMMAND = 10_000
/** A set that was left half written by a process that ended goes away by itself. */
const PASSING_SECONDS = '600'
const ATTEMPTS = 5

function keyOf(member: string, datatype: Datatype): StoredKey {
  if (datatype === 'text') return member.slice(TEXT_START.length)
  const key = Number(member)
  return Number.isSafeInteger(key) ? key : BigInt(member)
}

/** Integers and texts as Redis sets, intersected there. Any number of processes; single server or cluster. */
export async function redisSetBackend(options: RedisOptions): Promise<PartitionBackend> {
  const type = 'redis_set'
  const redis = await redisCommands(type, options)
  const store = redisStore(redis, { type, kind: 'set', states }, options)
  const signOf = ({ datatype }: Partition): string => datatype === 'text' ? SIGNS.text : SIGNS.integer

  async function states(partition: Partition, keys: readonly string[]): Promise<EntryState[]> {
    return Promise.all(keys.map(async (key): Promise<EntryState> => {
      const found = await redis.send(key, ['SMISMEMBER', key, signOf(partition), SIGNS.null]).catch((error: unknown) => {
        if (isRefusal(error)) return [0, 0]
        throw error
      })
      const [isSet, isNull] = found as readonly number[]
      return isSet === 1 ? 'set' : isNull === 1 ? 'null' : 'none'
    }))
  }
  /** undefined: at least one of them is no set of this datatype. */
  async function common(partition: Partition, hashes: readonly string[]): Promise<Set<StoredKey> | undefined> {
    const keys = hashes.map(hash => store.valueKey(partition, hash))
    const members = await redis.send(keys[0]!, ['SINTER', ...keys]).catch((error: unknown) => {
      if (isRefusal(error)) return []
      throw error
    }) as string[]
    const sign = signOf(partition)
    const found = new Set<StoredKey>()
    let isWhole = false
    for (const member of members) {
      if (member === sign) isWhole = true
      else if (!member.startsWith(SIGN_START)) found.add(keyOf(member, partition.datatype))
    }
    return isWhole ? found : undefined
  }

  return {
    ...store,
    type,
    supports: redisSetSupport,
    async write(partition, hash, change, ifNumber) {
      if (change.keys === undefined) return store.write(partition, hash, change, undefined, ifNumber)
      const members = change.keys === null ? [SIGNS.null] : [signOf(partition)]
      for (const key of change.keys ?? []) members.push(partition.datatype === 'text' ? `${TEXT_START}${key}` : String(key))
      const from = store.passingKey(partition)
      const sent: Promise<unknown>[] = []
      for (let i = 0; i < members.length; i += MEMBERS_PER_COMMAND) {
        sent.push(redis.send(from, ['SADD', from, ...members.slice(i, i + MEMBERS_PER_COMMAND)]))
        if (i === 0) sent.push(redis.send(from, ['EXPIRE', from, PASSING_SECONDS]))
      }
      await Promise.all(sent)
      return store.write(partition, hash, change, { mode: 'move', from, size: members.length }, ifNumber)
    },
    async intersect(partition, hashes): Promise<Intersection> {
      let used = hashes
      for (let attempt = 0; attempt < ATTEMPTS && used.length > 0; attempt++) {
        const keys = await common(partition, used)
        if (keys) return { keys, used }
        const known = await states(partition, used.map(hash => store.valueKey(partition, hash)))
        used = used.filter((_, i) => known[i] === 'set')
      }
      if (used.length === 0) return { keys: undefined, used }
      throw new PartitionBackendError({ backend: type, action: 'could not intersect sets that kept coming and going', isTransient: true })
    },
  }
}
