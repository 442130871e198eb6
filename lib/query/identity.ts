import { createHash } from 'node:crypto'
import { QUERY_SCHEMA, type QueryRecord, type StoredParameter } from '../store/query-record.js'

/** Part of every key: another way to write or read results gets another number, and other folders. */
const KEY_FORMAT = 1

/** Everything that tells one cached query from another. */
export interface QueryIdentity {
  kind: QueryRecord['kind']
  /** Verbatim: white space and case count. */
  sql: string
  params: readonly StoredParameter[]
  /** The source's identity, and what decides how it reads names: user, connection options. */
  identity: string
  namespace: string
  orderColumn: string | null
  keyColumn: string | null
}

/**
 * The sha256 of a query's identity, hex: over length-prefixed parts, so that no two lists of parts run together.
 */
export function queryHash({ kind, sql, params, identity, namespace, orderColumn, keyColumn }: QueryIdentity): string {
  const hash = createHash('sha256')
  const parts = [String(KEY_FORMAT), kind, sql, JSON.stringify(params), identity, namespace, JSON.stringify([orderColumn, keyColumn])]
  for (const part of parts) {
    const bytes = Buffer.from(part, 'utf8')
    hash.update(`${bytes.length}:`).update(bytes)
  }
  return hash.digest('hex')
}

/** The name of the cache table that holds a query's rows. */
export function queryTable(identity: QueryIdentity): string {
  return `${QUERY_SCHEMA}.${queryHash(identity)}`
}

/**
 * Whether a record is this query's. Where text and parameters were not stored the hash of the folder has to do.
 */
export function isRecordOf(record: QueryRecord, { kind, sql, params, identity, orderColumn, keyColumn }: QueryIdentity): boolean {
  return record.kind === kind && record.identity === identity &&
    (record.sql === null || record.sql === sql) &&
    (record.params === null || JSON.stringify(record.params) === JSON.stringify(params)) &&
    (record.watermark?.orderColumn ?? null) === orderColumn && (record.watermark?.keyColumn ?? null) === keyColumn
}
