/**
 * How long does it take to put 1M JS rows of 7 columns into a Parquet cache? From the rows in memory to a complete file.
 * millrace is on disk then (fsync, manifest committed); the others are not.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { parseArgs } from 'node:util'
import { fromRows, openCache, parquetSink } from '../index.js'
import { printResult } from './support/result.js'
import { ageOf, amountOf, cityOf, nameOf, TABLE } from './support/rows.js'

const { values: options } = parseArgs({ options: { engine: { type: 'string', default: 'millrace' }, rows: { type: 'string', default: '1000000' } } })
const count = Number(options.rows)
const rows = Array.from({ length: count }, (_, i) => ({ id: i + 1, name: nameOf(i + 1), age: ageOf(i + 1), amount: amountOf(i + 1), city: cityOf(i + 1),
  created_at: new Date(1_700_000_000_000 + (i + 1) * 1003), flag: i % 10 === 0 ? null : i % 2 === 0 }))
const dir = mkdtempSync(join(tmpdir(), 'millrace-write-'))
const file = join(dir, 'rows.parquet')

async function millrace(): Promise<void> {
  const cache = await openCache({ dir })
  const types = { id: 'int64', name: 'text', age: 'int32', amount: 'float64', city: 'text', created_at: 'timestamptz', flag: 'bool' }
  await pipeline(Readable.from((function * () {
    for (let at = 0; at < rows.length; at += 65_536) yield fromRows(rows.slice(at, at + 65_536), { types })
  })()), parquetSink({ cache, table: TABLE }))
}

async function duckdb(): Promise<void> {
  const api = await import('@duckdb/node-api')
  const db = await (await api.DuckDBInstance.create(':memory:', { threads: '2' })).connect()
  await db.run('CREATE TEMP TABLE fresh (id BIGINT, name VARCHAR, age INTEGER, amount DOUBLE, city VARCHAR, created_at TIMESTAMP, flag BOOLEAN)')
  const appender = await db.createAppender('fresh')
  const types = [api.BIGINT, api.VARCHAR, api.INTEGER, api.DOUBLE, api.VARCHAR, api.TIMESTAMP, api.BOOLEAN]
  for (let at = 0; at < rows.length; at += 2048) {
    const some = rows.slice(at, at + 2048)
    const chunk = api.DuckDBDataChunk.create(types, some.length)
    chunk.setColumnValues(0, some.map(row => BigInt(row.id)))
    chunk.setColumnValues(1, some.map(row => row.name))
    chunk.setColumnValues(2, some.map(row => row.age))
    chunk.setColumnValues(3, some.map(row => row.amount))
    chunk.setColumnValues(4, some.map(row => row.city))
    chunk.setColumnValues(5, some.map(row => new api.DuckDBTimestampValue(BigInt(row.created_at.getTime()) * 1000n)))
    chunk.setColumnValues(6, some.map(row => row.flag))
    appender.appendDataChunk(chunk)
  }
  appender.closeSync()
  await db.run(`COPY fresh TO '${file}' (FORMAT parquet)`)
}

async function hyparquet(): Promise<void> {
  const { parquetWriteFile } = await import('hyparquet-writer')
  parquetWriteFile({ filename: file, columnData: [
    { name: 'id', data: rows.map(row => BigInt(row.id)), type: 'INT64' },
    { name: 'name', data: rows.map(row => row.name) as string[], type: 'STRING' },
    { name: 'age', data: rows.map(row => row.age) as number[], type: 'INT32' },
    { name: 'amount', data: rows.map(row => row.amount) as number[], type: 'DOUBLE' },
    { name: 'city', data: rows.map(row => row.city) as string[], type: 'STRING' },
    { name: 'created_at', data: rows.map(row => row.created_at), type: 'TIMESTAMP' },
    { name: 'flag', data: rows.map(row => row.flag) as boolean[], type: 'BOOLEAN' }
  ] })
}

const engines: Record<string, () => Promise<void>> = { millrace, duckdb, hyparquet }
try {
  globalThis.gc?.()
  const start = performance.now()
  await engines[options.engine]!()
  printResult({ name: 'write', engine: options.engine, columns: 7, rows: count, ms: performance.now() - start, fsync: options.engine === 'millrace' })
} finally {
  rmSync(dir, { recursive: true, force: true })
}
