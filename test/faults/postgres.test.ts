// needs: postgres
import { expect } from 'chai'
import pg from 'pg'
import type { RowBatch } from '../../lib/batch/row-batch.js'
import { BatchFailedError } from '../../lib/errors.js'
import type { Fetcher } from '../../lib/source/fetcher.js'
import { postgresSource } from '../../lib/source/postgres.js'
import { SourceError } from '../../lib/source/source-error.js'
import type { Cache } from '../../lib/store/open-cache.js'
import { openCache } from '../../lib/store/open-cache.js'
import { getData } from '../../pipelines/get-data.js'
import { freshFolder } from '../support/cache.js'
import { refuseUnhandledRejections, rejection, until } from '../support/collect.js'
import { startPostgres, type TestPostgres } from '../support/postgres.js'
import { seeded } from '../support/random.js'
import { tcpProxy, type TcpProxy } from '../support/tcp-proxy.js'
import { counts, idsFrom, shortOrLong } from './support/rows.js'

const ROWS = 4000
const BATCH = 500
const IDS = idsFrom(0, ROWS)
const APPLICATION = 'millrace-faults'
const table = 'public.things'
const columns = ['name']
const nameOf = (id: number): string => `${id} `.repeat(20)

/** One fault: what strikes, and when: in the answer to batch `at`, after this many of its RowBatches. */
interface Blow {
  at: number
  after: number
  strike: () => unknown
}

/** A source's fetcher that is struck once, in the middle of an answer; remembers every id it delivered. */
function struck(fetch: Fetcher, { at, after, strike }: Blow): { fetcher: Fetcher, asked: number[], attempts: () => number } {
  const asked: number[] = []
  let [hit, attempts] = [false, 0]
  const fetcher: Fetcher = async function * (ids, name, request) {
    asked.push(...ids as number[])
    if (request.batch.index === at) attempts++
    let seen = 0
    for await (const batch of await fetch(ids, name, request) as AsyncIterable<RowBatch>) {
      yield batch
      if (hit || request.batch.index !== at || ++seen < after) continue
      hit = true
      await strike()
    }
  }
  return { fetcher, asked, attempts: () => attempts }
}

describe('PostgreSQL that breaks under getData', function () {
  // settling at all is what is shown: whatever hangs runs into this
  this.timeout(60_000)
  const folder = freshFolder()
  refuseUnhandledRejections()
  let server: TestPostgres
  let admin: pg.Pool
  let proxy: TcpProxy
  let pool: pg.Pool
  let cache: Cache

  before(async () => {
    server = await startPostgres()
    admin = new pg.Pool({ connectionString: server.url, max: 2 })
    admin.on('error', () => undefined)
    await admin.query(`DROP TABLE IF EXISTS things; CREATE TABLE things (id int PRIMARY KEY, name text);
      INSERT INTO things SELECT i, repeat(i || ' ', 20) FROM generate_series(0, ${ROWS - 1}) i`)
  })
  after(async () => {
    await admin.query('DROP TABLE IF EXISTS things').catch(() => undefined)
    await admin.end()
    await server.stop()
  })
  beforeEach(async () => {
    proxy = await tcpProxy(Number(new URL(server.url).port))
    pool = poolOn(proxy.port)
    cache = await openCache({ dir: folder(), durability: 'none' })
  })
  afterEach(async () => {
    await cache.close()
    await pool.end()
    await proxy.close()
  })

  function poolOn(port: number, options: pg.PoolConfig = {}): pg.Pool {
    const url = new URL(server.url)
    url.port = String(port)
    return new pg.Pool({ connectionString: url.href, max: 2, application_name: APPLICATION, connectionTimeoutMillis: 5000, ...options })
  }

  /** The source's name has the proxy's port in it, and the cache must not mind. */
  // by the cursor, which asks for every 50 rows: a COPY of this size is on its way as a whole before anything can strike in the middle of it
  // (test/lib/source/postgres-copy-faults.test.ts strikes at large ones)
  const fetchOf = (from: pg.Pool, copy: 'auto' | false = false): Fetcher => postgresSource({ pool: from, batchRows: 50, copy }).fetch
  const request = () => ({ cache, ids: IDS, columns, table, batchSize: BATCH, concurrency: 1 })
  const wrongIn = (rows: Iterable<{ id?: unknown, name?: unknown }>): unknown[] => [...rows].filter(row => row.name !== nameOf(row.id as number))

  /** All clients are back, and the next run has every row, fetching only what was not committed. */
  async function expectRecovered(failed: readonly number[]): Promise<void> {
    // a client whose server is silent is given up a moment after the batch was
    await until(() => pool.waitingCount === 0 && pool.idleCount === pool.totalCount)
    const { fetcher, asked } = struck(fetchOf(admin), { at: -1, after: 0, strike: () => undefined })
    const again = await getData({ ...request(), fetcher })
    expect(again.length).to.equal(ROWS)
    expect(wrongIn(again)).to.deep.equal([])
    expect(again.report.warnings).to.deep.equal([])
    expect(asked).to.deep.equal(failed)
  }

  const terminate = (): Promise<unknown> => admin.query('SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = $1', [APPLICATION])
  const blows: Record<string, () => unknown> = {
    'whose backend is terminated': terminate,
    'whose socket is cut': () => proxy.cut(),
    'that crashes and comes back': () => server.crash?.() ?? terminate(),
    'that falls silent': () => {
      proxy.stall()
      proxy.resume()
    }
  }
  for (const [title, strike] of Object.entries(blows)) {
    const fetchTimeoutMs = title.includes('silent') ? 2500 : 0

    it(`fails the one batch, typed, ${title} in the middle of it, and keeps the others`, async () => {
      const { fetcher } = struck(fetchOf(pool), { at: 3, after: 2, strike })
      const error = await rejection<BatchFailedError>(getData({ ...request(), fetcher, retries: 0, fetchTimeoutMs }))
      expect(error).to.be.instanceOf(BatchFailedError)
      expect(error.failures.map(({ batch, ids }) => [batch, ids[0], ids.length])).to.deep.equal([[3, 1500, BATCH]])
      const [{ cause }] = error.failures as unknown as [{ cause: Error }]
      if (fetchTimeoutMs > 0) expect(cause.message).to.match(/within 2500 ms/)
      else expect(cause).to.be.instanceOf(SourceError).and.to.have.property('isTransient', true)
      expect(error.report).to.include({ rows: ROWS - BATCH, fetched: ROWS - BATCH })
      await expectRecovered(IDS.slice(1500, 2000))
    })

    it(`is asked again for the whole batch ${title} in the middle of it, and no row comes twice`, async () => {
      const { fetcher, attempts } = struck(fetchOf(pool), { at: 3, after: 2, strike })
      const result = await getData({ ...request(), fetcher, retries: 2, fetchTimeoutMs })
      expect(result.length).to.equal(ROWS)
      expect(wrongIn(result)).to.deep.equal([])
      expect([result.report.retries, attempts()]).to.deep.equal([1, 2])
      await expectRecovered([])
    })
  }

  it('keeps what was whole in any number of breaks at random moments', async function () {
    const rounds = shortOrLong(12, 250)
    this.timeout(rounds * 10_000)
    const random = seeded(5)
    let failures = 0
    for (let round = 0; round < rounds; round++) {
      const [strike, at] = [random.chance(0.5) ? terminate : (): unknown => proxy.cut(), random.below(ROWS / BATCH)]
      const { fetcher } = struck(fetchOf(pool, round % 2 === 0 ? 'auto' : false), { at, after: random.below(10), strike })
      // a blow after the last row of an answer harms nobody
      const error = await getData({ ...request(), fetcher, retries: 0 }).then(() => undefined, (thrown: unknown) => thrown as BatchFailedError)
      const failed = error?.failures.flatMap(({ ids }) => ids as number[]) ?? []
      failures += error?.failures.length ?? 0
      for (const { cause } of error?.failures ?? []) expect(cause).to.be.instanceOf(SourceError)
      await expectRecovered(failed)
      await cache.clear()
    }
    counts('PostgreSQL broken', { rounds, 'batches failed': failures })
    expect(failures).to.be.greaterThan(rounds / 2)
  })

  it('fails the batch whose statement takes too long for the server, and only that', async () => {
    await admin.query("CREATE OR REPLACE VIEW slow AS SELECT id, CASE WHEN id = 1700 THEN pg_sleep(60)::text ELSE name END AS name FROM things")
    const limited = poolOn(proxy.port, { options: '-c statement_timeout=2500' })
    try {
      const slow = { ...request(), table: 'public.slow', retries: 0 }
      const error = await rejection<BatchFailedError>(getData({ ...slow, fetcher: fetchOf(limited) }))
      expect(error.failures.map(({ batch }) => batch)).to.deep.equal([3])
      expect(error.failures[0]!.cause).to.include({ code: 'ERR_SOURCE', sqlState: '57014' })
      await admin.query('CREATE OR REPLACE VIEW slow AS SELECT id, name FROM things')
      const again = await getData({ ...slow, fetcher: fetchOf(limited) })
      expect([again.length, again.report.hits]).to.deep.equal([ROWS, ROWS - BATCH])
      expect(wrongIn(again)).to.deep.equal([])
    } finally {
      await limited.end()
      await admin.query('DROP VIEW slow')
    }
  })

  it('is waited for as long as the pool says when all its clients are taken, and works when one is back', async () => {
    const small = poolOn(proxy.port, { max: 1, connectionTimeoutMillis: 150 })
    try {
      const taken = await small.connect()
      const error = await rejection<BatchFailedError>(getData({ ...request(), ids: IDS.slice(0, BATCH), fetcher: fetchOf(small), retries: 0 }))
      expect(error.failures[0]!.cause).to.include({ code: 'ERR_SOURCE', isTransient: true })
      taken.release()
      expect((await getData({ ...request(), fetcher: fetchOf(small) })).length).to.equal(ROWS)
      expect([small.waitingCount, small.idleCount]).to.deep.equal([0, 1])
    } finally {
      await small.end()
    }
  })

  it('that refuses connections is asked once and again as often as retries say, then no more for each batch; hits are served', async () => {
    await getData({ ...request(), ids: IDS.slice(0, 1000), fetcher: fetchOf(pool) })
    const gone = await tcpProxy(1)
    await gone.close()
    const nobody = poolOn(gone.port, { password: 'sesame' })
    const { fetcher, attempts } = struck(fetchOf(nobody), { at: 0, after: 0, strike: () => undefined })
    const error = await rejection<BatchFailedError>(getData({ ...request(), fetcher, retries: 2 }))
    await nobody.end()
    expect(error.failures.map(({ ids }) => ids.length)).to.deep.equal([BATCH, BATCH, BATCH, BATCH, BATCH, BATCH])
    expect([attempts(), error.report]).to.deep.equal([3, { ...error.report as object, rows: 1000, hits: 1000, fetched: 0, retries: 2 }])
    const told = `${error.message} ${String(error.failures[0]!.cause)}`
    expect(told).to.include(`127.0.0.1:${gone.port}`)
    expect(told).to.not.include('sesame')
    expect((await getData({ ...request(), ids: IDS.slice(0, 1000), fetcher })).report).to.include({ hits: 1000, fetched: 0 })
  })
})
