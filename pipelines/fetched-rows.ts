import { addAbortSignal, pipeline, type Readable, type Transform } from 'node:stream'
import type { RowBatch } from '../lib/batch/row-batch.js'
import type { QueryCommitter } from '../lib/query/committer.js'
import { ROW_NUMBER } from '../lib/store/query-record.js'
import type { ResultProgress } from '../lib/query/progress.js'
import type { QueryContext } from '../lib/query/query-context.js'
import { resultOf } from '../lib/query/row-numbers.js'
import type { Run } from '../lib/run.js'
import { parquetSink } from '../streams/parquet-sink.js'
import { watermarkTracker } from '../streams/watermark-tracker.js'
import { closed } from './request.js'

/** The rows that a source delivers: numbered, tracked, cached where there is a committer, and passed on as results. */
export async function * fetchedRows(source: Readable, { context, run, progress, committer, signal }:
{ context: QueryContext, run: Run, progress: ResultProgress, committer: QueryCommitter | undefined, signal: AbortSignal }): AsyncGenerator<RowBatch> {
  const stages: Transform[] = [watermarkTracker({ progress })]
  if (committer) stages.push(parquetSink({ cache: { store: context.cache }, table: run.table, idColumn: ROW_NUMBER, forward: true, committer }))
  const last = pipeline([source, ...stages], () => undefined) as Transform
  addAbortSignal(signal, last)
  try {
    for await (const item of last) {
      const batch = item as RowBatch
      run.report.fetched += batch.length
      run.report.misses += batch.length
      if (!committer) run.report.rows += batch.length
      run.batchDone(batch.length)
      yield resultOf(batch)
    }
  } finally {
    last.destroy()
    await Promise.all([source, ...stages].map(closed))
  }
}

/** Cached rows, passed on as results. */
export async function * countedRows(rows: AsyncIterable<RowBatch>, run: Run): AsyncGenerator<RowBatch> {
  for await (const batch of rows) {
    run.report.hits += batch.length
    run.report.rows += batch.length
    yield batch
  }
}
