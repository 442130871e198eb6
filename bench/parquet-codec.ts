/**
 * How fast columns are encoded and decoded: 1M rows of performance.md 1.1/1.3 in row groups of 65,536, warmed up, median of 7.
 * Only every fourth row group is data of its own, for a pipeline keeps a few windows alive, not a million strings that each
 * collection has to mark. One JSON line per operation.
 */
import { decodeTexts } from '../lib/batch/text.js'
import type { Field } from '../lib/batch/column-type.js'
import type { Vector } from '../lib/batch/vector.js'
import { decodeColumn, decodeColumnRows } from '../lib/parquet/column.js'
import type { PlacedRowGroup } from '../lib/parquet/column-chunk.js'
import { encodeFooter, FILE_HEADER, parseFooter } from '../lib/parquet/footer.js'
import { encodeRowGroup, type EncodedRowGroup } from '../lib/parquet/row-group.js'

const ROWS = 1_000_000
const GROUP_ROWS = 65_536
const ROUNDS = 7

const fields: Field[] = [
  { name: 'id', type: 'int64', nullable: false }, { name: 'name', type: 'text', nullable: false }, { name: 'age', type: 'int32', nullable: false },
  { name: 'amount', type: 'float64', nullable: false }, { name: 'city', type: 'text', nullable: false },
  { name: 'created_at', type: 'timestamp', nullable: false }, { name: 'meta.flag', type: 'bool', nullable: true },
]

function groupVectors(from: number, length: number): Vector[] {
  const rows = Array.from({ length }, (_, i) => from + i + 1)
  return [
    { form: 'fixed', type: 'int64', length, values: Float64Array.from(rows) },
    { form: 'values', type: 'text', length, values: rows.map(id => `user_${String(id).padStart(7, '0')}`) },
    { form: 'fixed', type: 'int32', length, values: Int32Array.from(rows, id => 18 + 7919 * id % 60) },
    { form: 'fixed', type: 'float64', length, values: Float64Array.from(rows, id => 104729 * id % 1_000_000 / 100) },
    { form: 'values', type: 'text', length, values: rows.map(id => `city_${31 * id % 1000}`) },
    { form: 'fixed', type: 'timestamp', length, values: BigInt64Array.from(rows, id => 1_700_000_000_000_000n + BigInt(id) * 1_000_003n) },
    { form: 'fixed', type: 'bool', length, values: Uint8Array.from(rows, id => id & 1), valid: Uint8Array.from(rows, id => id % 10 === 0 ? 0 : 1) },
  ]
}

function measure(name: string, rows: number, operation: () => unknown): void {
  const times: number[] = []
  for (let round = 0; round < ROUNDS + 3; round++) {
    const start = performance.now()
    operation()
    if (round >= 3) times.push(performance.now() - start)
  }
  const ms = times.sort((a, b) => a - b)[ROUNDS >> 1]!
  console.log(JSON.stringify({ name, rows, ms: Number(ms.toFixed(2)), rowsPerSec: Math.round(rows / ms * 1000) }))
}

const groups: Vector[][] = []
for (let from = 0; from < ROWS; from += GROUP_ROWS) {
  groups.push(groups.length < 4 || ROWS - from < GROUP_ROWS ? groupVectors(from, Math.min(GROUP_ROWS, ROWS - from)) : groups[groups.length - 4]!)
}

const encode = (codec: 'UNCOMPRESSED' | 'SNAPPY' | 'GZIP', columns = fields.map((_, i) => i)): EncodedRowGroup[] =>
  groups.map(vectors => encodeRowGroup(columns.map(i => fields[i]!), columns.map(i => vectors[i]!), { codec }))

function fileOf(encoded: readonly EncodedRowGroup[]): Uint8Array {
  const placed: PlacedRowGroup[] = []
  let offset = FILE_HEADER.length
  for (const { chunks: _, ...group } of encoded) {
    placed.push({ ...group, offset })
    offset += group.bytes
  }
  const parts = [FILE_HEADER, ...encoded.flatMap(({ chunks }) => chunks), encodeFooter({ fields, rowGroups: placed })]
  const file = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0))
  let at = 0
  for (const part of parts) {
    file.set(part, at)
    at += part.length
  }
  return file
}

measure('encode, 7 columns', ROWS, () => encode('UNCOMPRESSED'))
fields.forEach((field, i) => measure(`encode ${field.name}`, ROWS, () => encode('UNCOMPRESSED', [i])))

const file = fileOf(encode('UNCOMPRESSED'))
const { rowGroups } = parseFooter(file, file.length)
console.log(JSON.stringify({ name: 'file', rows: ROWS, bytes: file.length }))
measure('parse footer, 16 groups of 7 columns', ROWS, () => parseFooter(file, file.length))

function decode(from: Uint8Array, placed: readonly PlacedRowGroup[], columns: readonly number[]): Vector[][] {
  return placed.map(group => columns.map(i => {
    const chunk = group.columns[i]!
    const start = group.offset + chunk.offset
    return decodeColumn(fields[i]!, chunk, group.rows, from.subarray(start, start + chunk.bytes))
  }))
}

const FIVE = [0, 1, 2, 3, 4]
measure('decode, 5 columns, raw vectors', ROWS, () => decode(file, rowGroups, FIVE))
fields.forEach((field, i) => measure(`decode ${field.name}`, ROWS, () => decode(file, rowGroups, [i])))

function strings(vector: Vector): unknown[] {
  if (vector.form === 'bytes') return decodeTexts(vector)
  if (vector.form !== 'dictionary' || vector.dictionary.form !== 'bytes') return []
  const entries = decodeTexts(vector.dictionary)
  const texts = new Array<unknown>(vector.length)
  for (let i = 0; i < texts.length; i++) texts[i] = entries[vector.codes[i]!]
  return texts
}
measure('decode, 5 columns, JS strings', ROWS, () => decode(file, rowGroups, FIVE).map(vectors => vectors.map(strings)))

const decoded = decode(file, rowGroups, [0, 1, 2, 3, 4, 5, 6])
measure('encode again what was decoded, 7 columns', ROWS, () => decoded.map(vectors => encodeRowGroup(fields, vectors, { codec: 'UNCOMPRESSED' })))
const scattered = decoded.map(vectors => vectors.map(vector => vector.form !== 'bytes' ? vector
  : { ...vector, bytes: vector.bytes.slice(), starts: vector.starts.slice(), ends: vector.ends.map(end => end - 1) }))
measure('encode bytes that lie otherwise, 7 columns', ROWS, () => scattered.map(vectors => encodeRowGroup(fields, vectors, { codec: 'UNCOMPRESSED' })))
const cityBytes = decoded.map(vectors => {
  const city = vectors[4]!
  if (city.form !== 'dictionary' || city.dictionary.form !== 'bytes') return city
  const { codes, dictionary } = city
  return { form: 'bytes', type: 'text', length: codes.length, bytes: dictionary.bytes,
    starts: Uint32Array.from(codes, code => dictionary.starts[code]!), ends: Uint32Array.from(codes, code => dictionary.ends[code]!) } as const
})
measure('encode city from bytes', ROWS, () => cityBytes.map(city => encodeRowGroup([fields[4]!], [city], { codec: 'UNCOMPRESSED' })))

const picks = rowGroups.map((group, g) => Uint32Array.from({ length: 63 }, (_, i) => i * 1031 + g).filter(row => row < group.rows))
measure('decode 1,000 rows of 1M, 5 columns', 1000, () => rowGroups.map((group, g) => FIVE.map(i => {
  const chunk = group.columns[i]!
  const start = group.offset + chunk.offset
  return decodeColumnRows(fields[i]!, chunk, group.rows, file.subarray(start, start + chunk.bytes), picks[g]!)
})))

for (const codec of ['SNAPPY', 'GZIP'] as const) {
  const compressed = fileOf(encode(codec))
  const footer = parseFooter(compressed, compressed.length)
  console.log(JSON.stringify({ name: `file, ${codec}`, rows: ROWS, bytes: compressed.length }))
  if (codec === 'SNAPPY') measure(`encode, 7 columns, ${codec}`, ROWS, () => encode(codec))
  measure(`decode, 5 columns, raw vectors, ${codec}`, ROWS, () => decode(compressed, footer.rowGroups, FIVE))
}
