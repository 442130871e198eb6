// needs: postgres
import { expect } from 'chai'
import { once } from 'node:events'
import { readFileSync, readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import pg from 'pg'
import { openCache } from '../../index.js'
import { testDatabase } from '../support/postgres.js'
import { parseLines, runCli, startCli, tempFolder } from './run-cli.js'

describe('millrace get', function () {
  this.timeout(60_000)
  const folder = tempFolder()
  let database: Awaited<ReturnType<typeof testDatabase>>
  let env: Record<string, string>
  const ROWS = 150_000
  const of = (...args: string[]): string[] => ['get', '--table', 'public.flights', ...args]

  before(async () => {
    database = await testDatabase()
    const client = new pg.Client({ connectionString: database.url })
    await client.connect()
    await client.query(`CREATE TABLE flights AS SELECT g::bigint AS id, 'n' || g AS name, 9007199254740992 + g AS big,
      '2024-01-01 00:00:00.000001+00'::timestamptz + g * interval '1 second' AS at, jsonb_build_object('delay', g % 60) AS details FROM generate_series(1, ${ROWS}) g`)
    await client.query('ALTER TABLE flights ADD PRIMARY KEY (id)')
    await client.query(`CREATE VIEW endless AS SELECT id, name || CASE WHEN id = 70000 THEN pg_sleep(600)::text ELSE '' END AS name FROM flights`)
    await client.end()
    env = { PGURL: database.url, MILLRACE_CACHE_DIR: join(folder.dir, 'cache') }
  })
  after(async () => {
    folder.remove()
    await database.drop()
  })

  it('fetches once: ndjson from the database, csv from the cache, the report as JSON on stderr', async () => {
    const columns = ['--columns', 'name,big', '--columns', 'at,details.delay']
    const cold = await runCli(of(...columns, '--ids-file', '-', '--json'), { env, stdin: '2\n1\n' })
    expect(cold.stdout.split('\n')[0]).to.equal('{"id":1,"name":"n1","big":9007199254740993,"at":"2024-01-01T00:00:01.000001Z","details.delay":1}')
    expect(JSON.parse(cold.stderr)).to.deep.include({ ok: true, format: 'ndjson' }).and.to.have.nested.include({ 'report.fetched': 2, 'report.hits': 0 })
    const warm = await runCli(of(...columns, '--range', '1..2', '--format', 'csv', '--quiet'), { env })
    expect(warm).to.deep.include({ code: 0, stderr: '',
      stdout: 'id,name,big,at,details.delay\r\n1,n1,9007199254740993,2024-01-01 00:00:01.000001+00,1\r\n2,n2,9007199254740994,2024-01-01 00:00:02.000001+00,2\r\n' })
  })

  it('exits with 3 where ids are missing, and delivers the others, into a file as well', async () => {
    const file = join(folder.dir, 'out.jsonl')
    const { code, stdout, stderr } = await runCli(of('--columns', 'name', '--ids', '5,-7', '--out', file, '--json'), { env })
    expect(code).to.equal(3)
    expect(JSON.parse(stdout)).to.deep.include({ ok: false, out: file }).and.to.have.nested.property('error.ids').that.deep.equals([-7])
    expect(stderr).to.equal('')
    expect(parseLines(readFileSync(file, 'utf8'))).to.deep.equal([{ id: 5, name: 'n5' }])
    expect((await runCli(of('--columns', 'name', '--ids', '5,-7', '--on-missing', 'skip'), { env })).code).to.equal(0)
  })

  it('writes parquet into a pipe, and no file at all for a run that failed', async () => {
    const { code, stderr } = await runCli(of('--columns', 'nope', '--ids', '1', '--out', join(folder.dir, 'never.parquet')), { env })
    expect(code).to.equal(1)
    expect(stderr).to.contain('column not found in public.flights: nope')
    expect(readdirSync(folder.dir).filter(name => name.includes('never'))).to.deep.equal([])
    const piped = startCli(of('--columns', 'name', '--range', '1..10', '--format', 'parquet'), { env })
    piped.stderr.resume()
    const chunks: Buffer[] = []
    for await (const chunk of piped.stdout) chunks.push(chunk as Buffer)
    const bytes = Buffer.concat(chunks)
    expect([bytes.subarray(0, 4).toString(), bytes.subarray(-4).toString()]).to.deep.equal(['PAR1', 'PAR1'])
  })

  it('never prints the password, wherever it goes wrong', async () => {
    const { hostname, port } = new URL(database.url)
    for (const [url, ...json] of [[`postgres://me:hunter-2@${hostname}:1/db`, '--json'], ['postgres://me:hunter-2@bad:host/db'],
      [`postgres://nobody:hunter-2@${hostname}:${port}/no_such_database`]] as const) {
      const { code, stdout, stderr } = await runCli(of('--columns', 'name', '--ids', '1', '--retries', '0', '--pg', url, '--namespace', 'x', ...json), { env: { ...env, PGURL: '' } })
      expect(stdout + stderr, url).not.to.contain('hunter')
      expect(stderr, url).not.to.equal('')
      expect(code, url).to.be.oneOf([1, 2])
    }
  })

  it('ends quietly with 0 when its reader leaves', async () => {
    const child = startCli(of('--columns', 'name,at', '--range', `1..${ROWS}`, '--namespace', 'head', '--no-progress'), { env })
    let stderr = ''
    child.stderr.on('data', piece => { stderr += String(piece) })
    const exit = once(child, 'exit')
    await Promise.race([once(child.stdout, 'data'), exit])
    child.stdout.destroy()
    expect(await exit, stderr).to.deep.equal([0, null])
    expect(stderr).to.equal('')
  })

  for (const [signal, code] of [['SIGINT', 130], ['SIGTERM', 143]] as const) {
    it(`stops at ${signal} with ${code}: the statement is cancelled, what was committed is kept, no half file stays`, async () => {
      const file = join(folder.dir, 'stopped.csv')
      // two windows: the first one is written while the second, which has no end, is being fetched
      const child = startCli(['get', '--table', 'public.endless', '--columns', 'name', '--range', '1..80000', '--namespace', signal, '--out', file], { env })
      let stderr = ''
      child.stderr.on('data', piece => { stderr += String(piece) })
      child.stdout.resume()
      const half = (): string | undefined => readdirSync(folder.dir).find(name => name.includes('stopped') && statSync(join(folder.dir, name)).size > 1000)
      const exit = once(child, 'exit')
      while (half() === undefined && child.exitCode === null) await new Promise(resolve => setTimeout(resolve, 50))
      child.kill(signal)
      expect(await exit, stderr).to.deep.equal([code, null])
      expect(stderr).to.contain('what was committed is kept')
      expect(readdirSync(folder.dir).filter(name => name.includes('stopped'))).to.deep.equal([])
      const client = new pg.Client({ connectionString: database.url })
      await client.connect()
      const { rows: [running] } = await client.query(`SELECT count(*)::int AS count FROM pg_stat_activity WHERE state = 'active' AND query LIKE '%endless%' AND pid <> pg_backend_pid()`)
      await client.end()
      expect(running.count).to.equal(0)
      const cache = await openCache({ dir: join(folder.dir, 'cache') })
      const kept = (await cache.tables()).find(({ namespace }) => namespace === signal)
      await cache.close()
      expect(kept?.rows).to.be.within(65_536, 79_999)
    })
  }
})
