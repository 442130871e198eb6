import { existsSync, renameSync } from 'node:fs'
import { join } from 'node:path'
import type { DuckDBConnection, DuckDBDataChunk } from '@duckdb/node-api'
import { RowTap, type Delivered } from '../support/delivery.js'
import { COLUMNS, type SourceRow } from '../support/rows.js'
import { batchSizeOf, type Engine } from './engine.js'

/** Rows of a DuckDB vector. */
const CHUNK_ROWS = 2048

const SELECT = 'SELECT id::DOUBLE AS id, name, age, amount, city AS "profile.address.city"'

/**
 * DuckDB over one Parquet file: ids by an appender, missing ones by an anti join, fetched rows by the appender, the file written
 * anew and renamed, the answer by a semi join. Two threads, as the machine has; the instance is opened outside the clock.
 */
export function duckdbEngine(): Engine {
  let duckdb: typeof import('@duckdb/node-api')
  let db: DuckDBConnection

  async function appendIds(ids: Int32Array): Promise<void> {
    await db.run('CREATE OR REPLACE TEMP TABLE want (id BIGINT)')
    const appender = await db.createAppender('want')
    for (let at = 0; at < ids.length; at += CHUNK_ROWS) {
      const count = Math.min(CHUNK_ROWS, ids.length - at)
      const chunk = duckdb.DuckDBDataChunk.create([duckdb.BIGINT], count)
      const vector = chunk.getColumnVector(0) as unknown as { items: BigInt64Array, flush(): void }
      for (let i = 0; i < count; i++) vector.items[i] = BigInt(ids[at + i]!)
      vector.flush()
      appender.appendDataChunk(chunk)
    }
    appender.closeSync()
  }

  async function missingIds(cache: string | undefined): Promise<Float64Array> {
    const reader = await db.runAndReadAll(`SELECT id::DOUBLE FROM want${cache ? ` ANTI JOIN '${cache}' USING (id)` : ''} ORDER BY id`)
    return Float64Array.from((reader.getColumns()[0] ?? []) as ArrayLike<number>)
  }

  return {
    name: 'duckdb',
    fsync: false,
    async open() {
      duckdb = await import('@duckdb/node-api')
      db = await openDuckdb()
    },
    async run({ ids, delivery, cacheDir, fetch }) {
      const file = join(cacheDir, 'cache.parquet')
      const cached = existsSync(file) ? file : undefined
      await appendIds(ids)
      const missing = await missingIds(cached)
      if (missing.length > 0) {
        const size = batchSizeOf(missing.length)
        await appendRows(db, (async function * () {
          for (let at = 0; at < missing.length; at += size) yield await fetch(missing.subarray(at, at + size))
        })())
        await writeFresh(db, cacheDir)
      }
      return await deliver(db, `${SELECT} FROM '${file}' SEMI JOIN want USING (id) ORDER BY id`, delivery, ids.length)
    }
  }
}

/** A connection to an instance in memory with two threads. */
export async function openDuckdb(): Promise<DuckDBConnection> {
  const { DuckDBInstance } = await import('@duckdb/node-api')
  return await (await DuckDBInstance.create(':memory:', { threads: '2' })).connect()
}

/** The cache with `fresh` in it: written anew under another name (not flushed to disk), then renamed. */
export async function writeFresh(db: DuckDBConnection, cacheDir: string): Promise<void> {
  const file = join(cacheDir, 'cache.parquet')
  const old = existsSync(file) ? `SELECT * FROM '${file}' ANTI JOIN fresh USING (id) UNION ALL ` : ''
  await db.run(`COPY (${old}SELECT * FROM fresh ORDER BY id) TO '${file}.tmp' (FORMAT parquet)`)
  renameSync(`${file}.tmp`, file)
}

/** Put rows into the temporary table `fresh`, by chunks. */
export async function appendRows(db: DuckDBConnection, batches: AsyncIterable<readonly SourceRow[]>): Promise<void> {
  const duckdb = await import('@duckdb/node-api')
  await db.run('CREATE OR REPLACE TEMP TABLE fresh (id BIGINT, name VARCHAR, age INTEGER, amount DOUBLE, city VARCHAR)')
  const appender = await db.createAppender('fresh')
  const types = [duckdb.BIGINT, duckdb.VARCHAR, duckdb.INTEGER, duckdb.DOUBLE, duckdb.VARCHAR]
  for await (const rows of batches) {
    for (let at = 0; at < rows.length; at += CHUNK_ROWS) {
      const some = rows.slice(at, at + CHUNK_ROWS)
      const chunk = duckdb.DuckDBDataChunk.create(types, some.length)
      chunk.setColumnValues(0, some.map(row => BigInt(row.id)))
      chunk.setColumnValues(1, some.map(row => row.name))
      chunk.setColumnValues(2, some.map(row => row.age))
      chunk.setColumnValues(3, some.map(row => row.amount))
      chunk.setColumnValues(4, some.map(row => row.profile.address.city))
      appender.appendDataChunk(chunk)
    }
  }
  appender.closeSync()
}

async function deliver(db: DuckDBConnection, sql: string, delivery: string, rows: number): Promise<Delivered> {
  if (delivery === 'objects') return { rows: (await db.runAndReadAll(sql)).getRowObjectsJS() }
  const result = await db.stream(sql)
  const tap = new RowTap(rows)
  const parts: ChunkColumns[] = []
  for (;;) {
    const chunk = await result.fetchChunk()
    if (!chunk || chunk.rowCount === 0) break
    const columns = chunkColumns(chunk)
    if (delivery === 'columns') {
      parts.push(columns)
      continue
    }
    const [id, name, age, amount, city] = columns
    for (let i = 0; i < chunk.rowCount; i++) {
      tap.take({ id: id![i], name: name![i], age: age![i], amount: amount![i], 'profile.address.city': city![i] })
    }
  }
  return delivery === 'stream' ? { tap } : { columns: Object.fromEntries(['id', ...COLUMNS].map((name, c) => [name, joined(parts.map(part => part[c]!))])) }
}

type ChunkColumns = ArrayLike<unknown>[]

/** Numbers through the vector's memory (its own `getItem` makes a BigInt per value to see whether it is null), text by `getItem`. */
function chunkColumns(chunk: DuckDBDataChunk): ChunkColumns {
  return Array.from({ length: chunk.columnCount }, (_, c) => {
    const vector = chunk.getColumnVector(c)
    const { items, validity } = vector as unknown as { items?: Float64Array | Int32Array, validity: { data: BigUint64Array | null } }
    if (items && !validity.data) return items
    const values = new Array<unknown>(chunk.rowCount)
    if (!items || !validity.data) {
      for (let i = 0; i < values.length; i++) values[i] = vector.getItem(i)
      return values
    }
    const bits = new Uint8Array(validity.data.buffer, validity.data.byteOffset, validity.data.byteLength)
    for (let i = 0; i < values.length; i++) values[i] = (bits[i >> 3]! >> (i & 7) & 1) === 1 ? items[i] : null
    return values
  })
}

function joined(parts: readonly ArrayLike<unknown>[]): ArrayLike<unknown> {
  const length = parts.reduce((sum, part) => sum + part.length, 0)
  const typed = parts.every(part => part instanceof Float64Array)
  const all = typed ? new Float64Array(length) : new Array<unknown>(length)
  let at = 0
  for (const part of parts) {
    if (all instanceof Float64Array) all.set(part as Float64Array, at)
    else for (let i = 0; i < part.length; i++) all[at + i] = part[i]
    at += part.length
  }
  return all
}
