import { getEventListeners } from 'node:events'
import { expect } from 'chai'
import { createReadStream } from 'node:fs'
import { Readable, Transform } from 'node:stream'
import { finished, pipeline } from 'node:stream/promises'
import type { BlobStore } from '../../lib/store/blob-store.js'
import { CacheStore } from '../../lib/store/cache.js'
import { localBlobStore } from '../../lib/store/local-blob-store.js'
import { getData } from '../../pipelines/get-data.js'
import { planData } from '../../pipelines/plan-data.js'
import { streamData } from '../../pipelines/stream-data.js'
import { freshCache, freshFolder } from '../support/cache.js'
import { gate, openFiles, refuseUnhandledRejections, rejection, turns, until } from '../support/collect.js'
import { madeFrom, range, recording } from '../support/fetchers.js'
import { fiveStages } from '../support/stages.js'

const table = 'public.things'
const columns = ['n']
const rowOf = (id: number | bigint) => ({ id, n: Number(id) })

describe('an abort', () => {
  const cache = freshCache()
  refuseUnhandledRejections()

  it('before the start touches neither ids nor source', async () => {
    const { fetcher, calls } = madeFrom(rowOf)
    let read = 0
    const ids = { * [Symbol.iterator]() { read++; yield 1 } }
    for (const run of [() => getData({ ids, columns, table, cache: cache(), fetcher, signal: AbortSignal.abort(new Error('no')) }),
      () => planData({ ids, columns, table, cache: cache(), fetcher, signal: AbortSignal.abort(new Error('no')) })]) await rejection(run())
    expect([read, calls.length]).to.deep.equal([0, 0])
  })

  it('is an AbortError whose cause is the signal\'s reason', async () => {
    const abort = new AbortController()
    const { fetcher } = recording(async () => {
      abort.abort(new Error('user left'))
      return []
    })
    const error = await rejection(getData({ ids: [1], columns, table, cache: cache(), fetcher, signal: abort.signal }))
    expect(error).to.include({ name: 'AbortError', code: 'ABORT_ERR' })
    expect(error.cause).to.have.property('message', 'user left')
  })

  it('by leaving a loop has ended when the loop has: what came is cached, and nobody fetches any more', async () => {
    const { fetcher, calls } = madeFrom(rowOf)
    const stream = streamData({ ids: range(0, 300_000), columns, table, cache: cache(), fetcher, batchSize: 10_000 })
    for await (const batch of stream) {
      expect(batch.length).to.be.within(1, 65_536)
      break
    }
    // nothing is waited for between here and the loop
    expect(stream.closed).to.equal(true)
    const asked = calls.length
    expect((await planData({ ids: range(0, 300_000), columns, table, cache: cache() })).hits).to.be.at.least(65_536)
    await turns(20)
    expect(calls.length).to.equal(asked)
  })

  it('while the ids come in lets their stream go, even one that never ends', async () => {
    const abort = new AbortController()
    const ids = new Readable({ objectMode: true, read() { /* never comes */ } })
    ids.push(1)
    const call = rejection(getData({ ids, columns, table, cache: cache(), fetcher: madeFrom(rowOf).fetcher, signal: abort.signal }))
    await turns()
    abort.abort()
    expect(await call).to.have.property('name', 'AbortError')
    expect(ids.destroyed).to.equal(true)
  })

  it('settles at once though the fetcher does not listen', async () => {
    const abort = new AbortController()
    const never = gate<never>()
    const { fetcher, calls } = recording(() => never.passed)
    const call = rejection(getData({ ids: [1], columns, table, cache: cache(), fetcher, signal: abort.signal }))
    await until(() => calls.length === 1)
    abort.abort()
    expect(await call).to.have.property('name', 'AbortError')
  })

  it('in the middle keeps the batches that were delivered', async () => {
    const abort = new AbortController()
    const seen: number[] = []
    const { fetcher } = madeFrom(rowOf)
    await rejection((async () => {
      for await (const batch of streamData({ ids: range(0, 200_000), columns, table, cache: cache(), fetcher, signal: abort.signal })) {
        seen.push(batch.length)
        if (seen.length === 2) abort.abort()
      }
    })())
    const again = madeFrom(rowOf)
    const result = await getData({ ids: range(0, 200_000), columns, table, cache: cache(), fetcher: again.fetcher })
    expect(result.length).to.equal(200_000)
    expect(result.report.hits).to.be.at.least(seen[0]!)
    expect(new Set(again.asked()).size).to.equal(again.asked().length)
  })

  it('of one signal reaches all calls that share it, and they are taken for no leak', async () => {
    const abort = new AbortController()
    const warnings: Error[] = []
    const listen = (warning: Error): void => { warnings.push(warning) }
    process.on('warning', listen)
    try {
      const held = gate()
      const fetcher = async (ids: readonly (number | bigint)[]) => {
        await held.passed
        return ids.map(rowOf)
      }
      const many = range(0, 20).map(i => rejection(getData({ ids: [i], columns, table, cache: cache(), fetcher, signal: abort.signal })))
      await turns(50)
      abort.abort()
      for (const error of await Promise.all(many)) expect(error).to.have.property('name', 'AbortError')
      held.open()
      await turns()
      expect(warnings).to.deep.equal([])
      expect(getEventListeners(abort.signal, 'abort')).to.deep.equal([])
    } finally {
      process.removeListener('warning', listen)
    }
  })

  it('after the end changes nothing', async () => {
    const abort = new AbortController()
    const result = await getData({ ids: [1, 2], columns, table, cache: cache(), fetcher: madeFrom(rowOf).fetcher, signal: abort.signal })
    abort.abort()
    await turns()
    expect(result.toRows()).to.deep.equal([1, 2].map(rowOf))
  })

  it('after the last batch, while it is being committed, still commits', async () => {
    const abort = new AbortController()
    const stream = streamData({ ids: [1, 2], columns, table, cache: cache(), fetcher: madeFrom(rowOf).fetcher, signal: abort.signal })
    const error = await rejection((async () => { for await (const batch of stream) abort.abort(new Error(String(batch.length))) })())
    expect(error).to.have.property('name', 'AbortError')
    expect(await planData({ ids: [1, 2], columns, table, cache: cache() })).to.include({ hits: 2 })
  })

  it('of the whole pipeline while its last commit is under way waits for it, and it counts', async () => {
    const dir = `${cache().store.dir}-held`
    const local = localBlobStore({ dir, durability: 'none' })
    const [reached, release] = [gate(), gate()]
    const blobs: BlobStore = { ...local, create: async folder => {
      const writer = await local.create(folder)
      const commit = writer.commit.bind(writer)
      return Object.assign(writer, { commit: async (name: string) => {
        reached.open()
        await release.passed
        await commit(name)
      } })
    } }
    const held = { store: new CacheStore({ dir, durability: 'none', blobs }) }
    const abort = new AbortController()
    const stages = fiveStages({ cache: held, fetcher: madeFrom(rowOf).fetcher, columns, table, sink: { forward: false } })
    const run = rejection(pipeline([Readable.from([1, 2]), ...stages], { signal: abort.signal }))
    await reached.passed
    abort.abort()
    release.open()
    expect(await run).to.have.property('name', 'AbortError')
    await finished(stages[4]).catch(() => undefined)
    expect(await planData({ ids: [1, 2], columns, table, cache: held })).to.include({ hits: 2 })
    await held.store.close()
  })

  it('of one request leaves another on the same cache alone', async () => {
    const abort = new AbortController()
    const doomed = rejection(getData({ ids: range(0, 1000), columns, table, cache: cache(), signal: abort.signal, fetcher: async () => {
      abort.abort()
      return []
    } }))
    const result = await getData({ ids: range(0, 1000), columns, table, cache: cache(), fetcher: madeFrom(rowOf).fetcher })
    await doomed
    expect(result.length).to.equal(1000)
  })
})

describe('two hundred runs that are aborted, left or fail', () => {
  const cache = freshCache()
  const folder = freshFolder()
  refuseUnhandledRejections()

  it('leave no file open, no timer running and no listener behind', async function () {
    this.timeout(60_000)
    const { fetcher } = madeFrom(rowOf)
    await getData({ ids: range(0, 3000), columns, table, cache: cache(), fetcher })
    const shared = new AbortController()
    const round = async (i: number): Promise<void> => {
      const abort = new AbortController()
      const request = { ids: range(i, 3000 + i * 3), columns, table, cache: cache(), fetcher, signal: i % 2 === 0 ? abort.signal : shared.signal }
      switch (i % 5) {
        case 0: {
          const stopping = recording(async ids => {
            abort.abort()
            return ids.map(rowOf)
          })
          await rejection(getData({ ...request, signal: abort.signal, ids: [1_000_000 + i], fetcher: stopping.fetcher }))
          break
        }
        case 1: {
          const stream = streamData(request)
          for await (const batch of stream) {
            expect(batch.length).to.be.greaterThan(0)
            break
          }
          await finished(stream as Readable).catch(() => undefined)
          break
        }
        case 2: {
          const stages = fiveStages({ ...request, batchSize: 50 })
          const failing = new Transform({ objectMode: true, transform: (_item, _encoding, done) => done(new Error('full')) })
          await rejection(pipeline([Readable.from(request.ids), ...stages, failing]))
          await Promise.all(stages.map(stage => finished(stage).catch(() => undefined)))
          break
        }
        case 3: {
          await rejection(getData({ ...request, ids: [2_000_000 + i], retries: 0, fetcher: async () => { throw new Error('down') } }))
          break
        }
        default: {
          const ids = createReadStream(import.meta.filename)
          await rejection(getData({ ...request, ids, cacheDir: undefined }))
          await finished(ids).catch(() => undefined)
        }
      }
    }
    for (let i = 0; i < 20; i++) await round(i)
    await turns(20)
    const [files, resources] = [openFiles(), process.getActiveResourcesInfo().length]
    for (let i = 20; i < 220; i++) await round(i)
    await turns(20)
    expect(openFiles()).to.be.at.most(files + 16)
    expect(process.getActiveResourcesInfo().length).to.be.at.most(resources)
    await cache().store.close()
    expect(openFiles()).to.be.at.most(files)
    expect(folder()).to.be.a('string')
  })
})
