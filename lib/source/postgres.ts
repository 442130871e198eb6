import { createRequire } from 'node:module'
import type { Socket } from 'node:net'
import type pg from 'pg'
import { checkColumnTypes, type ColumnType } from '../batch/column-type.js'
import type { RowBatch } from '../batch/row-batch.js'
import { checkInteger } from '../check-number.js'
import { InvalidArgumentError } from '../errors.js'
import type { Source } from './fetcher.js'
import { abortError } from './source-error.js'
import type { PgField, RawBatch } from './postgres-decode.js'
import { postgresDialect } from './postgres-dialect.js'
import { CopyStream } from './postgres-copy-stream.js'
import { postgresFetch } from './postgres-fetch.js'
import { postgresQuery, postgresExecute, type CopyMode, type CopyRequest, type PgContext, type StreamRequest } from './postgres-run.js'
import type { Lease, Limits, PgClient, PgPool } from './postgres-session.js'
import type { StopOptions } from './postgres-settle.js'
import { postgresSnapshot } from './postgres-snapshot.js'
import { batchStreamOf, type BatchStream as Settling, type QueryStreamClass } from './postgres-stream.js'
import { sourceFetcher } from './source-fetcher.js'

/** Rows per portal read, and so per RowBatch. Measured in bench/postgres-fetch.ts. */
const BATCH_ROWS = 8192
/** A COPY has arrived before it is cut into batches: these are larger, for less to put together. */
const COPY_BATCH_ROWS = 65_536
const CANCEL_TIMEOUT_MS = 5000

const require = createRequire(import.meta.url)

// loaded when a pool is there to be used: the two cost a third of the time that importing millrace takes
let driver: { pg: typeof pg, BatchStream: ReturnType<typeof batchStreamOf> } | undefined
function loaded(): NonNullable<typeof driver> {
  return driver ??= { pg: require('pg') as typeof pg, BatchStream: batchStreamOf(require('pg-query-stream') as QueryStreamClass) }
}

/** Asks the server what a statement returns, without running it. */
class Describe {
  readonly fields: Promise<readonly PgField[]>
  #fields: readonly PgField[] = []
  #resolve!: (fields: readonly PgField[]) => void
  #reject!: (error: Error) => void

  constructor(readonly sql: string) {
    this.fields = new Promise((resolve, reject) => {
      this.#resolve = resolve
      this.#reject = reject
    })
  }

  submit(connection: pg.Connection): void {
    connection.parse({ text: this.sql, name: '', types: [] }, true)
    connection.describe({ type: 'S', name: '' }, true)
    connection.sync()
  }

  handleRowDescription({ fields }: { fields: readonly PgField[] }): void {
    this.#fields = fields
  }

  handleError(error: Error): void {
    this.#reject(error)
  }

  handleReadyForQuery(): void {
    this.#resolve(this.#fields)
  }
}

/** Hand a statement of one's own making to the client. */
function send<S extends { submit(connection: pg.Connection): void }>(client: PgClient, statement: S): S {
  (client as unknown as pg.ClientBase).query(statement)
  return statement
}

/** How a stream on this lease is stopped. */
function stopOf(lease: Lease, limits: Limits): StopOptions {
  return { timeoutMs: limits.timeoutMs, cancel: () => limits.cancel(lease.client), cut: () => lease.cut() }
}

function openStream(lease: Lease, { text, values, name, batchRows, limits }: StreamRequest): AsyncIterable<RawBatch> {
  return readToEnd<RawBatch>(lease, limits, new (loaded().BatchStream)(text, values, { name, batchRows, ...stopOf(lease, limits) }))
}

function openCopy(lease: Lease, { limits, ...request }: CopyRequest): AsyncIterable<RowBatch> {
  return readToEnd<RowBatch>(lease, limits, new CopyStream({ ...request, ...stopOf(lease, limits) }))
}

/** Send a stream's statement and hand on what comes; the lease goes back when the stream has closed. */
async function * readToEnd<T>(lease: Lease, { signal }: Limits, stream: Settling): AsyncGenerator<T> {
  const onAbort = (): void => { stream.abort(abortError(signal!)) }
  // released by the stream's end and not by the reader's: an aborted reader may never come back
  const closed = new Promise<void>(resolve => stream.once('close', () => {
    signal?.removeEventListener('abort', onAbort)
    lease.release(stream.isBroken)
    resolve()
  }))
  if (signal?.aborted) onAbort()
  else {
    signal?.addEventListener('abort', onAbort, { once: true })
    send(lease.client, stream)
  }
  try {
    for await (const batch of stream) yield batch as T
  } finally {
    stream.destroy()
    await closed
  }
}

/** Whether a client is pg's own, in JavaScript, with nothing else to do, so that its socket can be read from for a while. */
function canCopy(client: PgClient): boolean {
  const { connection, readyForQuery, pipeline } = client as { connection?: { stream?: Partial<Socket> }, readyForQuery?: boolean, pipeline?: boolean }
  const stream = connection?.stream
  return readyForQuery === true && pipeline !== true && typeof stream?.pause === 'function' && typeof stream.listeners === 'function'
}

/** Where a pool connects to, without user and password; undefined for a pool that does not say. Connects nowhere. */
function identityOf({ options }: PgPool): string | undefined {
  if (!options) return undefined
  const { host, port, database } = new (loaded().pg.Client)(options)
  const name = host.includes(':') ? `[${host}]` : encodeURIComponent(host)
  return `postgres://${name}:${port}/${encodeURIComponent(database ?? '')}`
}

/** Who connects, and with which options: they decide what an unqualified name means. And which types were declared. */
function settingsOf({ options }: PgPool, columnTypes: ReadonlyMap<string, ColumnType>): string | undefined {
  const declared = columnTypes.size === 0 ? {} : { columnTypes: [...columnTypes] }
  if (!options) return columnTypes.size === 0 ? undefined : JSON.stringify(declared)
  const { user, connectionParameters } = new (loaded().pg.Client)(options) as pg.Client & { connectionParameters?: { options?: string } }
  return JSON.stringify({ user, ...(connectionParameters?.options ? { options: connectionParameters.options } : {}), ...declared })
}

/** Sends PostgreSQL's cancel request for whatever `client` is running, over a connection of its own. */
function cancelRequest(options: object, client: PgClient): void {
  const { processID, secretKey } = client as { processID?: number, secretKey?: number }
  if (!processID) return
  const { connection, host, port, ssl } = new (loaded().pg.Client)(options) as unknown as
    { connection: { connect(port: number | string, host?: string): void, on(event: string, listener: () => void): void, requestSsl(): void,
      cancel(processID: number, secretKey: number | undefined): void, stream: { destroy(): void } }, host: string, port: number, ssl: unknown }
  const timer = setTimeout(() => connection.stream.destroy(), CANCEL_TIMEOUT_MS)
  const send = (): void => connection.cancel(processID, secretKey)
  connection.on('error', () => connection.stream.destroy())
  connection.on('end', () => clearTimeout(timer))
  connection.on('connect', () => ssl ? connection.requestSsl() : send())
  connection.on('sslconnect', send)
  if (host.startsWith('/')) connection.connect(`${host}/.s.PGSQL.${port}`)
  else connection.connect(port, host)
}

/** A pool of this module's own making, to be ended by whoever opened it. */
export interface PostgresPool extends PgPool {
  end(): Promise<void>
}

/** What `postgresPool` takes: a connection string, or its parts; what neither says, the usual `PG*` variables and defaults do. */
export interface PostgresPoolOptions {
  /** `postgres://user@host:port/database` */
  connectionString?: string | undefined
  host?: string | undefined
  port?: number | undefined
  database?: string | undefined
  user?: string | undefined
  password?: string | undefined
  /** Connections kept open when idle (default 0). */
  min?: number | undefined
  /** Connections at most (default 2). */
  max?: number | undefined
  /** Longest wait for a connection, in ms (default 10,000). */
  connectTimeoutMs?: number | undefined
}

/** A pool for programs that have none of their own. Connects when it is first used. */
export function postgresPool({ max = 2, connectTimeoutMs = 10_000, ...options }: PostgresPoolOptions = {}): PostgresPool {
  const given = Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined))
  return new (loaded().pg.Pool)({ max, connectionTimeoutMillis: connectTimeoutMs, application_name: 'millrace', ...given })
}

/** What `postgresSource` takes. */
export interface PostgresSourceOptions {
  /** A `pg.Pool` of yours; it stays open. Clients of it are left in UTC. */
  pool: PgPool
  /** Fetches in flight at once (default 2; more gains nothing on most servers). */
  maxConcurrency?: number
  /** Most rows per RowBatch (default 8192; 65,536, and about 4 MiB, where they are read by COPY). */
  batchRows?: number
  /** The longest silence tolerated from the server, in ms (default 0 = no limit). */
  timeoutMs?: number
  /** Prepare repeated fetches by name (default true); switch off behind a pooler that cannot. */
  prepare?: boolean
  /**
   * Whether fetches by id read `COPY (SELECT …) TO STDOUT (FORMAT binary)`, which gives the same rows and types: `'auto'` (default) for ids that
   * lie close together, where it takes half the time, and where server, driver and columns allow it; `true` for scattered ids too, with less
   * work for the client and more for the server, and a server's refusal is an error; `false` never. Measured in bench/postgres-fetch.ts.
   *
   * COPY takes no parameters, so every batch of ids is another statement: where pg_stat_statements tracks utility statements (as it does
   * unless told otherwise) each takes an entry there. A consumer that rests longer than the server's `statement_timeout` makes a large COPY fail.
   */
  copy?: CopyMode
  /** Types by column name, instead of the server's: `'text'` for anything, `'json'` for arrays of several dimensions. */
  columnTypes?: Readonly<Record<string, ColumnType>>
}

/**
 * Rows from PostgreSQL, by id or by query, with the server's own column types.
 *
 * Every call takes a client of its own from the pool and gives it back whatever happens: lost connections, silence beyond
 * `timeoutMs`, aborts and early `break`s settle, the statement is cancelled on the server where it still runs.
 *
 * @throws {InvalidArgumentError} `pool` is no pool
 */
export function postgresSource({ pool, maxConcurrency = 2, batchRows, timeoutMs = 0, prepare = true, copy = 'auto', columnTypes }: PostgresSourceOptions): Source {
  if (typeof (pool as Partial<PgPool> | undefined)?.connect !== 'function') {
    throw new InvalidArgumentError({ argument: 'pool', expected: 'a pg.Pool', found: typeof pool })
  }
  checkInteger('maxConcurrency', maxConcurrency, 1)
  if (batchRows !== undefined) checkInteger('batchRows', batchRows, 1)
  if (copy !== 'auto' && typeof (copy as unknown) !== 'boolean') throw new InvalidArgumentError({ argument: 'copy', expected: "'auto', true or false", found: String(copy) })
  const identity = identityOf(pool)
  const context: PgContext = {
    pool, identity, batchRows: batchRows ?? BATCH_ROWS, copyRows: batchRows ?? COPY_BATCH_ROWS, timeoutMs, prepare, isClosed: false,
    columnTypes: checkColumnTypes(columnTypes),
    tables: new Map(), types: new Map(),
    cancel: client => { if (pool.options) cancelRequest(pool.options, client) },
    copy, canCopy, openStream, openCopy,
    describe: (client, sql) => send(client, new Describe(sql)).fields,
  }
  return {
    fetch: sourceFetcher(postgresFetch(context), { maxConcurrency, identity }),
    query: (sql, options) => postgresQuery(context, sql, options),
    execute: (sql, options) => postgresExecute(context, sql, options),
    close: () => {
      context.isClosed = true
      return Promise.resolve()
    },
    maxConcurrency,
    identity,
    settings: settingsOf(pool, context.columnTypes),
    snapshot: options => postgresSnapshot(context, options),
    dialect: postgresDialect,
  }
}
