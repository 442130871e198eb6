import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import { finished } from 'node:stream/promises'
import { expect } from 'chai'
import type { Id } from '../../lib/batch/ids.js'
import type { Row } from '../../lib/batch/row-factory.js'
import { streamData } from '../../pipelines/stream-data.js'
import { turns } from '../support/collect.js'
import { ask, errorOf, nobody, rowsOf, same, withCache, type TestCache } from '../types/support.js'

const rows: Row[] = [1, 2, 3, 2n ** 60n].map(id => ({ id, a: `a ${String(id)}`, b: Number(id) }))
const all = rows.map(row => row['id'] as Id)
const left = rows.filter(row => row['id'] !== 2 && row['id'] !== 2n ** 60n)

describe('a refresh of ids that the source no longer has', () => {
  const version = async (cache: TestCache): Promise<number> => (await cache.cache.store.table('public.t').manifest()).version
  const filled = async (cache: TestCache): Promise<void> => {
    await ask(cache, { ids: all, columns: ['a', 'b'], fetcher: rowsOf(rows) })
  }
  /** The ids that are asked for when everything is wanted. */
  const asked = async (cache: TestCache, columns: string[]): Promise<Id[]> => {
    const ids: Id[] = []
    await ask(cache, { ids: all, columns, onMissing: 'skip', fetcher: some => { ids.push(...some); return [] } })
    return ids
  }

  it('names them, and they are no hits afterwards in any column, over restarts and compactions; the others are', () => withCache(async cache => {
    await filled(cache)
    const error = await errorOf(ask(cache, { ids: all, columns: ['a'], refresh: true, fetcher: rowsOf(left) }))
    expect(error).to.include({ code: 'ERR_DATA_NOT_FOUND' })
    expect(error).to.have.deep.property('ids', [2, 2n ** 60n])
    for (const later of [() => undefined, () => cache.reopen(), () => cache.cache.compact(), () => cache.reopen()]) {
      await later()
      for (const columns of [['a'], ['b'], ['a', 'b']]) expect(await asked(cache, columns)).to.deep.equal([2, 2n ** 60n])
      same((await ask(cache, { ids: [1, 3], columns: ['a', 'b'], fetcher: nobody })).toRows(), left)
    }
    // and back again, when the source has them again
    same((await ask(cache, { ids: all, columns: ['a', 'b'], fetcher: rowsOf(rows) })).toRows(), rows)
    same((await ask(cache, { ids: all, columns: ['a', 'b'], fetcher: nobody })).toRows(), rows)
  }))

  it('forgets them however missing ids are delivered, when all are gone, and by the stream', () => withCache(async cache => {
    for (const onMissing of ['skip', 'null'] as const) {
      await filled(cache)
      expect((await ask(cache, { ids: all, columns: ['b'], refresh: true, onMissing, fetcher: () => [] })).length).to.equal(onMissing === 'skip' ? 0 : 4)
      expect(await asked(cache, ['a'])).to.deep.equal(all)
    }
    await filled(cache)
    let delivered = 0
    for await (const batch of streamData({ ids: all, columns: ['a'], table: 'public.t', cache: cache.cache, refresh: true, onMissing: 'skip', fetcher: rowsOf(left) })) delivered += batch.length
    expect(delivered).to.equal(2)
    expect(await asked(cache, ['a', 'b'])).to.deep.equal([2, 2n ** 60n])
  }))

  it('keeps those whose fetch failed, and those that it did not ask for', () => withCache(async cache => {
    await filled(cache)
    const error = await errorOf(ask(cache, { ids: [1, 2], columns: ['a'], refresh: true, batchSize: 1, fetcher: ([id]) => {
      if (id === 1) throw new Error('down')
      return []
    } }))
    expect(error).to.include({ code: 'ERR_BATCH_FAILED' })
    expect(await asked(cache, ['a'])).to.deep.equal([2])
  }))

  it('leaves the table alone where nothing of them is cached, and without refresh', () => withCache(async cache => {
    await ask(cache, { ids: [1, 3], columns: ['a', 'b'], fetcher: rowsOf(rows) })
    const before = await version(cache)
    await ask(cache, { ids: [2, 77], columns: ['a'], refresh: true, onMissing: 'skip', fetcher: () => [] })
    await ask(cache, { ids: [1], columns: ['c'], onMissing: 'skip', fetcher: () => [] })
    expect(await version(cache)).to.equal(before)
    same((await ask(cache, { ids: [1, 3], columns: ['a', 'b'], fetcher: nobody })).toRows(), left)
  }))

  it('forgets those it has seen when the reader leaves early', () => withCache(async cache => {
    const many = Array.from({ length: 70_000 }, (_, id) => ({ id, a: id }))
    const ids = many.map(row => row.id)
    await ask(cache, { ids, columns: ['a'], fetcher: () => many })
    const stream = streamData({ ids, columns: ['a'], table: 'public.t', cache: cache.cache, refresh: true, batchSize: 65_536, fetcher: some => some.filter(id => id !== 5).map(id => ({ id, a: -1 })) })
    for await (const batch of stream) {
      expect(batch.length).to.equal(65_535)
      break
    }
    await finished(stream as unknown as Readable).catch(() => undefined)
    while ((await cache.cache.store.table('public.t').manifest()).tombstones.length === 0) await turns(1)
    await turns()
    const again: Id[] = []
    await ask(cache, { ids: [4, 5, 6], columns: ['a'], onMissing: 'skip', fetcher: some => { again.push(...some); return [] } })
    expect(again).to.deep.equal([5])
  }))

  it('forgets them where the part that held them cannot be read', () => withCache(async cache => {
    await filled(cache)
    const store = cache.cache.store.table('public.t')
    const [part] = (await store.manifest()).parts
    await cache.reopen()
    await writeFile(store.settings.blobs.pathOf(store.key.folder, part!.name), 'no parquet')
    await ask(cache, { ids: [2], columns: ['a'], refresh: true, onMissing: 'skip', fetcher: () => [] })
    expect((await store.manifest()).tombstones).to.have.length(1)
  }))

  it('warns where the cache cannot be told, or throws if asked to', () => withCache(async cache => {
    for (const cacheErrors of ['warn', 'throw'] as const) {
      await filled(cache)
      const folder = join(cache.dir, cache.cache.store.table('public.t').key.folder)
      const answer = ask(cache, { ids: [2], columns: ['a'], refresh: true, onMissing: 'skip', cacheErrors, fetcher: async () => {
        await rm(folder, { recursive: true })
        await writeFile(folder, 'a file where the folder was')
        return []
      } })
      if (cacheErrors === 'warn') expect((await answer).report.warnings.map(({ code }) => code)).to.deep.equal(['CACHE_WRITE_FAILED'])
      else expect(await errorOf(answer)).to.include({ code: 'ERR_CACHE_UNUSABLE' })
      await rm(folder)
      await cache.reopen()
    }
  }))
})
