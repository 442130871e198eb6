import { buildVector } from '../batch/build.js'
import type { ColumnType, Field } from '../batch/column-type.js'
import { lowerBound, type IdArray } from '../batch/ids.js'
import { vectorOf } from '../batch/infer.js'
import { hasNulls, type Vector } from '../batch/vector.js'
import { parseColumnName } from '../json/column-name.js'
import { followPath } from '../json/extract.js'
import type { FetchRequest } from './fetcher.js'

type Texts = readonly (string | null)[]

/** Those of ascending ids that a column's type can hold. */
export function heldIds(ids: IdArray, { min, max }: { min: bigint, max: bigint }): IdArray {
  // the ends tell for all: comparing each with a bigint takes longer than the rest of a plan
  const areHeld = ids.length === 0 || (ids[0]! >= min && ids[ids.length - 1]! <= max)
  return areHeld ? ids : ids.subarray(lowerBound(ids, min), lowerBound(ids, max + 1n))
}

/** At least half of the ids in the range are asked for: reading the range is cheaper than an array of ids. */
export function isDense(ids: IdArray): boolean {
  return ids.length > 1 && BigInt(ids[ids.length - 1]!) - BigInt(ids[0]!) < 2n * BigInt(ids.length)
}

/** A column's description, by what its vector holds. */
export function fieldOf(name: string, vector: Vector, origin?: string): Field {
  const wide = vector.type === 'int64' && vector.form === 'fixed' && vector.values instanceof BigInt64Array
  return { name, type: vector.type, nullable: hasNulls(vector), ...(origin === undefined ? {} : { origin }), ...(wide ? { wide } : {}) }
}

/** Types whose every value a floating-point column holds. */
const HELD: Readonly<Record<string, readonly string[]>> = { float32: ['float32'], float64: ['float64', 'float32', 'int32'] }

/** Whether values of a column are rounded when they are read as a declared type; other types hold a value exactly or refuse it. */
export function isRounded(own: ColumnType, read: ColumnType): boolean {
  return HELD[read]?.includes(own) === false
}

/** JSON text → value; the texts that need no parser are most of them. */
function parseJson(text: string): unknown {
  return text.charCodeAt(0) === 34 && !text.includes('\\') ? text.slice(1, -1) : JSON.parse(text)
}

/**
 * The values at a path, typed by what they share, else json: then each keeps the server's own text, digits and all (and what
 * fits no other column, 1e400 or a lone surrogate, has a place).
 */
export function pathVector(keys: readonly string[], texts: Texts, escaped: Texts | undefined): Vector {
  const jsonTexts = escaped === undefined ? texts : texts.map((text, row) => {
    const whole = escaped[row] ?? null
    return whole === null ? text : JSON.stringify(followPath(JSON.parse(whole), keys) ?? null)
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

/** What the source's maker declared, and over that what the request declares; the names of plain columns may be escaped there. */
export function declaredColumns(columnTypes: ReadonlyMap<string, ColumnType>, request: Pick<FetchRequest, 'columnTypes'>): ReadonlyMap<string, ColumnType> {
  const plain = Object.entries(request.columnTypes ?? {}).map(([name, type]) => ({ ...parseColumnName(name), type })).filter(({ path }) => path === undefined)
  return plain.length === 0 ? columnTypes : new Map([...columnTypes, ...plain.map(({ column, type }) => [column, type] as const)])
}
