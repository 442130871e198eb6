import type { PartitionCache } from './cache.js'
import { portableEntries, putEntry } from './portable.js'

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
  const names = (await from.getPartitionKeys()).map(([name]) => name).filter(name => !partitionKeys || partitionKeys.includes(name))
  const report: CopyReport = { partitionKeys: names.length, sets: 0, others: 0 }
  for await (const entry of portableEntries(from, names)) {
    signal?.throwIfAborted()
    await putEntry(to, entry)
    if (entry.keys) report.sets++
    else report.others++
  }
  return report
}
