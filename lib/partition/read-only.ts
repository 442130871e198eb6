import type { RowBatch } from '../batch/row-batch.js'
import type { Source } from '../source/fetcher.js'

/** A statement's rows, in a read-only transaction where the source has them: what a queue hands in may be anything. */
export async function * readOnly(source: Source, sql: string, options: { signal: AbortSignal, timeoutMs?: number }): AsyncGenerator<RowBatch, void, undefined> {
  if (!source.snapshot) {
    yield * source.query(sql, options)
    return
  }
  const snapshot = await source.snapshot(options)
  try {
    yield * snapshot.query(sql)
  } finally {
    await snapshot.close()
  }
}
