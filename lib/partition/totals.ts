import type { Source } from '../source/fetcher.js'
import type { ForeignSql } from '../sql/foreign-shape.js'
import { quoteIdentifier } from '../sql/quote.js'
import type { PartitionCache } from './cache.js'
import { hashOf } from './canonical.js'
import { isPostgres } from './catalogue.js'
import { foreignCount } from './foreign-sql.js'
import { markOf } from './fragment-mark.js'
import type { QueryShape } from './shape.js'

// -n_distinct is a share of the rows; both are estimates, good enough for "a large part of all"
const ESTIMATE = `SELECT CASE WHEN s.n_distinct > 0 THEN s.n_distinct ELSE -s.n_distinct * c.reltuples END AS total
  FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
  JOIN pg_catalog.pg_stats s ON s.schemaname = n.nspname AND s.tablename = c.relname
  WHERE c.oid = pg_catalog.to_regclass($1) AND s.attname = $2 AND c.reltuples > 0 AND NOT s.inherited`

const FRESH_MS = 600_000

const totals = new WeakMap<Source, Map<string, { readonly total: number, readonly readAt: number }>>()

async function firstNumber(source: Source, sql: string, params: readonly unknown[]): Promise<number | undefined> {
  for await (const batch of source.query(sql, { params })) {
    for (const { total } of batch.toRows() as { total: unknown }[]) return total === null ? undefined : Number(total)
  }
  return undefined
}

/** How many partitions there are, from the cache if the set of all is there, else from the source. undefined: nobody can say. */
export async function totalKeys({ tables, keyColumns, anchor }: QueryShape, cache: PartitionCache, partitionKey: string, source: Source | undefined, dialect?: ForeignSql): Promise<number | undefined> {
  const table = tables[anchor.table]!.text
  const column = quoteIdentifier(keyColumns.get(anchor.table)!)
  const everything = `${markOf(dialect)}SELECT DISTINCT t1.${column} FROM ${table} AS t1`
  const all = await cache.get(hashOf(everything), { partitionKey })
  if (all || !source) return all?.size
  const ofSource = totals.get(source) ?? new Map<string, never>()
  totals.set(source, ofSource)
  const name = `${table} ${column}`
  const last = ofSource.get(name)
  if (last && Date.now() - last.readAt < FRESH_MS) return last.total
  const estimate = isPostgres(source) ? await firstNumber(source, ESTIMATE, [table, keyColumns.get(anchor.table)!]) : undefined
  const total = estimate ?? await firstNumber(source, dialect ? foreignCount(everything) : `SELECT count(DISTINCT t1.${column}) AS total FROM ${table} AS t1`, [])
  if (total !== undefined) ofSource.set(name, { total, readAt: Date.now() })
  return total
}
