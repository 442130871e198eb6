import type { Delivered, DeliveryForm } from '../support/delivery.js'
import type { SourceRow } from '../support/rows.js'

/** One job: rows of these ids, from the cache where it has them, else fetched and cached. */
export interface Job {
  ids: Int32Array
  delivery: DeliveryForm
  cacheDir: string
  /** Calls of it are counted. Ids ascend. */
  fetch: (ids: ArrayLike<number>) => Promise<SourceRow[]> | SourceRow[]
}

/** A cache that a user could otherwise write over some engine, in the best form that engine offers. */
export interface Engine {
  name: string
  /** Whether what it cached is on disk (fsync) when the job is done. */
  fsync: boolean
  /** Load the engine; outside the clock. */
  open(): Promise<void>
  run(job: Job): Promise<Delivered>
}

/** Batches of a fetch: at most 100, of at least 100 ids, for every engine. */
export function batchSizeOf(missing: number): number {
  return Math.max(100, Math.ceil(missing / 100))
}

export async function engineOf(name: string): Promise<Engine> {
  switch (name) {
    case 'millrace': return (await import('./millrace.js')).millraceEngine()
    case 'duckdb': return (await import('./duckdb.js')).duckdbEngine()
    case 'polars': return (await import('./polars.js')).polarsEngine()
    case 'hyparquet': return (await import('./hyparquet.js')).hyparquetEngine()
    default: throw new Error(`no engine ${name}: millrace, duckdb, polars or hyparquet`)
  }
}
