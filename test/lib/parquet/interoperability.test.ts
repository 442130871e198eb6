import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DuckDBInstance, type DuckDBConnection } from '@duckdb/node-api'
import { expect } from 'chai'
import fc from 'fast-check'
import { parquetMetadata, parquetReadObjects } from 'hyparquet'
import { ByteWriter, ParquetWriter } from 'hyparquet-writer'
import { decimalSize, listElement, type ColumnType, type Field } from '../../../lib/batch/column-type.js'
import type { Codec } from '../../../lib/parquet/codec.js'
import { decodeColumn } from '../../../lib/parquet/column.js'
import type { ColumnChunkMeta } from '../../../lib/parquet/column-chunk.js'
import { schemaElements } from '../../../lib/parquet/schema.js'
import { columnSample, comparable, fileOf, plain, TYPES, vectorOf, type SampleColumn } from './samples.js'

const CODECS: Codec[] = ['UNCOMPRESSED', 'SNAPPY', 'GZIP']

/** hyparquet's parsers turned off: integers and bytes as they are. */
const parsers = {
  timestampFromMicroseconds: (micros: bigint) => micros,
  dateFromDays: (days: number) => days,
  jsonFromBytes: (bytes: Uint8Array) => Buffer.from(bytes).toString(),
  // its own drops a byte order mark
  stringFromBytes: (bytes: Uint8Array) => Buffer.from(bytes).toString(),
}

/** What hyparquet makes of a storage value; decimals are doubles there. */
function asHyparquet(type: ColumnType, value: unknown): unknown {
  if (value === null) return null
  const element = listElement(type)
  if (element) return (value as unknown[]).map(item => element === 'date' ? value && dayOf(item) : asHyparquet(element, item))
  if (decimalSize(type)) return Number(value)
  if (type === 'int64') return BigInt(value as number)
  return plain(value)
}

function dayOf(text: unknown): number {
  return Date.parse(text as string) / 86_400_000
}

async function readByHyparquet(file: Uint8Array): Promise<unknown[]> {
  const { gunzipSync } = await import('node:zlib')
  const buffer = file.buffer.slice(file.byteOffset, file.byteOffset + file.byteLength) as ArrayBuffer
  const rows = await parquetReadObjects({ file: buffer, parsers, utf8: false, compressors: { GZIP: bytes => new Uint8Array(gunzipSync(bytes)) } })
  return rows.map(row => row['c'] ?? null)
}

describe('a file of ours, read by hyparquet', () => {
  for (const type of TYPES) {
    it(`holds the same values, ${type}`, async () => {
      const sample = fc.constantFrom(1, 9, 40).chain(rows => columnSample(type, rows))
      await fc.assert(fc.asyncProperty(sample, fc.constantFrom(...CODECS), async ({ field, values }, codec) => {
        const seen = await readByHyparquet(fileOf([field], [[vectorOf(type, values)], [vectorOf(type, values)]], codec))
        const expected = [...values, ...values].map(value => asHyparquet(type, value))
        if (type.includes('decimal')) expect(seen.flat().map(Number)).to.have.lengthOf(expected.flat().length)
        else expect(seen.map(plainBig)).to.deep.equal(expected.map(plainBig))
      }), { seed: 3, numRuns: 25 })
    })
  }

  it('has its ids in the statistics, and null counts', () => {
    const fields: Field[] = [{ name: 'id', type: 'int64', nullable: false }, { name: 't', type: 'text', nullable: true }]
    const metadata = parquetMetadata(fileOf(fields, [[vectorOf('int64', [5, -3, 9]), vectorOf('text', ['a', null, null])]]))
    const [id, text] = metadata.row_groups[0]!.columns
    expect(id!.meta_data!.statistics).to.include({ min_value: -3n, max_value: 9n, null_count: 0n })
    expect(text!.meta_data!.statistics).to.include({ min_value: undefined, null_count: 2n })
  })
})

/** Bigints in lists become numbers where safe in ours; compare both as bigints. */
function plainBig(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(plainBig)
  if (value instanceof Uint8Array) return Uint8Array.from(value)
  return typeof value === 'bigint' ? value : Number.isInteger(value) && !Object.is(value, -0) ? BigInt(value as number) : value
}

/** A column chunk as hyparquet-writer writes it, described as ours. */
function writtenByHyparquet({ field, values }: SampleColumn, codec: Codec, encoding: 'PLAIN' | 'RLE_DICTIONARY'): { chunk: ColumnChunkMeta, bytes: Uint8Array } {
  const writer = new ByteWriter()
  const parquet = new ParquetWriter({ writer, schema: schemaElements([field]), codec, statistics: false })
  const column = { name: field.name, data: values.map(value => asWriter(field.type, value)), encoding }
  void parquet.write({ columnData: [column], pageSize: 0 })
  const meta = parquet.row_groups[0]!.columns[0]!.meta_data!
  const start = Number(meta.dictionary_page_offset ?? meta.data_page_offset)
  const bytes = Number(meta.total_compressed_size)
  return { bytes: writer.getBytes().slice(start, start + bytes), chunk: { name: field.name, offset: start, bytes, uncompressedBytes: bytes, codec,
    values: Number(meta.num_values), nulls: 0, optional: field.nullable, encoding: 'PLAIN', dictionaryBytes: Number(meta.data_page_offset) - start } }
}

function asWriter(type: ColumnType, value: unknown): unknown {
  if (value === null) return null
  const element = listElement(type)
  if (element) return (value as unknown[]).map(item => element === 'date' ? dayOf(item) : asWriter(element, item))
  if (type === 'int64') return BigInt(value as number)
  if (type === 'json') return JSON.parse(value as string)
  return decimalSize(type) ? BigInt((value as string | null)?.replace('.', '') ?? 0) : value
}

describe('decodeColumn, on what hyparquet-writer writes', () => {
  for (const type of TYPES.filter(name => name !== 'list<decimal(20,3)>')) {
    for (const encoding of ['PLAIN', 'RLE_DICTIONARY'] as const) {
      const isText = type === 'text' || type === 'json' || type === 'bytes'
      if (encoding === 'RLE_DICTIONARY' && !isText) continue
      it(`gives the same values, ${type}, ${encoding}`, () => {
        fc.assert(fc.property(fc.constantFrom(1, 9, 40).chain(rows => columnSample(type, rows)), fc.constantFrom<Codec>('UNCOMPRESSED', 'SNAPPY'), (sample, codec) => {
          // its writer has no form for an all-null dictionary column, nor for a JSON null in a required column
          if (sample.values.every(value => value === null) || type === 'json' && sample.values.includes('null')) return
          const { chunk, bytes } = writtenByHyparquet(sample, codec, encoding)
          const back = comparable(decodeColumn(sample.field, chunk, sample.values.length, bytes))
          const expected = type === 'json' ? sample.values.map(value => value && JSON.stringify(JSON.parse(value as string))) : sample.values.map(plain)
          expect(back).to.deep.equal(expected)
        }), { seed: 4, numRuns: 30 })
      })
    }
  }
})

describe('a file of ours, read by DuckDB', () => {
  let folder: string
  let connection: DuckDBConnection

  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'millrace-parquet-'))
    connection = await (await DuckDBInstance.create(':memory:')).connect()
    await connection.run("SET TimeZone = 'UTC'")
  })
  after(() => {
    connection.closeSync()
    rmSync(folder, { recursive: true })
  })

  const samples: [ColumnType, unknown[], string, unknown[]][] = [
    ['bool', [true, false, null], 'BOOLEAN', ['true', 'false', null]],
    ['int32', [1, -2147483648, null], 'INTEGER', ['1', '-2147483648', null]],
    ['int64', [9223372036854775807n, -5, null], 'BIGINT', ['9223372036854775807', '-5', null]],
    ['float32', [1.5, NaN, null], 'FLOAT', ['1.5', 'nan', null]],
    ['float64', [0.1, -Infinity, null], 'DOUBLE', ['0.1', '-inf', null]],
    ['date', [0, 19782, null], 'DATE', ['1970-01-01', '2024-02-29', null]],
    ['time', [1n, 86_399_999_999n, null], 'TIME', ['00:00:00.000001', '23:59:59.999999', null]],
    ['timestamp', [1_700_000_000_123_456n, -1n, null], 'TIMESTAMP', ['2023-11-14 22:13:20.123456', '1969-12-31 23:59:59.999999', null]],
    ['timestamptz', [1_700_000_000_123_456n, 0n, null], 'TIMESTAMP WITH TIME ZONE', ['2023-11-14 22:13:20.123456+00', '1970-01-01 00:00:00+00', null]],
    ['uuid', ['a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', '00000000-0000-0000-0000-000000000000', null], 'UUID',
      ['a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', '00000000-0000-0000-0000-000000000000', null]],
    ['text', ['', 'é😀', null], 'VARCHAR', ['', 'é😀', null]],
    ['json', ['{"a":9007199254740993}', '1.10', null], 'JSON', ['{"a":9007199254740993}', '1.10', null]],
    ['bytes', [Uint8Array.of(0, 255), Uint8Array.of(), null], 'BLOB', ['\\x00\\xFF', '', null]],
    ['decimal(5,2)', ['-0.50', '999.99', null], 'DECIMAL(5,2)', ['-0.50', '999.99', null]],
    ['decimal(18,4)', ['-0.0001', '99999999999999.9999', null], 'DECIMAL(18,4)', ['-0.0001', '99999999999999.9999', null]],
    ['decimal(38,10)', ['-0.0000000001', '1234567890123456789012345678.0123456789', null], 'DECIMAL(38,10)',
      ['-0.0000000001', '1234567890123456789012345678.0123456789', null]],
    ['list<int64>', [[1, null, 2], [], null], 'BIGINT[]', ['[1, NULL, 2]', '[]', null]],
    ['list<text>', [['a', ''], [null], null], 'VARCHAR[]', ["[a, '']", '[NULL]', null]],
    ['list<timestamp>', [[0n], [], null], 'TIMESTAMP[]', ["['1970-01-01 00:00:00']", '[]', null]],
    ['list<decimal(20,3)>', [['-0.500', null], [], null], 'DECIMAL(20,3)[]', ['[-0.500, NULL]', '[]', null]],
  ]
  const fields = samples.map(([type], i): Field => ({ name: `c${i} "${type}"`, type, nullable: true }))
  // twice each: nulls in one group, none in the other
  const groups = [samples.map(([type, values]) => vectorOf(type, values)), samples.map(([type, values]) => vectorOf(type, values.slice(0, 2)))]

  for (const codec of CODECS) {
    it(`has the right types and values, ${codec}`, async () => {
      const path = join(folder, `${codec}.parquet`)
      writeFileSync(path, fileOf(fields, groups, codec))
      const types = (await connection.runAndReadAll(`DESCRIBE FROM read_parquet('${path}')`)).getColumnsJS()[1]
      expect(types).to.deep.equal(samples.map(([, , type]) => type))
      const columns = (await connection.runAndReadAll(`SELECT CAST(COLUMNS(*) AS VARCHAR) FROM read_parquet('${path}')`)).getColumnsJS()
      samples.forEach(([type, , , texts], i) => expect(columns[i], type).to.deep.equal([...texts, ...texts.slice(0, 2)]))
    })
  }

  it('reads large groups of dictionaries, nulls and wide texts', async () => {
    const path = join(folder, 'large.parquet')
    const rows = Array.from({ length: 70_001 }, (_, i) => i)
    const columns: [Field, unknown[]][] = [
      [{ name: 'id', type: 'int64', nullable: false }, rows],
      [{ name: 'city', type: 'text', nullable: false }, rows.map(i => `city_${i * 31 % 1000}`)],
      [{ name: 'small', type: 'text', nullable: true }, rows.map(i => i % 7 === 0 ? null : `s${i % 5}`)],
      [{ name: 'one', type: 'text', nullable: true }, rows.map(i => i % 2 === 0 ? null : 'é')],
      [{ name: 'name', type: 'text', nullable: true }, rows.map(i => i % 3 === 0 ? null : `ü${i}${'x'.repeat(i % 200)}`)],
      [{ name: 'flag', type: 'bool', nullable: true }, rows.map(i => i % 10 === 0 ? null : i % 2 === 0)],
      [{ name: 'd', type: 'decimal(12,2)', nullable: false }, rows.map(i => `${i}.25`)],
    ]
    writeFileSync(path, fileOf(columns.map(([field]) => field), [columns.map(([{ type }, values]) => vectorOf(type, values))], 'UNCOMPRESSED'))
    const seen = (await connection.runAndReadAll(`SELECT id, city, small, one, name, flag, CAST(d AS VARCHAR) FROM read_parquet('${path}')`)).getColumnsJS()
    columns.forEach(([field, values], i) => expect(seen[i]!.map(plain), field.name).to.deep.equal(values))
    const [[found]] = (await connection.runAndReadAll(`SELECT count(*) FROM read_parquet('${path}') WHERE id = 65000`)).getRowsJS() as [[bigint]]
    expect(found).to.equal(1n)
  })
})
