/**
 * How long until 100,000 rows, spread over 1M cached ones and replacing them, are visible to the next reader and on disk?
 * The rows are JS objects in memory. One JSON line per engine; medians in one process, warmed up, on copies of one cache.
 */
import { closeSync, cpSync, fsyncSync, mkdirSync, mkdtempSync, openSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { parseArgs } from 'node:util'
import { fromRows, getData, openCache, parquetSink } from '../index.js'
import { appendRows, openDuckdb, writeFresh } from './engines/duckdb.js'
import { engineOf } from './engines/engine.js'
import { median, printResult } from './support/result.js'
import { COLUMNS, sample, shuffled, sourceRow, TABLE, tableIds } from './support/rows.js'

const ROUNDS = 7
const WARM_UP = 2
const MERGED = 100_000

const { values: options } = parseArgs({ options: { engine: { type: 'string', default: 'millrace' }, rows: { type: 'string', default: '1000000' } } })
const all = tableIds(Number(options.rows), 'dense')
const rows = Array.from(sample(all, MERGED, 5).sort(), id => ({ ...sourceRow(id), name: `new ${id}` }))
const dir = mkdtempSync(join(tmpdir(), 'millrace-merge-'))
try {
  const times: number[] = []
  const merge = options.engine === 'duckdb' ? await duckdbMerge() : await millraceMerge()
  for (let round = 0; round < WARM_UP + ROUNDS; round++) {
    const ms = await merge(round)
    if (round >= WARM_UP) times.push(ms)
  }
  printResult({ name: 'merge', engine: options.engine, tableRows: all.length, rows: MERGED, ms: median(times), minMs: Math.round(Math.min(...times) * 10) / 10, fsync: true })
} finally {
  rmSync(dir, { recursive: true, force: true })
}

async function millraceMerge(): Promise<(round: number) => Promise<number>> {
  const base = join(dir, 'base')
  await getData({ ids: shuffled(all), columns: COLUMNS, table: TABLE, cacheDir: base, fetcher: ids => Array.from(ids, id => ({ ...sourceRow(id as number) })) })
  const flat = rows.map(({ profile, ...row }) => ({ ...row, 'profile.address.city': profile.address.city }))
  return async round => {
    const copy = join(dir, `copy-${round}`)
    cpSync(base, copy, { recursive: true })
    const cache = await openCache({ dir: copy })
    const start = performance.now()
    const batch = fromRows(flat, { types: { id: 'int64', name: 'text', age: 'int64', amount: 'float64', 'profile.address.city': 'text' } })
    await pipeline(Readable.from([batch]), parquetSink({ cache, table: TABLE }))
    const ms = performance.now() - start
    const { id, name } = rows[1]!
    const seen = await getData({ ids: [id], columns: ['name'], table: TABLE, cache, fetcher: () => [] })
    if (seen.column('name')[0] !== name) throw new Error('the merged row is not visible')
    await cache.close()
    rmSync(copy, { recursive: true })
    return ms
  }
}

async function duckdbMerge(): Promise<(round: number) => Promise<number>> {
  const base = join(dir, 'base')
  const engine = await engineOf('duckdb')
  await engine.open()
  mkdirSync(base)
  await engine.run({ ids: shuffled(all), delivery: 'stream', cacheDir: base, fetch: ids => Array.from(ids, sourceRow) })
  const db = await openDuckdb()
  return async round => {
    const copy = join(dir, `copy-${round}`)
    cpSync(base, copy, { recursive: true })
    const start = performance.now()
    await appendRows(db, (async function * () { yield rows })())
    await writeFresh(db, copy)
    // millrace has its rows on disk by now, so DuckDB's file goes there as well
    flush(join(copy, 'cache.parquet'))
    flush(copy)
    const ms = performance.now() - start
    rmSync(copy, { recursive: true })
    return ms
  }
}

function flush(path: string): void {
  const fd = openSync(path, 'r')
  fsyncSync(fd)
  closeSync(fd)
}
