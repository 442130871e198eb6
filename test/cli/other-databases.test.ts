// needs: mariadb sqlite
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { expect } from 'chai'
import mysql from 'mysql2/promise'
import type { BetterSqlite } from '../../lib/source/sqlite-handle.js'
import { openDatabase } from '../../pipelines/open-database.js'
import { testMariaDatabase } from '../support/mariadb.js'
import { parseLines, runCli, tempFolder } from './run-cli.js'

const Sqlite = createRequire(import.meta.url)('better-sqlite3') as new (path: string) => BetterSqlite

describe('millrace on MySQL and SQLite', function () {
  this.timeout(60_000)
  const folder = tempFolder()
  const file = join(folder.dir, 'shop.db')
  const env = { MILLRACE_CACHE_DIR: join(folder.dir, 'cache') }
  let database: Awaited<ReturnType<typeof testMariaDatabase>>
  let where: [option: string, value: string, schema: string, url: string][]

  before(async () => {
    database = await testMariaDatabase()
    const connection = await mysql.createConnection({ uri: database.url, multipleStatements: true })
    const sqlite = new Sqlite(file)
    const sql = `CREATE TABLE ev (id int PRIMARY KEY, name varchar(9)); INSERT INTO ev VALUES (1, 'a'), (2, 'b')`
    await connection.query(sql)
    await connection.end()
    sqlite.exec(sql)
    sqlite.close()
    where = [['--mysql', database.url, database.name, database.url], ['--sqlite', file, 'main', `sqlite:${file}`]]
  })
  after(async () => {
    folder.remove()
    await database.drop()
  })

  it('get, query and query --incremental read them, and the cache verbs know what they left', async () => {
    for (const [option, value, schema] of where) {
      const got = await runCli(['get', option, value, '--table', `${schema}.ev`, '--columns', 'name', '--ids', '1,2', '--format', 'csv', '--quiet'], { env })
      expect(got.stdout + got.stderr, option).to.equal('id,name\r\n1,a\r\n2,b\r\n')
      const plain = await runCli(['query', 'SELECT count(*) AS n FROM ev WHERE id > ?', '--param', '1', option, value], { env })
      expect(parseLines(plain.stdout)).to.deep.equal([{ n: 1 }])
      const incremental = ['query', 'SELECT * FROM ev', '--incremental', '--order-column', 'id', option, value]
      await runCli(incremental, { env })
      expect((await runCli(incremental, { env })).stderr).to.contain('2 rows, 1 cached, 1 read')
      expect((await runCli([...incremental.with(1, 'SELECT DISTINCT id FROM ev')], { env })).stderr).to.contain('DISTINCT at character 7')
    }
    expect((await runCli(['query', 'SELECT 1', '--sqlite', file, '--mysql', database.url], { env })).code).to.equal(2)
    expect((await runCli(['query', 'SELECT 1', '--sqlite', join(folder.dir, 'no.db')], { env })).stderr).to.contain('no file')
    expect((await runCli(['cache', 'ls'], { env })).stdout).to.contain('SELECT * FROM ev').and.to.contain('.ev')
    expect((await runCli(['cache', 'clear', 'FROM ev', '--yes'], { env })).code).to.equal(0)
  })

  it('openDatabase takes their connection strings', async () => {
    for (const [, , , connectionString] of where) {
      const db = await openDatabase({ connectionString, cacheDir: join(folder.dir, 'other') })
      expect((await db.queryIncremental('SELECT * FROM ev', { orderColumn: 'id' })).length).to.equal(2)
      expect((await db.cacheStats()).perQuery.some(({ watermark }) => watermark === '2')).to.equal(true)
      await db.close()
    }
  })
})
