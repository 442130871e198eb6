import { idsAt } from './fetched-pieces.js'
import { batchSizeFor } from './miss-queue.js'
import { WINDOW_ROWS, type IdSet } from '../batch/id-set.js'
import type { IdArray } from '../batch/ids.js'
import type { Run } from '../run.js'
import { UnusablePartError, type Cover, type Snapshot } from '../store/snapshot.js'
import { warningOf, type TableStore } from '../store/table-store.js'

/** What a request will do, decided before anything is fetched or decoded. */
export interface RowPlan {
  readonly run: Run
  readonly ids: IdSet
  readonly hits: number
  readonly misses: number
  readonly batchSize: number
  readonly batches: number
  /** The view of the table it was made on; undefined without a usable cache. */
  readonly snapshot: Snapshot | undefined
  /** Window positions of the misses, by window; undefined = all of them. */
  missesOf(window: number): Uint32Array | undefined
  /** Every miss, ascending. */
  missIds(): Generator<IdArray>
}

/** Find the misses of every window. Memory: 4 bytes per miss in windows that have hits as well. */
export async function planRows({ ids, columns, snapshot, store, run, batchSize, refresh = false, signal }: {
  ids: IdSet, columns: readonly string[], snapshot: Snapshot | undefined, store: TableStore | undefined, run: Run,
  batchSize?: number | undefined, refresh?: boolean | undefined, signal?: AbortSignal | undefined
}): Promise<RowPlan> {
  const misses: (Uint32Array | undefined)[] = []
  const cached = snapshot && store && !refresh && snapshot.manifest.parts.length > 0 ? { snapshot, store } : undefined
  /** Misses of one kind in a row, safe or beyond ±2^53: a batch holds ids of one kind. */
  const runs = cached ? [] : ids.kinds()
  let missCount = cached ? 0 : ids.size
  let lastKind: unknown
  let window = 0
  if (cached) for (const windowIds of ids.windows(WINDOW_ROWS, new Float64Array(WINDOW_ROWS))) {
    signal?.throwIfAborted()
    const cover = await coverSafely(cached.snapshot, cached.store, windowIds, columns, run)
    const missed = cover ? cover.misses.length : windowIds.length
    misses[window++] = cover && missed < windowIds.length ? cover.misses : undefined
    missCount += missed
    if (missed === 0) continue
    if (windowIds.constructor !== lastKind) runs.push(0)
    lastKind = windowIds.constructor
    runs[runs.length - 1]! += missed
  }
  // every border between kinds may cut a batch short, and must not make it 101
  const size = batchSize ?? (runs.length > 1 ? Math.max(batchSizeFor(missCount), Math.ceil(missCount / (101 - runs.length))) : batchSizeFor(missCount))
  run.report.hits = ids.size - missCount
  run.report.misses = missCount
  const batches = runs.reduce((sum, misses) => sum + Math.ceil(misses / size), 0)
  run.total = { misses: missCount, batches, hits: ids.size - missCount }
  return {
    run, ids, hits: ids.size - missCount, misses: missCount, batchSize: size, batches, snapshot,
    missesOf: at => misses[at],
    * missIds() {
      if (!cached) {
        yield * ids.windows(size)
        return
      }
      let at = 0
      for (const windowIds of ids.windows()) {
        const positions = misses[at++]
        if (positions?.length !== 0) yield positions ? idsAt(windowIds, positions) : windowIds
      }
    }
  }
}

/**
 * A window's cover; damaged parts are dropped on the way, and a cache that cannot be read is no cover at all.
 */
export async function coverSafely(snapshot: Snapshot, store: TableStore, ids: IdArray, columns: readonly string[], run: Run): Promise<Cover | undefined> {
  for (;;) {
    try {
      return await snapshot.cover(ids, columns)
    } catch (error) {
      if (error instanceof UnusablePartError) await passOver(error, snapshot, store, run)
      else {
        run.trouble(warningOf('CACHE_READ_FAILED', error), error)
        return undefined
      }
    }
  }
}

/** Go on without a part: a damaged one leaves the table, one that the system would not read only this request. */
export async function passOver(unusable: UnusablePartError, snapshot: Snapshot, store: TableStore, run: Run): Promise<void> {
  const { part, corruption, ids, cause } = unusable
  snapshot.exclude(unusable)
  if (corruption) for (const warning of await store.dropDamaged(part, corruption, ids)) run.trouble(warning, corruption)
  else run.trouble(warningOf('CACHE_READ_FAILED', cause, store.settings.blobs.pathOf(store.key.folder, part.name)), cause)
}
