import type { RowBatch } from '../lib/batch/row-batch.js'
import { Table } from '../lib/batch/table.js'
import type { QueryRows } from './query-cached.js'

/** Everything a query delivers, as one table. */
export async function collectRows({ stream, columns }: QueryRows): Promise<Table> {
  const batches: RowBatch[] = []
  for await (const batch of stream) batches.push(batch)
  return new Table(batches, { report: stream.report, columns: columns() })
}
