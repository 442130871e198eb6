import { InvalidArgumentError, messageOf } from '../errors.js'
import { bytesOf } from '../source/parameter-bytes.js'
import type { StoredParameter } from '../store/query-record.js'

/**
 * A parameter with its JS type, as JSON: `1` and `'1'`, `null` and `undefined`, a `Date` and its text, `['a','b,c']` and
 * `['a,b','c']` all differ. Bytes are bytes, whatever view of them is given.
 *
 * @throws {InvalidArgumentError} a function, a symbol, an invalid Date, an object that JSON cannot hold
 */
export function storeParameter(value: unknown, argument: string): StoredParameter {
  switch (typeof value) {
    case 'string': return ['text', value]
    case 'number': return ['number', Object.is(value, -0) ? '-0' : String(value)]
    case 'bigint': return ['bigint', value.toString()]
    case 'boolean': return ['boolean', value]
    case 'undefined': return ['undefined']
    case 'object': {
      if (value === null) return ['null']
      if (value instanceof Date && !Number.isNaN(value.getTime())) return ['date', value.toISOString()]
      const bytes = bytesOf(value)
      if (bytes) return ['bytes', bytes.toString('hex')]
      if (Array.isArray(value)) return ['array', Array.from(value as unknown[], (item, i) => storeParameter(item, `${argument}[${i}]`))]
      if (!(value instanceof Date)) return ['json', jsonOf(value, argument)]
      break
    }
    case 'function': case 'symbol': break
  }
  throw new InvalidArgumentError({ argument, expected: 'a value that a database takes', found: value instanceof Date ? 'an invalid Date' : typeof value })
}

/** What the drivers make of an object. @throws {InvalidArgumentError} */
function jsonOf(value: object, argument: string): string {
  // the driver would ask the object for other text than this
  if (typeof (value as { toPostgres?: unknown }).toPostgres === 'function') throw new InvalidArgumentError({ argument, expected: 'a plain value', found: 'an object with toPostgres()' })
  try {
    const text = JSON.stringify(value) as string | undefined
    if (text !== undefined) return text
  } catch (cause) {
    throw new InvalidArgumentError({ argument, expected: 'an object that JSON can hold', found: messageOf(cause).split('\n')[0]!, cause })
  }
  throw new InvalidArgumentError({ argument, expected: 'an object that JSON can hold', found: 'one that JSON leaves out' })
}

/**
 * All parameters of a statement.
 *
 * @throws {InvalidArgumentError} not a list, or a value that is none
 */
export function storeParameters(params: readonly unknown[] | undefined): StoredParameter[] {
  if (params !== undefined && !Array.isArray(params)) throw new InvalidArgumentError({ argument: 'params', expected: 'a list of values', found: typeof params })
  return Array.from(params ?? [], (value, i) => storeParameter(value, `params[${i}]`))
}

/** A stored parameter as it was given, for display. */
export function shownParameter([tag, value]: StoredParameter): unknown {
  switch (tag) {
    case 'null': return null
    case 'number': return Number(value)
    case 'bigint': return BigInt(value as string)
    case 'date': return new Date(value as string)
    case 'bytes': return new Uint8Array(Buffer.from(value as string, 'hex'))
    case 'array': return (value as readonly StoredParameter[]).map(shownParameter)
    case 'json': return JSON.parse(value as string)
    default: return value
  }
}

/**
 * A statement's parameters as drivers take them, made of what the query's key holds: what is asked cannot differ from it, whatever
 * became of the caller's lists, buffers and objects since.
 */
export function boundParameters(stored: readonly StoredParameter[]): unknown[] {
  return stored.map(boundParameter)
}

function boundParameter(parameter: StoredParameter): unknown {
  const [tag, value] = parameter
  if (tag === 'bytes') return Buffer.from(value as string, 'hex')
  if (tag === 'array') return boundParameters(value as readonly StoredParameter[])
  const shown = shownParameter(parameter)
  // JSON that is no object: drivers write an object as JSON, but not a text or a list
  return tag === 'json' && (typeof shown !== 'object' || shown === null || Array.isArray(shown)) ? { toJSON: () => shown } : shown
}
