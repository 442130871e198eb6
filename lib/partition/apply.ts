import { emit } from '../queue/metrics.js'
import { InvalidArgumentError, UnsupportedQueryError } from '../errors.js'
import { PartitionBackendError } from './backend.js'
import type { Source } from '../source/fetcher.js'
import { readCatalogue } from './catalogue.js'
import { shapeOf, type QueryOptions } from './decompose.js'
import { usableSets, type LookupOptions } from './key-sets.js'
import { TEXT_TYPES, type PartitionKeyValue } from './key-types.js'
import { narrowQuery, type NarrowingMethod, type NarrowOptions } from './narrow.js'
import { rewriteWithStarTable, starText, type StarOptions } from './star.js'
import { totalKeys } from './totals.js'

/** How a query is narrowed with what is cached. */
export interface ApplyOptions extends LookupOptions, Pick<NarrowOptions, 'nullKeys' | 'analyzeTmpTable'>, Partial<Pick<StarOptions, 'starTable' | 'starAlias' | 'starColumn'>> {
  /** Default 'IN', and 'IN_SUBQUERY' where `lazy`. */
  method?: NarrowingMethod | undefined
  /** Let PostgreSQL compute the set within the narrowed query. Only with backends inside the database that the query runs in. */
  lazy?: boolean | undefined
  /** Leave the query alone when the set holds more than this share of all partitions (0 to 1; default: never). Not with `lazy`, where nobody knows how many it holds. */
  maxKeyShare?: number | undefined
  /** All partitions there are; without it the cache's set of all, or `source`, is asked. */
  totalKeys?: number | undefined
  /** Asked for functions' volatility, columns' NULLs, and how many partitions there are. */
  source?: Source | undefined
}

/** What was done, and why not more. */
export interface ApplyStats {
  readonly narrowed: boolean
  /** Why the query was left alone. */
  readonly reason: string | undefined
  /** Fragments that the query has. */
  readonly fragments: number
  /** Cached sets that were intersected. */
  readonly hits: number
  /** Partitions that are left; undefined where that is not known, or not here. */
  readonly keys: number | undefined
  /** Whether a star table was joined. */
  readonly starred: boolean
}

/** A query and how it came out. */
export interface AppliedQuery {
  readonly sql: string
  /** To be run before it, in order, on the same connection; the TMP_TABLE methods have some. */
  readonly statements: readonly string[]
  readonly stats: ApplyStats
}

/**
 * Narrows a query to the partitions that the cache says it can match. It answers the same rows, over the data that the sets were
 * computed from. A query that cannot be narrowed comes back as it is, with the reason; so does every query while the cache cannot be
 * reached, which the channel `millrace:queue:trouble` tells.
 *
 * @throws {InvalidArgumentError} options that do not go together: `lazy` with `maxKeyShare`, or with a cache outside PostgreSQL
 */
export async function applyCache(sql: string, options: ApplyOptions): Promise<AppliedQuery> {
  const { cache, partitionKey = cache.partitionKey, source, maxKeyShare } = options
  if (maxKeyShare !== undefined && !(maxKeyShare >= 0 && maxKeyShare <= 1)) {
    throw new InvalidArgumentError({ argument: 'maxKeyShare', expected: 'a share from 0 to 1', found: String(maxKeyShare) })
  }
  if (options.lazy && !cache.lazyIntersect) {
    throw new InvalidArgumentError({ argument: 'lazy', expected: 'a cache inside PostgreSQL (postgresql_array, postgresql_bit)', found: cache.type })
  }
  if (options.lazy && maxKeyShare !== undefined) {
    throw new InvalidArgumentError({ argument: 'maxKeyShare', expected: 'no share with lazy, as only PostgreSQL will know the size of the set: leave out one of the two', found: String(maxKeyShare) })
  }
  let counts = { fragments: 0, hits: 0 }
  const alone = (reason: string, text = sql): AppliedQuery =>
    ({ sql: text, statements: [], stats: { ...counts, narrowed: false, reason, keys: undefined, starred: text !== sql } })
  try {
    const catalogue = options.catalogue ?? (source && await readCatalogue(source, sql))
    if (catalogue?.dialect && (options.lazy || options.starTable !== undefined)) {
      throw new InvalidArgumentError({ argument: options.lazy ? 'lazy' : 'starTable', expected: 'a query that PostgreSQL runs', found: `one of ${catalogue.dialect}` })
    }
    // one catalogue for all of a source's tables: what is read of the star table is found by the query's
    if (options.starTable !== undefined && source && !options.catalogue) await readCatalogue(source, `SELECT FROM ${starText(options.starTable)}`)
    const reading: QueryOptions = { partitionKey, params: options.params, pureFunctions: options.pureFunctions, catalogue }
    const { usable, fragments } = await usableSets(sql, { ...options, catalogue })
    counts = { fragments: fragments.length, hits: 0 }
    const text = options.starTable === undefined ? sql : rewriteWithStarTable(sql, { ...options, ...reading, starTable: options.starTable })
    if (usable.length === 0) return alone('no set is cached that the query could use', text)
    return options.lazy ? await applyLazily(text, usable.map(({ hash }) => hash)) : await applyKeys(text, usable.map(({ hash }) => hash))

    async function applyKeys(query: string, hashes: readonly string[]): Promise<AppliedQuery> {
      const { keys, used } = await cache.lookup(hashes, { partitionKey })
      counts = { fragments: fragments.length, hits: used.length }
      if (!keys) return alone('no set is cached that the query could use', query)
      const tooMany = await tooLarge(keys)
      if (tooMany !== undefined) return alone(tooMany, query)
      const narrowed = narrowQuery(query, { ...reading, keys, method: options.method, nullKeys: options.nullKeys, analyzeTmpTable: options.analyzeTmpTable })
      return { ...narrowed, stats: { ...counts, narrowed: true, reason: undefined, keys: keys.size, starred: query !== sql } }
    }

    async function applyLazily(query: string, hashes: readonly string[]): Promise<AppliedQuery> {
      const column = shapeOf(sql, reading)
      const { schema, name } = column.tables[column.anchor.table]!
      const type = catalogue?.tableFacts(schema, name)?.columns.get(column.keyColumns.get(column.anchor.table)!)?.type
      const isZoned = type === 'timestamptz'
      const datatype = await cache.getDatatype({ partitionKey })
      if (type === undefined && datatype === 'timestamp') {
        return alone('whether the key has a time zone is not known: narrow with keys, or with a source', query)
      }
      if (type !== undefined && datatype === 'text' && !TEXT_TYPES.has(type)) {
        return alone(`keys of the type ${type} are cached as texts, which PostgreSQL does not compare with it: narrow with keys`, query)
      }
      const found = await cache.lazyIntersect!(hashes, { partitionKey, ...(isZoned ? { timestampsAs: 'timestamptz' } : {}) })
      if (!found) return alone('no set is cached that the query could use', query)
      counts = { fragments: fragments.length, hits: found.used.length }
      const narrowed = narrowQuery(query, { ...reading, subquery: found.sql, method: options.method, nullKeys: options.nullKeys, analyzeTmpTable: options.analyzeTmpTable })
      return { ...narrowed, stats: { ...counts, narrowed: true, reason: undefined, keys: undefined, starred: query !== sql } }
    }

    async function tooLarge(keys: ReadonlySet<PartitionKeyValue>): Promise<string | undefined> {
      if (maxKeyShare === undefined || keys.size === 0) return undefined
      const total = options.totalKeys ?? await totalKeys(shapeOf(sql, reading), cache, partitionKey, source, catalogue?.dialect)
      if (total === undefined || keys.size <= maxKeyShare * total) return undefined
      return `the set holds ${keys.size} of ${Math.round(total)} partitions, more than a share of ${maxKeyShare}`
    }
  } catch (error) {
    if (error instanceof UnsupportedQueryError) return alone(error.message)
    if (!(error instanceof PartitionBackendError)) throw error
    // the database can answer without the cache
    emit('millrace:queue:trouble', { where: 'reading the partition cache', error })
    return alone(error.message)
  } finally {
    emit('millrace:partition:lookup', { partitionKey, ...counts })
  }
}
