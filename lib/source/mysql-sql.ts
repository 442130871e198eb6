import { formatTimestamp } from '../batch/temporal.js'
import { InvalidArgumentError } from '../errors.js'
import { bytesOf } from './parameter-bytes.js'
import { POSITION } from './path-columns.js'

/** A name as SQL text, exactly as given: backticks doubled. */
export function quoteMySql(name: string): string {
  if (name.includes('\0') || !name.isWellFormed()) {
    throw new InvalidArgumentError({ argument: 'name', expected: 'a name without NUL characters and lone surrogates', found: JSON.stringify(name) })
  }
  return `\`${name.replaceAll('`', '``')}\``
}

/** SQL for the value at `keys`, as JSON text. `$[0]` of anything but an array is the thing itself to the server, so types are asked for. */
export function mysqlPath(column: string, keys: readonly string[]): string {
  return keys.reduce((from, key) => {
    const member = `JSON_EXTRACT(${from}, '$."${key}"')`
    return POSITION.test(key) ? `CASE JSON_TYPE(${from}) WHEN 'ARRAY' THEN JSON_EXTRACT(${from}, '$[${key}]') WHEN 'OBJECT' THEN ${member} END` : member
  }, column)
}

/**
 * SQL for whether the server and JSON.parse agree on these keys in a document that is kept as text: of a key that comes twice
 * MariaDB takes the first and JSON.parse the last; a key may also be spelled with `\u`.
 */
export function isUnambiguous(column: string, keys: readonly string[]): string {
  const once = [...new Set(keys)].map(key => `LENGTH(${column}) - LENGTH(REPLACE(${column}, '"${key}"', '')) <= ${Buffer.byteLength(key) + 2}`)
  return [`LOCATE(0x5C75, ${column}) = 0`, ...once].join(' AND ')
}

/**
 * A query parameter in a form that means the same in every process time zone: a Date as UTC text. Integers of any size go as digits,
 * views of memory as its bytes.
 *
 * @throws {InvalidArgumentError} undefined, an invalid Date, a function
 */
export function mysqlParameter(value: unknown, argument: string): unknown {
  if (value instanceof Date) {
    if (Number.isNaN(value.getTime())) throw new InvalidArgumentError({ argument, expected: 'a valid Date', found: 'Invalid Date' })
    return formatTimestamp(BigInt(value.getTime()) * 1000n)
  }
  if (typeof value === 'bigint') return value.toString()
  if (value === undefined || typeof value === 'function' || typeof value === 'symbol') {
    throw new InvalidArgumentError({ argument, expected: 'a value that a database takes (null for NULL)', found: typeof value })
  }
  return bytesOf(value) ?? value
}
