import { checkColumnTypes, type ColumnType } from '../batch/column-type.js'
import { checkInteger } from '../check-number.js'
import { InvalidArgumentError } from '../errors.js'
import type { Source } from './fetcher.js'
import { sqliteDialect } from './sqlite-dialect.js'
import { sqliteFetch } from './sqlite-fetch.js'
import { sqliteDatabase, sqliteFile, sqliteIdentity, type BetterSqlite, type NodeSqlite, type SqliteDatabase } from './sqlite-handle.js'
import { SqlitePool } from './sqlite-pool.js'
import { sqliteExecute, sqliteQuery, type SqliteContext } from './sqlite-run.js'
import { sqliteSnapshot } from './sqlite-snapshot.js'
import { sourceFetcher } from './source-fetcher.js'

export type { BetterSqlite, NodeSqlite } from './sqlite-handle.js'

/** What `sqliteSource` takes: a connection, or a file. */
export interface SqliteSourceOptions {
  /**
   * A `Database` of better-sqlite3, or a `DatabaseSync` of `node:sqlite`. Of a file, it is opened again, and this connection is left
   * alone. Of a database in memory, this connection is used, an answer is read at once, and a snapshot is a copy.
   */
  database?: BetterSqlite | NodeSqlite
  /** A file that exists; opened with better-sqlite3, or with Node's own driver where that is missing. */
  path?: string
  /** Fetches in flight at once (default 1: SQLite works in this thread). */
  maxConcurrency?: number
  /** Connections open at once (default 4); a call waits for one at most `acquireTimeoutMs` (default 10,000; 0 = no limit). */
  maxConnections?: number
  acquireTimeoutMs?: number
  /** Rows per RowBatch (default 8192): what is read before other work gets a turn. */
  batchRows?: number
  /** Types by column name, instead of what the table declares. */
  columnTypes?: Readonly<Record<string, ColumnType>>
}

/**
 * Rows from SQLite, by id or by query. Types follow the columns' declarations; a value that its column's type does not hold exactly is
 * refused by name. `timeoutMs` has no meaning here: a statement runs in this thread.
 *
 * @throws {InvalidArgumentError} neither or both of `database` and `path`
 */
export function sqliteSource({ database, path, maxConcurrency = 1, maxConnections = 4, acquireTimeoutMs = 10_000, batchRows = 8192, columnTypes }: SqliteSourceOptions): Source {
  if ((database === undefined) === (path === undefined)) throw new InvalidArgumentError({ argument: 'database', expected: 'one of database and path', found: database === undefined ? 'neither' : 'both' })
  if (path !== undefined && (typeof (path as unknown) !== 'string' || path === '' || path.includes('\0'))) throw new InvalidArgumentError({ argument: 'path', expected: 'a file', found: JSON.stringify(path) })
  checkInteger('maxConcurrency', maxConcurrency, 1)
  checkInteger('maxConnections', maxConnections, 1)
  checkInteger('batchRows', batchRows, 1)
  const given = database ? sqliteDatabase(database) : undefined
  let opening: Promise<SqliteDatabase> | undefined
  const open = (): Promise<SqliteDatabase> => given ? Promise.resolve(given) : opening ??= sqliteFile(path!).catch((error: unknown) => {
    // the file may be there next time
    opening = undefined
    throw error
  })
  const identity = given ? given.identity : sqliteIdentity(path!)
  const context: SqliteContext = { pool: new SqlitePool(open, { max: given?.shared ? 1 : maxConnections, waitMs: acquireTimeoutMs }), batchRows, identity, columnTypes: checkColumnTypes(columnTypes) }
  return {
    fetch: sourceFetcher(sqliteFetch(context), { maxConcurrency, identity }),
    query: (sql, options) => sqliteQuery(context, sql, options),
    execute: (sql, options) => sqliteExecute(context, sql, options),
    close: () => {
      context.pool.close()
      return Promise.resolve()
    },
    maxConcurrency,
    identity,
    settings: JSON.stringify({ columnTypes: Object.entries(columnTypes ?? {}) }),
    snapshot: options => sqliteSnapshot(context, options),
    dialect: sqliteDialect,
  }
}
