import type { Transform } from 'node:stream'
import { checkColumnTypes } from '../lib/batch/column-type.js'
import { fromRows } from '../lib/batch/from-rows.js'
import type { RowBatch } from '../lib/batch/row-batch.js'
import type { Row } from '../lib/batch/row-factory.js'
import { checkInteger } from '../lib/check-number.js'
import { stage } from './stage.js'

/** Options of `rowBatcher`. */
export interface RowBatcherOptions {
  /** Rows per batch (default 8192). */
  batchRows?: number | undefined
  /** Declared types by column name, instead of inference. */
  types?: Readonly<Record<string, string>> | undefined
  idColumn?: string | undefined
}

/** Single rows (or arrays of rows) → RowBatch, in order. Types are inferred per batch unless declared. */
export function rowBatcher({ batchRows = 8192, types, idColumn = 'id' }: RowBatcherOptions = {}): Transform {
  checkInteger('batchRows', batchRows, 1)
  checkColumnTypes(types)
  return stage<Row | readonly Row[], RowBatch>('row-batcher', async function * (source) {
    let rows: Row[] = []
    for await (const item of source) {
      for (const row of Array.isArray(item) ? item as readonly Row[] : [item as Row]) {
        rows.push(row)
        if (rows.length < batchRows) continue
        yield fromRows(rows, { types, idColumn })
        rows = []
      }
    }
    if (rows.length > 0) yield fromRows(rows, { types, idColumn })
  })
}
