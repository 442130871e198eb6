/** Columns of every type, made from a seed, and whole files of them. */
import fc from 'fast-check'
import type { ColumnType, Field } from '../../../lib/batch/column-type.js'
import { storageValues } from '../../../lib/batch/cells.js'
import type { ValuesVector, Vector } from '../../../lib/batch/vector.js'
import type { Codec } from '../../../lib/parquet/codec.js'
import type { PlacedRowGroup } from '../../../lib/parquet/column-chunk.js'
import { encodeFooter, FILE_HEADER } from '../../../lib/parquet/footer.js'
import { encodeRowGroup } from '../../../lib/parquet/row-group.js'

/** Storage values of each type, the awkward ones often. */
export const storageValue: Record<string, fc.Arbitrary<unknown>> = {
  bool: fc.boolean(),
  int32: fc.oneof(fc.integer(), fc.constantFrom(0, -1, 2147483647, -2147483648)),
  int64: fc.oneof(fc.maxSafeInteger(), fc.integer(), fc.constantFrom(0, -1, Number.MAX_SAFE_INTEGER, Number.MIN_SAFE_INTEGER,
    2n ** 53n, -(2n ** 53n), 9223372036854775807n, -9223372036854775808n, 4294967296, -4294967297)),
  float32: fc.oneof(fc.float(), fc.constantFrom(0, -0, NaN, Infinity, -Infinity)),
  float64: fc.oneof(fc.double(), fc.constantFrom(0, -0, NaN, Infinity, -Infinity)),
  date: fc.oneof(fc.integer({ min: -719162, max: 2932896 }), fc.constantFrom(0, -1, 2147483647, -2147483648)),
  time: fc.bigInt({ min: 0n, max: 86_400_000_000n }),
  timestamp: fc.oneof(fc.bigInt({ min: -(2n ** 62n), max: 2n ** 62n }), fc.constantFrom(0n, -1n, 9223372036854775807n, -9223372036854775808n)),
  timestamptz: fc.bigInt({ min: -(2n ** 61n), max: 2n ** 61n }),
  uuid: fc.uuid(),
  text: fc.oneof(fc.string({ maxLength: 20 }), fc.constantFrom('', 'a', 'é', '𝒳😀', '\u0000', 'x'.repeat(127), 'x'.repeat(128), 'ÿ'.repeat(200), 'NaN', 'null', '\ufeff')),
  json: fc.json(),
  bytes: fc.uint8Array({ maxLength: 40 }),
  'decimal(9,2)': decimalText(9, 2),
  'decimal(5,5)': decimalText(5, 5),
  'decimal(18,0)': decimalText(18, 0),
  'decimal(18,4)': decimalText(18, 4),
  'decimal(38,10)': decimalText(38, 10),
  'list<int64>': fc.array(fc.option(fc.oneof(fc.maxSafeInteger(), fc.constantFrom(2n ** 60n, 1))), { maxLength: 5 }),
  'list<text>': fc.array(fc.option(fc.string({ maxLength: 5 })), { maxLength: 5 }),
  'list<timestamp>': fc.array(fc.bigInt({ min: -(2n ** 60n), max: 2n ** 60n }), { maxLength: 3 }),
  'list<decimal(20,3)>': fc.array(fc.option(decimalText(20, 3)), { maxLength: 3 }),
  'list<bool>': fc.array(fc.boolean(), { maxLength: 3 }),
  'list<date>': fc.array(fc.constantFrom('2024-02-29', '1969-12-31'), { maxLength: 3 }),
}

/** Every type that has values. */
export const TYPES = Object.keys(storageValue) as ColumnType[]

function decimalText(precision: number, scale: number): fc.Arbitrary<string> {
  const most = 10n ** BigInt(precision) - 1n
  return fc.oneof(fc.bigInt({ min: -most, max: most }), fc.constantFrom(0n, 1n, -1n, most, -most)).map(unscaled => {
    const digits = String(unscaled < 0n ? -unscaled : unscaled).padStart(scale + 1, '0')
    return `${unscaled < 0n ? '-' : ''}${digits.slice(0, digits.length - scale)}${scale > 0 ? `.${digits.slice(-scale)}` : ''}`
  })
}

/** The vector that holds these storage values in the form that sources and decoded pages have. */
export function vectorOf(type: ColumnType, values: readonly unknown[]): Vector {
  const nulls = values.includes(null)
  const base = { type, length: values.length, ...(nulls ? { valid: Uint8Array.from(values, value => value === null ? 0 : 1) } : {}) }
  const filled = <T>(zero: T): T[] => values.map(value => (value ?? zero) as T)
  switch (type) {
    case 'bool': return { ...base, form: 'fixed', values: Uint8Array.from(filled(false), Number) }
    case 'int32': case 'date': return { ...base, form: 'fixed', values: Int32Array.from(filled(0)) }
    case 'int64': {
      const wide = values.some(value => typeof value === 'bigint')
      return { ...base, form: 'fixed', values: wide ? BigInt64Array.from(filled<number | bigint>(0), BigInt) : Float64Array.from(filled(0)) }
    }
    case 'float32': return { ...base, form: 'fixed', values: Float32Array.from(filled(0)) }
    case 'float64': return { ...base, form: 'fixed', values: Float64Array.from(filled(0)) }
    case 'time': case 'timestamp': case 'timestamptz': return { ...base, form: 'fixed', values: BigInt64Array.from(filled(0n)) }
    default: return valuesVector(type, values)
  }
}

/** The same values as a plain array. */
export function valuesVector(type: ColumnType, values: readonly unknown[]): ValuesVector {
  return { form: 'values', type, length: values.length, values }
}

/** The same values as UTF-8 bytes, one behind the other, as a source that decodes a protocol has them. */
export function bytesVector(type: ColumnType, values: readonly unknown[]): Vector {
  const parts = values.map(value => value === null ? Buffer.alloc(0) : typeof value === 'string' ? Buffer.from(value) : Buffer.from(value as Uint8Array))
  const starts = new Uint32Array(values.length)
  const ends = new Uint32Array(values.length)
  let at = 0
  parts.forEach((part, i) => {
    starts[i] = at
    ends[i] = at += part.length
  })
  const valid = values.includes(null) ? Uint8Array.from(values, value => value === null ? 0 : 1) : undefined
  return { form: 'bytes', type, length: values.length, bytes: Buffer.concat(parts), starts, ends, valid }
}

/** One column of a sample. */
export interface SampleColumn { field: Field, values: unknown[] }

/** A column of `rows` values of some type, with nulls or without, sometimes of few distinct values. */
export function columnSample(type: ColumnType, rows: number, name = 'c'): fc.Arbitrary<SampleColumn> {
  const one = storageValue[type]!
  const many = fc.array(one, { minLength: Math.max(rows, 1), maxLength: Math.max(rows, 1) })
  const few = fc.tuple(fc.array(one, { minLength: 1, maxLength: 3 }), fc.infiniteStream(fc.nat()))
    .map(([pool, picks]) => Array.from({ length: rows }, () => pool[picks.next().value as number % pool.length]))
  const nulls = fc.constantFrom('none', 'none', 'third', 'tail', 'all')
  return fc.tuple(fc.oneof(many.map(values => values.slice(0, rows)), few), nulls, fc.boolean()).map(([values, holes, nullable]) => {
    const isNull = (i: number): boolean => holes === 'all' || holes === 'third' && i % 3 === 1 || holes === 'tail' && i > 4
    const holed = values.map((value, i) => isNull(i) ? null : value)
    // an int64 column holds numbers where safe
    const settled = type === 'int64' ? holed.map(narrowed) : holed
    return { field: { name, type, nullable: nullable || settled.includes(null) }, values: settled }
  })
}

function narrowed(value: unknown): unknown {
  return typeof value === 'bigint' && Number.isSafeInteger(Number(value)) ? Number(value) : value
}

/** Storage values that compare deeply: bytes as plain Uint8Arrays, safe integers as numbers, negative zero kept. */
export function comparable(vector: Vector): unknown[] {
  return Array.from(storageValues(vector), plain)
}

/** See {@link comparable}. */
export function plain(value: unknown): unknown {
  if (value instanceof Uint8Array) return Uint8Array.from(value)
  return Array.isArray(value) ? value.map(plain) : narrowed(value)
}

/** A whole file of one or more row groups, aligned as in memory. */
export function fileOf(fields: readonly Field[], groups: readonly (readonly (Vector | readonly Vector[])[])[], codec: Codec = 'UNCOMPRESSED'): Uint8Array {
  const parts: Uint8Array[] = [FILE_HEADER]
  const placed: PlacedRowGroup[] = []
  let offset = FILE_HEADER.length
  for (const vectors of groups) {
    const { chunks, ...group } = encodeRowGroup(fields, vectors, { codec })
    placed.push({ ...group, offset })
    parts.push(...chunks)
    offset += group.bytes
  }
  parts.push(encodeFooter({ fields, rowGroups: placed }))
  const file = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0))
  let at = 0
  for (const part of parts) {
    file.set(part, at)
    at += part.length
  }
  return file
}
