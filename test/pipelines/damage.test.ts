import { expect } from 'chai'
import { deepStrictEqual } from 'node:assert'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { getData } from '../../pipelines/get-data.js'
import { filesBelow, freshCache, withReopened } from '../support/cache.js'
import { madeFrom, range } from '../support/fetchers.js'

const table = 'public.things'
const columns = ['n', 'name']
const ROWS = 200_000
const rowOf = (id: number | bigint) => ({ id, n: Number(id) % 7 === 0 ? null : Number(id), name: `name ${id}` })
const ids = range(0, ROWS)
const expected = ids.map(rowOf)

describe('a part of several windows', function () {
  this.timeout(20_000)
  const cache = freshCache()

  /** Fill the cache, change a byte of this row in its one part, and read all of it anew. */
  async function readDamaged(row: number): Promise<{ asked: number[], again: number[] }> {
    await getData({ ids, columns, table, cache: cache(), fetcher: madeFrom(rowOf).fetcher })
    const [name, ...others] = filesBelow(cache().store.dir, '.parquet')
    expect(others).to.deep.equal([])
    const file = join(cache().store.dir, name!)
    const bytes = readFileSync(file)
    bytes[bytes.indexOf(rowOf(row).name)]! ^= 255
    writeFileSync(file, bytes)
    return await withReopened(cache(), async other => {
      const damaged = madeFrom(rowOf)
      const result = await getData({ ids, columns, table, cache: other, fetcher: damaged.fetcher })
      deepStrictEqual(result.toRows(), expected)
      expect(result.report.warnings.map(({ code }) => code)).to.deep.equal(['CACHE_CORRUPT'])
      expect(result.report).to.include({ rows: ROWS, hits: ROWS - damaged.asked().length, misses: damaged.asked().length })
      const healed = madeFrom(rowOf)
      deepStrictEqual((await getData({ ids, columns, table, cache: other, fetcher: healed.fetcher })).toRows(), expected)
      return { asked: damaged.asked() as number[], again: healed.asked() as number[] }
    })
  }

  // the window with the damage and all after it are fetched; what was delivered before it is, the next time
  for (const [row, first] of [[30_000, 0], [70_000, 65_536], [140_000, 131_072], [199_999, 196_608]] as const) {
    it(`that is damaged at row ${row} gives the rows before its window, and leaves the others to the source`, async () => {
      const { asked, again } = await readDamaged(row)
      expect([asked[0], asked.length]).to.deep.equal([first, ROWS - first])
      expect(again.length).to.equal(first)
    })
  }
})
