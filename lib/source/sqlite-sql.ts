import { formatTimestamp } from '../batch/temporal.js'
import { InvalidArgumentError } from '../errors.js'
import { bytesOf } from './parameter-bytes.js'
import { POSITION } from './path-columns.js'

/**
 * A query parameter as the drivers bind it: whole numbers as integers, booleans as 0 and 1, a Date as UTC text, views of
 * memory as its bytes, other objects as JSON text.
 *
 * @throws {InvalidArgumentError} undefined, an invalid Date, a function
 */
export function sqliteParameter(value: unknown, argument: string): unknown {
  if (typeof value === 'number') return Number.isSafeInteger(value) && !Object.is(value, -0) ? BigInt(value) : value
  if (typeof value === 'boolean') return value ? 1n : 0n
  if (value === null || typeof value === 'string' || typeof value === 'bigint') return value
  const bytes = bytesOf(value)
  if (bytes) return bytes
  if (value instanceof Date && !Number.isNaN(value.getTime())) return formatTimestamp(BigInt(value.getTime()) * 1000n)
  if (typeof value === 'object' && !(value instanceof Date)) return JSON.stringify(value)
  throw new InvalidArgumentError({ argument, expected: 'a value that a database takes (null for NULL)', found: value instanceof Date ? 'Invalid Date' : typeof value })
}

/** SQL for the value at `keys`, as JSON text. */
export function sqlitePath(column: string, keys: readonly string[]): string {
  return keys.reduce((from, key) => {
    const member = `${from} -> '$."${key}"'`
    return POSITION.test(key) ? `(CASE json_type(${from}) WHEN 'array' THEN ${from} -> '$[${key}]' WHEN 'object' THEN ${member} END)` : `(${member})`
  }, column)
}

/** SQL for whether SQLite and JSON.parse agree on these keys: of a key that comes twice one takes the first, the other the last; SQLite reads JSON5. */
export function agreesOn(column: string, keys: readonly string[]): string {
  const once = [...new Set(keys)].map(key => `length(${column}) - length(replace(${column}, '"${key}"', '')) <= ${key.length + 2}`)
  return [`json_valid(${column})`, `instr(${column}, '\\u') = 0`, ...once].join(' AND ')
}
