import { buildVector } from '../batch/build.js'
import type { ColumnType } from '../batch/column-type.js'
import type { Vector } from '../batch/vector.js'
import { driverVector, shownValue } from './driver-values.js'
import { UnreadableValue } from './source-error.js'

/** SQLite's storage classes, without NULL. */
export type StorageClass = 'integer' | 'real' | 'text' | 'blob'

/** The type of a column by its declaration, or undefined where its values decide. By SQLite's own rules of affinity, and names that say more. */
export function declaredType(declaration: string | null): ColumnType | undefined {
  const name = (declaration ?? '').trim().toUpperCase()
  const decimal = /^(?:DECIMAL|NUMERIC)\s*\(\s*(\d+)\s*(?:,\s*(\d+)\s*)?\)$/.exec(name)
  if (decimal) {
    const [precision, scale] = [Number(decimal[1]), Number(decimal[2] ?? 0)]
    return precision >= 1 && precision <= 38 && scale <= precision ? `decimal(${precision},${scale})` : undefined
  }
  if (name === 'DATE') return 'date'
  if (/^(DATETIME|TIMESTAMP)(\s*\(\d\))?$/.test(name)) return 'timestamp'
  if (name === 'JSON') return 'json'
  if (name.includes('INT') || name === 'BOOLEAN' || name === 'BOOL') return 'int64'
  if (/CHAR|CLOB|TEXT/.test(name)) return 'text'
  if (name.includes('BLOB')) return 'bytes'
  return /REAL|FLOA|DOUB/.test(name) ? 'float64' : undefined
}

function classOf(value: unknown): StorageClass {
  return typeof value === 'bigint' ? 'integer' : typeof value === 'number' ? 'real' : typeof value === 'string' ? 'text' : 'blob'
}

/** The storage classes of some values. */
export function classesOf(values: Iterable<unknown>): Set<StorageClass> {
  const classes = new Set<StorageClass>()
  for (const value of values) if (value !== null) classes.add(classOf(value))
  return classes
}

/**
 * The type of a column whose values decide.
 *
 * @throws {UnreadableValue} they share none
 */
export function typeOfClasses(classes: ReadonlySet<StorageClass>, column: string): ColumnType {
  if (classes.size === 0) return 'null'
  if (classes.size === 2 && classes.has('integer') && classes.has('real')) return 'float64'
  if (classes.size === 1) return classes.has('integer') ? 'int64' : classes.has('real') ? 'float64' : classes.has('text') ? 'text' : 'bytes'
  throw new UnreadableValue(column, `it holds ${[...classes].sort().join(' and ')}, and a column has one type`, `declare it: columnTypes: { ${JSON.stringify(column)}: 'text' }`)
}

/** Times whose texts sort as they do, whatever fraction they show. Anything else that is a time to SQLite would sort elsewhere. */
const TIME_TEXT = /^\d{4}-\d\d-\d\d[ T]([01]\d|2[0-3]):\d\d:\d\d(\.\d{1,6}0*)?Z?$/

/** One column of the driver's values as a vector. @throws {UnreadableValue} */
export function sqliteVector(type: ColumnType, values: readonly unknown[], column: string): Vector {
  if (type === 'timestamp') {
    const odd = values.find(value => value !== null && !(typeof value === 'string' && TIME_TEXT.test(value)))
    if (odd !== undefined) throw new UnreadableValue(column, `${shownValue(odd)} is no time of the form YYYY-MM-DD HH:MM:SS`, `read it otherwise: columnTypes: { ${JSON.stringify(column)}: 'text' }`)
  }
  if (type === 'json') {
    // the affinity of a column declared JSON makes numbers of digits
    return driverVector(type, values.map(value => typeof value === 'bigint' || typeof value === 'number' ? String(value) : value), { column })
  }
  if (type === 'text' && values.every(value => value === null || typeof value === 'string')) return buildVector(type, values)
  return driverVector(type, values, { column })
}
