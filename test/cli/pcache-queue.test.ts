// needs: postgres redis
import { once } from 'node:events'
import { expect } from 'chai'
import pg from 'pg'
import { testDatabase } from '../support/postgres.js'
import { makeParks, PARKS } from './pcache/parks.js'
import { startRedis, type TestRedis } from '../support/redis.js'
import { runCli, startCli, type CliResult } from './run-cli.js'

describe('the queues on the command line', function () {
  this.timeout(120_000)
  let database: Awaited<ReturnType<typeof testDatabase>>
  let redis: TestRedis
  let env: Record<string, string>

  before(async () => {
    database = await testDatabase()
    redis = await startRedis()
    env = { PGURL: database.url, REDIS_HOST: '127.0.0.1', REDIS_PORT: String(redis.ports[0]) }
    await makeParks(database.url)
  })
  after(async () => {
    await redis.stop()
    await database.drop()
  })

  const run = (program: string, ...args: string[]): Promise<CliResult> => runCli(args, { env, program })
  const key = ['--partition-key', 'region_id']
  async function dataOf(program: string, ...args: string[]): Promise<Record<string, unknown>> {
    const { code, stdout, stderr } = await run(program, ...args, '--json')
    expect(code, stderr).to.be.oneOf([0, 3])
    return JSON.parse(stdout) as Record<string, unknown>
  }

  it('queue queries and fragments, count them, work them off and end, show what could not be done, and retry it', async () => {
    expect(await dataOf('pcache-add', '--queue', '--query', PARKS, ...key)).to.deep.equal({ partitionKey: 'region_id', queued: 1, merged: 0, dead: 0 })
    expect((await run('pcache-add', '--queue-original', '--query', "SELECT * FROM poi WHERE type = 'cafe'", ...key, '--priority', '5')).stdout).to.equal('1 job queued\n')
    await run('pcache-add', '--queue-original', '--query', 'SELECT count(*) FROM poi', ...key)
    const none = { waiting: 0, delayed: 0, leased: 0, dead: 0 }
    expect(await dataOf('pcache-manage', '--count-queue')).to.deep.equal({ incoming: { ...none, waiting: 2 }, outgoing: { ...none, waiting: 1 } })
    expect((await dataOf('pcache-monitor', '--once'))['depths']).to.deep.equal({ incoming: { ...none, waiting: 2 }, outgoing: { ...none, waiting: 1 } })

    const done = await run('pcache-monitor', '--close', '--json', '--interval', '1000h')
    // one query could not be decomposed
    expect(done.code, done.stderr).to.equal(3)
    // an interval beyond what a timer can wait is no flood of lines
    expect(done.stderr).to.equal('')
    expect((JSON.parse(done.stdout) as { fragments: object }).fragments).to.include({ stored: 2, failed: 0 })
    expect((await run('pcache-read', '--query', PARKS, ...key)).stdout).to.equal('[0,3]\n')

    expect((await run('pcache-manage', '--dead')).stdout).to.contain('SELECT count(*) FROM poi')
    expect(await dataOf('pcache-manage', '--retry-dead')).to.deep.equal({ retried: 1 })
    expect((await run('pcache-manage', '--count-queue')).stdout).to.match(/incoming +1 +0 +0 +0/)
  })

  it('move one provider\'s jobs into another, and clear them', async () => {
    await run('pcache-manage', '--clear-queue', '--with-dead')
    await run('pcache-add', '--queue', '--query', PARKS, ...key)
    expect((await run('pcache-manage', '--drain-queue', '--from', 'postgresql', '--to', 'redis')).stdout).to.equal('0 queries and 1 fragments moved from postgresql to redis\n')
    expect(await dataOf('pcache-manage', '--clear-queue', '--which', 'outgoing', '--queue-provider', 'redis')).to.deep.equal({ cleared: 1 })
    expect(await run('pcache-manage', '--drain-queue', '--from', 'redis', '--to', 'redis')).to.include({ code: 2 })
    expect(await run('pcache-manage', '--drain-queue', '--from', 'redis')).to.include({ code: 2 })
  })

  it('stop on SIGTERM, giving back what is held', async () => {
    await run('pcache-manage', '--clear-queue', '--with-dead')
    const client = new pg.Client({ connectionString: database.url })
    await client.connect()
    try {
      await client.query(`INSERT INTO partitioncache_queue_outgoing (hash, partition_key, query, datatype) VALUES ('slow', 'region_id', 'SELECT region_id FROM poi, pg_sleep(600)', 'integer')`)
      const child = startCli(['--watch', '--interval', '50ms', '--grace', '0s', '--timeout', '0s'], { env, program: 'pcache-monitor' })
      const exit = once(child, 'exit')
      let view = ''
      child.stderr.on('data', text => { view += String(text) })
      const held = async (): Promise<unknown> => (await client.query("SELECT lease IS NOT NULL AS held, attempts FROM partitioncache_queue_outgoing WHERE hash = 'slow'")).rows[0]
      while (!(await held() as { held: boolean }).held || !/outgoing +0 +0 +1/.test(view)) await new Promise(resolve => setImmediate(resolve))
      child.kill('SIGTERM')
      expect((await exit)[0]).to.equal(143)
      expect(await held()).to.deep.equal({ held: false, attempts: 0 })
    } finally {
      await client.end()
    }
  })

  it('refuse what they cannot do, with exit code 2', async () => {
    expect(await run('pcache-add', '--queue', '--query', PARKS)).to.include({ code: 2 })
    expect(await run('pcache-add', '--queue', '--query', 'SELECT count(*) FROM poi', ...key)).to.not.include({ code: 0 })
    expect((await runCli(['--count-queue'], { program: 'pcache-manage', env: { QUERY_QUEUE_PROVIDER: 'kafka' } })).stderr).to.contain('kafka')
    const missing = await runCli(['--count-queue'], { program: 'pcache-manage', env: { PG_QUEUE_USER: 'me' } })
    expect([missing.code, missing.stderr]).to.deep.equal([2, 'pcache-manage: PG_QUEUE_HOST: expected this environment variable, for the queues\n'])
  })
})
