import type { Field } from '../batch/column-type.js'
import { idsBetween } from '../batch/ids.js'
import { RowBatch } from '../batch/row-batch.js'
import { hasNulls, type Vector } from '../batch/vector.js'
import { ROW_HASH, ROW_NUMBER } from '../store/query-record.js'

const NUMBER_FIELD: Field = { name: ROW_NUMBER, type: 'int64', nullable: false }

/** The batch with its rows numbered from `first` on, in a column before the others. */
export function numbered(batch: RowBatch, first: number): RowBatch {
  const values = idsBetween(first, first + batch.length)
  const numbers: Vector = { form: 'fixed', type: 'int64', length: batch.length, values }
  return new RowBatch([NUMBER_FIELD, ...batch.schema], [numbers, ...batch.vectors])
}

/** The batch without the columns that are ours. */
export function resultOf(batch: RowBatch): RowBatch {
  return batch.select(batch.columnNames.filter(name => name !== ROW_NUMBER && name !== ROW_HASH))
}

/** A batch's fields as they are: nulls and wide integers by what the vectors hold. */
export function fieldsOf(columns: readonly Field[], vectors: readonly Vector[]): Field[] {
  return columns.map(({ name, type, origin }, c) => {
    const vector = vectors[c]!
    const wide = vector.type === 'int64' && vector.form === 'fixed' && vector.values instanceof BigInt64Array
    return { name, type, nullable: hasNulls(vector), ...(origin === undefined ? {} : { origin }), ...(wide ? { wide } : {}) }
  })
}
