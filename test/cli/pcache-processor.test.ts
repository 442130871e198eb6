// needs: postgres
import { expect } from 'chai'
import pg from 'pg'
import { testDatabase } from '../support/postgres.js'
import { runCli, type CliResult } from './run-cli.js'

describe('pcache-processor and pcache-evict on the command line', function () {
  this.timeout(120_000)
  let database: Awaited<ReturnType<typeof testDatabase>>
  let env: Record<string, string>
  let client: pg.Client
  before(async () => {
    database = await testDatabase()
    const { hostname, port, username, password, pathname } = new URL(database.url)
    env = { DB_HOST: hostname, DB_PORT: port, DB_USER: username, DB_NAME: pathname.slice(1), CACHE_BACKEND: 'postgresql_bit', ...(password ? { DB_PASSWORD: password } : {}) }
    client = new pg.Client({ connectionString: database.url })
    await client.connect()
    await client.query('CREATE TABLE poi AS SELECT i AS id, i % 7 AS region_id FROM generate_series(1, 100) AS i')
  })
  after(async () => {
    await client.end()
    await database.drop()
  })
  const run = (program: string, args: readonly string[]): Promise<CliResult> => runCli(args, { env, program })
  const ok = async (...args: string[]): Promise<string> => {
    const { code, stdout, stderr } = await run('pcache-processor', args)
    expect(code, stderr).to.equal(0)
    return stdout
  }

  it('sets up, works the queue off, shows what happened, and removes itself', async () => {
    const before = await run('pcache-processor', ['status'])
    expect([before.code, /pcache-processor setup/.test(before.stderr)]).to.deep.equal([2, true])
    expect(JSON.parse(await ok('setup', '--timeout', '30s', '--json'))).to.deep.equal({ schemaVersion: 1 })
    // options before the command, as the programs that came before have them
    expect(await ok('--frequency', '1', '--max-parallel-jobs', '3', 'enable')).to.match(/^enabled\npg_cron is not installed/)
    expect(JSON.parse(await ok('config', '--result-limit', '50', '--json'))).to.include({ enabled: true, timeoutMs: 30_000, maxParallelJobs: 3, resultLimit: 50 })
    await client.query(`INSERT INTO partitioncache_queue_outgoing (hash, partition_key, query) VALUES ('good', 'region_id', 'SELECT region_id FROM poi WHERE id < 4'), ('bad', 'region_id', 'SELECT x FROM nothing')`)
    const once = await run('pcache-processor', ['run-once', '--json'])
    expect([once.code, JSON.parse(once.stdout)]).to.deep.equal([3, { done: 2, success: 1, skipped: 0, failed: 1, timeout: 0, lost: 0, outdated: 0 }])
    expect(await ok('status')).to.match(/enabled, 3 jobs at once.*\nqueue: [01] waiting, [01] delayed, 0 in the works, 0 dead\nlast hour: 1 stored, 0 known before, 1 failed/)
    expect(JSON.parse((await ok('logs', '--status', 'failed', '-n', '1', '--json')).trim())).to.include({ hash: 'bad', error: 'relation "nothing" does not exist', isDead: false })
    expect(await ok('logs')).to.match(/status .*partition key/)
    expect((await run('pcache-read', ['--query-hash', 'good', '--partition-key', 'region_id', '--output-format', 'lines'])).stdout).to.equal('1\n2\n3\n')
    expect(await ok('disable')).to.equal('disabled\n')
  })

  it('registers queries, takes values for them and prints rights', async () => {
    const sql = 'SELECT * FROM poi p WHERE p.id < $1'
    expect(JSON.parse(await ok('register', 'few', sql, '--partition-key', 'region_id', '--json'))).to.include({ id: 'few', parameters: 1 })
    expect(await ok('enqueue', 'few', '[5]')).to.equal('queued\n')
    expect(await ok('registered')).to.equal(`few (region_id): ${sql}\n`)
    expect((await run('pcache-processor', ['enqueue', 'few', '5'])).code).to.equal(2)
    expect((await run('pcache-processor', ['enqueue', 'few', '{'])).code).to.equal(2)
    expect(await ok('roles', '--producer', 'shop')).to.match(/GRANT EXECUTE ON FUNCTION public.partitioncache_enqueue\(text, jsonb, integer\) TO shop;/)
    expect(await ok('unregister', 'few')).to.equal('unregistered\n')
    expect((await run('pcache-processor', ['unregister', 'few'])).code).to.equal(3)
  })

  it('evicts inside the database by policies, and from outside by limits', async () => {
    for (let i = 0; i < 5; i++) await client.query(`INSERT INTO partitioncache_queue_outgoing (hash, partition_key, query) VALUES ('e${i}', 'region_id', 'SELECT ${i} AS region_id')`)
    await run('pcache-processor', ['run-once'])
    expect(JSON.parse(await ok('evict-policy', 'region_id', '--max-entries', '4', '--json'))).to.deep.equal({ region_id: { maxEntries: 4, order: 'least-recently-used' } })
    expect(JSON.parse(await ok('evict', '--json'))).to.have.nested.include({ 'partitionKeys[0].partitionKey': 'region_id', 'partitionKeys[0].evicted': 2 })
    expect(await ok('evict-policy', 'region_id')).to.equal('no policies\n')
    const dry = await run('pcache-evict', ['--max-entries', '1', '--dry-run', '--json'])
    expect([dry.code, (JSON.parse(dry.stdout) as { evicted: { count: number } }).evicted.count]).to.deep.equal([0, 3])
    expect((await run('pcache-evict', ['--max-entries', '1', '--partition-key', 'region_id'])).stdout).to.match(/^region_id: removed 3 entries of \d+ B \(3 by count\), 1 entry stays of \d+ B\n$/)
    expect((await run('pcache-evict', [])).code, 'no limit').to.equal(2)
    expect((await run('pcache-evict', ['--max-bytes', 'much'])).code).to.equal(2)
    await ok('remove')
  })

  it('says what it cannot do, with exit code 2, and teaches with examples', async () => {
    for (const args of [['dance'], ['setup', 'more'], ['register', 'x', 'SELECT 1'], ['setup', '--registered-only', 'maybe'], ['setup', '--cache-backend', 'redis_set']]) {
      expect((await run('pcache-processor', args)).code, args.join(' ')).to.equal(2)
    }
    for (const program of ['pcache-processor', 'pcache-evict']) expect((await run(program, ['--help'])).stdout).to.match(/Examples:\n {2}# /)
  })
})
