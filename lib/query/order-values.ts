import { integerCell, storageValues } from '../batch/cells.js'
import { listElement } from '../batch/column-type.js'
import { formatDate, parseDate, parseTime, parseTimestamp } from '../batch/temporal.js'
import type { Vector } from '../batch/vector.js'
import type { DescribedColumn } from '../source/snapshot.js'

/** An order column's value in a form that JS compares as the database does. Texts compare by equality only. */
export type OrderValue = number | bigint | string

/** A decimal text as sign, digits before and digits after the point, without zeros that say nothing. */
function decimalParts(text: string): { sign: number, whole: string, fraction: string } {
  const match = /^(-?)0*(\d*)(?:\.(\d*?)0*)?$/.exec(text)
  if (!match) return { sign: Number(text) < 0 ? -1 : 1, whole: text, fraction: '' }
  const [whole, fraction] = [match[2]!, match[3] ?? '']
  return { sign: whole === '' && fraction === '' ? 0 : match[1] === '-' ? -1 : 1, whole, fraction }
}

function canonicalDecimal(text: string): string {
  const { sign, whole, fraction } = decimalParts(text)
  return sign === 0 ? '0' : `${sign < 0 ? '-' : ''}${whole === '' ? '0' : whole}${fraction === '' ? '' : `.${fraction}`}`
}

function compareDecimals(a: string, b: string): number {
  const [x, y] = [decimalParts(a), decimalParts(b)]
  if (x.sign !== y.sign) return x.sign - y.sign
  const width = Math.max(x.whole.length, y.whole.length)
  const scale = Math.max(x.fraction.length, y.fraction.length)
  const digits = ({ whole, fraction }: typeof x): string => whole.padStart(width, '0') + fraction.padEnd(scale, '0')
  return x.sign * (digits(x) < digits(y) ? -1 : digits(x) > digits(y) ? 1 : 0)
}

function isDecimal({ type, origin }: DescribedColumn): boolean {
  return type.startsWith('decimal(') || (type === 'text' && origin === 'numeric')
}

/** A column's values as they compare; null where null. */
export function orderValues(vector: Vector, column: DescribedColumn): readonly (OrderValue | null)[] {
  const values = storageValues(vector) as readonly (OrderValue | null)[]
  return isDecimal(column) ? values.map(value => value === null ? null : canonicalDecimal(String(value))) : values
}

/** An element of a list, as text: lists hold dates as days or as texts, and integers as numbers or bigints. */
function itemKey(item: unknown, element: string): string | null {
  if (item === null) return null
  if (element === 'date' && typeof item === 'number') return formatDate(item)
  return item instanceof Uint8Array ? Buffer.from(item).toString('hex') : String(item)
}

/** A key column's values in a form that compares as a Map's key does; null where null. */
export function keyValues(vector: Vector, column: DescribedColumn): readonly unknown[] {
  if (column.type === 'bytes') return (storageValues(vector) as readonly (Uint8Array | null)[]).map(value => value && Buffer.from(value).toString('hex'))
  const element = listElement(column.type)
  if (element) return (storageValues(vector) as readonly (readonly unknown[] | null)[]).map(list => list && JSON.stringify(list.map(item => itemKey(item, element))))
  const values = orderValues(vector, column)
  return column.type === 'int64' ? values.map(value => typeof value === 'bigint' ? integerCell(value) : value) : values
}

/** The database's text of a value of this column, as it compares; undefined where it cannot be read. */
export function orderValueOf(text: string, column: DescribedColumn): OrderValue | undefined {
  if (isDecimal(column)) return canonicalDecimal(text)
  switch (column.type) {
    case 'int32': case 'int64': return /^-?\d+$/.test(text) ? BigInt(text) : undefined
    // `real` prints the shortest text of a single; the column holds it as a double
    case 'float32': return Math.fround(Number(text))
    case 'float64': return Number(text)
    case 'date': return parseDate(text)
    case 'time': return parseTime(text)
    case 'timestamp': case 'timestamptz': return parseTimestamp(text)
    default: return text
  }
}

/** Whether two values are equal to the database. A number and a bigint of one value are. */
export function sameOrderValue(a: OrderValue, b: OrderValue): boolean {
  return typeof a === 'string' || typeof b === 'string' ? a === b : !(a < b) && !(b < a)
}

/** Whether `a` comes before `b`. Not for text, whose order only the database knows. */
export function isBefore(a: OrderValue, b: OrderValue, column: DescribedColumn): boolean {
  return isDecimal(column) ? compareDecimals(String(a), String(b)) < 0 : a < b
}

/** Whether the database's text of a value is one that nothing can come after. */
export function isEndless(text: string, column: DescribedColumn): boolean {
  return (isDecimal(column) || column.type.startsWith('float') || column.type === 'date' || column.type.startsWith('timestamp')) && /^\+?(inf|infinity|nan)$/i.test(text)
}
