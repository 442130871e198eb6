import type { ColumnType, Field } from '../batch/column-type.js'
import { RowBatch } from '../batch/row-batch.js'
import type { Vector } from '../batch/vector.js'
import { askedRows, fieldOf, pathVector } from './answer.js'
import { driverVector } from './driver-values.js'
import type { MySqlPlan } from './mysql-plan.js'
import type { MySqlRows } from './mysql-stream.js'
import type { MySqlReader } from './mysql-types.js'

type DeclaredTypes = ReadonlyMap<string, ColumnType>

function columnOf(rows: MySqlRows['rows'], at: number): unknown[] {
  const values = new Array<unknown>(rows.length)
  for (let row = 0; row < values.length; row++) values[row] = rows[row]![at]
  return values
}

function decode(values: readonly unknown[], column: string, { type, origin }: MySqlReader, declared: ColumnType | undefined): { vector: Vector, field: Field } {
  const isOwn = declared === undefined || declared === type
  const vector = driverVector(declared ?? type, values, { column, trusted: isOwn })
  return { vector, field: fieldOf(column, vector, isOwn ? origin : undefined) }
}

/**
 * A query's answer as a batch, columns in the query's order.
 *
 * @throws {UnreadableValue} a value its column's type cannot hold: a zero date, a BIGINT UNSIGNED beyond int64
 */
export function decodeMySqlQuery({ fields, readers, rows }: MySqlRows, declared: DeclaredTypes): RowBatch {
  const columns = fields.map(({ name }, at) => decode(columnOf(rows, at), name, readers[at]!, declared.get(name)))
  return new RowBatch(columns.map(({ field }) => field), columns.map(({ vector }) => vector))
}

/** A fetch's answer as a batch: the id first (always int64), then the columns, then the dotted ones. @throws {UnreadableValue} */
export function decodeMySqlFetch({ readers, rows: all }: MySqlRows, { outputs, ids, isRange }: MySqlPlan, declared: DeclaredTypes): RowBatch {
  const idsOf = (rows: MySqlRows['rows']): Vector => driverVector('int64', columnOf(rows, 0), { column: outputs[0]!.kind === 'id' ? outputs[0]!.name : '', trusted: true })
  const kept = isRange ? askedRows(ids, idsOf(all)) : undefined
  const rows = kept ? Array.from(kept, row => all[row]!) : all
  const vectors = [idsOf(rows)]
  const schema = [fieldOf((outputs[0] as { name: string }).name, vectors[0]!)]
  outputs.forEach((output, at) => {
    if (output.kind === 'column') {
      const { vector, field } = decode(columnOf(rows, at), output.name, readers[at]!, declared.get(output.name))
      vectors.push(vector)
      schema.push(field)
    } else if (output.kind === 'path') {
      const texts = (position: number): (string | null)[] => columnOf(rows, position) as (string | null)[]
      const vector = pathVector(output.path.keys, texts(at), output.whole === undefined ? undefined : texts(output.whole))
      vectors.push(vector)
      schema.push(fieldOf(output.name, vector))
    }
  })
  return new RowBatch(schema, vectors)
}
