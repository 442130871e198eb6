import { expect } from 'chai'
import type { Id } from '../../lib/batch/ids.js'
import type { DataNotFoundError, MillraceError } from '../../lib/errors.js'
import { rowsSource } from '../../lib/source/rows.js'
import { getData } from '../../pipelines/get-data.js'
import { streamData } from '../../pipelines/stream-data.js'
import { freshCache } from '../support/cache.js'
import { rejection } from '../support/collect.js'
import { holding, madeFrom, range, recording, sampleRow } from '../support/fetchers.js'

const table = 'public.things'

describe('onMissing', () => {
  const cache = freshCache()
  const rows = [1, 2, 5].map(id => ({ id, name: `n${id}`, age: id }))
  const request = () => ({ ids: [1, 2, 3, 4, 5], columns: ['name', 'age'], table, cache: cache(), fetcher: holding(rows).fetcher })

  it("'error' delivers what exists and names the missing ids at the end", async () => {
    const seen: Id[] = []
    const error = await rejection<DataNotFoundError>((async () => {
      for await (const batch of streamData(request())) seen.push(...batch.ids)
    })())
    expect(seen).to.deep.equal([1, 2, 5])
    expect(error.ids).to.deep.equal([3, 4])
  })

  it("'skip' leaves them out", async () => {
    const result = await getData({ ...request(), onMissing: 'skip' })
    expect(result.toRows()).to.deep.equal(rows)
  })

  for (const known of [[], [1, 2], [1, 2, 5]]) {
    it(`'null' delivers rows of nulls, with ${known.length} of the others cached`, async () => {
      if (known.length > 0) await getData({ ...request(), ids: known })
      const result = await getData({ ...request(), onMissing: 'null' })
      expect(result.toRows()).to.deep.equal([...rows.slice(0, 2), { id: 3, name: null, age: null }, { id: 4, name: null, age: null }, rows[2]])
    })
  }

  it("'null' delivers nothing but nulls where the source has none of the ids", async () => {
    const result = await getData({ ...request(), ids: [8, 2n ** 60n, 9], onMissing: 'null' })
    expect(result.toRows()).to.deep.equal([8, 9, 2n ** 60n].map(id => ({ id, name: null, age: null })))
    expect(result.column('name')).to.deep.equal([null, null, null])
    expect(String(result)).to.include('null')
  })

  it("'null' keeps the types of cached columns for rows of nulls", async () => {
    await getData({ ...request(), ids: [1] })
    const result = await getData({ ...request(), ids: [8], onMissing: 'null' })
    expect(result.schema.map(({ type }) => type)).to.deep.equal(['int64', 'text', 'int64'])
    expect(result.toRows()).to.deep.equal([{ id: 8, name: null, age: null }])
  })

  it('never caches that an id is missing: it is asked for again', async () => {
    const { fetcher, asked } = holding(rows)
    for (const onMissing of ['null', 'skip', 'null'] as const) await getData({ ...request(), fetcher, onMissing })
    expect(asked()).to.deep.equal([1, 2, 3, 4, 5, 3, 4, 3, 4])
  })
})

describe('refresh', () => {
  const cache = freshCache()

  it('fetches everything anew and replaces it, keeping other columns', async () => {
    const base = { ids: range(0, 10), table, cache: cache() }
    await getData({ ...base, columns: ['a', 'b'], fetcher: madeFrom(id => ({ id, a: 'old', b: 'old' })).fetcher })
    const { fetcher, asked } = madeFrom(id => ({ id, a: 'new' }))
    const result = await getData({ ...base, columns: ['a'], fetcher, refresh: true, ids: [3, 4] })
    expect(result.report).to.include({ hits: 0, misses: 2, fetched: 2 })
    expect(asked()).to.deep.equal([3, 4])
    const warm = await getData({ ...base, columns: ['a', 'b'], fetcher: madeFrom(() => undefined).fetcher })
    expect(warm.toRows()).to.deep.equal(range(0, 10).map(id => ({ id, a: id === 3 || id === 4 ? 'new' : 'old', b: 'old' })))
  })

  it('takes a new type of a column', async () => {
    const base = { ids: [1, 2], table, cache: cache(), columns: ['a'] }
    await getData({ ...base, fetcher: madeFrom(id => ({ id, a: 'text' })).fetcher })
    await rejection(getData({ ...base, ids: [3], fetcher: madeFrom(id => ({ id, a: 5 })).fetcher }))
    await getData({ ...base, fetcher: madeFrom(id => ({ id, a: 5 })).fetcher, refresh: true })
    expect((await getData({ ...base, fetcher: madeFrom(() => undefined).fetcher })).column('a')).to.deep.equal(Float64Array.of(5, 5))
  })
})

describe('idColumn', () => {
  const cache = freshCache()

  it('names the key in the request, the rows and the result', async () => {
    const { fetcher, calls } = recording(async ids => ids.map(key => ({ key, id: Number(key) * 10 })))
    const request = { ids: [2, 1], columns: ['id'], table, cache: cache(), fetcher, idColumn: 'key' }
    for (const state of ['cold', 'warm']) expect((await getData(request)).toRows(), state).to.deep.equal([{ key: 1, id: 10 }, { key: 2, id: 20 }])
    expect(calls).to.have.length(1)
    expect(calls[0]!.request).to.deep.include({ idColumn: 'key', columns: ['id'] })
  })

  it('may have dots and any other characters', async () => {
    const name = 'weird.id "x"'
    const result = await getData({ ids: [1], columns: ['v'], table, cache: cache(), idColumn: name, fetcher: async ids => ids.map(id => ({ [name]: id, v: 1 })) })
    expect(result.toRows()).to.deep.equal([{ [name]: 1, v: 1 }])
  })
})

describe('columnTypes', () => {
  const cache = freshCache()

  it('declares types instead of inference, cold and warm', async () => {
    const columnTypes = { n: 'int32', price: 'decimal(10,2)', at: 'timestamp', day: 'date', key: 'uuid', tags: 'list<text>', 'meta.x': 'float64' }
    const fetcher = async (ids: readonly Id[]) => ids.map(id => ({ id, n: '7', price: '12.5', at: '2024-02-29 12:00:00.123456', day: '2024-02-29',
      key: 'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11', tags: ['a', null], meta: { x: 1 } }))
    const request = { ids: [1], columns: Object.keys(columnTypes), table, cache: cache(), fetcher, columnTypes }
    for (const state of ['cold', 'warm']) {
      const result = await getData(request)
      expect(result.schema.slice(1).map(({ name, type }) => [name, type]), state).to.deep.equal(Object.entries(columnTypes))
      expect(result.toRows(), state).to.deep.equal([{ id: 1, n: 7, price: '12.50', at: new Date('2024-02-29T12:00:00.123Z'), day: '2024-02-29',
        key: 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', tags: ['a', null], 'meta.x': 1 }])
      expect(result.column('at'), state).to.deep.equal(BigInt64Array.of(1709208000123456n))
    }
  })

  it('fails a row whose value is none of the type, alone', async () => {
    const fetcher = async (ids: readonly Id[]) => ids.map(id => ({ id, n: id === 2 ? 'two' : Number(id) }))
    const error = await rejection<MillraceError>(getData({ ids: [1, 2, 3], columns: ['n'], table, cache: cache(), fetcher, columnTypes: { n: 'int32' } }))
    expect(error).to.have.property('code', 'ERR_FETCHER_CONTRACT')
    expect(error.message).to.include('column n of id 2')
    expect(error.report).to.include({ rows: 2 })
  })
})

describe('retries', () => {
  const cache = freshCache()

  it('are not spent on mistakes, which would be the same again', async () => {
    let calls = 0
    await rejection(getData({ ids: [1], columns: ['n'], table, cache: cache(), fetcher: async () => {
      calls++
      return 'nothing' as never
    } }))
    expect(calls).to.equal(1)
  })

  it('are given up for the batches after one that failed in spite of them, until one succeeds', async () => {
    const attempts = new Map<number, number>()
    const fetcher = async (ids: readonly Id[], _table: string, { batch }: { batch: { index: number } }) => {
      attempts.set(batch.index, (attempts.get(batch.index) ?? 0) + 1)
      if (batch.index < 3) throw new Error('down')
      return ids.map(sampleRow)
    }
    const error = await rejection<MillraceError>(getData({ ids: range(0, 500), columns: ['name'], table, cache: cache(), fetcher, retries: 1 }))
    expect([...attempts.values()]).to.deep.equal([2, 1, 1, 1, 1])
    expect(error.report).to.include({ batches: 5, retries: 1, fetched: 200 })
  })
})

describe('rowsSource', () => {
  const cache = freshCache()

  it('is a source for getData', async () => {
    const source = rowsSource([{ id: 2, v: 'b' }, { id: 1, v: 'a' }])
    const result = await getData({ ids: [1, 2], columns: ['v'], table, cache: cache(), fetcher: source.fetch })
    expect(result.toRows()).to.deep.equal([{ id: 1, v: 'a' }, { id: 2, v: 'b' }])
  })
})
