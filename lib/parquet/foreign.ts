/**
 * Whole files that others wrote, through hyparquet. Slow and generous, for imports and tests; our own parts take `decodeColumn`.
 *
 * hyparquet may loop for ever on bytes that are no Parquet: only hand over bytes that were verified, or do it in a worker.
 */
import { gunzipSync } from 'node:zlib'
import { parquetRead, parquetSchema, toJson } from 'hyparquet'
import { decimalSize, isColumnType, type ColumnType, type Field } from '../batch/column-type.js'
import { formatDate, formatTime } from '../batch/temporal.js'
import type { ValuesVector } from '../batch/vector.js'
import { CacheCorruptionError, messageOf } from '../errors.js'
import { readMetadata, type FileMetaData } from './hyparquet-internals.js'

type SchemaElement = FileMetaData['schema'][number]
type SchemaTree = ReturnType<typeof parquetSchema>

/** Columns of a file with their values, one vector for the whole file each. */
export interface ForeignFile {
  fields: Field[]
  vectors: ValuesVector[]
}

/**
 * Read a file's columns.
 *
 * Timestamps and times in other units become microseconds (nanoseconds are rounded down), unsigned 64-bit integers decimal(20,0).
 * Structs, maps and lists of them become JSON text.
 *
 * @param columns names of top-level columns, in the order wanted; all when left out
 * @throws {CacheCorruptionError} hyparquet cannot read it, or a column is not there
 */
export async function readForeign(bytes: Uint8Array, columns?: readonly string[], file = 'parquet file'): Promise<ForeignFile> {
  try {
    const metadata = readMetadata(bytes)
    const trees = parquetSchema(metadata).children
    const wanted = (columns ?? trees.map(tree => tree.element.name)).map(name => {
      const tree = trees.find(({ element }) => element.name === name)
      if (!tree) throw new Error(`it has no column ${name}`)
      return { name, tree, type: columnType(tree) }
    })
    const rows = await readRows(bytes, metadata, wanted.map(({ name }) => name))
    const vectors = wanted.map(({ tree, type }, i): ValuesVector => {
      const values = rows.map(row => storageValue(type, tree, row[i]))
      return { form: 'values', type, length: values.length, values }
    })
    return { vectors, fields: wanted.map(({ name, type }, i) => ({ name, type, nullable: vectors[i]!.values.includes(null) })) }
  } catch (cause) {
    if (cause instanceof CacheCorruptionError) throw cause
    throw new CacheCorruptionError({ file, reason: `it cannot be read: ${messageOf(cause)}`, cause })
  }
}

async function readRows(bytes: Uint8Array, metadata: FileMetaData, columns: string[]): Promise<unknown[][]> {
  const raw = <T>(value: T): T => value
  const text = (value: Uint8Array): string => Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString()
  let rows: unknown[][] = []
  await parquetRead({
    file: { byteLength: bytes.length, slice: (start, end) => new Uint8Array(bytes.subarray(start, end)).buffer },
    // hyparquet makes doubles of decimals; without their annotation they stay integers
    metadata: { ...metadata, schema: metadata.schema.map(withoutDecimal) },
    columns, utf8: false, geoparquet: false, onComplete: found => { rows = found },
    parsers: { timestampFromMilliseconds: millis => millis * 1000n, timestampFromMicroseconds: raw,
      timestampFromNanoseconds: nanos => (nanos - (nanos < 0n ? 999n : 0n)) / 1000n, dateFromDays: raw, stringFromBytes: text, jsonFromBytes: text },
    compressors: { GZIP: page => new Uint8Array(gunzipSync(page)) },
  })
  return rows
}

function withoutDecimal(element: SchemaElement): SchemaElement {
  if (element.converted_type !== 'DECIMAL' && element.logical_type?.type !== 'DECIMAL') return element
  const { converted_type: _, logical_type: __, ...bare } = element
  return bare
}

function columnType(tree: SchemaTree): ColumnType {
  const [list] = tree.children
  if (list === undefined) return leafType(tree.element)
  const [element] = list.children
  if (tree.element.converted_type === 'LIST' && list.children.length === 1 && element?.children.length === 0) {
    const type = `list<${leafType(element.element)}>`
    if (isColumnType(type)) return type
  }
  return 'json'
}

function leafType({ type, type_length: length, converted_type: converted, logical_type: logical, precision, scale }: SchemaElement): ColumnType {
  if (converted === 'DECIMAL' || logical?.type === 'DECIMAL') {
    const decimal = `decimal(${logical?.type === 'DECIMAL' ? logical.precision : precision},${logical?.type === 'DECIMAL' ? logical.scale : scale ?? 0})`
    if (!isColumnType(decimal)) throw new Error(`a column of ${decimal}`)
    return decimal
  }
  const unsigned = logical?.type === 'INTEGER' && !logical.isSigned
  switch (type) {
    case 'BOOLEAN': return 'bool'
    case 'INT32':
      if (converted === 'DATE' || logical?.type === 'DATE') return 'date'
      if (converted === 'TIME_MILLIS' || logical?.type === 'TIME') return 'time'
      return converted === 'UINT_32' || unsigned ? 'int64' : 'int32'
    case 'INT64':
      if (logical?.type === 'TIMESTAMP') return logical.isAdjustedToUTC ? 'timestamptz' : 'timestamp'
      if (converted === 'TIMESTAMP_MILLIS' || converted === 'TIMESTAMP_MICROS') return 'timestamptz'
      if (converted === 'TIME_MICROS' || logical?.type === 'TIME') return 'time'
      return converted === 'UINT_64' || unsigned ? 'decimal(20,0)' : 'int64'
    case 'INT96': return 'timestamp'
    case 'FLOAT': return 'float32'
    case 'DOUBLE': return 'float64'
    case 'BYTE_ARRAY':
      if (converted === 'UTF8' || converted === 'ENUM' || logical?.type === 'STRING' || logical?.type === 'ENUM') return 'text'
      return converted === 'JSON' || logical?.type === 'JSON' ? 'json' : 'bytes'
    case 'FIXED_LEN_BYTE_ARRAY':
      if (logical?.type === 'UUID') return 'uuid'
      return logical?.type === 'FLOAT16' && length === 2 ? 'float32' : 'bytes'
    default: throw new Error(`a column of ${String(type)}`)
  }
}

/** What hyparquet gives, without its conversions, → the storage value of our type. */
function storageValue(type: ColumnType, { element, children }: SchemaTree, value: unknown): unknown {
  if (value === null || value === undefined) return null
  if (children.length === 0) return leafValue(type, element, value)
  if (type === 'json') return JSON.stringify(toJson(value))
  const leaf = children[0]!.children[0]!.element
  const elementType = leafType(leaf)
  return (value as unknown[]).map(item => item === null || item === undefined ? null : listElementValue(elementType, leafValue(elementType, leaf, item)))
}

/** Days and times in lists are text, as in row values. */
function listElementValue(type: ColumnType, value: unknown): unknown {
  if (type === 'date') return formatDate(value as number)
  return type === 'time' ? formatTime(value as bigint) : value
}

function leafValue(type: ColumnType, { logical_type: logical, converted_type: converted }: SchemaElement, value: unknown): unknown {
  const size = decimalSize(type)
  if (size) return decimalText(unscaled(value), size.scale)
  if (type === 'int64') return Number.isSafeInteger(Number(value)) ? Number(value) : value
  if (type === 'time') {
    if (converted === 'TIME_MILLIS' || logical?.type === 'TIME' && logical.unit === 'MILLIS') return BigInt(value as number) * 1000n
    return logical?.type === 'TIME' && logical.unit === 'NANOS' ? (value as bigint) / 1000n : value
  }
  return value instanceof Uint8Array ? value.slice() : value
}

function unscaled(value: unknown): bigint {
  if (!(value instanceof Uint8Array)) return BigInt(value as number | bigint)
  const big = BigInt(`0x0${Buffer.from(value).toString('hex')}`)
  return BigInt.asIntN(value.length * 8, big)
}

function decimalText(value: bigint, scale: number): string {
  const digits = String(value < 0n ? -value : value).padStart(scale + 1, '0')
  return `${value < 0n ? '-' : ''}${digits.slice(0, digits.length - scale)}${scale > 0 ? `.${digits.slice(-scale)}` : ''}`
}
