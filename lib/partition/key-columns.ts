import type { RowBatch } from '../batch/row-batch.js'
import { formatTimestamp, parseTimestamp } from '../batch/temporal.js'
import { KeyTypeError } from '../errors.js'
import { canonicalNumber } from '../sql/decimal.js'
import type { Catalogue } from './decompose.js'
import { TEXT_TYPES, type Datatype, type PartitionKeyValue } from './key-types.js'
import type { QueryShape } from './shape.js'

const INTEGERS: ReadonlySet<string> = new Set(['int2', 'int4', 'int8'])
/** Types of which equal values have one text. */
const TEXT_LIKE: ReadonlySet<string> = new Set([...TEXT_TYPES, 'uuid', 'date', 'enum', 'bool', 'int2', 'int4', 'int8'])

const STORABLE: Record<Datatype, ReadonlySet<string>> = {
  integer: new Set([...INTEGERS, 'numeric', 'oid']),
  float: new Set([...INTEGERS, 'float4', 'float8', 'numeric']),
  text: TEXT_LIKE,
  timestamp: new Set(['timestamp', 'timestamptz', 'date'])
}

function defaultDatatype(type: string): Datatype | undefined {
  if (INTEGERS.has(type) || type === 'oid') return 'integer'
  if (type === 'float4' || type === 'float8' || type === 'numeric') return 'float'
  if (type === 'timestamp' || type === 'timestamptz') return 'timestamp'
  return TEXT_LIKE.has(type) ? 'text' : undefined
}

const FAMILIES: readonly ReadonlySet<string>[] = [
  new Set([...INTEGERS, 'numeric']),
  // every one of these is an exact double
  new Set(['int2', 'int4', 'float4', 'float8']),
  new Set(['text', 'varchar', 'name']),
  new Set(['date', 'timestamp'])
]

/** Whether columns of these types are equal exactly where their keys are. */
export function isOneFamily(types: readonly string[]): boolean {
  return new Set(types).size < 2 || FAMILIES.some(family => types.every(type => family.has(type)))
}

/** The types of a query's key columns, and of those that tie them, where they are known. */
export function keyTypesOf({ tables, tied }: Pick<QueryShape, 'tables' | 'tied'>, catalogue: Catalogue | undefined): string[] {
  return tied.flatMap(({ table, column }) => {
    const { schema, name } = tables[table]!
    const type = catalogue?.tableFacts(schema, name)?.columns.get(column)?.type
    return type === undefined ? [] : [type]
  })
}

/** How the key columns of a query are read. */
export interface KeyColumns {
  readonly datatype: Datatype | undefined
  /** `char(n)` compares without its trailing blanks. */
  readonly isPadded: boolean
}

/**
 * Whether sets of a query's key columns can be compared with each other: equal keys must be equal texts.
 *
 * @throws {KeyTypeError} the columns' types compare otherwise than their values (citext, collations that ignore case, timestamps with
 *   and without a zone), or do not fit the partition key's datatype
 */
export function checkKeyColumns(shape: Pick<QueryShape, 'tables' | 'tied'>, catalogue: Catalogue | undefined, datatype: Datatype | undefined): KeyColumns {
  const types = keyTypesOf(shape, catalogue)
  const [first] = types
  if (first === undefined) return { datatype, isPadded: false }
  const chosen = datatype ?? defaultDatatype(first)
  const odd = types.find(type => chosen === undefined || !STORABLE[chosen].has(type))
  if (odd !== undefined) {
    throw new KeyTypeError({ backend: 'the partition cache', keyType: odd, reason: chosen === undefined ? 'equal values may have different texts' : `the partition key holds ${chosen} keys` })
  }
  if (!isOneFamily(types)) throw new KeyTypeError({ backend: 'the partition cache', keyType: [...new Set(types)].join(' and '), reason: 'the tables of one query must have keys of one type' })
  return { datatype: chosen, isPadded: types.includes('bpchar') }
}

function timestampKey(value: unknown): PartitionKeyValue {
  if (typeof value !== 'bigint') return value as PartitionKeyValue
  const date = value % 1000n === 0n ? new Date(Number(value / 1000n)) : undefined
  return date && !Number.isNaN(date.getTime()) ? date : formatTimestamp(value)
}

function integerKey(value: unknown): PartitionKeyValue {
  const text = typeof value === 'string' ? canonicalNumber(value) : undefined
  if (text === undefined) return value as PartitionKeyValue
  if (text.includes('.')) throw new KeyTypeError({ backend: 'the partition cache', keyType: 'numeric', reason: `${text} is no integer` })
  const exact = BigInt(text)
  return Number.isSafeInteger(Number(exact)) ? Number(exact) : exact
}

function floatKey(value: unknown): PartitionKeyValue {
  if (typeof value !== 'string' && typeof value !== 'bigint') return value as PartitionKeyValue
  const number = Number(value)
  const isExact = typeof value === 'bigint' ? BigInt(number) === value : Number.isNaN(number) || !Number.isFinite(number) || canonicalNumber(String(number)) === canonicalNumber(value)
  if (!isExact) throw new KeyTypeError({ backend: 'the partition cache', keyType: 'numeric', reason: `${value} is no exact double: register the key as integer or text` })
  return number
}

/** The keys in a batch's only column, NULLs left out, in the form that sets hold them in. */
export function * keysIn(batch: RowBatch, { datatype, isPadded }: KeyColumns): Generator<PartitionKeyValue> {
  const [field] = batch.schema
  if (!field) return
  const isTime = field.type === 'timestamp' || field.type === 'timestamptz'
  for (const value of batch.column(field.name) as Iterable<unknown>) {
    if (value === null || value === undefined) continue
    if (isTime) yield timestampKey(value)
    else if (datatype === 'integer') yield integerKey(value)
    else if (datatype === 'float') yield floatKey(value)
    else if (datatype === 'timestamp') yield typeof value === 'string' ? dayKey(value) : value as PartitionKeyValue
    else if (datatype === 'text') yield isPadded ? String(value).replace(/ +$/, '') : String(value)
    else yield value as PartitionKeyValue
  }
}

/** A date is the midnight that begins it. */
function dayKey(text: string): PartitionKeyValue {
  const [, day, era = ''] = /^(\d{4,}-\d\d-\d\d)( BC)?$/.exec(text) ?? []
  const micros = day === undefined ? undefined : parseTimestamp(`${day} 00:00:00${era}`)
  return micros === undefined ? text : timestampKey(micros)
}
