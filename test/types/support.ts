/** A cache in a folder of its own, and one request made every way it can be made: all must answer alike. */
import { deepStrictEqual } from 'node:assert'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Field } from '../../lib/batch/column-type.js'
import type { Row } from '../../lib/batch/row-factory.js'
import type { Table } from '../../lib/batch/table.js'
import type { Fetcher } from '../../lib/source/fetcher.js'
import { openCache, type Cache } from '../../lib/store/open-cache.js'
import { getData } from '../../pipelines/get-data.js'
import type { DataRequest } from '../../pipelines/request.js'

/** A cache that can be closed and opened again, in a folder that goes when the test is over. */
export interface TestCache {
  readonly dir: string
  /** The open cache; another one after `reopen`. */
  cache: Cache
  /** Forget everything this process knows of the cache, as a restart does. */
  reopen(): Promise<void>
  remove(): Promise<void>
}

export async function testCache(dir?: string): Promise<TestCache> {
  const folder = dir ?? await mkdtemp(join(tmpdir(), 'millrace-types-'))
  const open = (): Promise<Cache> => openCache({ dir: folder, durability: 'none' })
  const test: TestCache = {
    dir: folder,
    cache: await open(),
    async reopen() {
      await test.cache.close()
      test.cache = await open()
    },
    async remove() {
      await test.cache.close()
      await rm(folder, { recursive: true, force: true })
    },
  }
  return test
}

/** Run a test with a cache of its own. */
export async function withCache<T>(test: (cache: TestCache) => Promise<T>): Promise<T> {
  const cache = await testCache()
  try {
    return await test(cache)
  } finally {
    await cache.remove()
  }
}

/** A fetcher that must not be asked. */
export const nobody: Fetcher = ids => { throw new Error(`the fetcher was asked for ids ${ids.slice(0, 5).join(', ')}`) }

/** A fetcher over rows in memory, which gives each row as it is. */
export function rowsOf(rows: readonly Row[], idColumn = 'id'): Fetcher {
  return ids => {
    const wanted = new Set(ids.map(String))
    return rows.filter(row => wanted.has(String(row[idColumn])))
  }
}

export type Ask = Pick<DataRequest, 'ids' | 'columns' | 'fetcher'> & Partial<DataRequest>

/** A request to `public.t` of this cache. */
export async function ask(to: TestCache, request: Ask): Promise<Table> {
  return await getData({ table: 'public.t', cache: to.cache, retries: 0, cacheErrors: 'throw', ...request })
}

/** Name and type of every column but the id, as `name: type`. */
export function typesOf(table: { schema: readonly Field[] }): string[] {
  return table.schema.slice(1).map(field => `${field.name}: ${field.type}${field.origin ? ` (${field.origin})` : ''}`)
}

/** JS values exactly: prototypes, -0, NaN and typed arrays included. */
export function same(found: unknown, expected: unknown, message?: string): void {
  if (message === undefined) deepStrictEqual(found, expected)
  else {
    try {
      deepStrictEqual(found, expected)
    } catch (error) {
      throw new Error(`${message}: ${(error as Error).message}`, { cause: error })
    }
  }
}

/** Cold, warm, reopened and compacted: every way must give these rows; all but the first without a fetch. */
export async function everyWay(to: TestCache, request: Ask, rows: readonly Row[], compacted = 'public.t'): Promise<Table> {
  const cold = await ask(to, request)
  same(cold.toRows(), rows, 'cold')
  const columns = Object.fromEntries(cold.columnNames.map(name => [name, cold.column(name)]))
  const again = async (how: string): Promise<void> => {
    const table = await ask(to, { ...request, fetcher: nobody, refresh: false })
    same(table.toRows(), rows, how)
    for (const name of table.columnNames) same(table.column(name), columns[name], `${how}: column ${name}`)
    same(typesOf(table), typesOf(cold), `${how}: types`)
  }
  await again('warm')
  await to.reopen()
  await again('reopened')
  await to.cache.compact(compacted)
  await again('compacted')
  await to.reopen()
  await again('compacted and reopened')
  return cold
}

/** The error a promise ends in. */
export async function errorOf(promise: Promise<unknown>): Promise<Error & { code?: string }> {
  try {
    await promise
  } catch (error) {
    return error as Error & { code?: string }
  }
  throw new Error('expected an error, found none')
}
