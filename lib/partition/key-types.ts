import { InvalidArgumentError, KeyTypeError } from '../errors.js'
import { formatTimestamp, parseTimestamp } from '../batch/temporal.js'

/** What the values of one partition key are. */
export type Datatype = 'integer' | 'float' | 'text' | 'timestamp'

/** One value of a partition key, as callers hold it: bigint beyond ±2^53, text for timestamps that no `Date` can hold. */
export type PartitionKeyValue = number | bigint | string | Date

/** One value as backends hold it: as above, but timestamps are microseconds since 1970 (bigint). Equal values are `===`. */
export type StoredKey = number | bigint | string

/** PostgreSQL's types that hold texts, and compare with each other. */
export const TEXT_TYPES: ReadonlySet<string> = new Set(['text', 'varchar', 'bpchar', 'name'])

export const DATATYPES: readonly Datatype[] = ['integer', 'float', 'text', 'timestamp']

const INT64_MAX = 9223372036854775807n
const INT64_MIN = -9223372036854775808n
const MAX_DATE_MICROS = 8_640_000_000_000_000_000n

/** @throws {InvalidArgumentError} `value` names no datatype */
export function checkDatatype(value: unknown): Datatype {
  if (DATATYPES.includes(value as Datatype)) return value as Datatype
  throw new InvalidArgumentError({ argument: 'datatype', expected: DATATYPES.join(', '), found: String(value) })
}

function kindOf(value: unknown): string {
  if (value instanceof Date) return 'Date'
  return value === null ? 'null' : typeof value
}

/**
 * The datatype that all of `values` share: integers and other numbers make 'float'. Text is 'text', never a timestamp.
 * @throws {KeyTypeError} mixed, or nothing that a partition key can be
 * @throws {InvalidArgumentError} an empty set says nothing
 */
export function inferDatatype(values: Iterable<unknown>, backend: string): Datatype {
  let found: Datatype | undefined
  for (const value of values) {
    const one: Datatype | undefined = typeof value === 'bigint' ? 'integer'
      : typeof value === 'number' ? (Number.isInteger(value) ? 'integer' : 'float')
        : typeof value === 'string' ? 'text' : value instanceof Date ? 'timestamp' : undefined
    if (one === undefined) throw new KeyTypeError({ backend, keyType: kindOf(value), reason: 'partition keys are numbers, bigints, texts or Dates' })
    if (found === undefined || found === one) found = one
    else if ((found === 'integer' || found === 'float') && (one === 'integer' || one === 'float')) found = 'float'
    else throw new KeyTypeError({ backend, keyType: `${found} and ${one}`, reason: 'the keys of one set share one type' })
  }
  if (found === undefined) throw new InvalidArgumentError({ argument: 'datatype', expected: 'a datatype, as an empty set of a new partition key does not tell' })
  return found
}

function storedInteger(value: unknown, backend: string): number | bigint {
  if (typeof value === 'number') {
    if (Number.isSafeInteger(value)) return value + 0 // -0 is 0
    throw new KeyTypeError({ backend, keyType: 'number', reason: `${value} is ${Number.isInteger(value) ? 'beyond 2^53, where a number is not exact: pass a bigint' : 'no integer'}` })
  }
  if (typeof value !== 'bigint') throw new KeyTypeError({ backend, keyType: kindOf(value), reason: 'the partition key holds integers' })
  if (value > INT64_MAX || value < INT64_MIN) throw new KeyTypeError({ backend, keyType: 'bigint', reason: `${value} does not fit 64 bits` })
  return value >= Number.MIN_SAFE_INTEGER && value <= Number.MAX_SAFE_INTEGER ? Number(value) : value
}

function storedFloat(value: unknown, backend: string): number {
  if (typeof value === 'number') return value + 0
  throw new KeyTypeError({ backend, keyType: kindOf(value), reason: 'the partition key holds numbers' })
}

function storedText(value: unknown, backend: string): string {
  if (typeof value !== 'string') throw new KeyTypeError({ backend, keyType: kindOf(value), reason: 'the partition key holds texts' })
  if (value.includes('\0') || !value.isWellFormed()) {
    throw new KeyTypeError({ backend, keyType: 'text', reason: `NUL characters and lone surrogates cannot be stored: ${JSON.stringify(value)}` })
  }
  return value
}

function storedTimestamp(value: unknown, backend: string): bigint {
  const micros = value instanceof Date ? (Number.isNaN(value.getTime()) ? undefined : BigInt(value.getTime()) * 1000n)
    : typeof value === 'string' ? parseTimestamp(value) : undefined
  if (micros !== undefined) return micros
  throw new KeyTypeError({ backend, keyType: kindOf(value), reason: `the partition key holds timestamps (a Date or ISO text), not ${String(value)}` })
}

const STORED: Record<Datatype, (value: unknown, backend: string) => StoredKey> = {
  integer: storedInteger, float: storedFloat, text: storedText, timestamp: storedTimestamp
}

/**
 * The distinct values of a set in stored form.
 * @throws {KeyTypeError} a value is not of `datatype`, or cannot be kept exactly
 */
export function storedKeys(keys: Iterable<unknown>, datatype: Datatype, backend: string): StoredKey[] {
  const toStored = STORED[datatype]
  const values: StoredKey[] = []
  // a value that is stored as it came cannot become a duplicate of another
  let changed = !(keys instanceof Set)
  for (const key of keys) {
    const stored = toStored(key, backend)
    changed ||= stored !== key
    values.push(stored)
  }
  return changed ? [...new Set(values)] : values
}

function timestampValue(micros: bigint): Date | string {
  const isExact = micros % 1000n === 0n && micros <= MAX_DATE_MICROS && micros >= -MAX_DATE_MICROS
  return isExact ? new Date(Number(micros / 1000n)) : formatTimestamp(micros)
}

/** What callers get for what a backend holds: exact `Date`s where a `Date` can hold the value, else text. */
export function callerKeys(keys: Set<StoredKey>, datatype: Datatype): Set<PartitionKeyValue> {
  if (datatype !== 'timestamp') return keys
  const values = new Set<PartitionKeyValue>()
  for (const micros of keys) values.add(timestampValue(micros as bigint))
  return values
}
