import { InvalidArgumentError } from '../errors.js'
import { CacheStore, type CacheOptions, type TableOptions } from './cache.js'
import { exportTable, type ExportResult } from './export.js'
import { cacheStats, inspectTables, type CacheStats, type TableInfo } from './inspect.js'
import { clearTable, invalidateTable, type Invalidation } from './invalidate.js'
import type { TableStore } from './table-store.js'
import { repairCache, verifyCache, type RepairResult, type VerifyResult } from './verify.js'

/** What a compaction did to one table. */
export interface CompactResult {
  table: string
  partsBefore: number
  partsAfter: number
  bytesBefore: number
  bytesAfter: number
}

/** An open cache: pass it as `cache`, and look after it. */
export class Cache {
  /** What the stages work with. */
  readonly store: CacheStore

  constructor(store: CacheStore) {
    this.store = store
  }

  /** The cache's folder. */
  get dir(): string {
    return this.store.dir
  }

  /** Every table that holds something. */
  async tables(): Promise<TableInfo[]> {
    return await inspectTables(this.store)
  }

  /** Files, size and rows, of all tables or of those of one name. */
  async stats(table?: string): Promise<CacheStats> {
    return await cacheStats(this.store, table === undefined ? undefined : await this.#named(table))
  }

  /** Check every file, whole, against its checksum. Changes nothing. */
  async verify(): Promise<VerifyResult> {
    return await verifyCache(this.store)
  }

  /** Check everything and drop what is bad: it becomes misses. */
  async repair(): Promise<RepairResult> {
    return await repairCache(this.store)
  }

  /** Rewrite many small or overlapping parts as few large ones, drop invalid rows, and delete what no reader needs any more. */
  async compact(table?: string): Promise<CompactResult[]> {
    const results: CompactResult[] = []
    for (const store of table === undefined ? await this.store.tables() : await this.#named(table)) {
      await store.settled()
      const before = await store.manifest()
      await store.compact({ all: true })
      const after = await store.manifest()
      await store.collectGarbage()
      const bytes = (parts: readonly { bytes: number }[]): number => parts.reduce((sum, part) => sum + part.bytes, 0)
      if (before.parts.length > 0) {
        results.push({ table: store.name, partsBefore: before.parts.length, partsAfter: after.parts.length,
          bytesBefore: bytes(before.parts), bytesAfter: bytes(after.parts) })
      }
    }
    return results
  }

  /** Make rows or columns of a table invalid: they are fetched again when they are asked for. */
  async invalidate({ table, namespace, idColumn, ...what }: { table: string } & TableOptions & Invalidation): Promise<void> {
    await invalidateTable(this.store.table(table, { namespace, idColumn }), what)
  }

  /** Forget tables and cached queries, all or those whose name (a query's text) contains `pattern`; their files are deleted at once. Returns how many. */
  async clear(pattern?: string): Promise<number> {
    if (pattern !== undefined && typeof pattern !== 'string') {
      throw new InvalidArgumentError({ argument: 'pattern', expected: "a part of the tables' names", found: typeof pattern })
    }
    let cleared = 0
    for (const store of await this.store.tables()) {
      const { parts, query } = await store.manifest()
      if (pattern !== undefined && ![store.name, query?.sql ?? ''].some(name => name.includes(pattern))) continue
      await store.settled()
      if (parts.length > 0 || query) cleared++
      await clearTable(store)
    }
    return cleared
  }

  /** Write a table as one plain Parquet file. */
  async export({ table, namespace, idColumn, file, columns }: { table: string, file: string, columns?: readonly string[] | undefined } & TableOptions): Promise<ExportResult> {
    return await exportTable(this.store.table(table, { namespace, idColumn }), { file, columns })
  }

  /** Wait for folding under way and close every file. */
  async close(): Promise<void> {
    await this.store.close()
  }

  /** The caches of a table name, in every namespace and by every id column. */
  async #named(table: string): Promise<TableStore[]> {
    const wanted = this.store.table(table).name
    return (await this.store.tables()).filter(store => store.name === wanted)
  }
}

/**
 * Open a cache folder and see to it that it can be used; it is created where there is none.
 *
 * @throws {CacheUnusableError} it cannot be read or created
 * @throws {InvalidArgumentError} an option is not what it must be
 */
export async function openCache(options: CacheOptions = {}): Promise<Cache> {
  const store = new CacheStore(options)
  await store.prepare()
  return new Cache(store)
}
