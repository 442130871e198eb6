import { InvalidArgumentError } from '../errors.js'

/**
 * Parameters of a queued query as JSON: numbers, texts, booleans, null and arrays of them as they are; what JSON has no word for as
 * an object of one field: `{"bigint": "9007199254740993"}`, `{"date": "2024-01-01T00:00:00.000Z"}`, `{"number": "NaN"}`,
 * `{"bytes": base64}`, `{"unbound": true}`.
 */

function encode(value: unknown, argument: string): unknown {
  if (value === null || typeof value === 'boolean') return value
  if (value === undefined) return { unbound: true }
  if (typeof value === 'bigint') return { bigint: value.toString() }
  if (typeof value === 'number') return Number.isFinite(value) && !Object.is(value, -0) ? value : { number: Object.is(value, -0) ? '-0' : String(value) }
  if (typeof value === 'string' && !value.includes('\0') && value.isWellFormed()) return value
  if (value instanceof Date && !Number.isNaN(value.getTime())) return { date: value.toISOString() }
  if (value instanceof Uint8Array) return { bytes: Buffer.from(value).toString('base64') }
  if (Array.isArray(value)) return value.map((one, i) => encode(one, `${argument}[${i}]`))
  throw new InvalidArgumentError({ argument, expected: 'a number, bigint, text without NUL, boolean, valid Date, Uint8Array, null or an array of these', found: typeof value })
}

function decode(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(decode)
  if (typeof value !== 'object' || value === null) return value
  const { bigint, date, number, bytes } = value as Record<string, string | undefined>
  if (bigint !== undefined) return BigInt(bigint)
  if (date !== undefined) return new Date(date)
  if (number !== undefined) return Number(number)
  return bytes === undefined ? undefined : new Uint8Array(Buffer.from(bytes, 'base64'))
}

/** Parameters as JSON values. @throws {InvalidArgumentError} one cannot be kept exactly */
export function encodeParameters(params: readonly unknown[]): readonly unknown[] {
  return params.map((value, i) => encode(value, `params[${i}]`))
}

/** The parameters that `encodeParameters` was given. */
export function decodeParameters(encoded: readonly unknown[]): unknown[] {
  return encoded.map(decode)
}
