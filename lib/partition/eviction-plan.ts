import { checkInteger, checkNumber } from '../check-number.js'
import { InvalidArgumentError } from '../errors.js'
import { EVICTION_ORDERS, type EntryUsage, type EvictionOrder } from './backend.js'

/** What may stay of a partition key. A limit left out does not limit; at least one is given. */
export interface EvictionPolicy {
  /** Entries, marks and query texts included. */
  readonly maxEntries?: number | undefined
  /** Bytes of all sets together, as the backend measures them. */
  readonly maxBytes?: number | undefined
  /** Age since an entry was stored, in ms. An entry of unknown age is older than anything. */
  readonly maxAgeMs?: number | undefined
  /** Time since an entry was last used, or stored, in ms. */
  readonly maxIdleMs?: number | undefined
  /** What goes first while `maxEntries` or `maxBytes` is exceeded (default 'least-recently-used'). */
  readonly order?: EvictionOrder | undefined
}

/** Which limit an entry fell to. */
export type EvictionReason = 'age' | 'idle' | 'count' | 'size'

/** An entry that has to go. */
export interface PlannedEviction {
  readonly hash: string
  readonly bytes: number
  readonly reason: EvictionReason
}

/** What has to go, in the order in which it goes, and what stays. */
export interface EvictionPlan {
  readonly evict: readonly PlannedEviction[]
  readonly kept: { readonly entries: number, readonly bytes: number }
}

const LIMITS = ['maxEntries', 'maxBytes', 'maxAgeMs', 'maxIdleMs'] as const

/** @throws {InvalidArgumentError} no limit, a limit that is no number from 0, or no known order */
export function checkPolicy(policy: EvictionPolicy): EvictionPolicy {
  const given = LIMITS.filter(limit => policy[limit] !== undefined)
  if (given.length === 0) throw new InvalidArgumentError({ argument: 'policy', expected: `at least one of ${LIMITS.join(', ')}`, found: 'none' })
  for (const limit of given) {
    const check = limit === 'maxEntries' || limit === 'maxBytes' ? checkInteger : checkNumber
    check(limit, policy[limit], 0)
  }
  if (policy.order !== undefined && !EVICTION_ORDERS.includes(policy.order)) {
    throw new InvalidArgumentError({ argument: 'order', expected: EVICTION_ORDERS.join(', '), found: String(policy.order) })
  }
  return policy
}

/** When an entry was last of use: storing it counts. Unknown is longest ago. */
function lastUse({ usedAt = -Infinity, storedAt = -Infinity }: EntryUsage): number {
  return Math.max(usedAt, storedAt)
}

/** The smaller, the sooner it goes. */
const RANKS: Record<EvictionOrder, (entry: EntryUsage) => number> = {
  'least-recently-used': lastUse,
  oldest: ({ storedAt = -Infinity }) => storedAt,
  largest: ({ bytes }) => -bytes,
}

function byRank(order: EvictionOrder): (a: EntryUsage, b: EntryUsage) => number {
  const [rank, nextRank] = [RANKS[order], lastUse]
  // the infinities have no difference; equal ones go by their hash, so that every process plans the same
  const compare = (x: number, y: number): number => x < y ? -1 : x > y ? 1 : 0
  return (a, b) => compare(rank(a), rank(b)) || compare(nextRank(a), nextRank(b)) || (a.hash < b.hash ? -1 : 1)
}

/**
 * What has to go so that a partition key keeps to its policy: what is too old or idle, then, in the policy's order, until count
 * and size fit. For size only sets go, as nothing else has any.
 *
 * Pure; O(n log n) time, and memory for every entry.
 *
 * @param now ms since 1970
 */
export function planEviction(entries: readonly EntryUsage[], policy: EvictionPolicy, now: number): EvictionPlan {
  const { maxEntries = Infinity, maxBytes = Infinity, maxAgeMs, maxIdleMs, order = 'least-recently-used' } = checkPolicy(policy)
  const evict: PlannedEviction[] = []
  const timely: EntryUsage[] = []
  for (const entry of entries) {
    const { hash, bytes, storedAt = -Infinity } = entry
    if (maxAgeMs !== undefined && now - storedAt > maxAgeMs) evict.push({ hash, bytes, reason: 'age' })
    else if (maxIdleMs !== undefined && now - lastUse(entry) > maxIdleMs) evict.push({ hash, bytes, reason: 'idle' })
    else timely.push(entry)
  }
  let count = timely.length
  let size = timely.reduce((sum, { bytes }) => sum + bytes, 0)
  if (count > maxEntries || size > maxBytes) {
    for (const { hash, bytes } of timely.sort(byRank(order))) {
      const reason = count > maxEntries ? 'count' : size > maxBytes && bytes > 0 ? 'size' : undefined
      if (count <= maxEntries && size <= maxBytes) break
      if (!reason) continue
      evict.push({ hash, bytes, reason })
      count--
      size -= bytes
    }
  }
  return { evict, kept: { entries: count, bytes: size } }
}
