import { appendFileSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { expect } from 'chai'
import { getData } from '../../../pipelines/get-data.js'
import { checkFetcher } from '../../../lib/fetch/options.js'
import { requestColumns } from '../../../lib/fetch/request-columns.js'
import { parseColumnName } from '../../../lib/json/column-name.js'
import { cacheOf, tableOf } from '../../../lib/store/cache-reference.js'
import { CacheStore } from '../../../lib/store/cache.js'
import { localCatalog } from '../../../lib/store/local-catalog.js'
import { openCache, type Cache } from '../../../lib/store/open-cache.js'
import type { Fetcher } from '../../../lib/source/fetcher.js'

describe('a cache by its handle', () => {
  let dir: string
  let cache: Cache
  let fetched: number

  beforeEach(async () => {
    dir = mkdtempSync(join(tmpdir(), 'millrace-handle-'))
    cache = await openCache({ dir, graceMs: 0 })
    fetched = 0
  })
  afterEach(async () => {
    await cache.close()
    rmSync(dir, { recursive: true, force: true })
  })

  const read = async (table = 'public.users', ids = [1, 2, 3]): Promise<unknown> => (await getData({ ids, columns: ['name'], table, cache, fetcher: missing => {
    fetched += missing.length
    return missing.map(id => ({ id, name: `n${id}` }))
  } })).toRows()
  const files = (start: string): string[] => readdirSync(dir, { recursive: true }).map(String).filter(name => basename(name).startsWith(start))

  it('shows its tables, their size, and that they are whole', async () => {
    await read()
    await read('public.orders', [1])
    expect((await cache.tables()).map(({ table }) => table).sort()).to.deep.equal(['public.orders', 'public.users'])
    const stats = [await cache.stats(), await cache.stats('public.users'), await cache.stats('public.nothing')]
    expect(stats.map(({ totalRecords }) => totalRecords)).to.deep.equal([4, 3, 0])
    expect((await cache.verify()).problems).to.deep.equal([])
  })

  it('commits what many calls fetched at once in turns: none writes a manifest in vain', async () => {
    const local = localCatalog({ dir, durability: 'none' })
    const won: boolean[] = []
    const counting = await openCache({ dir, durability: 'none', catalog: { ...local, commit: async (...given) => {
      won.push(await local.commit(...given))
      return won.at(-1)!
    } } })
    const ask = (fetcher: Fetcher) => Promise.all(Array.from({ length: 30 }, (_, i) => getData({ ids: [2 * i, 2 * i + 1], columns: ['n'], table: 'public.many', cache: counting, fetcher })))
    await ask(ids => ids.map(id => ({ id, n: Number(id) })))
    await counting.close()
    expect(won.length).to.be.at.least(30)
    expect(won).to.not.include(false)
    const tables = await ask(() => { throw new Error('all of it is cached') })
    expect(tables.flatMap(table => [...table.column('n') as ArrayLike<number> as number[]])).to.deep.equal(Array.from({ length: 60 }, (_, i) => i))
    await counting.close()
  })

  it('finds what is damaged, and drops it on repair: it is fetched again', async () => {
    await read()
    appendFileSync(join(dir, files('data-')[0]!), 'x')
    expect((await cache.verify()).problems).to.have.length(1)
    await cache.repair()
    expect((await cache.verify()).problems).to.deep.equal([])
    await read()
    expect(fetched).to.equal(6)
  })

  it('finds a damaged list of invalid ids: on repair everything that it may hide is dropped', async () => {
    await read()
    await cache.invalidate({ table: 'public.users', ids: [2] })
    appendFileSync(join(dir, files('ids-')[0]!), 'x')
    expect((await cache.verify()).problems.map(({ kind }) => kind)).to.deep.equal(['tombstone'])
    await cache.repair()
    expect((await cache.verify()).problems).to.deep.equal([])
    await read()
    expect(fetched).to.equal(6)
  })

  it('finds a damaged manifest: on repair it is set aside, and the table begun anew', async () => {
    await read()
    for (const name of files('manifest-')) writeFileSync(join(dir, name), readFileSync(join(dir, name), 'utf8').replace('"parts"', '"Parts"'))
    const other = await openCache({ dir, graceMs: 0 })
    expect((await other.verify()).problems.map(({ kind }) => kind)).to.deep.equal(['manifest'])
    const { quarantined } = await other.repair()
    expect(quarantined).to.have.length(1)
    expect((await other.verify()).problems).to.deep.equal([])
    await other.close()
  })

  it('forgets rows, columns, ages and tables', async () => {
    await read()
    await cache.invalidate({ table: 'public.users', ids: [] })
    await cache.invalidate({ table: 'public.users', before: '2000-01-01' })
    await read()
    expect(fetched).to.equal(3)
    await cache.invalidate({ table: 'public.users', ids: [2] })
    await read()
    expect(fetched).to.equal(4)
    await cache.invalidate({ table: 'public.users', columns: ['name'] })
    await read()
    expect(fetched).to.equal(7)
    await cache.invalidate({ table: 'public.users', before: new Date(Date.now() + 60_000) })
    await read()
    expect(fetched).to.equal(10)
    await read('public.orders', [1])
    expect(await cache.clear('rder')).to.equal(1)
    expect(await cache.clear()).to.equal(1)
    expect(files('data-')).to.deep.equal([])
    expect(await cache.clear()).to.equal(0)
  })

  it('folds parts into one', async () => {
    await read('public.users', [1, 2])
    await read('public.users', [3, 4])
    const [result, other] = await cache.compact('public.users')
    expect(result).to.deep.include({ table: 'public.users', partsBefore: 2, partsAfter: 1 })
    expect(other).to.equal(undefined)
    expect(await cache.compact('public.nothing')).to.deep.equal([])
  })

  const refused: readonly [title: string, call: () => unknown, argument: string][] = [
    ['an age that is none', () => cache.invalidate({ table: 'public.users', before: 'soon' }), 'before'],
    ['no columns to forget', () => cache.invalidate({ table: 'public.users', columns: [] }), 'columns'],
    ['a pattern that is no text', () => cache.clear(5 as never), 'pattern'],
    ['an id column without a name', () => tableOf({ table: 't', idColumn: '', cache }), 'idColumn'],
    ['a namespace that is no text', () => tableOf({ table: 't', namespace: 5 as never, cache }), 'namespace'],
    ['a folder without a name', () => cacheOf({ cacheDir: '' }), 'cacheDir'],
    ['something else for a cache', () => cacheOf({ cache: {} as never }), 'cache'],
    ['a durability that there is not', () => new CacheStore({ dir, durability: 'some' as never }), 'durability'],
    ['a codec that there is not', () => new CacheStore({ dir, codec: 'LZ9' as never }), 'codec'],
    ['parts of no size', () => new CacheStore({ dir, partBytes: NaN }), 'partBytes'],
    ['a folder that is no text', () => new CacheStore({ dir: 5 as never }), 'dir'],
    ['a source in place of its fetcher', () => { checkFetcher({ fetch: () => [] }) }, 'fetcher'],
    ['a fetcher that is none', () => { checkFetcher(null) }, 'fetcher'],
    ['a column name that is no text', () => parseColumnName(5 as never), 'name'],
    ['a column without a name', () => requestColumns([''], 'id'), 'columns[0]'],
    ['columns that are no list', () => requestColumns('name', 'id'), 'columns'],
  ]
  for (const [title, call, argument] of refused) {
    it(`refuses, by name, ${title}`, async () => {
      let thrown: unknown
      try {
        await call()
      } catch (error) {
        thrown = error
      }
      expect(thrown).to.include({ code: 'ERR_INVALID_ARGUMENT', argument })
    })
  }
})
