import { messageOf } from '../errors.js'
import { jsonText } from '../json/json-text.js'
import type { CollectedColumn } from './collected-column.js'
import type { ColumnType } from './column-type.js'
import { buildVector } from './build.js'
import { storageValueAs } from './declare.js'
import type { Vector } from './vector.js'

/** A value that no column can hold exactly; its row fails, the others do not. */
export interface BadValue {
  row: number
  reason: string
}

/** What `vectorOf` makes of a column of JS values. */
export interface Inferred {
  vector: Vector
  /** Some int64 lies beyond ±2^53. */
  wide: boolean
  bad: BadValue[]
  /** Two types that share no column, in the order they were seen; `vector` is then unusable. */
  conflict?: readonly [ColumnType, ColumnType]
}

// kinds of JS values, as bits; INT and WIDE are both int64
const [BOOL, INT, WIDE, FLOAT, TEXT, DATE, BYTES, JSON_VALUE] = [1, 2, 4, 8, 16, 32, 64, 128]

const TYPE_OF_KIND = new Map<number, ColumnType>([[BOOL, 'bool'], [INT, 'int64'], [WIDE, 'int64'], [FLOAT, 'float64'],
  [TEXT, 'text'], [DATE, 'timestamptz'], [BYTES, 'bytes'], [JSON_VALUE, 'json']])

/** Kinds that JSON text gives back as they were. */
const JSON_KINDS = BOOL | INT | FLOAT | TEXT | JSON_VALUE

const INT64_LIMIT = 9223372036854775808n

/** The kind of a value, 0 for null, or the reason why no column can hold it. */
function kindOf(value: unknown, dotted: boolean): number | string {
  switch (typeof value) {
    case 'number':
      if (Number.isSafeInteger(value) && !Object.is(value, -0)) return INT
      return dotted && Number.isNaN(value) ? 'NaN, which JSON has no form for' : FLOAT
    case 'string':
      if (value.isWellFormed()) return TEXT
      // JSON text has an escape for it
      return dotted ? JSON_VALUE : 'text with a lone surrogate, which UTF-8 cannot hold'
    case 'boolean': return BOOL
    case 'undefined': return 0
    case 'bigint':
      if (value >= -9007199254740991n && value <= 9007199254740991n) return INT
      return value < INT64_LIMIT && value >= -INT64_LIMIT ? WIDE : 'an integer beyond 64 bits'
    case 'object':
      if (value === null) return 0
      if (value instanceof Date) return Number.isNaN(value.getTime()) ? 'an invalid Date' : DATE
      return value instanceof Uint8Array ? BYTES : JSON_VALUE
    default: return `a ${typeof value}`
  }
}

function typeOfKinds(kinds: number, dotted: boolean): ColumnType | undefined {
  if (kinds === 0) return 'null'
  if ((kinds & ~(INT | WIDE)) === 0) return 'int64'
  if ((kinds & ~(INT | FLOAT)) === 0) return 'float64'
  return TYPE_OF_KIND.get(kinds) ?? (dotted && (kinds & ~JSON_KINDS) === 0 ? 'json' : undefined)
}

/** The first two types, in the order of the values, that share no column. */
function conflictOf(values: readonly unknown[], dotted: boolean): readonly [ColumnType, ColumnType] {
  let kinds = 0
  for (const value of values) {
    const kind = kindOf(value, dotted)
    if (typeof kind === 'string') continue
    if (typeOfKinds(kinds | kind, dotted) === undefined) return [typeOfKinds(kinds, dotted)!, TYPE_OF_KIND.get(kind)!]
    kinds |= kind
  }
  throw new TypeError('these values share a type')
}

/**
 * JS values → one vector. Without a declared type it is inferred over all values: integers → int64, other numbers → float64,
 * strings → text, `Date` → timestamptz, `Uint8Array` → bytes, objects and arrays → json. `undefined` counts as null.
 *
 * @param dotted values of a dotted column share a type or are json, each keeping its own type; NaN is refused
 */
export function vectorOf(values: readonly unknown[], { type, dotted = false }: { type?: ColumnType | undefined, dotted?: boolean } = {}): Inferred {
  if (type !== undefined) return declaredVector(values, type)
  const bad: BadValue[] = []
  let kinds = 0
  for (let row = 0; row < values.length; row++) {
    const kind = kindOf(values[row], dotted)
    if (typeof kind === 'string') bad.push({ row, reason: kind })
    else kinds |= kind
  }
  const inferred = typeOfKinds(kinds, dotted)
  if (inferred === undefined) return { vector: buildVector('null', []), wide: false, bad, conflict: conflictOf(values, dotted) }
  const skip = new Set(bad.map(({ row }) => row))
  const wide = (kinds & WIDE) !== 0
  if (inferred !== 'json' && inferred !== 'timestamptz' && skip.size === 0) {
    return { vector: buildVector(inferred, values), wide, bad }
  }
  const stored = new Array<unknown>(values.length)
  for (let row = 0; row < values.length; row++) {
    const value = values[row]
    stored[row] = null
    if (value === null || value === undefined || skip.has(row)) continue
    if (inferred === 'timestamptz') stored[row] = BigInt((value as Date).getTime()) * 1000n
    else if (inferred !== 'json') stored[row] = value
    else {
      try {
        stored[row] = jsonText(value)
      } catch (error) {
        bad.push({ row, reason: `a value without JSON form: ${messageOf(error)}` })
      }
    }
  }
  return { vector: buildVector(inferred, stored), wide, bad }
}

/** As `vectorOf`, for values that were collected: what their arrival told is not asked of them again. */
export function vectorOfCollected(column: CollectedColumn, { type, dotted = false }: { type?: ColumnType | undefined, dotted?: boolean } = {}): Inferred {
  const vector = column.vector({ allowNaN: !dotted, type })
  return vector ? { vector, wide: false, bad: [] } : vectorOf(column.values(), { type, dotted })
}

function declaredVector(values: readonly unknown[], type: ColumnType): Inferred {
  const bad: BadValue[] = []
  const stored = new Array<unknown>(values.length)
  let wide = false
  for (let row = 0; row < values.length; row++) {
    const value = values[row]
    stored[row] = null
    if (value === null || value === undefined) continue
    try {
      const converted = storageValueAs(type, value)
      if (converted === undefined) bad.push({ row, reason: `${describe(value)} is no ${type}` })
      else stored[row] = converted
      if (typeof converted === 'bigint' && type === 'int64') wide = true
    } catch (error) {
      bad.push({ row, reason: `${typeof value} is no ${type}: ${messageOf(error)}` })
    }
  }
  return { vector: buildVector(type, stored), wide, bad }
}

function describe(value: unknown): string {
  const text = typeof value === 'string' ? JSON.stringify(value) : typeof value === 'object' ? 'an object' : String(value)
  return text.length > 60 ? `${text.slice(0, 60)}…` : text
}
