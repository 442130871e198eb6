import type { Row } from '../lib/batch/row-factory.js'
import type { Table } from '../lib/batch/table.js'
import { CacheCorruptionError, CacheUnusableError, InvalidArgumentError } from '../lib/errors.js'
import { clearQueries, queryStats, type QueryStats } from '../lib/query/inspect-queries.js'
import { queryContext, type QueryContext } from '../lib/query/query-context.js'
import type { Source } from '../lib/source/fetcher.js'
import type { PgPool } from '../lib/source/postgres-session.js'
import { mysqlPool, mysqlSource } from '../lib/source/mysql.js'
import { postgresPool, postgresSource } from '../lib/source/postgres.js'
import { sqliteSource } from '../lib/source/sqlite.js'
import { cacheOf } from '../lib/store/cache-reference.js'
import { CacheStore } from '../lib/store/cache.js'
import { queryRows } from './query-cached.js'
import { collectRows } from './query-incremental.js'
import { checkQuery, FETCH_TIMEOUT_MS, type IncrementalOptions, type QueryOptions } from './query-options.js'
import type { ResultStream } from './result-stream.js'
import { incrementalRows } from './stream-incremental.js'

/** Settings of the pool that `openDatabase` makes. */
export interface PoolSettings {
  /** Connections kept open when idle (default 0), and connections at most (default 4). */
  min?: number | undefined
  max?: number | undefined
  /** Longest wait for a connection, in ms (default 10,000). */
  connectTimeoutMs?: number | undefined
}

/** Which database, and where its queries are cached. */
export interface DatabaseOptions {
  /**
   * `postgres://user@host:port/database`, or the parts below; what neither says, the usual `PG*` variables do. Or
   * `mysql://user@host:port/database`, or `sqlite:` and a file: `sqlite:shop.db`, `sqlite:///srv/shop.db`.
   */
  connectionString?: string | undefined
  host?: string | undefined
  port?: number | undefined
  database?: string | undefined
  user?: string | undefined
  password?: string | undefined
  /** Settings of the pool to make; or a `pg.Pool` of one's own, which stays open. */
  pool?: PoolSettings | PgPool | undefined
  /** A source instead: `postgresSource(…)`, `mysqlSource(…)`, `sqliteSource(…)`. It stays open. */
  source?: Source | undefined
  /** The cache's folder (default `.cache`). */
  cacheDir?: string | undefined
  /** An opened cache instead of `cacheDir`. It stays open. */
  cache?: { readonly store: CacheStore } | undefined
  /** Separates caches of one database: tenants under row-level security, a search path that a hook sets. */
  namespace?: string | undefined
  /** False: the texts and parameters of statements are not written to disk (default true). */
  storeQueryText?: boolean | undefined
}

/** A database whose queries are cached. */
export class Database {
  readonly #context: QueryContext
  readonly #release: () => Promise<void>
  #closing: Promise<void> | undefined

  constructor(context: QueryContext, release: () => Promise<void>) {
    this.#context = context
    this.#release = release
  }

  /**
   * A query's whole result: from the cache where it has it, without asking the database, else read and kept. `cache: false` asks
   * the database and leaves the cache alone.
   *
   * @throws {UnsupportedQueryError} the statement does more than read, and `cache` is not false
   * @throws {InvalidArgumentError} the statement returns no columns: `execute` runs those
   */
  async query<R extends object = Row>(sql: string, options: QueryOptions = {}): Promise<Table<R>> {
    return await collected(() => queryRows(this.#context, sql, options), options) as unknown as Table<R>
  }

  /** As `query`, in batches. */
  stream<R extends object = Row>(sql: string, options: QueryOptions = {}): ResultStream<R> {
    return queryRows(this.#context, sql, options) as unknown as ResultStream<R>
  }

  /**
   * A growing query's result, in the order of its order column: cached rows, and what is new since. What this cannot see: rows
   * that change, vanish or come in below the watermark (less the overlap). `refresh: 'full'` and `reconcile` are for those.
   *
   * @throws {UnsupportedQueryError} the statement's result cannot be extended by new rows alone
   * @throws {InvalidArgumentError} the order column is missing, ambiguous, without order or NULL
   */
  async queryIncremental<R extends object = Row>(sql: string, options: IncrementalOptions): Promise<Table<R>> {
    return await collected(() => incrementalRows(this.#context, sql, options), options) as unknown as Table<R>
  }

  /** As `queryIncremental`, in batches: cached ones first. Memory does not grow with the result. */
  streamIncremental<R extends object = Row>(sql: string, options: IncrementalOptions): ResultStream<R> {
    return incrementalRows(this.#context, sql, options) as unknown as ResultStream<R>
  }

  /** Run a statement, always on the database, and return its row count. Nothing is cached, and nothing cached is renewed. */
  async execute(sql: string, params?: readonly unknown[], options: Pick<QueryOptions, 'signal' | 'fetchTimeoutMs'> = {}): Promise<number> {
    checkQuery(sql, options)
    return await this.#context.source.execute(sql, { params, signal: options.signal, timeoutMs: options.fetchTimeoutMs ?? FETCH_TIMEOUT_MS })
  }

  /** Forget the queries whose text, or file name, contains `pattern`; all of them without one. Returns how many. */
  async clearCache(pattern?: string): Promise<number> {
    if (pattern !== undefined && typeof (pattern as unknown) !== 'string') {
      throw new InvalidArgumentError({ argument: 'pattern', expected: 'a part of the statement', found: typeof pattern })
    }
    return await clearQueries(this.#context.cache, pattern)
  }

  /** What is cached, in all and of each query. */
  async cacheStats(): Promise<QueryStats> {
    await this.#context.uses.flush()
    return await queryStats(this.#context.cache)
  }

  /**
   * Close what was opened here: the pool, the cache's files. Waits for what runs, and so for a stream that was begun until it is read to
   * its end, left or destroyed. Later calls wait for the first.
   */
  async close(): Promise<void> {
    await (this.#closing ??= this.#close())
  }

  async #close(): Promise<void> {
    await this.#context.uses.flush()
    await this.#release()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }
}

/** A result as a table; read once more where cached rows were lost on the way: nobody has seen the first ones. */
async function collected(rows: () => ResultStream, options: Pick<QueryOptions, 'cacheErrors'>): Promise<Table> {
  try {
    return await collectRows(rows())
  } catch (error) {
    const isLost = error instanceof CacheCorruptionError || error instanceof CacheUnusableError
    if (!isLost || options.cacheErrors === 'throw') throw error
    return await collectRows(rows())
  }
}

function isPool(pool: PoolSettings | PgPool | undefined): pool is PgPool {
  return typeof (pool as Partial<PgPool> | undefined)?.connect === 'function'
}

/** A source of our own, by the scheme of the connection string, and what ends it. */
async function connect(pool: PoolSettings | undefined, connection: Pick<DatabaseOptions, 'connectionString' | 'host' | 'port' | 'database' | 'user' | 'password'>): Promise<{ source: Source, end: () => Promise<void> }> {
  const { connectionString = '' } = connection
  const { max = 4, connectTimeoutMs } = pool ?? {}
  if (/^(mysql|mariadb):/i.test(connectionString)) {
    const own = await mysqlPool({ uri: connectionString.replace(/^mariadb:/i, 'mysql:'), max, connectTimeoutMs })
    return { source: mysqlSource({ pool: own, ...(connectTimeoutMs === undefined ? {} : { acquireTimeoutMs: connectTimeoutMs }) }), end: () => own.end() }
  }
  if (/^sqlite:/i.test(connectionString)) {
    return { source: sqliteSource({ path: sqlitePathOf(connectionString), maxConnections: max }), end: () => Promise.resolve() }
  }
  const own = postgresPool({ max, ...pool, ...connection })
  return { source: postgresSource({ pool: own }), end: () => own.end() }
}

/** The file of a `sqlite:` URL. */
function sqlitePathOf(url: string): string {
  const rest = url.slice('sqlite:'.length)
  try {
    return decodeURI(rest.startsWith('//') ? rest.replace(/^\/\/[^/]*/, '') : rest)
  } catch (cause) {
    throw new InvalidArgumentError({ argument: 'connectionString', expected: 'a sqlite: URL in which a percent sign is written as %25', found: url, cause })
  }
}

/**
 * Open a database for cached queries. Connects when something has to be asked: what is cached whole is served without.
 *
 * @throws {InvalidArgumentError} options that do not go together
 */
export async function openDatabase({ source, pool, cacheDir = '.cache', cache, namespace = '', storeQueryText = true, ...connection }: DatabaseOptions = {}): Promise<Database> {
  const given = [source && 'source', isPool(pool) && 'pool', (connection.connectionString ?? connection.host ?? connection.database) !== undefined && 'connectionString or host'].filter(Boolean)
  if (given.length > 1) throw new InvalidArgumentError({ argument: 'options', expected: 'one way to the database', found: given.join(' and ') })
  if (typeof ((connection.connectionString ?? '') as unknown) !== 'string') throw new InvalidArgumentError({ argument: 'connectionString', expected: 'text', found: typeof connection.connectionString })
  if (typeof (namespace as unknown) !== 'string') throw new InvalidArgumentError({ argument: 'namespace', expected: 'text', found: typeof namespace })
  if (source && typeof (source as Partial<Source>).query !== 'function') throw new InvalidArgumentError({ argument: 'source', expected: 'a source, such as postgresSource({ pool })', found: typeof source })
  const { source: from, end } = source || isPool(pool) ? { source: source ?? postgresSource({ pool: pool as PgPool }), end: () => Promise.resolve() } : await connect(pool, connection)
  const store = cache ? cacheOf({ cache }) : new CacheStore({ dir: cacheDir })
  return new Database(queryContext({ source: from, cache: store, namespace, storesText: storeQueryText }), async () => {
    if (!cache) await store.close()
    if (!source) await from.close()
    await end()
  })
}
