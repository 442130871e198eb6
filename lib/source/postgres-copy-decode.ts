import { storageValues } from '../batch/cells.js'
import type { Field } from '../batch/column-type.js'
import { RowBatch } from '../batch/row-batch.js'
import type { Vector } from '../batch/vector.js'
import { askedRows, fieldOf, pathVector } from './answer.js'
import { copyVector, pickRows, UnheldValue, type CopyForm } from './copy-columns.js'
import { jsonStrings } from './copy-json.js'
import type { RepeatedValues } from './copy-repeated.js'
import type { CopyRows } from './copy-rows.js'
import type { CopyPlan } from './postgres-copy-plan.js'
import type { PgField } from './postgres-decode.js'
import type { FetchPlan, Output } from './postgres-plan.js'
import { decodeColumn, notHeld, type Texts } from './postgres-values.js'

function textsOf(rows: CopyRows, column: number): Texts {
  return storageValues(copyVector(rows, column, 'bytes', 'text')) as (string | null)[]
}

function pathOf(output: Extract<Output, { kind: 'path' }>, rows: CopyRows, column: number, repeated: RepeatedValues): Vector {
  const escaped = output.escaped === undefined ? undefined : textsOf(rows, output.escaped)
  const isPlain = escaped === undefined || escaped.every(text => text === null)
  return (isPlain ? jsonStrings(rows, column, repeated) : undefined) ?? pathVector(output.path.keys, textsOf(rows, column), escaped)
}

function columnOf({ name, as }: Extract<Output, { kind: 'column' }>, form: CopyForm | 'printed', rows: CopyRows, column: number, repeated: RepeatedValues): Vector {
  if (form === 'printed') return decodeColumn(textsOf(rows, column), as, name)
  try {
    return copyVector(rows, column, form, as.type, repeated)
  } catch (error) {
    throw error instanceof UnheldValue ? notHeld(name, error.text, as.type) : error
  }
}

/**
 * Rows of a COPY as a batch: schema and values are those that `decodeFetch` makes of the same rows as text.
 *
 * @throws {UnreadableValue} a value its column's type cannot hold
 * @throws {CopyFormatError} bytes that are no such value
 */
export function decodeCopy(given: CopyRows, { outputs, ids, isRange }: FetchPlan, { forms, repeated }: CopyPlan): RowBatch {
  const idOf = (rows: CopyRows): Vector => copyVector(rows, 0, forms[0] as CopyForm, 'int64')
  let idVector = idOf(given)
  const asked = isRange ? askedRows(ids, idVector) : undefined
  const rows = asked ? pickRows(given, asked) : given
  if (asked) idVector = idOf(rows)
  const schema: Field[] = [fieldOf(outputs[0]!.name, idVector)]
  const vectors: Vector[] = [idVector]
  for (let at = 1; at < outputs.length; at++) {
    const output = outputs[at]!
    if (output.kind !== 'column' && output.kind !== 'path') continue
    const vector = output.kind === 'column' ? columnOf(output, forms[at]!, rows, at, repeated[at]!) : pathOf(output, rows, at, repeated[at]!)
    schema.push(fieldOf(output.name, vector, output.kind === 'column' ? output.as.origin : undefined))
    vectors.push(vector)
  }
  return new RowBatch(schema, vectors)
}

/** Whether the described columns have the types that the plan was made for. */
export function describesPlan(fields: readonly PgField[], { outputs }: FetchPlan): boolean {
  const oids = outputs.flatMap(output => 'oid' in output ? [output.oid] : [])
  return oids.length === fields.length && oids.every((oid, at) => fields[at]!.dataTypeID === oid)
}
