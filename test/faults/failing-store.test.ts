import { expect } from 'chai'
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { BlobStore } from '../../lib/store/blob-store.js'
import type { Catalog } from '../../lib/store/catalog.js'
import { localBlobStore } from '../../lib/store/local-blob-store.js'
import { localCatalog } from '../../lib/store/local-catalog.js'
import { openCache, type Cache } from '../../lib/store/open-cache.js'
import { getData } from '../../pipelines/get-data.js'
import { streamData } from '../../pipelines/stream-data.js'
import { refuseUnhandledRejections } from '../support/collect.js'
import { madeFrom, range } from '../support/fetchers.js'
import { counts, shortOrLong } from './support/rows.js'

const table = 'public.things'
const columns = ['n', 'text']
const rowOf = (id: number | bigint) => ({ id, n: Number(id) % 10, text: `${id} `.repeat(20) })

/** Counts operations and fails one of them, or all from that one on. */
class Fault {
  calls = 0
  struck = 0
  constructor(readonly at: number, readonly errno: string, readonly persistent: boolean) {}

  /** The same functions, each of which may fail before it does anything. */
  in<T extends object>(store: T): T {
    return new Proxy(store, { get: (target, name) => {
      const value: unknown = Reflect.get(target, name)
      if (typeof value !== 'function' || name === 'pathOf' || name === 'close' || name === 'release' || name === 'abort') {
        return typeof value === 'function' ? value.bind(target) as unknown : value
      }
      return async (...args: unknown[]) => {
        this.calls++
        if (this.persistent ? this.calls >= this.at : this.calls === this.at) {
          this.struck++
          throw Object.assign(new Error(`${this.errno}: ${String(name)} fails`), { code: this.errno })
        }
        const result: unknown = await (value as (...args: unknown[]) => unknown).apply(target, args)
        // what is opened or begun may fail later on
        return (name === 'create' || name === 'open') ? this.in(result as object) : result
      }
    } })
  }
}

/** Requests, an invalidation, folding, and everything a cache is looked after with. What is thrown is returned. */
async function workload(cache: Cache, folder: string): Promise<{ errors: string[], warnings: { errno?: string | undefined, message: string }[] }> {
  const errors: string[] = []
  const warnings: { errno?: string | undefined, message: string }[] = []
  const request = async (ids: number[], refresh = false): Promise<void> => {
    const result = await getData({ cache, ids, columns, table, refresh, retries: 0, fetcher: madeFrom(rowOf).fetcher })
    expect(result.toRows()).to.deep.equal(ids.map(rowOf))
    warnings.push(...result.report.warnings)
  }
  const maintain = async (work: () => Promise<unknown>): Promise<void> => {
    try {
      await work()
    } catch (error) {
      errors.push(String(error))
    }
  }
  await request(range(0, 200))
  await request(range(0, 200))
  for (let i = 0; i < 10; i++) await request(range(i * 20, i * 20 + 10), true)
  await maintain(() => cache.store.table(table).settled())
  await maintain(() => cache.invalidate({ table, ids: range(5, 15) }))
  await request(range(0, 210))
  await maintain(() => cache.verify())
  await maintain(() => cache.compact())
  await maintain(() => cache.export({ table, file: join(folder, 'export.parquet') }))
  await maintain(() => cache.repair())
  for await (const batch of streamData({ cache, ids: range(150, 260), columns, table, fetcher: madeFrom(rowOf).fetcher })) {
    if (batch.length > 0) break
  }
  return { errors, warnings }
}

describe('a store whose n-th operation fails', function () {
  this.timeout(600_000)
  refuseUnhandledRejections()

  for (const [errno, persistent, stride] of [['EIO', false, shortOrLong(29, 1)], ['ENOSPC', true, shortOrLong(61, 5)]] as const) {
    it(`fails no request, says ${errno}, keeps what was cached, and leaves nothing behind${persistent ? ', nor when all later ones fail too' : ''}`, async () => {
      let [points, told] = [0, 0]
      for (let at = 1; ; at += stride) {
        const folder = mkdtempSync(join(tmpdir(), 'millrace-failing-'))
        const dir = join(folder, 'cache')
        const fault = new Fault(at, errno, persistent)
        const blobs: BlobStore = fault.in(localBlobStore({ dir, durability: 'none' }))
        const catalog: Catalog = fault.in(localCatalog({ dir, durability: 'none' }))
        const cache = await openCache({ dir, graceMs: 0, partBytes: 8192, blobs, catalog })
        const { errors, warnings } = await workload(cache, folder)
        await cache.close()
        for (const text of [...errors, ...warnings.filter(warning => warning.errno !== errno).map(({ message }) => message)]) expect(text, `${at}`).to.include(errno)
        if (errors.length + warnings.length > 0) told++
        // the fault is over
        const well = await openCache({ dir, graceMs: 0, durability: 'none' })
        const verified = await well.verify()
        expect(verified.problems, `${at}`).to.deep.equal([])
        const again = await getData({ cache: well, ids: range(0, 260), columns, table, fetcher: madeFrom(rowOf).fetcher })
        expect(again.toRows()).to.deep.equal(range(0, 260).map(rowOf))
        expect(again.report.warnings).to.deep.equal([])
        await well.compact()
        await well.store.table(table).collectGarbage()
        const named = new Set((await well.store.table(table).manifest()).parts.map(({ name }) => name))
        const left = readdirSync(join(dir, 'public.things')).filter(name => /^(tmp|data)-/.test(name) && !named.has(name))
        expect(left, `${at}`).to.deep.equal([])
        expect(existsSync(join(folder, 'export.parquet')) || errors.length > 0).to.equal(true)
        expect(readdirSync(folder).filter(name => name.includes('tmp-'))).to.deep.equal([])
        await well.close()
        rmSync(folder, { recursive: true })
        if (fault.struck === 0) break
        points++
      }
      counts(`${errno} from the store${persistent ? ', from then on' : ''}`, { points, 'said so': told, 'broken': 0 })
      expect(Math.min(points, told)).to.be.greaterThan(3)
    })
  }
})
