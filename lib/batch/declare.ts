import { EncodedJson, jsonText } from '../json/json-text.js'
import { decimalSize, listElement, type ColumnType } from './column-type.js'
import { parseDate, parseTime, parseTimestamp } from './temporal.js'

/** What databases print; never hexadecimal, blanks or nothing. */
const FLOAT = /^(?:[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?|[+-]?Infinity|NaN)$/i
const DECIMAL = /^(-?)0*(?=\d|\.\d)(\d*)(?:\.(\d*))?$/
/** An offset other than zero behind the time of a timestamp. */
const OFFSET = /:\d\d.*[+-](?!00(?::?00)*(?: BC)?$)/
const MICROS_PER_DAY = 86_400_000_000n
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i

function integer(value: unknown, bits: 32 | 64): number | bigint | undefined {
  // -0 is the integer 0
  if (typeof value === 'number' && (bits === 32 ? (value | 0) === value : Number.isSafeInteger(value))) return value + 0
  let exact: bigint
  if (typeof value === 'bigint') exact = value
  else if (typeof value === 'number' && Number.isInteger(value)) exact = BigInt(value)
  else if (typeof value === 'string' && /^-?\d{1,19}$/.test(value)) exact = BigInt(value)
  else return undefined
  if (BigInt.asIntN(bits, exact) !== exact) return undefined
  const number = Number(exact)
  return Number.isSafeInteger(number) ? number : exact
}

function float(value: unknown): number | undefined {
  if (typeof value === 'number') return value
  if (typeof value === 'bigint') return BigInt(Number(value)) === value ? Number(value) : undefined
  if (typeof value !== 'string' || !FLOAT.test(value)) return undefined
  return Number(value)
}

/** Exactly `scale` decimals, never rounded: digits beyond the scale must be zeros. */
function decimal(value: unknown, { precision, scale }: { precision: number, scale: number }): string | undefined {
  const text = typeof value === 'number' || typeof value === 'bigint' ? String(value) : value
  const match = typeof text === 'string' ? DECIMAL.exec(text) : null
  if (!match) return undefined
  const fraction = (match[3] ?? '').replace(/0+$/, '')
  const whole = match[2]!.replace(/^0+/, '')
  if (fraction.length > scale || whole.length > precision - scale) return undefined
  const digits = `${whole || '0'}${scale > 0 ? `.${fraction.padEnd(scale, '0')}` : ''}`
  return match[1] === '-' && /[1-9]/.test(digits) ? `-${digits}` : digits
}

function timestamp(value: unknown): bigint | undefined {
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? undefined : BigInt(value.getTime()) * 1000n
  if (typeof value === 'bigint') return BigInt.asIntN(64, value) === value ? value : undefined
  return typeof value === 'string' ? parseTimestamp(value) : undefined
}

/** A `Date` is a day only when it is that day's start in UTC: one made in local time would be the day before or after. */
function date(value: unknown): number | undefined {
  if (typeof value === 'string') return parseDate(value)
  const day = value instanceof Date ? value.getTime() / 86_400_000 : NaN
  return Number.isInteger(day) ? day : undefined
}

function time(value: unknown): bigint | undefined {
  if (typeof value === 'string') return parseTime(value)
  return typeof value === 'bigint' && value >= 0n && value <= MICROS_PER_DAY ? value : undefined
}

function text(value: unknown): string | undefined {
  if (typeof value === 'string') return value.isWellFormed() ? value : undefined
  if (typeof value === 'number') return Object.is(value, -0) ? '-0' : String(value)
  return typeof value === 'bigint' || typeof value === 'boolean' ? String(value) : undefined
}

/**
 * A caller's value as the storage value of a declared type, or undefined where it is none. Nothing is rounded or cut:
 * text that spells a number exactly is taken for it, and the other way round for `text`.
 *
 * @param value never null or undefined
 */
export function storageValueAs(type: ColumnType, value: unknown): unknown {
  switch (type) {
    case 'bool': return typeof value === 'boolean' ? value : undefined
    case 'int32': return integer(value, 32)
    case 'int64': return integer(value, 64)
    case 'float64': return float(value)
    case 'float32': {
      const number = float(value)
      return number === undefined ? undefined : Math.fround(number)
    }
    case 'date': return date(value)
    case 'time': return time(value)
    // a wall clock has no offset: to take one off would give another clock's time
    case 'timestamp': return typeof value === 'string' && OFFSET.test(value) ? undefined : timestamp(value)
    case 'timestamptz': return timestamp(value)
    case 'uuid': return typeof value === 'string' && UUID.test(value) ? value.toLowerCase() : undefined
    case 'text': return text(value)
    case 'json': return jsonText(value)
    case 'bytes': return value instanceof Uint8Array ? value : undefined
    case 'null': return undefined
    default: {
      const size = decimalSize(type)
      if (size) return decimal(value, size)
      const element = listElement(type)
      // a list of objects was kept as its text
      const list: unknown = element === 'json' && value instanceof EncodedJson ? JSON.parse(value.text()) : value
      if (!element || !Array.isArray(list)) return undefined
      const items = Array.from(list as unknown[], item => item === null || item === undefined ? null : storageValueAs(element, item))
      return items.includes(undefined) ? undefined : items
    }
  }
}
