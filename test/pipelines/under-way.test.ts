import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect } from 'chai'
import { getData, openCache, planData, type Id } from '../../index.js'
import { exportTable } from '../../lib/store/export.js'
import { clearTable, invalidateTable } from '../../lib/store/invalidate.js'
import type { TableStore } from '../../lib/store/table-store.js'
import { verifyCache } from '../../lib/store/verify.js'
import { freshCache, freshFolder } from '../support/cache.js'

describe('beside a fetch that is under way', () => {
  const cache = freshCache()
  const table = 'public.users'

  /** A fetcher that has read its rows, and hands them over when it is let go. */
  function held(value: () => string): { fetcher: (ids: readonly Id[]) => Promise<{ id: Id, name: string }[]>, asked: Promise<void>, letGo: () => void } {
    let [letGo, isAsked] = [(): void => undefined, (): void => undefined]
    const gate = new Promise<void>(resolve => { letGo = resolve })
    const asked = new Promise<void>(resolve => { isAsked = resolve })
    return { asked, letGo, fetcher: async ids => {
      const rows = ids.map(id => ({ id, name: value() }))
      isAsked()
      await gate
      return rows
    } }
  }

  it('a compaction keeps what hides its rows, committed between plan and commit', async () => {
    const { store } = cache()
    const common = { columns: ['name'], table, cache: cache() }
    await getData({ ...common, ids: [50], fetcher: ids => Promise.resolve(ids.map(id => ({ id, name: 'x' }))) })
    const slow = held(() => 'old')
    // as another process has it: commits of one object take turns
    const other = await openCache({ dir: store.dir, durability: 'none' })
    const running = getData({ ...common, cache: other, ids: [1], fetcher: slow.fetcher })
    await slow.asked
    await invalidateTable(store.table(table), { ids: [1] })
    const { catalog } = store.settings
    const commit = catalog.commit.bind(catalog)
    catalog.commit = async (...given) => {
      catalog.commit = commit
      slow.letGo()
      await running
      return await commit(...given)
    }
    await store.table(table).compact({ all: true })
    await other.close()
    expect((await getData({ ...common, ids: [1], fetcher: ids => Promise.resolve(ids.map(id => ({ id, name: 'new' }))) })).toRows()).to.deep.equal([{ id: 1, name: 'new' }])
  })

  it('an invalidation of what was fetched before now reaches its rows', async () => {
    const common = { columns: ['name'], table, cache: cache() }
    const slow = held(() => 'old')
    const running = getData({ ...common, ids: [1], fetcher: slow.fetcher })
    await slow.asked
    await sleep(5)
    const before = Date.now()
    slow.letGo()
    await running
    await invalidateTable(cache().store.table(table), { before })
    expect((await planData({ ...common, ids: [1] })).hits).to.equal(0)
  })

  it('clear deletes nothing that was committed after it', async () => {
    const { store } = cache()
    const common = { columns: ['name'], table, cache: cache(), fetcher: (ids: readonly Id[]) => Promise.resolve(ids.map(id => ({ id, name: `n${id}` }))) }
    await getData({ ...common, ids: [1, 2] })
    const { blobs } = store.settings
    const list = blobs.list.bind(blobs)
    blobs.list = async folder => {
      blobs.list = list
      await getData({ ...common, ids: [3] })
      return await list(folder)
    }
    await clearTable(store.table(table))
    expect(await verifyCache(store)).to.include({ ok: true })
    expect((await planData({ ...common, ids: [1, 2, 3] })).hits).to.equal(1)
  })

  it('a call that joins a finished fetch finds out what could not be parsed, and caches nothing of it', async () => {
    const common = { columns: ['meta.city'], table, cache: cache(),
      fetcher: (ids: readonly Id[]) => Promise.resolve(ids.map(id => ({ id, meta: id === 2 ? '{broken' : '{"city":"x"}' }))) }
    const codeOf = (run: Promise<unknown>): Promise<unknown> => run.then(() => 'rows', (error: { code: string }) => error.code)
    const late = async function * (): AsyncGenerator<number> {
      await sleep(100)
      yield 2
    }
    const [first, second] = [codeOf(getData({ ...common, ids: [1, 2, 3] })), codeOf(getData({ ...common, ids: late() }))]
    expect([await first, await second]).to.deep.equal(['ERR_JSON_PARSE', 'ERR_JSON_PARSE'])
    expect(await codeOf(getData({ ...common, ids: [2] }))).to.equal('ERR_JSON_PARSE')
  })

  it('an id that was not found is asked for again by the next call', async () => {
    const there = new Set<Id>([1])
    const fetcher = async (ids: readonly Id[]): Promise<{ id: Id, name: string }[]> => {
      if (ids.includes(99)) await sleep(300)
      return ids.filter(id => there.has(id)).map(id => ({ id, name: 'x' }))
    }
    const common = { columns: ['name'], table, cache: cache(), fetcher, onMissing: 'skip' as const }
    const other = getData({ ...common, ids: [99] })
    expect((await getData({ ...common, ids: [7] })).length).to.equal(0)
    there.add(7)
    expect((await getData({ ...common, ids: [7] })).length).to.equal(1)
    await other
  })
})

describe('an abort while a request is planned', () => {
  const folder = freshFolder()

  it('settles when nothing is opened any more', async () => {
    const opened = await openCache({ dir: folder(), partBytes: 64 * 1024, durability: 'none' })
    const ids = Array.from({ length: 200_000 }, (_, i) => i * 3)
    const common = { ids, columns: ['name'], table: 'a.b', cache: opened }
    await getData({ ...common, fetcher: asked => Promise.resolve(asked.map(id => ({ id, name: `name ${id}` }))) })
    const abort = new AbortController()
    const { settings } = (opened as unknown as { store: { settings: { blobs: { open: (folder: string, name: string) => Promise<unknown> } } } }).store
    let [isSettled, after] = [false, 0]
    const open = settings.blobs.open.bind(settings.blobs)
    settings.blobs.open = async (...given) => {
      if (isSettled) after++
      else abort.abort(new Error('enough'))
      return await open(...given)
    }
    const error = await getData({ ...common, fetcher: () => Promise.resolve([]), signal: abort.signal }).then(() => undefined, (reason: unknown) => reason)
    isSettled = true
    await opened.close()
    await sleep(50)
    expect([(error as Error).name, after]).to.deep.equal(['AbortError', 0])
  })
})

describe('beside a compaction that removes what it replaced', () => {
  const cache = freshCache({ graceMs: 0 })
  const folder = freshFolder()

  /** Two parts; the first that is opened from now on is gone by then. */
  async function replacedWhenOpened(): Promise<TableStore> {
    const { store } = cache()
    const fetcher = (ids: readonly Id[]): Promise<{ id: Id, name: string }[]> => Promise.resolve(ids.map(id => ({ id, name: `n${id}` })))
    for (const ids of [[1, 3], [2, 4]]) await getData({ ids, columns: ['name'], table: 'a.b', cache: cache(), fetcher })
    const table = store.table('a.b')
    const open = store.settings.blobs.open.bind(store.settings.blobs)
    store.settings.blobs.open = async (...given) => {
      store.settings.blobs.open = open
      await table.compact({ all: true })
      return await open(...given)
    }
    return table
  }

  it('verify finds nothing lost', async () => {
    await replacedWhenOpened()
    expect(await verifyCache(cache().store)).to.deep.include({ ok: true, problems: [] })
  })

  it('export begins anew', async () => {
    const table = await replacedWhenOpened()
    expect(await exportTable(table, { file: join(folder(), 'x.parquet') })).to.include({ rows: 4 })
  })
})
