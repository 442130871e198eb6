import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect } from 'chai'
import pg from 'pg'
import { testDatabase } from '../support/postgres.js'
import { makeParks, PARKS } from './pcache/parks.js'
import { runCli, type CliOptions, type CliResult } from './run-cli.js'

describe('pcache-* on the command line', function () {
  this.timeout(60_000)
  let database: Awaited<ReturnType<typeof testDatabase>>
  let dir: string
  let env: Record<string, string>

  before(async () => {
    database = await testDatabase()
    dir = mkdtempSync(join(tmpdir(), 'millrace-pcache-'))
    const { hostname, port, username, password, pathname } = new URL(database.url)
    env = { DB_HOST: hostname, DB_PORT: port, DB_USER: username, DB_NAME: pathname.slice(1), ...(password ? { DB_PASSWORD: password } : {}) }
    await makeParks(database.url)
  })

  after(async () => {
    rmSync(dir, { recursive: true, force: true })
    await database.drop()
  })

  const run = (program: string, args: readonly string[], options: CliOptions = {}): Promise<CliResult> => runCli(args, { env, ...options, program })
  const key = ['--partition-key', 'region_id']

  it('runs the fragments of a query, reads what they answered, counts and clears it', async () => {
    const added = await run('pcache-add', ['--direct', '--query', PARKS, ...key, '--json'])
    expect(added.code, added.stderr).to.equal(0)
    const report = JSON.parse(added.stdout) as { stored: number, outcomes: { hash: string }[] }
    expect(report.stored).to.equal(1)

    const byQuery = await run('pcache-read', ['--query', PARKS, ...key])
    expect(byQuery).to.deep.include({ code: 0, stdout: '[0,3]\n', stderr: '' })
    const byHash = await run('pcache-read', ['--query-hash', report.outcomes[0]!.hash, ...key, '--output-format', 'lines'])
    expect(byHash).to.deep.include({ code: 0, stdout: '0\n3\n', stderr: '' })
    const asJson = await run('pcache-read', ['--query', '-', ...key, '--json'], { stdin: `${PARKS} AND id < 50` })
    expect(JSON.parse(asJson.stdout)).to.deep.include({ partitionKey: 'region_id', count: 2, keys: [0, 3], hits: 1 })

    const counted = await run('pcache-manage', ['--count-cache', '--json'])
    expect(JSON.parse(counted.stdout)).to.deep.equal({ partitionKeys: [{ partitionKey: 'region_id', datatype: 'integer', sets: 1, unusable: 0, others: 0 }], sets: 1 })
    expect((await run('pcache-manage', ['--clear-cache', ...key])).stdout).to.equal('1 partition key cleared\n')
    expect((await run('pcache-manage', ['--count-cache'])).stdout).to.equal('nothing is cached\n')
  })

  it('exits with 3 and prints nothing where nothing is cached, and keeps an empty set apart from that', async () => {
    const query = "SELECT * FROM poi WHERE type = 'zoo'"
    expect(await run('pcache-read', ['--query', query, ...key])).to.deep.include({ code: 3, stdout: '' })
    expect(await run('pcache-read', ['--query-hash', 'nowhere', ...key])).to.deep.include({ code: 3, stdout: '' })
    await run('pcache-add', ['--direct', '--query', query, ...key])
    expect(await run('pcache-read', ['--query', query, ...key])).to.deep.include({ code: 0, stdout: '[]\n' })
  })

  it('takes variables from a file, and a query from another; the table prefix is the variable and an underscore', async () => {
    const [variables, query] = [join(dir, 'variables.env'), join(dir, 'query.sql')]
    writeFileSync(variables, [...Object.entries(env).map(([name, value]) => `${name}=${value}`), 'PG_ARRAY_CACHE_TABLE_PREFIX=myapp_cache', 'CACHE_BACKEND=rocksdict'].join('\n'))
    writeFileSync(query, PARKS)
    const out = join(dir, 'keys')
    const withFile = { env: { CACHE_BACKEND: 'postgresql_array' } }
    const added = await run('pcache-add', ['--direct', '--query-file', query, ...key, '--env', variables], withFile)
    expect(added.code, added.stderr).to.equal(0)
    const read = await run('pcache-read', ['--query-file', query, ...key, '--env', variables, '--output-file', out], withFile)
    expect(read).to.deep.include({ code: 0, stdout: '' })
    expect(readFileSync(out, 'utf8')).to.equal('[0,3]\n')
    const client = new pg.Client({ connectionString: database.url })
    await client.connect()
    const { rows } = await client.query("SELECT count(*)::int AS n FROM pg_tables WHERE tablename LIKE 'myapp\\_cache\\_%'")
    await client.end()
    expect((rows[0] as { n: number }).n).to.be.greaterThan(0)
  })

  it('says on the command line, too, what is wrong', async () => {
    const { code, stdout, stderr } = await run('pcache-read', ['--query', PARKS, ...key], { env: {} })
    expect({ code, stdout }, stderr).to.deep.equal({ code: 2, stdout: '' })
    expect(stderr).to.match(/^pcache-read: DB_HOST/)
  })

  it('never prints a password, wherever it stood', async () => {
    const { code, stderr } = await run('pcache-read', ['--query', PARKS, ...key], { env: { ...env, DB_HOST: '127.0.0.1', DB_PORT: '1', DB_PASSWORD: 'hunter2hunter2' } })
    expect(code).to.equal(1)
    expect(stderr).to.match(/^pcache-read: /).and.not.contain('hunter2')
  })
})
