// needs: mariadb sqlite
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect } from 'chai'
import mysql from 'mysql2/promise'
import { add } from '../../../cli/pcache/add.js'
import { read } from '../../../cli/pcache/read.js'
import { testMariaDatabase } from '../../support/mariadb.js'
import { runProgram } from './run-program.js'

interface Driver { exec(sql: string): unknown, close(): void }
const Database = createRequire(import.meta.url)('better-sqlite3') as new (path: string) => Driver

const TABLES = ['CREATE TABLE poi (region_id INT, size INT, name VARCHAR(20))', "INSERT INTO poi VALUES (0, 5, 'a'), (3, 9, 'b'), (4, 1, 'c')"]
const QUERY = ['--query', 'SELECT * FROM poi WHERE size > 4 AND region_id < 9', '--partition-key', 'region_id']

describe('pcache-* over other databases', function () {
  this.timeout(60_000)
  let dir: string
  let maria: Awaited<ReturnType<typeof testMariaDatabase>>

  before(async () => {
    dir = mkdtempSync(join(tmpdir(), 'millrace-pcache-'))
    const file = join(dir, 'shop.db')
    const sqlite = new Database(file)
    for (const sql of TABLES) sqlite.exec(sql)
    sqlite.close()
    maria = await testMariaDatabase()
    const connection = await mysql.createConnection(maria.url)
    for (const sql of TABLES) await connection.query(sql)
    await connection.end()
    const { hostname, port, username } = new URL(maria.url)
    writeFileSync(join(dir, 'env'), `CACHE_BACKEND=rocksdict\nROCKSDB_DICT_PATH=${join(dir, 'cache')}\nSQLITE_DB_PATH=${file}\nMY_DB_HOST=${hostname}\nMY_DB_PORT=${port}\nMY_DB_USER=${username}\nMY_DB_NAME=${maria.name}\nMY_DB_PASSWORD=\n`)
  })
  after(async () => {
    rmSync(dir, { recursive: true, force: true })
    await maria.drop()
  })

  for (const backend of ['mysql', 'sqlite']) {
    it(`fills the cache from ${backend}, and reads what it holds for a query`, async () => {
      const common = ['--env', join(dir, 'env'), '--db-backend', backend, ...QUERY]
      const added = await runProgram(add, ['--direct', '--json', ...common])
      expect(added.code, added.stderr).to.equal(0)
      expect((JSON.parse(added.stdout) as { stored: number }).stored).to.equal(2)
      expect(await runProgram(read, common)).to.deep.include({ code: 0, stdout: '[0,3]\n' })
      expect((await runProgram(add, ['--direct', '--json', '--no-recompose', ...common])).stdout).to.contain('"fragments":1')
    })
  }

  it('takes the place from options', async () => {
    const { port } = new URL(maria.url)
    const bare = ['--env', join(dir, 'env'), ...QUERY, '--json', '--direct', '--force']
    for (const place of [['--db-backend', 'sqlite', '--db-file', join(dir, 'shop.db')], ['--db-backend', 'mysql', '--db-host', '127.0.0.1', '--db-port', port, '--db-user', 'root', '--db-name', maria.name]]) {
      const { code, stderr } = await runProgram(add, [...bare, ...place])
      expect(code, stderr).to.equal(0)
    }
  })

  it('names the variable that is missing', async () => {
    writeFileSync(join(dir, 'bare'), `CACHE_BACKEND=rocksdict\nROCKSDB_DICT_PATH=${join(dir, 'cache')}\n`)
    for (const [backend, variable] of [['mysql', 'MY_DB_HOST'], ['sqlite', 'SQLITE_DB_PATH']] as const) {
      const { code, stderr } = await runProgram(add, ['--direct', ...QUERY, '--env', join(dir, 'bare'), '--db-backend', backend])
      expect({ code, isNamed: stderr.includes(variable) }, stderr).to.deep.equal({ code: 2, isNamed: true })
    }
  })
})
