import type { ColumnType } from '../batch/column-type.js'

/** What a column's PostgreSQL type becomes. */
export interface ReadAs {
  type: ColumnType
  /** The server's type name, where `type` does not tell it. */
  origin?: string | undefined
  /** What an array's elements are read as. */
  element?: ColumnType
  /** What separates the elements of this array type's text. */
  delimiter?: string | undefined
  /** `type` is the caller's choice, not the server's. */
  isDeclared?: boolean
}

/** The caller's declared type instead of the server's. Nested arrays fit `json`, everything fits `text`. */
export function declaredAs(as: ReadAs, type: ColumnType | undefined): ReadAs {
  return type === undefined || type === as.type ? as : { ...as, type, isDeclared: true }
}

/** One row of pg_type, as far as it decides how values are read. */
export interface PgType {
  name: string
  /** The type below a domain, else 0. */
  base: number
  /** The base type's modifier that a domain fixes, else -1. */
  baseModifier: number
  /** The element type of an array, else 0. */
  element: number
  delimiter: string
  /** Its binary form is the text that it prints. */
  sendsText: boolean
}

/** Types that were looked up, by OID. Names of the built-in ones that matter are known without asking. */
export type PgTypes = Map<number, PgType>

const NUMERIC = 1700

const SIMPLE: ReadonlyMap<number, ColumnType> = new Map<number, ColumnType>([
  [16, 'bool'], [17, 'bytes'], [20, 'int64'], [21, 'int32'], [23, 'int32'], [26, 'int64'], [700, 'float32'], [701, 'float64'],
  [1082, 'date'], [1083, 'time'], [1114, 'timestamp'], [1184, 'timestamptz'], [2950, 'uuid'], [114, 'json'], [3802, 'json'],
  [25, 'text'], [1043, 'text'], [1042, 'text'], [19, 'text'], [705, 'text'],
])

/** Array types of the above: OID of the array → OID of its elements. */
const ARRAYS: ReadonlyMap<number, number> = new Map([
  [1000, 16], [1001, 17], [1016, 20], [1005, 21], [1007, 23], [1028, 26], [1021, 700], [1022, 701], [1182, 1082], [1183, 1083],
  [1115, 1114], [1185, 1184], [2951, 2950], [199, 114], [3807, 3802], [1009, 25], [1015, 1043], [1014, 1042], [1003, 19],
  [1231, NUMERIC],
])

/** Types whose text needs no origin: they are text. */
const PLAIN_TEXT: ReadonlySet<string> = new Set(['citext'])

/** Types of extensions whose text is bytes in hexadecimal: PostGIS prints EWKB. */
const HEX_BYTES: ReadonlySet<string> = new Set(['geometry', 'geography'])

/** Integer types an id column may have, by OID, and their name in SQL. */
export const ID_TYPES: ReadonlyMap<number, { name: string, min: bigint, max: bigint }> = new Map([
  [21, { name: 'int2', min: -32768n, max: 32767n }],
  [23, { name: 'int4', min: -2147483648n, max: 2147483647n }],
  [20, { name: 'int8', min: -9223372036854775808n, max: 9223372036854775807n }],
  [26, { name: 'oid', min: 0n, max: 4294967295n }],
])

/** The OIDs among these that need a look at pg_type. */
export function unknownTypes(oids: Iterable<number>, types: PgTypes): number[] {
  return [...new Set(oids)].filter(oid => oid !== 0 && !SIMPLE.has(oid) && !ARRAYS.has(oid) && oid !== NUMERIC && !types.has(oid))
}

/** The type under any number of domains, with the modifier that holds there. */
export function baseType(oid: number, modifier: number, types: PgTypes): { oid: number, modifier: number } {
  let [base, fixed] = [oid, modifier]
  for (let type = types.get(base); type !== undefined && type.base !== 0; type = types.get(base)) {
    base = type.base
    fixed = type.baseModifier
  }
  return { oid: base, modifier: fixed }
}

/** Whether a column holds json or jsonb, through domains too; undefined where it holds neither. */
export function jsonKind(oid: number, types: PgTypes): 'json' | 'jsonb' | undefined {
  const base = baseType(oid, -1, types).oid
  return base === 114 ? 'json' : base === 3802 ? 'jsonb' : undefined
}

/** numeric(p,s) from its modifier, where DECIMAL can hold it: p ≤ 38 and 0 ≤ s ≤ p. */
function decimalType(modifier: number): ColumnType | undefined {
  if (modifier < 4) return undefined
  const precision = ((modifier - 4) >> 16) & 0xffff
  const scale = (((modifier - 4) & 0x7ff) ^ 1024) - 1024
  return precision <= 38 && scale >= 0 && scale <= precision ? `decimal(${precision},${scale})` : undefined
}

/**
 * How a column of this type is read. Whatever has no exact column type of its own is text with its origin recorded.
 *
 * @param dimensions declared dimensions of an array column (pg_attribute.attndims); two and more are read as json
 */
export function readAs(oid: number, modifier: number, types: PgTypes, dimensions = 0): ReadAs {
  const { oid: base, modifier: fixed } = baseType(oid, modifier, types)
  const simple = SIMPLE.get(base)
  if (simple) return { type: simple }
  if (base === NUMERIC) return { type: decimalType(fixed) ?? 'text', origin: decimalType(fixed) ? undefined : 'numeric' }
  const named = types.get(base)
  const element = ARRAYS.get(base) ?? named?.element ?? 0
  if (element !== 0) {
    // a domain over an array keeps its dimensions to itself, so they are only known for columns that are arrays themselves
    const item = readAs(element, fixed, types)
    const origin = item.origin === undefined ? undefined : `${item.origin}[]`
    const delimiter = named?.delimiter ?? ','
    return dimensions > 1 ? { type: 'json', origin: `${origin ?? `${item.type}[]`}[]`, element: item.type, delimiter }
      : { type: `list<${item.type}>`, origin, element: item.type, delimiter }
  }
  if (named !== undefined && HEX_BYTES.has(named.name)) return { type: 'bytes', origin: named.name }
  return { type: 'text', origin: named === undefined ? `oid ${base}` : PLAIN_TEXT.has(named.name) ? undefined : named.name }
}
