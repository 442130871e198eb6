import type { Field } from '../batch/column-type.js'
import { RowBatch } from '../batch/row-batch.js'
import type { Vector } from '../batch/vector.js'
import { askedRows, fieldOf, pathVector } from './answer.js'
import type { FetchPlan, Output } from './postgres-plan.js'
import type { ReadAs } from './postgres-types.js'
import { decodeColumn, type Texts } from './postgres-values.js'

/** One column of an answer, as the server describes it. */
export interface PgField {
  readonly name: string
  readonly dataTypeID: number
  readonly dataTypeModifier: number
}

/** Some rows of an answer, by column, as the server printed them. */
export interface RawBatch {
  readonly fields: readonly PgField[]
  readonly columns: readonly Texts[]
  readonly length: number
}

/**
 * A fetch's answer as a batch: the id first (always int64), then the columns, then the dotted ones.
 *
 * @throws {UnreadableValue} a value its column's type cannot hold
 */
export function decodeFetch({ columns }: RawBatch, { outputs, ids, isRange }: FetchPlan): RowBatch {
  const [idOutput] = outputs as [Extract<Output, { kind: 'id' }>]
  let idVector = decodeColumn(columns[0]!, { type: 'int64' }, idOutput.name)
  const rows = isRange ? askedRows(ids, idVector) : undefined
  const textsOf = rows ? (at: number): Texts => Array.from(rows, row => columns[at]![row]!) : (at: number): Texts => columns[at]!
  if (rows) idVector = decodeColumn(textsOf(0), { type: 'int64' }, idOutput.name)
  const schema: Field[] = [fieldOf(idOutput.name, idVector)]
  const vectors: Vector[] = [idVector]
  for (let at = 1; at < outputs.length; at++) {
    const output = outputs[at]!
    if (output.kind !== 'column' && output.kind !== 'path') continue
    const vector = output.kind === 'column' ? decodeColumn(textsOf(at), output.as, output.name)
      : pathVector(output.path.keys, textsOf(at), output.escaped === undefined ? undefined : textsOf(output.escaped))
    schema.push(fieldOf(output.name, vector, output.kind === 'column' ? output.as.origin : undefined))
    vectors.push(vector)
  }
  return new RowBatch(schema, vectors)
}

/**
 * A query's answer as a batch, columns in the query's order.
 *
 * @throws {UnreadableValue} a value its column's type cannot hold
 */
export function decodeQuery({ columns, fields }: RawBatch, readers: readonly ReadAs[]): RowBatch {
  const vectors = fields.map((field, at) => decodeColumn(columns[at]!, readers[at]!, field.name))
  return new RowBatch(fields.map((field, at) => fieldOf(field.name, vectors[at]!, readers[at]!.origin)), vectors)
}

/** Whether the answer has the types that the plan was made for; a table altered in between has others. */
export function matchesPlan({ fields }: RawBatch, { outputs }: FetchPlan): boolean {
  return outputs.every((output, at) => !('oid' in output) || output.oid === fields[at]?.dataTypeID)
}
