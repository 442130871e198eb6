import { InvalidArgumentError } from '../errors.js'

/**
 * What a column holds, independent of who made it. The physical Parquet types follow from it (`lib/parquet/schema.ts`),
 * and so do the JS values in rows (`cells.ts`).
 *
 * `null` is a column in which no value has been seen yet. `decimal(p,s)` has at most 38 digits; numerics without a
 * precision are `text` with the origin recorded. `list<T>` is a one-dimensional array.
 */
export type ColumnType =
  | 'null' | 'bool' | 'int32' | 'int64' | 'float32' | 'float64' | 'date' | 'time' | 'timestamp' | 'timestamptz'
  | 'uuid' | 'text' | 'json' | 'bytes' | `decimal(${number},${number})` | `list<${string}>`

/** One column's description. */
export interface Field {
  name: string
  type: ColumnType
  /** Whether the values at hand hold a null. */
  nullable: boolean
  /** The source's own type where `type` alone does not tell it, such as `inet` for a `text` column. */
  origin?: string
  /** An `int64` column that holds values beyond ±2^53, and so can never be widened to `float64`. */
  wide?: boolean
}

/** The part of a field that the widening lattice looks at. */
export type FieldType = Pick<Field, 'type' | 'wide' | 'origin'>

const SIMPLE_TYPES: ReadonlySet<string> = new Set(['null', 'bool', 'int32', 'int64', 'float32', 'float64', 'date', 'time',
  'timestamp', 'timestamptz', 'uuid', 'text', 'json', 'bytes'])

/** Digits before and after the point of a `decimal(p,s)`, else undefined. */
export function decimalSize(type: string): { precision: number, scale: number } | undefined {
  const match = /^decimal\((\d{1,2}),(\d{1,2})\)$/.exec(type)
  return match ? { precision: Number(match[1]), scale: Number(match[2]) } : undefined
}

/** The element type of a `list<T>`, else undefined. */
export function listElement(type: string): ColumnType | undefined {
  return type.startsWith('list<') && type.endsWith('>') ? type.slice(5, -1) as ColumnType : undefined
}

/** Whether `text` names a column type. */
export function isColumnType(text: string): text is ColumnType {
  if (SIMPLE_TYPES.has(text)) return true
  const size = decimalSize(text)
  if (size) return size.precision >= 1 && size.precision <= 38 && size.scale <= size.precision
  const element = listElement(text)
  return element !== undefined && element !== 'null' && listElement(element) === undefined && isColumnType(element)
}

/** Check the caller's `columnTypes` and return it as a map. */
export function checkColumnTypes(types: Readonly<Record<string, string>> | undefined): Map<string, ColumnType> {
  const checked = new Map<string, ColumnType>()
  for (const [name, type] of Object.entries(types ?? {})) {
    if (typeof type !== 'string' || !isColumnType(type) || type === 'null') {
      throw new InvalidArgumentError({ argument: `columnTypes[${JSON.stringify(name)}]`,
        expected: `a column type (${[...SIMPLE_TYPES].slice(1).join(', ')}, decimal(p,s), list<type>)`, found: String(type) })
    }
    checked.set(name, type)
  }
  return checked
}

/** Whether vectors of this type hold text or bytes (forms `bytes`, `dictionary`, `values`) instead of numbers. */
export function isVariableLength(type: ColumnType): boolean {
  return type === 'text' || type === 'json' || type === 'uuid' || type === 'bytes' || type.startsWith('decimal(')
}

/**
 * Whether every value of the type is what its JSON text gives back: `Date`s, bytes and integers beyond ±2^53 are not. (NaN is kept out
 * of dotted columns value by value.)
 */
function fitsJson({ type, wide }: FieldType): boolean {
  const element = listElement(type)
  // int64 elements are not counted, so some may be wide
  if (element) return element !== 'int64' && !element.startsWith('float') && fitsJson({ type: element })
  return type !== 'timestamp' && type !== 'timestamptz' && type !== 'bytes' && wide !== true
}

/**
 * The one widening lattice: null → anything; int32 → int64; int (all within ±2^53) → float64; a dotted column whose values
 * share no type → json, where each keeps its own. Symmetric: returns the type both sides fit, or undefined where there is none.
 */
export function widenTypes(a: FieldType, b: FieldType, dotted = false): FieldType | undefined {
  // origins that differ cancel out: the column has neither throughout
  if (a.type === b.type) return { type: a.type, ...(a.wide || b.wide ? { wide: true } : {}), ...(a.origin && a.origin === b.origin ? { origin: a.origin } : {}) }
  if (a.type === 'null') return b
  if (b.type === 'null') return a
  const int = (field: FieldType): boolean => field.type === 'int32' || field.type === 'int64'
  if (int(a) && int(b)) return { type: 'int64', ...(a.wide || b.wide ? { wide: true } : {}) }
  if (int(a) && b.type === 'float64' && !a.wide) return b
  if (int(b) && a.type === 'float64' && !b.wide) return a
  return dotted && fitsJson(a) && fitsJson(b) ? { type: 'json' } : undefined
}
