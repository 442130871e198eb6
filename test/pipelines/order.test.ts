import { expect } from 'chai'
import { Readable } from 'node:stream'
import type { Id } from '../../lib/batch/ids.js'
import type { IdsInput } from '../../lib/batch/id-set.js'
import type { RowBatch } from '../../lib/batch/row-batch.js'
import { getData } from '../../pipelines/get-data.js'
import { planData } from '../../pipelines/plan-data.js'
import { streamData } from '../../pipelines/stream-data.js'
import { freshCache } from '../support/cache.js'
import { collect, turns } from '../support/collect.js'
import { madeFrom, range, recording, shuffled } from '../support/fetchers.js'
import { mulberry32 } from '../support/random.js'
import { fiveStages } from '../support/stages.js'

const table = 'public.things'
const columns = ['v']
const rowOf = (id: Id) => ({ id, v: `v${id}` })

describe('the result', () => {
  const cache = freshCache()

  const forms: [title: string, ids: () => IdsInput][] = [
    ['a shuffled array', () => shuffled(range(-50, 50))],
    ['an array with repeats', () => shuffled([...range(-50, 50), ...range(-50, 50), 7, 7, 7])],
    ['an Int32Array', () => Int32Array.from(shuffled(range(-50, 50)))],
    ['an Int16Array', () => Int16Array.from(shuffled(range(-50, 50)))],
    ['a Float64Array with -0', () => Float64Array.from(shuffled([...range(-50, 50), -0]))],
    ['a BigInt64Array', () => BigInt64Array.from(shuffled(range(-50, 50)), BigInt)],
    ['bigints and numbers of the same values', () => shuffled([...range(-50, 50), ...range(-50, 50).map(BigInt)])],
    ['a Set', () => new Set(shuffled(range(-50, 50)))],
    ['a generator', () => (function * () { yield * shuffled(range(-50, 50)) })()],
    ['an async generator', () => (async function * () { for (const id of shuffled(range(-50, 50))) yield id })()],
    ['an async generator of arrays', () => (async function * () { yield range(0, 50); yield Int32Array.from(range(-50, 10)) })()],
    ['an object stream', () => Readable.from(shuffled(range(-50, 50)))],
  ]
  for (const [title, ids] of forms) {
    it(`has each id once, ascending, for ${title}`, async () => {
      const { fetcher, asked } = madeFrom(rowOf)
      const result = await getData({ ids: ids(), columns, table, fetcher, cache: cache() })
      expect(result.toRows()).to.deep.equal(range(-50, 50).map(rowOf))
      expect(asked()).to.deep.equal(range(-50, 50))
      const warm = await getData({ ids: ids(), columns, table, fetcher, cache: cache() })
      expect(warm.toRows()).to.deep.equal(range(-50, 50).map(rowOf))
    })
  }

  it('is empty for no ids, with the columns asked for, and touches no source', async () => {
    const { fetcher, calls } = madeFrom(rowOf)
    const result = await getData({ ids: [], columns: ['v', 'meta.city'], table, fetcher, cache: cache() })
    expect([result.length, result.toRows(), result.columnNames]).to.deep.equal([0, [], ['id', 'v', 'meta.city']])
    expect(calls).to.have.length(0)
    expect(String(result)).to.match(/^0 rows × 3 columns/)
  })

  const edges: Id[] = [-(2n ** 63n), -(2n ** 63n) + 1n, -(2n ** 53n) - 1n, -(2n ** 53n), -(2 ** 53) + 1, -1, 0, 1, 2 ** 53 - 1, 2n ** 53n, 2n ** 53n + 1n, 2n ** 63n - 2n, 2n ** 63n - 1n]

  for (const batchSize of [1, 2, 5, 100]) {
    it(`orders ids around ±2^53 and the int64 limits, in batches of ${batchSize}, cold and warm`, async () => {
      const { fetcher, asked } = madeFrom(rowOf)
      const request = { ids: shuffled([...edges, ...edges]), columns, table, fetcher, cache: cache(), batchSize }
      for (const state of ['cold', 'warm']) {
        const result = await getData(request)
        expect(result.toRows(), state).to.deep.equal(edges.map(rowOf))
        expect(result.toRows().map(({ id }) => typeof id), state).to.deep.equal(edges.map(id => typeof id))
      }
      expect(asked()).to.deep.equal(edges)
      for (const id of edges) expect((await getData({ ...request, ids: [id] })).toRows()).to.deep.equal([rowOf(id)])
    })
  }

  it('asks a safe bigint as the number it is', async () => {
    const { fetcher, asked } = madeFrom(rowOf)
    await getData({ ids: [5n, 2n ** 53n - 1n, 2n ** 53n], columns, table, fetcher, cache: cache() })
    expect(asked()).to.deep.equal([5, 2 ** 53 - 1, 2n ** 53n])
  })

  for (const concurrency of [1, 2, 7]) {
    it(`is in order though ${concurrency} calls answer at random times, with hits between the misses`, async () => {
      const random = mulberry32(concurrency)
      const fetcher = async (ids: readonly Id[]) => {
        await turns(Math.floor(random() * 20))
        return shuffled(ids.map(rowOf), random)
      }
      const all = range(0, 2000)
      await getData({ ids: all.filter(id => id % 3 === 0 || (id > 500 && id < 900)), columns, table, cache: cache(), fetcher })
      const seen: number[] = []
      for await (const batch of streamData({ ids: shuffled(all), columns, table, cache: cache(), fetcher, concurrency, batchSize: 37 })) seen.push(...batch.ids as Float64Array)
      expect(seen).to.deep.equal(all)
    })
  }

  it('is right when batches span windows and windows span batches', async () => {
    const { fetcher, calls } = madeFrom(rowOf)
    const ids = range(0, 150_000)
    await getData({ ids: range(60_000, 70_000), columns, table, cache: cache(), fetcher })
    for (const batchSize of [50_000, 90_000]) {
      calls.length = 0
      const request = { ids, columns, table: `public.t${batchSize}`, cache: cache(), fetcher, batchSize }
      const result = await getData(request)
      expect(result.column('id')).to.deep.equal(Float64Array.from(ids))
      expect(result.column('v')).to.deep.equal(ids.map(id => `v${id}`))
      expect(calls.map(call => call.ids.length)).to.deep.equal(batchSize === 50_000 ? [50_000, 50_000, 50_000] : [90_000, 60_000])
    }
  })

  it('is the same from getData, streamData and a hand-made pipeline, cold and warm', async () => {
    const { fetcher } = recording(async ids => ids.map(id => ({ id, n: Number(id), big: BigInt(id) * 2n ** 40n, at: new Date(Number(id) * 1000), meta: { a: [Number(id)] } })))
    const names = ['n', 'big', 'at', 'meta.a', 'meta.a.0', 'meta.none', 'meta']
    const ids = shuffled(range(0, 300))
    const results: unknown[] = []
    for (const how of ['getData', 'streamData', 'by hand', 'by hand, columns given']) {
      const request = { ids, columns: names, table: `public.${how.replaceAll(/\W/g, '_')}`, cache: cache(), fetcher }
      for (const state of ['cold', 'warm']) {
        let batches: readonly RowBatch[]
        if (how === 'getData') batches = (await getData(request)).batches
        else if (how === 'streamData') batches = await streamData(request).toArray() as RowBatch[]
        else batches = await collect(ids, ...fiveStages({ ...request, sink: how === 'by hand' ? {} : { columns: names } }))
        expect(batches.flatMap(batch => batch.columnNames), `${how} ${state}`).to.deep.equal(['id', ...names])
        results.push(batches.flatMap(batch => batch.toRows()))
      }
    }
    for (const rows of results) expect(rows).to.deep.equal(results[0])
  })

  it('keeps the order of columns asked for, though parts hold them in another', async () => {
    const { fetcher } = recording(async ids => ids.map(id => ({ id, a: 1, b: 2, c: 3 })))
    const base = { ids: [1, 2], table, cache: cache(), fetcher }
    await getData({ ...base, columns: ['b'] })
    await getData({ ...base, columns: ['c', 'a'] })
    expect((await getData({ ...base, columns: ['a', 'b', 'c'] })).columnNames).to.deep.equal(['id', 'a', 'b', 'c'])
    const [batch] = await collect<RowBatch>([1, 2], ...fiveStages({ ...base, columns: ['c', 'b', 'a'] }))
    expect(batch!.columnNames).to.deep.equal(['id', 'c', 'b', 'a'])
  })

  it('takes the id column first, also where columns name it or it is all that is asked', async () => {
    const { fetcher, calls } = madeFrom(rowOf)
    const base = { ids: [2, 1], table, cache: cache(), fetcher }
    expect((await getData({ ...base, columns: ['v', 'id'] })).toRows()).to.deep.equal([{ id: 1, v: 'v1' }, { id: 2, v: 'v2' }])
    const only = madeFrom(id => ({ id }))
    expect((await getData({ ...base, table: 'public.ids', columns: ['id'], fetcher: only.fetcher })).toRows()).to.deep.equal([{ id: 1 }, { id: 2 }])
    expect((await getData({ ...base, table: 'public.ids', columns: ['id'], fetcher: only.fetcher })).report.hits).to.equal(2)
    expect(only.calls).to.have.length(1)
    expect(calls).to.have.length(1)
  })
})

describe('planData', () => {
  const cache = freshCache()

  it('says what a request would do, and touches no source', async () => {
    const { fetcher, calls } = madeFrom(rowOf)
    const request = { ids: range(0, 15_000), columns: ['v', 'meta.city'], table, fetcher, cache: cache() }
    expect(await planData(request)).to.deep.equal({ ids: 15_000, hits: 0, misses: 15_000, batchSize: 150, batches: 100, columnsToFetch: ['v', 'meta'], estimatedBytes: 0 })
    expect(calls).to.have.length(0)
    await getData({ ...request, ids: range(0, 5000), columns: ['v'] })
    calls.length = 0
    const plan = await planData({ ...request, ids: range(0, 15_000), columns: ['v'] })
    expect(plan).to.include({ ids: 15_000, hits: 5000, misses: 10_000, batchSize: 100, batches: 100 })
    expect(plan.estimatedBytes).to.be.greaterThan(10_000)
    expect(await planData({ ...request, ids: range(0, 5000), columns: ['v'] })).to.deep.include({ hits: 5000, misses: 0, batches: 0, columnsToFetch: [] })
    expect(calls).to.have.length(0)
  })
})
