// needs: sqlite
import { createRequire } from 'node:module'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect } from 'chai'
import type { Row } from '../../../lib/batch/row-factory.js'
import type { Source } from '../../../lib/source/fetcher.js'
import { SourceError } from '../../../lib/source/source-error.js'
import type { BetterSqlite } from '../../../lib/source/sqlite-handle.js'
import { sqliteSource, type SqliteSourceOptions } from '../../../lib/source/sqlite.js'

const Sqlite = createRequire(import.meta.url)('better-sqlite3') as new (path: string) => BetterSqlite

describe('sqliteSource under faults', () => {
  let dir: string
  let file: string
  let admin: BetterSqlite
  const opened: Source[] = []

  const open = (options: Partial<SqliteSourceOptions> = {}): Source => {
    const source = sqliteSource({ path: file, ...options })
    opened.push(source)
    return source
  }
  async function errorOf(promise: Promise<unknown>): Promise<SourceError> {
    const error: unknown = await promise.then(() => undefined, (thrown: unknown) => thrown)
    expect(error).to.be.instanceOf(Error)
    return error as SourceError
  }
  async function rowsOf(source: Source, sql: string): Promise<Row[]> {
    const rows: Row[] = []
    for await (const batch of source.query(sql)) rows.push(...batch.toRows())
    return rows
  }

  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), 'millrace-sqlite-'))
    file = join(dir, 'shop.db')
    admin = new Sqlite(file)
    admin.exec('CREATE TABLE t (id INTEGER PRIMARY KEY, v); INSERT INTO t VALUES (1, 1), (2, 2), (3, 3)')
  })
  afterEach(async () => {
    for (const source of opened.splice(0)) await source.close()
    admin.close()
    rmSync(dir, { recursive: true, force: true })
  })

  it('rejects what another connection keeps locked, as worth another attempt, and works when it is free', async () => {
    const source = open({ maxConnections: 1 })
    expect(await source.execute('UPDATE t SET v = 10 WHERE id = 1')).to.equal(1)
    admin.exec('BEGIN EXCLUSIVE')
    for (const attempt of [source.execute('UPDATE t SET v = 11 WHERE id = 1'), rowsOf(source, 'SELECT * FROM t'),
      source.snapshot!({}).then(async snapshot => {
        try {
          return await snapshot.describe('SELECT id FROM t', [])
        } finally {
          await snapshot.close()
        }
      })]) {
      const error = await errorOf(attempt)
      expect(error).to.be.instanceOf(SourceError)
      expect(error).to.include({ isTransient: true })
      expect(error.cause).to.include({ code: 'SQLITE_BUSY' })
    }
    admin.exec('ROLLBACK')
    expect(await source.execute('UPDATE t SET v = 12 WHERE id = 1')).to.equal(1)
    expect(await rowsOf(source, 'SELECT v FROM t WHERE id = 1')).to.deep.equal([{ v: 12 }])
  })

  it('ends a transaction with the statement that began it: nothing stays locked, and nothing is lost', async () => {
    const source = open({ maxConnections: 1 })
    for (const begin of ['BEGIN', 'BEGIN IMMEDIATE', 'SAVEPOINT s']) {
      await source.execute(begin)
      expect(await source.execute('UPDATE t SET v = v + 1')).to.equal(3)
      admin.exec('UPDATE t SET v = v + 1')
    }
    expect(await rowsOf(source, 'SELECT v FROM t WHERE id = 1')).to.deep.equal([{ v: 7 }])
  })

  it('waits for a connection as long as it is told, or until it is aborted, and loses none', async () => {
    const source = open({ maxConnections: 1, acquireTimeoutMs: 50, batchRows: 1 })
    const reader = source.query('SELECT id FROM t')[Symbol.asyncIterator]()
    await reader.next()
    const late = await errorOf(rowsOf(source, 'SELECT 1 AS one'))
    expect(late).to.include({ code: 'ERR_SOURCE', isTransient: true })
    expect(late.message).to.contain('all 1 connections were busy for 50 ms')
    const abort = new AbortController()
    const waiting = errorOf(source.execute('UPDATE t SET v = 0', { signal: abort.signal }))
    abort.abort(new Error('enough'))
    expect(await waiting).to.include({ name: 'AbortError' })
    // both gave up: their places in the queue must not swallow the connection
    await reader.return!(undefined)
    expect(await rowsOf(source, 'SELECT count(*) AS n, max(v) AS v FROM t')).to.deep.equal([{ n: 3, v: 3 }])
  })

  it('refuses a closed source, and takes a connection back from a reader that is still at it', async () => {
    const source = open({ batchRows: 1 })
    const reader = source.query('SELECT id FROM t')[Symbol.asyncIterator]()
    await reader.next()
    await source.close()
    expect(await errorOf(rowsOf(source, 'SELECT 1 AS one'))).to.include({ code: 'ERR_INVALID_ARGUMENT', argument: 'source' })
    expect((await reader.next()).done).to.equal(false)
    await reader.return!(undefined)
  })

  it('refuses a column of several storage classes by name, wherever the odd value stands, and reads it as declared', async () => {
    admin.exec("CREATE TABLE mixed (id INTEGER PRIMARY KEY, a, b, c); INSERT INTO mixed VALUES (1, 1, 1, 'x'), (2, 2, 2.5, NULL), (3, NULL, 3, 'y'), (4, 4, 4, 'z'), (5, 'five', 5, X'00')")
    for (const batchRows of [2, 100]) {
      const source = open({ batchRows })
      const error = await errorOf(rowsOf(source, 'SELECT id, a FROM mixed'))
      expect(error).to.include({ code: 'ERR_FETCHER_CONTRACT' })
      expect(error.message).to.contain('column a: it holds integer and text').and.contain(`columnTypes: { "a": 'text' }`)
      expect((await errorOf(rowsOf(source, 'SELECT c FROM mixed'))).message).to.contain('column c: it holds blob and text')
      expect(await rowsOf(source, 'SELECT b FROM mixed')).to.deep.equal([1, 2.5, 3, 4, 5].map(b => ({ b })))
      expect(await rowsOf(open({ batchRows, columnTypes: { a: 'text' } }), 'SELECT a FROM mixed')).to.deep.equal(['1', '2', null, '4', 'five'].map(a => ({ a })))
      // a declaration that the values do not keep is refused as well
      expect((await errorOf(rowsOf(open({ batchRows, columnTypes: { a: 'int64' } }), 'SELECT a FROM mixed'))).message).to.contain('column a').and.contain('five')
      expect((await errorOf(rowsOf(open({ batchRows, columnTypes: { c: 'text' } }), 'SELECT c FROM mixed'))).message).to.contain('column c')
      // and so is one of the table itself
      admin.exec("CREATE TABLE IF NOT EXISTS declared (id INTEGER PRIMARY KEY, n INT); INSERT OR REPLACE INTO declared VALUES (1, 1), (2, 'two')")
      expect((await errorOf(rowsOf(source, 'SELECT n FROM declared'))).message).to.contain('column n').and.contain('two')
      expect(await rowsOf(open({ batchRows, columnTypes: { n: 'text' } }), 'SELECT n FROM declared')).to.deep.equal([{ n: '1' }, { n: 'two' }])
    }
  })
})
