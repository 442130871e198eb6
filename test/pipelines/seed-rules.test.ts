import { expect } from 'chai'
import { spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { Id } from '../../lib/batch/ids.js'
import { BatchFailedError, ColumnNotFoundError, DataNotFoundError, JSONParseError } from '../../lib/errors.js'
import { getData } from '../../pipelines/get-data.js'
import { planData } from '../../pipelines/plan-data.js'
import { streamData } from '../../pipelines/stream-data.js'
import { filesBelow, freshCache, withReopened } from '../support/cache.js'
import { rejection } from '../support/collect.js'
import { holding, madeFrom, range, recording, sampleRow, SEED_ROWS, shuffled } from '../support/fetchers.js'

const table = 'public.users'

describe('getData, by the rules of the seed system', () => {
  const cache = freshCache()

  describe('on its own example', () => {
    it('returns three rows with the city taken out of the JSON text, sorted by id', async () => {
      const { fetcher } = holding(SEED_ROWS)
      const result = await getData({ ids: [3, 1, 2], columns: ['name', 'age', 'metadata.city'], table, fetcher, cache: cache() })
      expect(result.toRows()).to.deep.equal([
        { id: 1, name: 'Alice', age: 25, 'metadata.city': 'NYC' },
        { id: 2, name: 'Bob', age: 30, 'metadata.city': 'LA' },
        { id: 3, name: 'Zoë', age: null, 'metadata.city': 'São Paulo' }
      ])
    })

    it('prints like a data frame', async () => {
      const { fetcher } = holding(SEED_ROWS)
      const result = await getData({ ids: [1, 2, 3], columns: ['name', 'age', 'metadata.city'], table, fetcher, cache: cache() })
      expect(String(result)).to.equal([
        '3 rows × 4 columns',
        '┌───────┬───────┬───────┬───────────────┐',
        '│ id    ┆ name  ┆ age   ┆ metadata.city │',
        '│ ---   ┆ ---   ┆ ---   ┆ ---           │',
        '│ int64 ┆ text  ┆ int64 ┆ text          │',
        '╞═══════╪═══════╪═══════╪═══════════════╡',
        '│     1 ┆ Alice ┆    25 ┆ NYC           │',
        '│     2 ┆ Bob   ┆    30 ┆ LA            │',
        '│     3 ┆ Zoë   ┆  null ┆ São Paulo     │',
        '└───────┴───────┴───────┴───────────────┘'
      ].join('\n'))
    })

    it('asks the fetcher for base columns, never for the dotted name alone', async () => {
      const { fetcher, calls } = holding(SEED_ROWS)
      await getData({ ids: [1], columns: ['name', 'metadata.city', 'metadata.zip'], table, fetcher, cache: cache() })
      expect(calls).to.have.length(1)
      expect(calls[0]).to.deep.include({ ids: [1], table })
      expect(calls[0]!.request).to.deep.include({ columns: ['name', 'metadata'], paths: ['metadata.city', 'metadata.zip'], plain: ['name'], idColumn: 'id' })
      expect(calls[0]!.request.batch).to.deep.equal({ index: 0, count: 1 })
    })

    it('answers the second time from the cache, without a call', async () => {
      const { fetcher, calls } = holding(SEED_ROWS)
      const request = { ids: [1, 2, 3], columns: ['name', 'age', 'metadata.city'], table, fetcher, cache: cache() }
      const cold = await getData(request)
      const warm = await getData(request)
      expect(calls).to.have.length(1)
      expect(warm.toRows()).to.deep.equal(cold.toRows())
      expect(warm.report).to.include({ rows: 3, hits: 3, misses: 0, fetched: 0, batches: 0 })
    })
  })

  describe('batch sizes', () => {
    for (const [misses, sizes] of [[1, [1]], [50, [50]], [100, [100]], [101, [100, 1]], [500, [100, 100, 100, 100, 100]]] as const) {
      it(`fetches ${misses} missing ids in batches of ${sizes.join(', ')}`, async () => {
        const { fetcher, calls } = madeFrom(sampleRow)
        await getData({ ids: range(0, misses), columns: ['name'], table, fetcher, cache: cache() })
        expect(calls.map(call => call.ids.length)).to.deep.equal(sizes)
        expect(calls.map(call => call.request.batch)).to.deep.equal(sizes.map((_, index) => ({ index, count: sizes.length })))
      })
    }

    it('fetches 15,000 missing ids in 100 batches of 150', async () => {
      const { fetcher, calls } = madeFrom(id => ({ id, n: id }))
      await getData({ ids: range(0, 15_000), columns: ['n'], table, fetcher, cache: cache() })
      expect(calls.map(call => call.ids.length)).to.deep.equal(new Array(100).fill(150))
    })

    it('fetches 1,000,003 missing ids in 100 batches of at most 10,001', async () => {
      const sizes: number[] = []
      const { fetcher } = recording(async ids => {
        sizes.push(ids.length)
        return ids.map(id => ({ id, n: id }))
      })
      let rows = 0
      for await (const batch of streamData({ ids: Int32Array.from({ length: 1_000_003 }, (_, i) => i), columns: ['n'], table, fetcher, cache: cache() })) rows += batch.length
      expect(rows).to.equal(1_000_003)
      expect(sizes).to.have.length(100)
      expect(Math.max(...sizes)).to.equal(10_001)
      expect(sizes.reduce((a, b) => a + b)).to.equal(1_000_003)
    })

    it('plans at most 100 batches where ids pass ±2^53, too', async () => {
      const { fetcher, calls } = madeFrom(id => ({ id, n: 1 }))
      const ids: Id[] = [...range(0, 9_900), ...range(0, 50).map(i => -(2n ** 60n) + BigInt(i)), ...range(0, 50).map(i => 2n ** 60n + BigInt(i))]
      const plan = await planData({ ids, columns: ['n'], table, cache: cache() })
      const result = await getData({ ids, columns: ['n'], table, fetcher, cache: cache() })
      expect(result.length).to.equal(10_000)
      expect(calls.length).to.be.at.most(100)
      expect(plan.batches).to.equal(calls.length)
    })

    it('counts only what is missing', async () => {
      const { fetcher, calls, reset } = madeFrom(sampleRow)
      await getData({ ids: range(0, 950), columns: ['name'], table, fetcher, cache: cache() })
      reset()
      await getData({ ids: range(0, 1000), columns: ['name'], table, fetcher, cache: cache() })
      expect(calls.map(call => call.ids)).to.deep.equal([range(950, 1000)])
    })

    it('takes the caller\'s batchSize instead, also beyond 100 batches', async () => {
      const { fetcher, calls } = madeFrom(sampleRow)
      await getData({ ids: range(0, 333), columns: ['name'], table, fetcher, cache: cache(), batchSize: 3 })
      expect(calls).to.have.length(111)
    })
  })

  describe('incomplete ids', () => {
    it('are fetched again for all requested columns', async () => {
      const { fetcher, calls } = madeFrom(sampleRow)
      const base = { table, fetcher, cache: cache() }
      await getData({ ...base, ids: [1, 2, 3], columns: ['name'] })
      await getData({ ...base, ids: [2], columns: ['name', 'score'] })
      const result = await getData({ ...base, ids: [1, 2, 3, 4], columns: ['name', 'score'] })
      expect(calls.map(call => [call.ids, call.request.columns])).to.deep.equal([
        [[1, 2, 3], ['name']], [[2], ['name', 'score']], [[1, 3, 4], ['name', 'score']]
      ])
      expect(result.toRows()).to.deep.equal([1, 2, 3, 4].map(id => ({ id, name: `name ${id}`, score: id / 4 })))
    })

    it('keep the columns that were cached before, and new columns join them', async () => {
      const base = { table, cache: cache(), ids: [1, 2] }
      await getData({ ...base, columns: ['name', 'even'], fetcher: madeFrom(sampleRow).fetcher })
      await getData({ ...base, columns: ['score'], fetcher: madeFrom(sampleRow).fetcher })
      const nothing = madeFrom(() => { throw new Error('asked') })
      const result = await getData({ ...base, columns: ['name', 'even', 'score'], fetcher: nothing.fetcher })
      expect(result.toRows()).to.deep.equal([1, 2].map(id => ({ id, name: `name ${id}`, even: id % 2 === 0, score: id / 4 })))
    })

    it('replace what they had: the newest value wins per column', async () => {
      const base = { table, cache: cache() }
      await getData({ ...base, ids: [1, 2], columns: ['a', 'b'], fetcher: madeFrom(id => ({ id, a: 'old a', b: 'old b' })).fetcher })
      await getData({ ...base, ids: [1], columns: ['a', 'c'], fetcher: madeFrom(id => ({ id, a: 'new a', c: 'new c' })).fetcher })
      const result = await getData({ ...base, ids: [1, 2], columns: ['a', 'b'], fetcher: madeFrom(() => undefined).fetcher })
      expect(result.toRows()).to.deep.equal([{ id: 1, a: 'new a', b: 'old b' }, { id: 2, a: 'old a', b: 'old b' }])
    })

    it('are not those whose cached answer is NULL', async () => {
      const { fetcher, calls } = madeFrom(id => ({ id, name: null, meta: null }))
      const request = { ids: [1, 2], columns: ['name', 'meta.city'], table, fetcher, cache: cache() }
      await getData(request)
      const warm = await getData(request)
      expect(calls).to.have.length(1)
      expect(warm.toRows()).to.deep.equal([1, 2].map(id => ({ id, name: null, 'meta.city': null })))
    })

    it('stay incomplete when the source left a column out of their rows', async () => {
      const rows = madeFrom(id => id === 2 ? { id, name: 'b' } : { id, name: 'a', age: null })
      const request = { ids: [1, 2], columns: ['name', 'age'], table, cache: cache() }
      const error = await rejection(getData({ ...request, fetcher: rows.fetcher }))
      expect(error).to.be.instanceOf(ColumnNotFoundError)
      const second = madeFrom(id => ({ id, name: 'c', age: 7 }))
      const result = await getData({ ...request, fetcher: second.fetcher })
      expect(second.asked()).to.deep.equal([2])
      expect(result.toRows()).to.deep.equal([{ id: 1, name: 'a', age: null }, { id: 2, name: 'c', age: 7 }])
    })
  })

  describe('tables', () => {
    const names = ['public.users', 'public.orders', 'staging.users', 'a_b.c', 'a.b_c', 'Public.users', '"we.ird"."t"', 'we."ird.t"']

    it('have caches of their own, whatever their names have in common', async () => {
      for (const name of names) {
        await getData({ ids: [1], columns: ['v'], table: name, cache: cache(), fetcher: madeFrom(id => ({ id, v: name })).fetcher })
      }
      for (const name of names) {
        const result = await getData({ ids: [1], columns: ['v'], table: name, cache: cache(), fetcher: madeFrom(() => undefined).fetcher })
        expect(result.toRows(), name).to.deep.equal([{ id: 1, v: name }])
      }
    })

    it('have caches per namespace and per id column as well', async () => {
      const fetch = (v: string) => recording(async (ids, _table, { idColumn }) => ids.map(id => ({ [idColumn]: id, v })))
      const variants = [{}, { namespace: 'tenant a' }, { namespace: 'tenant b' }, { idColumn: 'key' }, { namespace: 'tenant a', idColumn: 'key' }]
      for (const [i, variant] of variants.entries()) await getData({ ids: [1], columns: ['v'], table, cache: cache(), fetcher: fetch(`v${i}`).fetcher, ...variant })
      for (const [i, variant] of variants.entries()) {
        const { fetcher, calls } = fetch('asked')
        const result = await getData({ ids: [1], columns: ['v'], table, cache: cache(), fetcher, ...variant })
        expect(result.toRows()).to.deep.equal([{ [variant.idColumn ?? 'id']: 1, v: `v${i}` }])
        expect(calls).to.have.length(0)
      }
    })
  })

  it('reads in another program what one program cached', async () => {
    const module = pathToFileURL(join(import.meta.dirname, '../../index.ts')).href
    const script = join(cache().store.dir, '../persist.mts')
    const program = `import { getData } from ${JSON.stringify(module)}
      const table = await getData({ ids: [2, 1], columns: ['name', 'meta.city', 'big'], table: 'public.users', cacheDir: process.argv[2],
        fetcher: ids => { if (process.argv[3] !== 'fetch') throw new Error('asked'); return ids.map(id => ({ id, name: 'n' + id, meta: { city: 'c' + id }, big: 2n ** 60n })) } })
      console.log(JSON.stringify({ rows: table.toRows(), hits: table.report.hits }, (_, v) => typeof v === 'bigint' ? v + 'n' : v))`
    writeFileSync(script, program)
    const dir = join(cache().store.dir, 'persisted')
    const run = (mode: string): unknown => {
      const { stdout, stderr } = spawnSync(process.execPath, ['--import=tsx', script, dir, mode], { encoding: 'utf8', cwd: join(import.meta.dirname, '../..') })
      expect(stderr).to.equal('')
      return JSON.parse(stdout)
    }
    const rows = [1, 2].map(id => ({ id, name: `n${id}`, 'meta.city': `c${id}`, big: `${2n ** 60n}n` }))
    expect(run('fetch')).to.deep.equal({ rows, hits: 0 })
    expect(run('refuse')).to.deep.equal({ rows, hits: 2 })
  })

  it('reads through another cache object what one cached', async () => {
    const request = { ids: range(0, 500), columns: ['name', 'meta.deep.n', 'note'], table }
    const cold = await getData({ ...request, cache: cache(), fetcher: madeFrom(sampleRow).fetcher })
    const warm = await withReopened(cache(), async other => await getData({ ...request, cache: other, fetcher: madeFrom(() => undefined).fetcher }))
    expect(warm.toRows()).to.deep.equal(cold.toRows())
    expect(warm.schema).to.deep.equal(cold.schema)
  })

  describe('failed batches', () => {
    const failing = (bad: (ids: readonly Id[]) => boolean) => recording(async ids => {
      if (bad(ids)) throw new Error(`no luck with ${ids[0]}`)
      return ids.map(sampleRow)
    })

    it('do not stop the others; their ids and causes come in one error at the end, with the report', async () => {
      const { fetcher, calls } = failing(ids => ids[0] === 100 || ids[0] === 300)
      const error = await rejection<BatchFailedError>(getData({ ids: range(0, 500), columns: ['name'], table, fetcher, cache: cache(), retries: 0 }))
      expect(error).to.be.instanceOf(BatchFailedError)
      expect(calls).to.have.length(5)
      expect(error.failures.map(({ batch, ids, cause }) => ({ batch, ids, message: (cause as Error).message }))).to.deep.equal([
        { batch: 1, ids: range(100, 200), message: 'no luck with 100' }, { batch: 3, ids: range(300, 400), message: 'no luck with 300' }
      ])
      expect(error.report).to.deep.include({ rows: 300, fetched: 300, batches: 5, misses: 500 })
      expect(error.report).to.have.property('failures').with.length(2)
    })

    it('leave what succeeded in the cache, so that a rerun fetches only the rest', async () => {
      const request = { ids: range(0, 500), columns: ['name'], table, cache: cache() }
      await rejection(getData({ ...request, fetcher: failing(ids => ids[0] === 200).fetcher, retries: 0 }))
      const { fetcher, calls } = failing(() => false)
      const result = await getData({ ...request, fetcher })
      expect(calls.map(call => call.ids)).to.deep.equal([range(200, 300)])
      expect(result.length).to.equal(500)
    })

    it('are gaps in a stream, which still delivers the rest before the error', async () => {
      const ids: Id[] = []
      const stream = streamData({ ids: range(0, 300), columns: ['name'], table, cache: cache(), retries: 0, fetcher: failing(asked => asked[0] === 100).fetcher })
      const error = await rejection((async () => { for await (const batch of stream) ids.push(...batch.ids) })())
      expect(error).to.be.instanceOf(BatchFailedError)
      expect(ids).to.deep.equal([...range(0, 100), ...range(200, 300)])
    })

    it('are tried again as often as `retries` says', async () => {
      let attempts = 0
      const fetcher = async (ids: readonly Id[]) => {
        if (++attempts < 3) throw new Error('not yet')
        return ids.map(sampleRow)
      }
      const result = await getData({ ids: [1], columns: ['name'], table, fetcher, cache: cache(), retries: 2 })
      expect([attempts, result.report.retries, result.report.batches]).to.deep.equal([3, 2, 1])
    })
  })

  describe('facts in errors', () => {
    it('DataNotFoundError names the table and the missing ids, ascending; the others are delivered and cached', async () => {
      const rows = holding([1, 2, 3].map(sampleRow))
      const request = { ids: [999, 1, 2n ** 60n, 2, -5, 3], columns: ['name'], table, cache: cache() }
      const error = await rejection<DataNotFoundError>(getData({ ...request, fetcher: rows.fetcher }))
      expect(error).to.be.instanceOf(DataNotFoundError)
      expect(error).to.include({ code: 'ERR_DATA_NOT_FOUND', table })
      expect(error.ids).to.deep.equal([-5, 999, 2n ** 60n])
      expect(error.report).to.deep.include({ rows: 3 })
      rows.reset()
      await rejection(getData({ ...request, fetcher: rows.fetcher }))
      expect(rows.asked()).to.deep.equal([-5, 999, 2n ** 60n])
    })

    it('ColumnNotFoundError names all columns the source lacks, and the id whose row lacks one', async () => {
      const rows = holding([1, 2].map(sampleRow))
      const all = await rejection<ColumnNotFoundError>(getData({ ids: [1, 2], columns: ['name', 'nope', 'nada.city'], table, cache: cache(), fetcher: rows.fetcher }))
      expect(all).to.be.instanceOf(ColumnNotFoundError)
      expect(all).to.include({ code: 'ERR_COLUMN_NOT_FOUND', table })
      expect([...all.columns].sort()).to.deep.equal(['nada.city', 'nope'])
      const some = await rejection(getData({ ids: [1, 2], columns: ['name', 'age'], table, cache: cache(),
        fetcher: holding([{ id: 1, name: 'a', age: 1 }, { id: 2, name: 'b' }]).fetcher }))
      expect(some).to.have.deep.property('columns', ['age'])
      expect(some.message).to.include('2').and.not.include('id 1')
    })

    it('JSONParseError names the column and the id; the other rows are delivered and cached', async () => {
      const rows = holding([{ id: 1, meta: '{"a":1}' }, { id: 2, meta: '{broken' }, { id: 3, meta: { a: 3 } }])
      const request = { ids: [1, 2, 3], columns: ['meta.a'], table, cache: cache() }
      const error = await rejection<JSONParseError>(getData({ ...request, fetcher: rows.fetcher }))
      expect(error).to.be.instanceOf(JSONParseError)
      expect(error).to.include({ code: 'ERR_JSON_PARSE', column: 'meta', id: 2 })
      expect(error.cause).to.be.instanceOf(SyntaxError)
      rows.reset()
      await rejection(getData({ ...request, fetcher: rows.fetcher }))
      expect(rows.asked()).to.deep.equal([2])
    })
  })
})

describe('a cache with small parts', () => {
  const cache = freshCache({ partBytes: 64 * 1024 })

  it('splits its parts by id range near partBytes, and reads them as one', async () => {
    const text = (id: Id): string => `${id} ${'x'.repeat(200)}`
    const ids = range(0, 4000)
    for (const chunk of [range(0, 1000), range(1000, 2000), range(2000, 3000), range(3000, 4000)]) {
      await getData({ ids: chunk, columns: ['text'], table, cache: cache(), fetcher: madeFrom(id => ({ id, text: text(id) })).fetcher })
    }
    const result = await getData({ ids: shuffled(ids), columns: ['text'], table, cache: cache(), fetcher: madeFrom(() => undefined).fetcher })
    expect(result.column('text')).to.deep.equal(ids.map(text))
    const { parts } = await cache().store.table(table).manifest()
    const ordered = [...parts].sort((a, b) => Number(a.idMin) - Number(b.idMin))
    expect(ordered.length).to.be.greaterThan(3)
    for (const [i, part] of ordered.entries()) {
      if (i > 0) expect(Number(part.idMin)).to.be.greaterThan(Number(ordered[i - 1]!.idMax))
    }
    expect(filesBelow(cache().store.dir, '.parquet').length).to.be.at.least(parts.length)
  })
})
