import type { PartitionCache } from './cache.js'

/** What `copyCache` takes beside the two caches. */
export interface CopyOptions {
  /** Only these partition keys (default: all). */
  partitionKeys?: readonly string[] | undefined
  signal?: AbortSignal | undefined
}

/** What was copied. */
export interface CopyReport {
  partitionKeys: number
  sets: number
  /** Marks and entries without a set. */
  others: number
}

/**
 * Copy every entry from one cache to another, of any backends: sets, null marks, query texts, statuses, tables, times. Entries of
 * the target under the same hash are replaced, others stay. One set at a time is in memory.
 *
 * @throws {KeyTypeError} the target does not store a partition key's type, or some of its keys
 */
export async function copyCache(from: PartitionCache, to: PartitionCache, { partitionKeys, signal }: CopyOptions = {}): Promise<CopyReport> {
  const report: CopyReport = { partitionKeys: 0, sets: 0, others: 0 }
  for (const [partitionKey, datatype] of await from.getPartitionKeys()) {
    if (partitionKeys && !partitionKeys.includes(partitionKey)) continue
    report.partitionKeys++
    for await (const { hash } of from.entries({ partitionKey })) {
      signal?.throwIfAborted()
      const entry = await from.getEntry(hash, { partitionKey })
      if (!entry) continue
      const { keys, state, query, status, tables, storedAt, expiresAt } = entry
      // an entry of unknown age stays one that any age limit removes
      const asOf = new Date(storedAt ?? 0)
      const options = { partitionKey, query, tables, asOf, ttlMs: expiresAt === undefined ? 0 : Math.max(expiresAt - asOf.getTime(), 1) }
      if (keys) await to.setSet(hash, keys, { ...options, datatype })
      else if (state === 'null') await to.setNull(hash, { ...options, status, datatype })
      else if (query !== undefined) await to.setQuery(hash, query, { partitionKey, tables, datatype })
      if (status !== undefined && (status !== 'ok' || state !== 'set')) await to.setStatus(hash, status, { partitionKey, datatype })
      if (keys) report.sets++
      else report.others++
    }
  }
  return report
}
