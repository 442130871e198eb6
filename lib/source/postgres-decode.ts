import { buildVector } from '../batch/build.js'
import type { Field } from '../batch/column-type.js'
import type { IdArray } from '../batch/ids.js'
import { vectorOf } from '../batch/infer.js'
import { RowBatch } from '../batch/row-batch.js'
import { hasNulls, type Vector } from '../batch/vector.js'
import { followPath } from '../json/extract.js'
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

/** A vector's entry in the schema. */
export function fieldOf(name: string, vector: Vector, origin?: string): Field {
  const wide = vector.type === 'int64' && vector.form === 'fixed' && vector.values instanceof BigInt64Array
  return { name, type: vector.type, nullable: hasNulls(vector), ...(origin === undefined ? {} : { origin }), ...(wide ? { wide } : {}) }
}

/** JSON text → value; the texts that need no parser are most of them. */
function parseJson(text: string): unknown {
  return text.charCodeAt(0) === 34 && !text.includes('\\') ? text.slice(1, -1) : JSON.parse(text)
}

/**
 * The values at a path, typed by what they share, else json: then each keeps the server's own text, digits and all (and what
 * fits no other column, 1e400 or a lone surrogate, has a place).
 */
export function pathVector({ path }: Extract<Output, { kind: 'path' }>, texts: Texts, escaped: Texts | undefined): Vector {
  const jsonTexts = escaped === undefined ? texts : texts.map((text, row) => {
    const whole = escaped[row] ?? null
    return whole === null ? text : JSON.stringify(followPath(JSON.parse(whole), path.keys) ?? null)
  })
  if (!jsonTexts.some(text => text !== null && (text.startsWith('{') || text.startsWith('[')))) {
    const { vector, bad } = vectorOf(jsonTexts.map(text => text === null ? null : parseJson(text)), { dotted: true })
    if (bad.length === 0 && vector.type !== 'json') return vector
  }
  return buildVector('json', jsonTexts.map(text => text === 'null' ? null : text))
}

/** The rows of a batch whose ids were asked for, or undefined where that is all of them. */
export function askedRows(ids: IdArray, vector: Vector): Uint32Array | undefined {
  const [low, span] = [ids[0]!, Number(BigInt(ids[ids.length - 1]!) - BigInt(ids[0]!)) + 1]
  if (span === ids.length || vector.form !== 'fixed') return undefined
  const isAsked = new Uint8Array(span)
  const offset = (id: number | bigint): number => typeof id === typeof low ? Number(id as number - (low as number)) : Number(BigInt(id) - BigInt(low))
  for (const id of ids) isAsked[offset(id)] = 1
  const rows = new Uint32Array(vector.length)
  let count = 0
  for (let row = 0; row < vector.length; row++) if (isAsked[offset(vector.values[row]!)] === 1) rows[count++] = row
  return count === vector.length ? undefined : rows.subarray(0, count)
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
      : pathVector(output, textsOf(at), output.escaped === undefined ? undefined : textsOf(output.escaped))
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
