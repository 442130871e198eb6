import { InvalidArgumentError, KeyTypeError, listSome } from '../errors.js'
import { arrayLiteral, quoteText } from '../sql/quote.js'
import type { PartitionKeyValue } from './key-types.js'

const INT64_MAX = 2n ** 63n - 1n

/** Keys of one kind, as SQL compares them with a column of their type. */
export interface KeyTexts {
  /** Whether they stand unquoted: integers, the same for every integer type. */
  readonly isBare: boolean
  readonly areNumbers: boolean
  /** Unquoted, in order. */
  readonly texts: readonly string[]
}

function timestampText(key: Date): string {
  if (Number.isNaN(key.getTime())) throw new KeyTypeError({ backend: 'SQL', keyType: 'Date', reason: 'it is no valid date' })
  const [year, rest] = [key.getUTCFullYear(), key.toISOString().replace(/^[+-]?\d+-/, '')]
  const text = `${String(year > 0 ? year : 1 - year).padStart(4, '0')}-${rest.replace('T', ' ').replace('Z', '+00')}`
  // a timestamp ignores the offset, a timestamptz needs it
  return year > 0 ? text : `${text} BC`
}

function textsOf(key: PartitionKeyValue): string {
  switch (typeof key) {
    case 'number': return Object.is(key, -0) ? '0' : String(key)
    case 'bigint':
      if (key > INT64_MAX || key < -INT64_MAX - 1n) throw new KeyTypeError({ backend: 'SQL', keyType: 'bigint', reason: `${key} does not fit 64 bits` })
      return String(key)
    case 'string':
      if (key.includes('\0')) throw new KeyTypeError({ backend: 'SQL', keyType: 'text', reason: `NUL cannot stand in a text: ${JSON.stringify(key.slice(0, 40))}` })
      return key
    default: return timestampText(key)
  }
}

/**
 * The texts of keys, checked to be of one type.
 *
 * @throws {InvalidArgumentError} keys of different types, or of none that is known
 * @throws {KeyTypeError} a key that SQL cannot hold
 */
export function keyTexts(keys: Iterable<PartitionKeyValue>): KeyTexts {
  const texts: string[] = []
  const kinds = new Set<string>()
  let isBare = true
  for (const key of keys) {
    const kind = typeof key === 'bigint' ? 'number' : key instanceof Date ? 'timestamp' : typeof key
    if (kind !== 'number' && kind !== 'string' && kind !== 'timestamp') {
      throw new InvalidArgumentError({ argument: 'keys', expected: 'numbers, bigints, texts or Dates', found: typeof key })
    }
    kinds.add(kind)
    if (typeof key !== 'bigint' && !Number.isSafeInteger(key)) isBare = false
    texts.push(textsOf(key))
  }
  // timestamps that a Date cannot hold are texts
  if (kinds.size > 1 && kinds.has('number')) throw new InvalidArgumentError({ argument: 'keys', expected: 'keys of one type', found: listSome([...kinds]) })
  return { isBare, areNumbers: kinds.has('number'), texts }
}

/** One key as a literal that takes the type of the column it is compared with. */
export function keyLiteral(text: string, isBare: boolean): string {
  return isBare ? text : quoteText(text)
}

/** All keys as one array literal that takes the type of the column's array. */
export function keyArray({ texts }: KeyTexts): string {
  return quoteText(arrayLiteral(texts))
}
