import { join } from 'node:path'
import { expect } from 'chai'
import { getData, planData, type Id } from '../../index.js'

import { exportTable } from '../../lib/store/export.js'
import { invalidateTable } from '../../lib/store/invalidate.js'
import { freshCache, freshFolder } from '../support/cache.js'

describe('ids that are cached without a column', () => {
  const cache = freshCache()
  const folder = freshFolder()
  const gone = new Set<Id>()
  beforeEach(() => gone.clear())
  const fetcher = (ids: readonly Id[]): Promise<object[]> => Promise.resolve(ids.filter(id => !gone.has(id)).map(id => ({ id, a: `a${id}` })))
  const hits = async (table: string, ids: readonly number[]): Promise<number> => (await planData({ ids, columns: ['id'], table, cache: cache() })).hits
  const get = (table: string, ids: readonly number[], columns: readonly string[], more = {}): Promise<unknown> =>
    getData({ ids, columns, table, cache: cache(), fetcher: fetcher as never, ...more })

  it('stay invalid when they are compacted', async () => {
    await get('a.b', [1, 2, 3], ['id'])
    await invalidateTable(cache().store.table('a.b'), { ids: [2] })
    await cache().store.table('a.b').compact({ all: true })
    expect(await hits('a.b', [1, 2, 3])).to.equal(2)
  })

  it('stay forgotten when a refresh did not find them', async () => {
    await get('a.b', [1, 2, 3], ['id'])
    gone.add(2)
    await get('a.b', [1, 2, 3], ['id'], { refresh: true, onMissing: 'skip' })
    await cache().store.table('a.b').compact({ all: true })
    expect(await hits('a.b', [1, 2, 3])).to.equal(2)
  })

  it('are kept by a compaction beside rows that have columns', async () => {
    await get('a.b', [1, 3], ['id'])
    await get('a.b', [5], ['a'])
    await cache().store.table('a.b').compact({ all: true })
    expect(await hits('a.b', [1, 3, 5])).to.equal(3)
  })

  it('are not exported where they are invalid, whatever columns are asked for', async () => {
    await get('a.b', [1, 3, 4], ['a'])
    await invalidateTable(cache().store.table('a.b'), { ids: [4] })
    const rows = async (columns?: readonly string[]): Promise<number> => (await exportTable(cache().store.table('a.b'), { file: join(folder(), 'x.parquet'), columns })).rows
    expect([await rows(['a']), await rows(['id']), await rows([]), await rows()]).to.deep.equal([2, 2, 2, 2])
  })
})
