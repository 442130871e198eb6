import { collectIds } from '../batch/id-set.js'
import type { Id } from '../batch/ids.js'
import type { CacheStore } from './cache.js'
import type { Manifest } from './catalog.js'
import { idsOf } from './compaction.js'
import { rangesOverlap } from './manifest.js'
import { resultRows } from './query-record.js'
import type { TableStore } from './table-store.js'

/** What a cached table holds. */
export interface TableInfo {
  /** `schema.table`, as it was given. */
  table: string
  namespace: string
  idColumn: string
  /** Distinct ids with at least one cached column, invalid ones included until the next compaction. */
  rows: number
  parts: number
  bytes: number
  /** The cached columns, without the id. */
  columns: string[]
  idMin: Id
  idMax: Id
  source: string | null
  /** Set where the rows are a query's result: its text (null where it is not stored), and how far an incremental one has come. */
  query?: { sql: string | null, kind: 'plain' | 'incremental', watermark: string | null }
}

/** What a cache folder holds. */
export interface CacheStats {
  totalFiles: number
  totalSizeMb: number
  totalRecords: number
  cacheDir: string
  tables: TableInfo[]
}

/** Distinct ids of a table. Parts that overlap no other need only be counted. */
async function countRows(store: TableStore, manifest: Manifest): Promise<number> {
  const overlapping = manifest.parts.filter(part => manifest.parts.some(other => other !== part && rangesOverlap(part, other)))
  const apart = manifest.parts.filter(part => !overlapping.includes(part))
  const rows = apart.reduce((sum, part) => sum + part.rows, 0)
  if (overlapping.length === 0) return rows
  return rows + (await collectIds(idsOf(store.snapshotOf(manifest), overlapping))).size
}

/** Describe one table; undefined when it holds nothing. */
export async function inspectTable(store: TableStore): Promise<TableInfo | undefined> {
  const manifest = await store.manifest()
  const { parts, query } = manifest
  if (parts.length === 0) return undefined
  const held = new Set(parts.flatMap(part => part.columns.slice(1).map(column => column.name)))
  return {
    table: store.name, namespace: store.key.namespace, idColumn: store.key.idColumn,
    rows: query ? resultRows(query) : await countRows(store, manifest),
    parts: parts.length,
    bytes: parts.reduce((sum, part) => sum + part.bytes, 0),
    columns: manifest.columns.map(field => field.name).filter(name => held.has(name)),
    idMin: parts.map(part => part.idMin).reduce((a, b) => a < b ? a : b),
    idMax: parts.map(part => part.idMax).reduce((a, b) => a > b ? a : b),
    source: manifest.source,
    ...(query ? { query: { sql: query.sql, kind: query.kind, watermark: query.watermark?.value ?? null } } : {})
  }
}

/** Describe every table that holds something, by name. */
export async function inspectTables(cache: CacheStore, only?: readonly TableStore[]): Promise<TableInfo[]> {
  const infos: TableInfo[] = []
  for (const store of only ?? await cache.tables()) {
    const info = await inspectTable(store)
    if (info) infos.push(info)
  }
  return infos
}

/** Files, size and rows of some tables, or of all. */
export async function cacheStats(cache: CacheStore, only?: readonly TableStore[]): Promise<CacheStats> {
  const tables = await inspectTables(cache, only)
  const sum = (of: (table: TableInfo) => number): number => tables.reduce((total, table) => total + of(table), 0)
  return { totalFiles: sum(table => table.parts), totalSizeMb: Math.round(sum(table => table.bytes) / 1024 / 1024 * 100) / 100,
    totalRecords: sum(table => table.rows), cacheDir: cache.dir, tables }
}
