import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'chai'
import { storageValues } from '../../lib/batch/cells.js'
import type { Id } from '../../lib/batch/ids.js'
import { CacheCorruptionError } from '../../lib/errors.js'
import { decodeColumn } from '../../lib/parquet/column.js'
import { parseFooter } from '../../lib/parquet/footer.js'
import type { Fetcher } from '../../lib/source/fetcher.js'
import { openCache } from '../../lib/store/open-cache.js'
import { getData } from '../../pipelines/get-data.js'
import { refuseUnhandledRejections } from '../support/collect.js'
import { badFiles, type BadFile } from './support/bad-parquet.js'
import { COLUMNS, counts, folderInMemory, idsFrom, rowOf, wrongRow } from './support/rows.js'

const IDS = idsFrom(0, 300)
const table = 'public.t'
const columns = [...COLUMNS, 'city']
const cityOf = (id: unknown): string => `city ${Number(id) % 7}`

/** The rows of every fault test, and a column that has a dictionary. */
function cities(): { fetcher: Fetcher, asked: Set<Id> } {
  const asked = new Set<Id>()
  return { asked, fetcher: async ids => ids.map(id => {
    asked.add(id)
    return { ...rowOf(id), city: cityOf(id) }
  }) }
}

/** The bytes at the length of the part they replace: the size must not be what gives them away. */
function resized(bytes: Uint8Array, length: number): Uint8Array {
  if (bytes.length >= length) return bytes.subarray(bytes.length - length)
  return Buffer.concat([bytes.subarray(0, 8), Buffer.alloc(length - bytes.length), bytes.subarray(8)])
}

describe('a bad Parquet file', function () {
  this.timeout(120_000)
  refuseUnhandledRejections()
  let folder = ''
  let dir = ''
  let path = ''
  let good: Uint8Array = new Uint8Array()
  let bad: BadFile[] = []
  beforeEach(async () => {
    folder = folderInMemory('bad')
    dir = join(folder, 'cache')
    const cache = await openCache({ dir, durability: 'none' })
    await getData({ cache, ids: IDS, columns, table, fetcher: cities().fetcher })
    await cache.close()
    path = partIn(dir)
    good = new Uint8Array(readFileSync(path))
    bad = badFiles(good)
  })
  afterEach(() => { rmSync(folder, { recursive: true, force: true }) })

  const partIn = (cacheDir: string): string => join(cacheDir, 'public.t', readdirSync(join(cacheDir, 'public.t')).find(name => name.startsWith('data-'))!)

  it('in the place of a part is set aside and named, its rows are fetched again, and none of it is parsed', async () => {
    let uses = 0
    for (const { kind, bytes } of bad) {
      // as it is, and at the length that the manifest says
      for (const [how, contents] of [['as it is', bytes], ['at the right length', resized(bytes, good.length)]] as const) {
        if (Buffer.compare(contents, good) === 0) continue
        uses++
        writeFileSync(partIn(dir), contents)
        const cache = await openCache({ dir, durability: 'none' })
        const file = partIn(dir)
        for (const round of ['bad', 'again']) {
          const { fetcher, asked } = cities()
          const result = await getData({ cache, ids: IDS, columns, table, fetcher })
          expect(wrongRow(result, IDS), `${kind}, ${how}, ${round}`).to.equal(undefined)
          expect(result.column('city')).to.deep.equal(IDS.map(cityOf))
          expect([round, asked.size, result.report.warnings.map(({ code, file: named }) => [code, named])], `${kind}, ${how}`)
            .to.deep.equal(round === 'bad' ? ['bad', IDS.length, [['CACHE_CORRUPT', file]]] : ['again', 0, []])
        }
        await cache.close()
        // a new part stands in its place by now: make it the good one again, byte for byte
        good = new Uint8Array(readFileSync(partIn(dir)))
      }
    }
    expect(readdirSync(join(dir, 'public.t')).filter(name => name.startsWith('corrupt-'))).to.have.length(uses)
    counts('bad Parquet files in a cache', { 'kinds': bad.length, uses, 'wrong': 0 })
  })

  it('that the checksums vouch for is refused with a typed error, or read within its bounds', () => {
    const read: string[] = []
    for (const { kind, bytes, looksFine } of bad) {
      try {
        const { fields, rowGroups } = parseFooter(bytes, bytes.length)
        for (const group of rowGroups) {
          for (const [c, chunk] of group.columns.entries()) {
            const start = group.offset + chunk.offset
            expect(storageValues(decodeColumn(fields[c]!, chunk, group.rows, bytes.subarray(start, start + chunk.bytes)))).to.have.length(group.rows)
          }
        }
        read.push(kind)
        if (!looksFine) expect.fail(`${kind} was read`)
      } catch (error) {
        if (!(error instanceof CacheCorruptionError)) throw new Error(`${kind}: ${String(error)}`, { cause: error })
      }
    }
    counts('bad Parquet files parsed', { 'refused': bad.length - read.length, 'read': read.length })
    expect(read).to.have.length(bad.filter(({ looksFine }) => looksFine).length)
  })
})
