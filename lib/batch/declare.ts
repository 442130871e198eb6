import { jsonText } from '../json/json-text.js'
import { decimalSize, listElement, type ColumnType } from './column-type.js'
import { parseDate, parseTime, parseTimestamp } from './temporal.js'

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i

function integer(value: unknown, bits: 32 | 64): number | bigint | undefined {
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
  if (typeof value !== 'string' || value.trim() === '') return undefined
  const number = Number(value)
  return Number.isNaN(number) && value !== 'NaN' ? undefined : number
}

/** Exactly `scale` decimals, never rounded: digits beyond the scale must be zeros. */
function decimal(value: unknown, { precision, scale }: { precision: number, scale: number }): string | undefined {
  const text = typeof value === 'number' || typeof value === 'bigint' ? String(value) : value
  const match = typeof text === 'string' ? /^(-?)0*(\d*)(?:\.(\d*))?$/.exec(text) : null
  if (!match || (match[2] === '' && match[3] === undefined && !/0/.test(text as string))) return undefined
  const fraction = (match[3] ?? '').replace(/0+$/, '')
  const whole = match[2] ?? ''
  if (fraction.length > scale || whole.length > precision - scale) return undefined
  const digits = `${whole || '0'}${scale > 0 ? `.${fraction.padEnd(scale, '0')}` : ''}`
  return match[1] === '-' && /[1-9]/.test(digits) ? `-${digits}` : digits
}

function timestamp(value: unknown): bigint | undefined {
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? undefined : BigInt(value.getTime()) * 1000n
  if (typeof value === 'bigint') return BigInt.asIntN(64, value) === value ? value : undefined
  return typeof value === 'string' ? parseTimestamp(value) : undefined
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
    case 'date': return value instanceof Date ? parseDate(value.toISOString().slice(0, 10)) : typeof value === 'string' ? parseDate(value) : undefined
    case 'time': return typeof value === 'string' ? parseTime(value) : typeof value === 'bigint' ? value : undefined
    case 'timestamp': case 'timestamptz': return timestamp(value)
    case 'uuid': return typeof value === 'string' && UUID.test(value) ? value.toLowerCase() : undefined
    case 'text':
      if (typeof value === 'string') return value.isWellFormed() ? value : undefined
      return typeof value === 'number' || typeof value === 'bigint' || typeof value === 'boolean' ? String(value) : undefined
    case 'json': return jsonText(value)
    case 'bytes': return value instanceof Uint8Array ? value : undefined
    case 'null': return undefined
    default: {
      const size = decimalSize(type)
      if (size) return decimal(value, size)
      const element = listElement(type)
      if (!element || !Array.isArray(value)) return undefined
      const items = value.map(item => item === null || item === undefined ? null : storageValueAs(element, item))
      return items.includes(undefined) ? undefined : items
    }
  }
}
