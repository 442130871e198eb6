import type { CacheStore } from '../store/cache.js'
import type { Manifest } from '../store/catalog.js'
import { clearTable } from '../store/invalidate.js'
import { resultRows } from '../store/query-record.js'
import type { TableStore } from '../store/table-store.js'
import { shownParameter } from './parameters.js'

/** What is cached of one query. */
export interface QueryInfo {
  /** The statement and its parameters; null where they are not stored. */
  sql: string | null
  params: readonly unknown[] | null
  kind: 'plain' | 'incremental'
  /** The name under which the cache's own verbs know it. */
  table: string
  rows: number
  parts: number
  bytes: number
  /** The highest order value, as the database prints it; null for plain queries and empty results. */
  watermark: string | null
  hits: number
  lastUsed: Date
}

/** What the queries of a cache folder amount to. */
export interface QueryStats {
  totalFiles: number
  totalSizeMb: number
  totalRecords: number
  cacheDir: string
  perQuery: QueryInfo[]
}

async function cachedQueries(cache: CacheStore): Promise<{ store: TableStore, manifest: Manifest & { query: NonNullable<Manifest['query']> } }[]> {
  const found = []
  for (const store of await cache.tables()) {
    const manifest = await store.manifest()
    if (manifest.query) found.push({ store, manifest: { ...manifest, query: manifest.query } })
  }
  return found
}

/** Describe every cached query, the one used last first. */
export async function queryStats(cache: CacheStore): Promise<QueryStats> {
  const perQuery = (await cachedQueries(cache)).map(({ store, manifest: { parts, query } }): QueryInfo => ({
    sql: query.sql, params: query.params?.map(shownParameter) ?? null, kind: query.kind, table: store.name, rows: resultRows(query), parts: parts.length,
    bytes: parts.reduce((sum, part) => sum + part.bytes, 0), watermark: query.watermark?.value ?? null, hits: query.hits, lastUsed: new Date(query.lastUsedMs)
  })).sort((a, b) => b.lastUsed.getTime() - a.lastUsed.getTime())
  const sum = (of: (info: QueryInfo) => number): number => perQuery.reduce((total, info) => total + of(info), 0)
  return { totalFiles: sum(info => info.parts), totalSizeMb: Math.round(sum(info => info.bytes) / 1024 / 1024 * 100) / 100,
    totalRecords: sum(info => info.rows), cacheDir: cache.dir, perQuery }
}

/** Forget the queries whose text, or the name of a file of theirs, contains `pattern`; all without one. Returns how many. */
export async function clearQueries(cache: CacheStore, pattern?: string): Promise<number> {
  let cleared = 0
  for (const { store, manifest: { query, parts } } of await cachedQueries(cache)) {
    const names = [query.sql ?? '', store.name, store.key.folder, ...parts.map(part => part.name)]
    if (pattern !== undefined && !names.some(name => name.includes(pattern))) continue
    await store.settled()
    await clearTable(store)
    cleared++
  }
  return cleared
}
