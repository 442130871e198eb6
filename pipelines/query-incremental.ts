import type { RowBatch } from '../lib/batch/row-batch.js'
import { Table } from '../lib/batch/table.js'
import type { ResultStream } from './result-stream.js'

/** Everything a query delivers, as one table. */
export async function collectRows(stream: ResultStream): Promise<Table> {
  const batches: RowBatch[] = []
  for await (const batch of stream) batches.push(batch)
  return new Table(batches, { report: stream.report, columns: stream.columns() })
}
