import type { Field } from '../batch/column-type.js'
import type { TableName } from './table-name.js'

/** The schema under which queries' folders stand among the tables'. */
export const QUERY_SCHEMA = 'query'

/** The name of the hidden column that numbers a result's rows. */
export const ROW_NUMBER = '#row'

/** The name of the hidden column of checksums that the database made of the rows. */
export const ROW_HASH = '#hash'

/** Whether a table's name is one that only cached queries have. */
export function isQueryTable({ schema, table }: TableName): boolean {
  return schema === QUERY_SCHEMA && /^[0-9a-f]{64}$/.test(table)
}

/** A parameter as the manifest holds it: its JS type's tag, and its value where it has one. See `lib/query/parameters.ts`. */
export type StoredParameter = readonly [tag: string, value?: unknown]

/** How far an incremental query has come. */
export interface StoredWatermark {
  orderColumn: string
  keyColumn: string | null
  /** The highest order value and the highest key at it, as texts made by the database; null while there are no rows. */
  value: string | null
  key: string | null
  /** The cached rows that have this order value: the last ones. */
  ties: number
}

/**
 * What a table-like folder of the cache holds when its rows are a query's result. The rows stand in the query's order, by
 * number from 0, in parts like any table's; this record and they change in one commit.
 */
export interface QueryRecord {
  kind: 'plain' | 'incremental'
  /** Changes whenever the rows do; a commit that was prepared on another revision is given up. */
  revision: string
  /** The statement's text and parameters; null where the user did not want them stored. */
  sql: string | null
  params: readonly StoredParameter[] | null
  /** Whose answer it is: database, user, settings. */
  identity: string
  /** What the server said beyond that when the rows were read (the search path in force). */
  session: string | null
  /** The result's columns, as the server described them. */
  columns: readonly Field[]
  /** The number after the last row's. */
  rows: number
  /** Numbers of rows that left the result while others stayed, ascending: the parts still hold them. */
  dropped?: readonly number[]
  watermark: StoredWatermark | null
  /** Rows carry a checksum made by the database, see `reconcile`. */
  hasRowHashes?: boolean
  /** When all rows were last read, and when the last ones were, ms since 1970. */
  fullMs: number
  updatedMs: number
  /** How often the rows were used, and when last, ms since 1970. */
  hits: number
  lastUsedMs: number
}

/** How many rows a query's result has. */
export function resultRows({ rows, dropped }: Pick<QueryRecord, 'rows' | 'dropped'>): number {
  return rows - (dropped?.length ?? 0)
}

/** What a commit does to a query's record. */
export interface QueryChange {
  /** The record to put in, `hits` and `lastUsedMs` added to what is there; null forgets the query. */
  record?: QueryRecord | null
  /** The commit makes sense only while the record has this revision (null: while there is none). */
  ifRevision?: string | null
  /** All parts of before go: the added ones are the whole result. */
  replacesAll?: boolean
  /** Uses to count. */
  used?: { hits: number, atMs: number }
}

/**
 * The record after a change; `pointless` when the change was prepared on another revision, or there is nothing to count for.
 */
export function changeRecord(record: QueryRecord | undefined, { record: next, ifRevision, used }: QueryChange): { record: QueryRecord | undefined } | 'pointless' {
  if (ifRevision !== undefined && (record?.revision ?? null) !== ifRevision) return 'pointless'
  if (next === null) return { record: undefined }
  if (next !== undefined) {
    return { record: { ...next, hits: next.hits + (record?.hits ?? 0), lastUsedMs: Math.max(next.lastUsedMs, record?.lastUsedMs ?? 0) } }
  }
  if (!used || !record) return 'pointless'
  return { record: { ...record, hits: record.hits + used.hits, lastUsedMs: Math.max(record.lastUsedMs, used.atMs) } }
}
