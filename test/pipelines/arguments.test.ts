import { expect } from 'chai'
import { createReadStream, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { InvalidArgumentError } from '../../lib/errors.js'
import { batchSizeFor } from '../../lib/fetch/miss-queue.js'
import { getData } from '../../pipelines/get-data.js'
import { openDatabase } from '../../pipelines/open-database.js'
import { planData } from '../../pipelines/plan-data.js'
import type { DataRequest } from '../../pipelines/request.js'
import { streamData } from '../../pipelines/stream-data.js'
import { freshCache, freshFolder } from '../support/cache.js'
import { rejection, thrown } from '../support/collect.js'
import { madeFrom, sampleRow } from '../support/fetchers.js'

const self = import.meta.filename

/** Bad input, the argument the error names, and what its message says. */
const bad: [title: string, change: object, argument: string, says: RegExp][] = [
  ['no ids', { ids: undefined }, 'ids', /array.*undefined/],
  ['null for ids', { ids: null }, 'ids', /null/],
  ['one id instead of a list', { ids: 5 }, 'ids', /number/],
  ['text for ids', { ids: '1,2,3' }, 'ids', /string/],
  ['NaN among the ids', { ids: [1, NaN] }, 'ids[1]', /NaN/],
  ['a fraction among the ids', { ids: [1, 2, 1.5] }, 'ids[2]', /1\.5/],
  ['an infinite id', { ids: [Infinity] }, 'ids[0]', /Infinity/],
  ['an unsafe number as id', { ids: [2 ** 53] }, 'ids[0]', /9007199254740992/],
  ['1e21 as id', { ids: [1e21] }, 'ids[0]', /1e\+21/],
  ['a bigint beyond 64 bits', { ids: [1n, 2n ** 63n] }, 'ids[1]', /9223372036854775808/],
  ['a bigint below 64 bits', { ids: [-(2n ** 63n) - 1n] }, 'ids[0]', /-9223372036854775809/],
  ['digits in text as id', { ids: ['7'] }, 'ids[0]', /"7" \(string\)/],
  ['null among the ids', { ids: [1, null] }, 'ids[1]', /null/],
  ['undefined among the ids', { ids: [undefined] }, 'ids[0]', /undefined/],
  ['true as id', { ids: [true] }, 'ids[0]', /true/],
  ['a hole in the ids', { ids: Object.assign(new Array(2), { 0: 1 }) }, 'ids[1]', /undefined/],
  ['an object as id', { ids: [{ id: 1 }] }, 'ids[0]', /object/],
  ['a Map as ids', { ids: new Map([[1, 2]]) }, 'ids[0]', /object/],
  ['an object of ids', { ids: { 0: 1, length: 1 } }, 'ids', /object/],
  ['NaN in a typed array', { ids: Float64Array.of(1, NaN) }, 'ids[1]', /NaN/],
  ['text from a stream of ids', { ids: Readable.from([1, '2']) }, 'ids[1]', /"2"/],
  ['a file\'s bytes as ids', { ids: createReadStream(self) }, 'ids[0]', /bytes/],
  ['a Buffer as ids', { ids: Buffer.from('12') }, 'ids', /bytes/],
  ['no columns', { columns: undefined }, 'columns', /undefined/],
  ['an empty list of columns', { columns: [] }, 'columns', /at least one/],
  ['one name instead of columns', { columns: 'name' }, 'columns', /string/],
  ['an empty column name', { columns: ['a', ''] }, 'columns[1]', /empty/],
  ['a number as column', { columns: [5] }, 'columns[0]', /number/],
  ['null as column', { columns: ['a', null] }, 'columns[1]', /object/],
  ['a column twice', { columns: ['a', 'b', 'a'] }, 'columns[2]', /a again/],
  ['the column __proto__', { columns: ['__proto__'] }, 'columns[0]', /__proto__/],
  ['a column that begins with a dot', { columns: ['.a'] }, 'columns[0]', /dot/],
  ['a NUL in a column name', { columns: ['a\0b'] }, 'columns[0]', /NUL/],
  ['a lone surrogate in a column name', { columns: ['\ud800'] }, 'columns[0]', /surrogate/],
  ['no table', { table: undefined }, 'table', /undefined/],
  ['a table without schema', { table: 'users' }, 'table', /schema\.table/],
  ['a table of three parts', { table: 'a.b.c' }, 'table', /schema\.table/],
  ['an empty schema', { table: '.users' }, 'table', /schema\.table/],
  ['an empty table name', { table: 'public.' }, 'table', /schema\.table/],
  ['an open quote in the table', { table: '"public.users' }, 'table', /schema\.table/],
  ['a NUL in the table', { table: 'public.us\0ers' }, 'table', /NUL/],
  ['a number as table', { table: 5 }, 'table', /number/],
  ['no fetcher', { fetcher: undefined }, 'fetcher', /undefined/],
  ['null as fetcher', { fetcher: null }, 'fetcher', /null/],
  ['rows instead of a fetcher', { fetcher: [{ id: 1 }] }, 'fetcher', /function/],
  ['a source instead of its fetch', { fetcher: { fetch: () => [] } }, 'fetcher', /source\.fetch/],
  ['an unknown onMissing', { onMissing: 'ignore' }, 'onMissing', /'skip'.*ignore/],
  ['an unknown cacheErrors', { cacheErrors: true }, 'cacheErrors', /'warn'/],
  ['a batch size of 0', { batchSize: 0 }, 'batchSize', /at least 1.*0/],
  ['a broken batch size', { batchSize: 1.5 }, 'batchSize', /1\.5/],
  ['an infinite batch size', { batchSize: Infinity }, 'batchSize', /Infinity/],
  ['no concurrency', { concurrency: 0 }, 'concurrency', /at least 1/],
  ['negative retries', { retries: -1 }, 'retries', /at least 0/],
  ['a negative timeout', { fetchTimeoutMs: -5 }, 'fetchTimeoutMs', /-5/],
  ['a timeout in text', { fetchTimeoutMs: '5s' }, 'fetchTimeoutMs', /5s/],
  ['an unknown column type', { columnTypes: { a: 'varchar' } }, 'columnTypes["a"]', /varchar/],
  ['text as columnTypes', { columnTypes: 'int64' }, 'columnTypes', /string/],
  ['an onProgress that is no function', { onProgress: {} }, 'onProgress', /function/],
  ['a progress that is no reporter', { progress: 'yes' }, 'progress', /ProgressReporter/],
  ['a reporter without start', { progress: { update() { /* nothing */ }, stop() { /* nothing */ } } }, 'progress', /start/],
  ['null as progress', { progress: null }, 'progress', /ProgressReporter/],
  ['a controller instead of its signal', { signal: new AbortController() }, 'signal', /AbortSignal/],
  ['an empty idColumn', { idColumn: '' }, 'idColumn', /column name/],
  ['the idColumn __proto__', { idColumn: '__proto__' }, 'idColumn', /column name/],
  ['a number as namespace', { namespace: 5 }, 'namespace', /text/],
  ['a number as cacheDir', { cache: undefined, cacheDir: 5 }, 'cacheDir', /folder/],
  ['an empty cacheDir', { cache: undefined, cacheDir: '' }, 'cacheDir', /folder/],
  ['null as cache', { cache: null }, 'cache', /openCache/],
  ['a folder as cache', { cache: '/tmp' }, 'cache', /openCache/],
  ['text as refresh', { refresh: 'yes' }, 'refresh', /true or false/],
]

describe('an invalid argument', () => {
  const cache = freshCache()

  for (const [title, change, argument, says] of bad) {
    it(`is refused before anything is fetched: ${title}`, async () => {
      const { fetcher, calls } = madeFrom(sampleRow)
      const request = { ids: [1], columns: ['name'], table: 'public.users', fetcher, cache: cache(), ...change } as unknown as DataRequest
      const error = await rejection<InvalidArgumentError>(getData(request))
      expect(error).to.be.instanceOf(InvalidArgumentError)
      expect(error).to.include({ code: 'ERR_INVALID_ARGUMENT', argument })
      expect(error.message).to.match(says)
      expect(calls).to.have.length(0)
    })
  }

  for (const request of [undefined, null, 5, 'public.users']) {
    it(`is refused where the whole request is ${JSON.stringify(request)}`, async () => {
      expect(await rejection(getData(request as never))).to.include({ code: 'ERR_INVALID_ARGUMENT', argument: 'options' })
    })
  }

  it('is thrown at once by streamData, but for the ids', async () => {
    const request = { ids: [NaN], columns: ['name'], table: 'public.users', fetcher: () => [], cache: cache() }
    expect(thrown(() => streamData({ ...request, columns: [] }))).to.have.property('argument', 'columns')
    expect(thrown(() => streamData({ ...request, progress: 5 } as never))).to.have.property('argument', 'progress')
    expect(await rejection(streamData(request).toArray())).to.have.property('argument', 'ids[0]')
  })

  it('is refused by planData as well, which needs no fetcher', async () => {
    expect(await rejection(planData({ ids: [1], columns: ['a'], table: 'users', cache: cache() }))).to.have.property('argument', 'table')
    expect(await rejection(planData({ ids: [1], columns: ['a'], table: 'p.u', cache: cache(), fetcher: 5 } as never))).to.have.property('argument', 'fetcher')
    expect(await planData({ ids: [1], columns: ['a'], table: 'p.u', cache: cache() })).to.include({ misses: 1 })
  })

  it('leaves the caller\'s request as it was', async () => {
    const request = Object.freeze({ ids: Object.freeze([2, 1, 2]) as number[], columns: Object.freeze(['name', 'meta.city']), table: 'public.users',
      fetcher: madeFrom(sampleRow).fetcher, cache: cache(), columnTypes: Object.freeze({ name: 'text' }) })
    const result = await getData(request)
    expect(result.column('id')).to.deep.equal(Float64Array.of(1, 2))
    expect(request.ids).to.deep.equal([2, 1, 2])
  })
})

describe('openDatabase, before anything is asked,', () => {
  const folder = freshFolder()

  it('refuses a connection string that is none', async () => {
    expect(await rejection(openDatabase({ connectionString: 5 as never }))).to.include({ code: 'ERR_INVALID_ARGUMENT', argument: 'connectionString' })
    const error = await rejection(openDatabase({ connectionString: 'sqlite:/tmp/100%.db' }))
    expect(error).to.include({ code: 'ERR_INVALID_ARGUMENT', argument: 'connectionString' })
    expect(error.message).to.contain('%25').and.contain('sqlite:/tmp/100%.db')
  })

  it('says that a cache folder below a file cannot be used, also where it only counts or clears', async () => {
    writeFileSync(join(folder(), 'file'), '')
    const db = await openDatabase({ connectionString: 'sqlite:none.db', cacheDir: join(folder(), 'file', 'cache') })
    for (const call of [() => db.cacheStats(), () => db.clearCache()]) expect(await rejection(call())).to.include({ code: 'ERR_CACHE_UNUSABLE', errno: 'ENOTDIR' })
    await db.close()
  })
})

describe('batchSizeFor', () => {
  for (const [misses, size] of [[0, 100], [1, 100], [50, 100], [100, 100], [500, 100], [10_000, 100], [10_001, 101], [15_000, 150], [1_000_003, 10_001]] as const) {
    it(`is ${size} for ${misses} misses`, () => { expect(batchSizeFor(misses)).to.equal(size) })
  }

  it('never makes more than 100 batches', () => {
    for (let misses = 1; misses < 2_000_000; misses += 997) expect(Math.ceil(misses / batchSizeFor(misses)), String(misses)).to.be.at.most(100)
  })
})
