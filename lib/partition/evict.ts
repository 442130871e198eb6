import { InvalidArgumentError } from '../errors.js'
import type { EntryUsage, Partition, PartitionBackend } from './backend.js'
import { checkPolicy, planEviction, type EvictionPolicy, type EvictionReason } from './eviction-plan.js'

/** How a policy is carried out. */
export interface EvictOptions {
  /** Only this partition key (default: each of them, each by itself). */
  readonly partitionKey?: string | undefined
  /** Say what would go, and remove nothing (default false). */
  readonly dryRun?: boolean | undefined
  readonly signal?: AbortSignal | undefined
}

/** What became of one partition key. */
export interface EvictionReport {
  readonly partitionKey: string
  /** Entries that went, by the limit they fell to. */
  readonly evicted: Readonly<Record<EvictionReason, number>> & { readonly total: number }
  /** Bytes of the sets that went. */
  readonly evictedBytes: number
  /** What is left, by what was measured before. */
  readonly kept: { readonly entries: number, readonly bytes: number }
}

/** Removals by one statement: a longer one would hold its locks longer than readers and writers like to wait. */
const HASHES_PER_REMOVAL = 500

/** Everything eviction goes by, of one partition key. */
export async function usageOf(backend: PartitionBackend, partition: Partition): Promise<EntryUsage[]> {
  const usage = backend.usage?.bind(backend)
  if (!usage) throw new InvalidArgumentError({ argument: 'cache', expected: 'a backend that can be evicted from', found: backend.type })
  const entries = new Map<string, EntryUsage>()
  // entries that are written meanwhile may come twice
  for await (const page of usage(partition)) for (const entry of page) entries.set(entry.hash, entry)
  return [...entries.values()]
}

/**
 * Carry out a policy for one partition key. A reader sees whole sets or misses; a set that is renewed between planning and
 * removal may go as well, which costs its computation and nothing else.
 *
 * @throws {InvalidArgumentError} the policy cannot be carried out by this backend
 */
export async function evictPartition(backend: PartitionBackend, partition: Partition, policy: EvictionPolicy, { dryRun = false, signal }: EvictOptions = {}): Promise<EvictionReport> {
  const { order = 'least-recently-used' } = checkPolicy(policy)
  const { evictsBy } = backend.supports
  if (!evictsBy.includes(order)) throw new InvalidArgumentError({ argument: 'order', expected: `one of ${evictsBy.join(', ') || 'none'}, with ${backend.type}`, found: order })
  signal?.throwIfAborted()
  const { evict, kept } = planEviction(await usageOf(backend, partition), policy, Date.now())
  for (let i = 0; i < evict.length && !dryRun; i += HASHES_PER_REMOVAL) {
    signal?.throwIfAborted()
    await backend.remove(partition, evict.slice(i, i + HASHES_PER_REMOVAL).map(({ hash }) => hash))
  }
  const evicted = { age: 0, idle: 0, count: 0, size: 0, total: evict.length }
  for (const { reason } of evict) evicted[reason]++
  return { partitionKey: partition.name, evicted, evictedBytes: evict.reduce((sum, { bytes }) => sum + bytes, 0), kept }
}
