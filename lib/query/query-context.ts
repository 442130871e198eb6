import type { Source } from '../source/fetcher.js'
import type { CacheStore } from '../store/cache.js'
import type { TableStore } from '../store/table-store.js'
import { queryTable, type QueryIdentity } from './identity.js'
import { ROW_NUMBER } from '../store/query-record.js'
import { UseCounter } from './use-counter.js'

/** What the queries of one opened database share. */
export interface QueryContext {
  readonly source: Source
  readonly cache: CacheStore
  readonly namespace: string
  /** False: neither texts nor parameters of statements are written to disk. */
  readonly storesText: boolean
  readonly uses: UseCounter
}

/** A context whose uses are counted from nought. */
export function queryContext(parts: Omit<QueryContext, 'uses'>): QueryContext {
  return { ...parts, uses: new UseCounter() }
}

/** Who answers a database's queries, as a part of their keys. */
export function identityOf({ source, namespace }: Pick<QueryContext, 'source' | 'namespace'>): Pick<QueryIdentity, 'identity' | 'namespace'> {
  return { identity: JSON.stringify([source.identity ?? '', source.settings ?? '']), namespace }
}

/** The cache table that holds a query's rows. */
export function storeOf({ cache }: Pick<QueryContext, 'cache'>, identity: QueryIdentity): TableStore {
  return cache.table(queryTable(identity), { idColumn: ROW_NUMBER })
}
