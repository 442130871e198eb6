// needs: postgres
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'chai'
import pg from 'pg'
import { testDatabase } from '../support/postgres.js'
import { parseLines, runCli, startCli, tempFolder } from './run-cli.js'

describe('millrace query', function () {
  this.timeout(60_000)
  let server: Awaited<ReturnType<typeof testDatabase>>
  let client: pg.Client
  let folder: ReturnType<typeof tempFolder>
  const run = (...args: string[]) => runCli(args, { env: { PGURL: server.url, MILLRACE_CACHE_DIR: folder.dir } })

  before(async () => {
    server = await testDatabase()
    client = new pg.Client({ connectionString: server.url })
    await client.connect()
  })
  after(async () => {
    await client.end()
    await server.drop()
  })
  beforeEach(async () => {
    folder = tempFolder()
    await client.query('DROP TABLE IF EXISTS ev; CREATE TABLE ev (id int PRIMARY KEY, name text); INSERT INTO ev VALUES (1, \'a\'), (2, \'b\')')
  })
  afterEach(() => { folder.remove() })

  it('prints a query\'s rows, the second time from the cache', async () => {
    const first = await run('query', 'SELECT name, id FROM ev WHERE id <= $1::int ORDER BY id', '--param', '2')
    expect([first.code, parseLines(first.stdout)]).to.deep.equal([0, [{ name: 'a', id: 1 }, { name: 'b', id: 2 }]])
    expect(first.stderr).to.contain('2 rows, 0 cached, 2 read')
    const again = await run('query', 'SELECT name, id FROM ev WHERE id <= $1::int ORDER BY id', '--param', '2', '--format', 'csv')
    expect([again.stdout, again.stderr.includes('2 cached, 0 read')]).to.deep.equal(['name,id\r\na,1\r\nb,2\r\n', true])
  })

  it('reads only what is new with --incremental, and the cache verbs know it', async () => {
    const args = ['query', 'SELECT * FROM ev', '--incremental', '--order-column', 'id', '--json', '--out', join(folder.dir, 'rows.ndjson')]
    await run(...args)
    await client.query("INSERT INTO ev VALUES (3, 'c')")
    const { stdout, code } = await run(...args)
    expect([code, (parseLines(stdout)[0]!['report'] as Record<string, unknown>)['fetched']]).to.deep.equal([0, 2])
    expect(parseLines(readFileSync(join(folder.dir, 'rows.ndjson'), 'utf8'))).to.have.length(3)
    const listed = await run('cache', 'ls', '--json')
    const [table] = JSON.parse(listed.stdout) as { table: string, rows: number, query: object }[]
    expect([table!.rows, table!.query]).to.deep.equal([3, { sql: 'SELECT * FROM ev', kind: 'incremental', watermark: '3' }])
    expect((await run('cache', 'ls')).stdout).to.contain('SELECT * FROM ev').and.to.contain('up to 3')
    expect((await run('cache', 'verify')).code).to.equal(0)
    expect((await run('cache', 'compact')).code).to.equal(0)
    expect((await run('cache', 'clear', 'FROM ev', '--yes')).code).to.equal(0)
    expect(JSON.parse((await run('cache', 'ls', '--json')).stdout)).to.deep.equal([])
  })

  it('says what is wrong, and where', async () => {
    const limit = await run('query', 'SELECT * FROM ev LIMIT 1', '--incremental', '--order-column', 'id')
    expect([limit.code, limit.stdout]).to.deep.equal([1, ''])
    expect(limit.stderr).to.contain('LIMIT at character 17')
    expect((await run('query')).code).to.equal(2)
    expect((await run('query', 'SELECT 1', '--order-column', 'id')).code).to.equal(2)
    expect((await run('query', 'SELECT 1', '--incremental')).code).to.equal(2)
    expect((await run('query', 'SELECT 1', '--params', '{}')).code).to.equal(2)
  })

  it('takes the statement from stdin, and prints the columns of an empty result', async () => {
    const { stdout } = await runCli(['query', '--query-file', '-', '--format', 'csv'], { stdin: 'SELECT id, name FROM ev WHERE false', env: { PGURL: server.url, MILLRACE_CACHE_DIR: folder.dir } })
    expect(stdout).to.equal('id,name\r\n')
  })

  it('prints what is new again and again with --watch, until it is stopped', async () => {
    const child = startCli(['query', 'SELECT * FROM ev', '--incremental', '--order-column', 'id', '--watch', '50ms', '--quiet'], { env: { PGURL: server.url, MILLRACE_CACHE_DIR: folder.dir } })
    const exit = new Promise<number | null>(resolve => child.once('close', resolve))
    let out = ''
    let inserted = false
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      out += text
      if (!inserted && out.includes('"b"')) {
        inserted = true
        void client.query("INSERT INTO ev VALUES (3, 'c')")
      }
      if (out.includes('"c"')) child.kill('SIGINT')
    })
    expect(await exit).to.equal(130)
    expect(parseLines(out).map(row => row['id'])).to.deep.equal([1, 2, 3])
  })
})
