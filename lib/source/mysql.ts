import { checkColumnTypes, type ColumnType } from '../batch/column-type.js'
import { checkInteger } from '../check-number.js'
import { InvalidArgumentError, MissingDependencyError } from '../errors.js'
import type { Source } from './fetcher.js'
import { mysqlDialect } from './mysql-dialect.js'
import { mysqlExecute, mysqlFetch, mysqlQuery, type MySqlContext } from './mysql-run.js'
import type { MySqlPool } from './mysql-session.js'
import { mysqlSnapshot } from './mysql-snapshot.js'
import { sourceFetcher } from './source-fetcher.js'

export type { MySqlPool } from './mysql-session.js'

/** What `mysqlSource` takes. */
export interface MySqlSourceOptions {
  /** A pool of `mysql2/promise`; it stays open. Sessions of it are left in UTC and in the modes that `docs/sources.md` names. */
  pool: MySqlPool
  /** Fetches in flight at once (default 2). */
  maxConcurrency?: number
  /** Rows per RowBatch (default 8192). */
  batchRows?: number
  /** The longest silence tolerated from the server, in ms (default 0 = no limit). */
  timeoutMs?: number
  /** The longest wait for a connection of the pool, in ms (default 10,000; 0 = no limit). */
  acquireTimeoutMs?: number
  /** Types by column name, instead of the server's: `'text'` for anything but bytes, zero dates included. */
  columnTypes?: Readonly<Record<string, ColumnType>>
}

interface ConnectionFacts { host?: string, port?: number | string, socketPath?: string, user?: string, database?: string }

function factsOf({ pool }: MySqlPool): ConnectionFacts {
  return (pool?.config as { connectionConfig?: ConnectionFacts } | undefined)?.connectionConfig ?? {}
}

/** Where a pool connects to, without user and password. Connects nowhere. */
function identityOf(pool: MySqlPool): string | undefined {
  const { host, port, socketPath, database } = factsOf(pool)
  if (host === undefined && socketPath === undefined) return undefined
  const at = socketPath ? encodeURIComponent(socketPath) : `${host!.includes(':') ? `[${host}]` : encodeURIComponent(host!)}:${port ?? 3306}`
  return `mysql://${at}/${encodeURIComponent(database ?? '')}`
}

/**
 * Rows from MySQL 8.0.4 or MariaDB 10.6 and later, by id or by query, with the server's own column types.
 *
 * Every call takes a connection of its own from the pool and gives it back whatever happens: lost connections, silence beyond
 * `timeoutMs`, aborts and early `break`s settle. An answer that was not read to its end costs its connection.
 *
 * @throws {InvalidArgumentError} `pool` is no pool
 */
export function mysqlSource({ pool, maxConcurrency = 2, batchRows = 8192, timeoutMs = 0, acquireTimeoutMs = 10_000, columnTypes }: MySqlSourceOptions): Source {
  if (typeof (pool as Partial<MySqlPool> | undefined)?.getConnection !== 'function' || (pool.getConnection as unknown as { length: number }).length > 0) {
    throw new InvalidArgumentError({ argument: 'pool', expected: "a pool of 'mysql2/promise'", found: typeof pool })
  }
  checkInteger('maxConcurrency', maxConcurrency, 1)
  checkInteger('batchRows', batchRows, 1)
  const identity = identityOf(pool)
  const { user } = factsOf(pool)
  const context: MySqlContext = { pool, identity, batchRows, timeoutMs, acquireTimeoutMs, columnTypes: checkColumnTypes(columnTypes), isClosed: false }
  return {
    fetch: sourceFetcher(mysqlFetch(context), { maxConcurrency, identity }),
    query: (sql, options) => mysqlQuery(context, sql, options),
    execute: (sql, options) => mysqlExecute(context, sql, options),
    close: () => {
      context.isClosed = true
      return Promise.resolve()
    },
    maxConcurrency,
    identity,
    settings: JSON.stringify({ user, columnTypes: Object.entries(columnTypes ?? {}) }),
    snapshot: options => mysqlSnapshot(context, options),
    dialect: mysqlDialect,
  }
}

/** A pool of this module's own making, to be ended by whoever opened it. */
export interface OwnMySqlPool extends MySqlPool {
  end(): Promise<void>
}

/**
 * A pool for programs that have none of their own. Connects when it is first used.
 *
 * @param uri `mysql://user@host:port/database`
 * @throws {MissingDependencyError} mysql2 is not installed
 */
export async function mysqlPool({ uri, max = 2, connectTimeoutMs = 10_000 }: { uri: string, max?: number | undefined, connectTimeoutMs?: number | undefined }): Promise<OwnMySqlPool> {
  let driver: typeof import('mysql2/promise')
  try {
    driver = await import('mysql2/promise')
  } catch (cause) {
    throw new MissingDependencyError({ package: 'mysql2', purpose: 'a MySQL database', cause })
  }
  return driver.createPool({ uri, connectionLimit: max, connectTimeout: connectTimeoutMs })
}
