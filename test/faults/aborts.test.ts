// needs: postgres linux
import { getEventListeners } from 'node:events'
import { rmSync } from 'node:fs'
import { Readable, Writable } from 'node:stream'
import { finished, pipeline } from 'node:stream/promises'
import { expect } from 'chai'
import pg from 'pg'
import type { Fetcher } from '../../lib/source/fetcher.js'
import { postgresSource } from '../../lib/source/postgres.js'
import { openCache, type Cache } from '../../lib/store/open-cache.js'
import { getData } from '../../pipelines/get-data.js'
import { streamData } from '../../pipelines/stream-data.js'
import { openFiles, refuseUnhandledRejections, turns, until } from '../support/collect.js'
import { testDatabase } from '../support/postgres.js'
import { seeded } from '../support/random.js'
import { fiveStages } from '../support/stages.js'
import { brokenIn } from './support/check.js'
import { COLUMNS, counts, folderInMemory, idsFrom, rowOf, shortOrLong, source } from './support/rows.js'

const ROWS = 3000
const table = 'public.t'
const random = seeded(83)

/** What a run is given, and what will happen to it. */
interface Round {
  cache: Cache
  ids: number[]
  fetcher: Fetcher
  batchSize: number
  concurrency: number
  /** Event-loop turns until it happens, batches until the consumer leaves. */
  turns: number
  batches: number
}

const leaving = new Error('the consumer has had enough')

/** Never answers one of its batches. */
function hanging(fetcher: Fetcher, at: number): Fetcher {
  return (ids, name, request) => request.batch.index === at ? new Promise(() => undefined) : fetcher(ids, name, request)
}

/** Every way to end a run that is not its own. Each resolves when all of the run is over, with the error there was. */
const ENDS: Readonly<Record<string, (round: Round, signal: AbortController) => Promise<unknown>>> = {
  'getData aborted': async ({ turns: after, ...request }, abort) => {
    void turns(after).then(() => abort.abort())
    return await getData({ ...request, columns: COLUMNS, table, signal: abort.signal }).then(() => undefined, (error: unknown) => error)
  },
  'aborted before the start': async (request, abort) => {
    abort.abort()
    return await getData({ ...request, columns: COLUMNS, table, signal: abort.signal }).then(() => undefined, (error: unknown) => error)
  },
  'stream aborted while it is read': async ({ turns: after, ...request }, abort) => {
    const stream = streamData({ ...request, columns: COLUMNS, table, signal: abort.signal })
    void turns(after).then(() => abort.abort())
    const error = await drain(stream)
    await closed(stream)
    return error
  },
  'stream destroyed': async ({ turns: after, ...request }) => {
    const stream = streamData({ ...request, columns: COLUMNS, table })
    stream.resume()
    await turns(after)
    stream.destroy()
    await closed(stream)
    return undefined
  },
  'stream left by break': async ({ batches, ...request }) => {
    const stream = streamData({ ...request, columns: COLUMNS, table })
    for await (const batch of stream) if (batch.length > 0 && batches-- <= 0) break
    await closed(stream)
    return undefined
  },
  'consumer throws': async ({ batches, ...request }) => {
    const stream = streamData({ ...request, columns: COLUMNS, table })
    const error = await pipeline(stream, new Writable({ objectMode: true, highWaterMark: 1,
      write(_batch, _encoding, done) { done(batches-- <= 0 ? leaving : null) } })).then(() => undefined, (thrown: unknown) => thrown)
    await closed(stream)
    return error
  },
  'hand-made pipeline aborted': async ({ turns: after, cache, fetcher, ids, batchSize, concurrency }, abort) => {
    const stages = fiveStages({ cache, fetcher, columns: COLUMNS, table, batchSize, concurrency })
    const input = Readable.from([ids])
    void turns(after).then(() => abort.abort())
    const sink = new Writable({ objectMode: true, highWaterMark: 1, write: (_batch, _encoding, done) => done() })
    const error = await pipeline([input, ...stages, sink], { signal: abort.signal }).then(() => undefined, (thrown: unknown) => thrown)
    for (const stage of stages) await closed(stage)
    return error
  },
  'fetcher hangs': async ({ batches, fetcher, ...request }) =>
    await getData({ ...request, fetcher: hanging(fetcher, batches), columns: COLUMNS, table, retries: 0, fetchTimeoutMs: 300 }).then(() => undefined, (error: unknown) => error),
  'aborted after the end': async (request, abort) => {
    const result = await getData({ ...request, columns: COLUMNS, table, signal: abort.signal })
    abort.abort()
    await turns(2)
    return result.length === request.ids.length ? undefined : new Error('rows are missing')
  }
}

async function drain(stream: AsyncIterable<unknown>): Promise<unknown> {
  try {
    for await (const batch of stream) if (batch === undefined) break
    return undefined
  } catch (error) {
    return error
  }
}

async function closed(stream: Readable): Promise<void> {
  if (!stream.closed) await finished(stream).catch(() => undefined)
}

describe('a run that is ended from outside at a random moment', function () {
  this.timeout(1_200_000)
  refuseUnhandledRejections()
  let folder = ''
  let pool: pg.Pool
  let drop: () => Promise<void>
  before(async () => {
    folder = folderInMemory('aborts')
    const database = await testDatabase()
    drop = database.drop
    pool = new pg.Pool({ connectionString: database.url, max: 4 })
    pool.on('error', () => undefined)
    const rows = idsFrom(0, ROWS).map(id => rowOf(id))
    await pool.query('CREATE TABLE t (id int PRIMARY KEY, name text, score float8, note text, version int)')
    await pool.query('INSERT INTO t SELECT * FROM unnest($1::int[], $2::text[], $3::float8[], $4::text[], $5::int[])',
      ['id', 'name', 'score', 'note', 'version'].map(name => rows.map(row => row[name])))
  })
  after(async () => {
    await pool.end()
    await drop()
    rmSync(folder, { recursive: true, force: true })
  })

  const resources = (): string[] => process.getActiveResourcesInfo().filter(name => name !== 'Immediate' && name !== 'TickObject').sort()

  it('settles, leaves nothing open, running or listening, and the next run has every row', async () => {
    const rounds = shortOrLong(207, 2700)
    const names = Object.keys(ENDS)
    const dir = `${folder}/cache`
    const fromServer = Object.assign(postgresSource({ pool, batchRows: 100 }).fetch, { identity: undefined })
    const shared = new AbortController()
    const cache = await openCache({ dir, durability: 'none', graceMs: 0, partBytes: 64 * 1024 })
    let [ended, finishedFirst] = [0, 0]
    let [files, before]: [number, string[]] = [0, []]
    for (let round = 0; round < rounds; round++) {
      if (round === names.length * 3) {
        // everything that is opened once has been: what is there now is the baseline
        await until(() => pool.idleCount === pool.totalCount)
        await cache.store.close();
        [files, before] = [openFiles(), resources()]
      }
      const name = names[round % names.length]!
      const from = random.below(ROWS - 800)
      const request: Round = { cache, ids: idsFrom(from, 200 + random.below(600)), batchSize: 50 + random.below(150), concurrency: 1 + random.below(3),
        fetcher: random.chance(0.5) ? fromServer : source().fetcher, turns: random.below(120), batches: random.below(3) }
      const abort = new AbortController()
      const error = await ENDS[name]!(request, abort) as Error & { code?: string } | undefined
      if (error === undefined) finishedFirst++
      else {
        ended++
        const expected = name === 'consumer throws' ? error === leaving : name === 'fetcher hangs' ? error.code === 'ERR_BATCH_FAILED' : error.name === 'AbortError'
        if (!expected) throw new Error(`${name}: ${String(error)}`, { cause: error })
      }
      expect(getEventListeners(abort.signal, 'abort'), name).to.have.length(0)
      // a long-lived signal that many runs share gathers nothing
      await getData({ cache, ids: [from], columns: COLUMNS, table, fetcher: request.fetcher, signal: shared.signal })
      if (random.chance(0.1)) await cache.invalidate({ table })
    }
    expect(getEventListeners(shared.signal, 'abort')).to.have.length(0)
    await until(() => pool.waitingCount === 0 && pool.idleCount === pool.totalCount)
    await cache.store.close()
    await until(() => resources().length <= before.length)
    expect(openFiles()).to.be.at.most(files)
    const { rows } = await pool.query("SELECT count(*)::int AS n FROM pg_stat_activity WHERE datname = current_database() AND state LIKE 'idle in%'")
    expect(rows).to.deep.equal([{ n: 0 }])
    const broken = await brokenIn(dir, { reported: [], all: idsFrom(0, ROWS) })
    counts('ended from outside', { rounds, 'ways': names.length, 'ended with an error': ended, 'had nothing to say': finishedFirst, 'broken': broken.length })
    expect(broken).to.deep.equal([])
    expect(Math.min(ended, finishedFirst)).to.be.greaterThan(rounds / 10)
  })
})
