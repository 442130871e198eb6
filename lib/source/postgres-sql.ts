import { InvalidArgumentError } from '../errors.js'
import { formatTimestamp } from '../batch/temporal.js'
import { bytesOf } from './parameter-bytes.js'

/** A name as SQL text, exactly as given: quotes doubled, never case-folded. */
export function quoteIdentifier(name: string): string {
  if (name.includes('\0') || !name.isWellFormed()) {
    throw new InvalidArgumentError({ argument: 'name', expected: 'a name without NUL characters and lone surrogates', found: JSON.stringify(name) })
  }
  return `"${name.replaceAll('"', '""')}"`
}

/**
 * Whether the server's `#>` finds the same value as own-property lookup: it takes any integer text for an array position,
 * `-1`, `+1` and `01` too, and holds neither NUL nor lone surrogates.
 */
export function serverFollows(keys: readonly string[]): boolean {
  return keys.length > 0 && keys.every(key => key.isWellFormed() && !key.includes('\0') && (/^(0|[1-9]\d*)$/.test(key) || !/^\s*[+-]?\d+$/.test(key)))
}

/** A text array as PostgreSQL reads it. */
export function textArray(items: readonly string[]): string {
  return `{${items.map(item => `"${item.replace(/["\\]/g, '\\$&')}"`).join(',')}}`
}

/** `\u`: the one thing in json text that `#>` may fail on (NUL and lone surrogates are legal there, but not in text). */
const HAS_ESCAPES = (column: string): string => `pg_catalog.strpos(${column}::pg_catalog.text, pg_catalog.chr(92) || 'u') > 0`

/**
 * SQL for the value at `keys` of a json(b) column, as JSON text; `bind` makes a parameter of a value.
 *
 * json keeps duplicate keys and follows all of them at once, so its path is walked key by key: each step takes the last one,
 * as JSON.parse does. Rows whose text has `\u` escapes come back null here and whole by `escapedJson`.
 */
export function pathSql(column: string, kind: 'json' | 'jsonb', keys: readonly string[], bind: (value: string) => string): string {
  const step = (from: string, path: readonly string[]): string => `${from} OPERATOR(pg_catalog.#>) ${bind(textArray(path))}::pg_catalog.text[]`
  if (kind === 'jsonb') return `(${step(`${column}::pg_catalog.jsonb`, keys)})::pg_catalog.text`
  const walk = keys.reduce((from, key) => `(${step(from, [key])})`, `${column}::pg_catalog.json`)
  return `CASE WHEN NOT ${HAS_ESCAPES(column)} THEN ${walk}::pg_catalog.text END`
}

/** SQL for the whole text of a json column where it has `\u` escapes, else null. */
export function escapedJson(column: string): string {
  return `CASE WHEN ${HAS_ESCAPES(column)} THEN ${column}::pg_catalog.text END`
}

/**
 * A query parameter in a form that means the same in every process time zone: a Date as UTC text (the driver would print it in
 * local time, which a `timestamp` parameter then keeps), views of memory as its bytes. Everything else is the driver's business.
 */
export function sqlParameter(value: unknown, argument: string): unknown {
  if (value instanceof Date) {
    if (Number.isNaN(value.getTime())) throw new InvalidArgumentError({ argument, expected: 'a valid Date', found: 'Invalid Date' })
    return formatTimestamp(BigInt(value.getTime()) * 1000n, '+00')
  }
  return Array.isArray(value) ? value.map((item, i) => sqlParameter(item, `${argument}[${i}]`)) : bytesOf(value) ?? value
}
