import pg from 'pg'
import QueryStream from 'pg-query-stream'
import { checkColumnTypes, type ColumnType } from '../batch/column-type.js'
import { InvalidArgumentError } from '../errors.js'
import type { Source } from './fetcher.js'
import { abortError } from './postgres-errors.js'
import type { PgField, RawBatch } from './postgres-decode.js'
import { postgresFetch, postgresQuery, postgresExecute, type PgContext, type StreamRequest } from './postgres-run.js'
import { silenceError, type Lease, type PgClient, type PgPool } from './postgres-session.js'

/** Rows per portal read, and so per RowBatch. Measured in bench/postgres-fetch.ts. */
const BATCH_ROWS = 8192
/** A closing statement gets this long to end by itself, then it is cancelled, then the connection is cut. */
const CLOSE_GRACE_MS = 200
const CUT_AFTER_MS = 1200
const CANCEL_TIMEOUT_MS = 5000

const RAW_TYPES = { getTypeParser: () => (text: string): string => text }

interface BatchStreamOptions {
  name?: string | undefined
  batchRows: number
  timeoutMs: number
  /** Ask the server to stop the statement. */
  cancel: () => void
  /** Cut the connection. */
  cut: () => void
}

/** The part of pg's connection that a statement is sent over. */
type Wire = Record<'describe' | 'execute' | 'close' | 'sync' | 'flush' | 'end', (...args: unknown[]) => void> &
{ parse(query: object): void, bind(config: object): void, once(event: string, listener: () => void): void,
  removeListener(event: string, listener: () => void): void,
  parsedStatements: Record<string, string>, submittedNamedStatements: Record<string, string> }

/**
 * A QueryStream of raw column batches that always settles.
 *
 * pg-query-stream waits for the server's last word when it is destroyed, and so for ever when the connection is gone or silent
 * (node-postgres#2642). Here the connection's end counts as the last word, silence is limited while an answer is awaited, and
 * a statement that does not close in time is cancelled and then cut off. Rows go straight into columns, one object per batch.
 */
class BatchStream extends QueryStream {
  readonly name: string | undefined
  readonly text: string
  /** The connection cannot be used any more, or a cancel request is on its way to it. */
  isBroken = false
  readonly #options: BatchStreamOptions
  #fields: readonly PgField[] = []
  #columns: (string | null)[][] = []
  #rows = 0
  #isFirst = true
  #heard = false
  #watchdog: NodeJS.Timeout | undefined
  #wire: Wire | undefined
  #isDead = false
  #isUrgent = false
  #finish: (() => void) | undefined
  readonly #onEnd = (): void => {
    this.#isDead = this.isBroken = true
    this.#finish?.()
  }

  constructor(text: string, values: unknown[], options: BatchStreamOptions) {
    super(text, values, { rowMode: 'array', highWaterMark: 1, types: RAW_TYPES })
    this.text = text
    this.name = options.name
    this.#options = options
    const describe = this.handleRowDescription as (message: object) => void
    this.handleRowDescription = (message: { fields: PgField[] }) => {
      this.#fields = message.fields
      this.#columns = message.fields.map(() => [])
      describe(message)
    }
    this.handleDataRow = ({ fields }: { fields: (string | null)[] }) => {
      this.#heard = true
      for (let i = 0; i < fields.length; i++) this.#columns[i]!.push(fields[i]!)
      this.#rows++
    }
    // errors reach the reader; an unread stream must not end the process
    this.on('error', () => {})
  }

  override submit(connection: pg.Connection): void {
    const wire = connection as unknown as Wire
    this.#wire = wire
    wire.once('end', this.#onEnd)
    super.submit(this.name === undefined ? connection : namedWire(wire, this.text, this.name) as unknown as pg.Connection)
  }

  override _read(): void {
    this.#watch()
    const cursor = this.cursor as { read(rows: number, done: (error?: Error | null) => void): void }
    cursor.read(this.#options.batchRows, error => {
      clearInterval(this.#watchdog)
      if (this.destroyed) return
      if (error) {
        this.destroy(error)
        return
      }
      const batch: RawBatch = { fields: this.#fields, columns: this.#columns, length: this.#rows }
      this.#columns = this.#fields.map(() => [])
      this.#rows = 0
      // an empty answer is one batch too: it carries the columns
      if (batch.length > 0 || this.#isFirst) this.push(batch)
      this.#isFirst = false
      if (batch.length < this.#options.batchRows) this.push(null)
    })
  }

  #watch(): void {
    const { timeoutMs } = this.#options
    if (timeoutMs <= 0) return
    let silent = 0
    this.#watchdog = setInterval(() => {
      silent = this.#heard ? 0 : silent + 1
      this.#heard = false
      if (silent >= 4) this.destroy(silenceError(timeoutMs))
    }, Math.max(1, timeoutMs / 4))
  }

  /** Destroy the stream; what the server is busy with is cancelled at once. (A `break` leaves it the time to end by itself.) */
  abort(error: Error): void {
    this.#isUrgent = true
    this.destroy(error)
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    clearInterval(this.#watchdog)
    let timer: NodeJS.Timeout | undefined
    this.#finish = () => {
      this.#finish = undefined
      clearTimeout(timer)
      this.#wire?.removeListener('end', this.#onEnd)
      done(error)
    }
    if (!this.#wire || this.#isDead) {
      this.#finish()
      return
    }
    const { cancel, cut } = this.#options
    const cutOff = (): void => {
      this.isBroken = true
      cut()
    }
    const cancelNow = (): void => {
      // a cancel request may arrive late and would hit the next statement, so the client is not used again
      this.isBroken = true
      cancel()
      timer = setTimeout(cutOff, CUT_AFTER_MS)
    }
    const isBusy = (this.cursor as { state: string }).state === 'busy'
    if (error && 'code' in error && error.code === 'ETIMEDOUT') {
      cancel()
      cutOff()
    } else if (isBusy && this.#isUrgent) cancelNow()
    else timer = setTimeout(cancelNow, CLOSE_GRACE_MS)
    super._destroy(error as Error, () => this.#finish?.())
  }
}

/** The connection as a cursor sees it, with its one statement prepared under a name: parsed once per connection. */
function namedWire(wire: Wire, text: string, name: string): object {
  const through = (method: keyof Wire) => (...args: unknown[]) => (wire[method] as (...args: unknown[]) => unknown).apply(wire, args)
  return {
    parse() {
      if (wire.parsedStatements[name] !== undefined || wire.submittedNamedStatements[name] !== undefined) return
      wire.parse({ text, name })
      wire.submittedNamedStatements[name] = text
    },
    bind: (config: object) => wire.bind({ ...config, statement: name }),
    describe: through('describe'), execute: through('execute'), close: through('close'), sync: through('sync'),
    flush: through('flush'), end: through('end'), once: through('once'), removeListener: through('removeListener'),
  }
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

async function * openStream(lease: Lease, { text, values, name, batchRows, limits }: StreamRequest): AsyncGenerator<RawBatch> {
  const { signal, timeoutMs } = limits
  const stream = new BatchStream(text, values, { name, batchRows, timeoutMs, cancel: () => limits.cancel(lease.client), cut: () => lease.cut() })
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
    for await (const batch of stream) yield batch as RawBatch
  } finally {
    stream.destroy()
    await closed
  }
}

/** Where a pool connects to, without user and password; undefined for a pool that does not say. Connects nowhere. */
function identityOf({ options }: PgPool): string | undefined {
  if (!options) return undefined
  const { host, port, database } = new pg.Client(options)
  const name = host.includes(':') ? `[${host}]` : encodeURIComponent(host)
  return `postgres://${name}:${port}/${encodeURIComponent(database ?? '')}`
}

/** Sends PostgreSQL's cancel request for whatever `client` is running, over a connection of its own. */
function cancelRequest(options: object, client: PgClient): void {
  const { processID, secretKey } = client as { processID?: number, secretKey?: number }
  if (!processID) return
  const { connection, host, port, ssl } = new pg.Client(options) as unknown as
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

/** What `postgresSource` takes. */
export interface PostgresSourceOptions {
  /** A `pg.Pool` of yours; it stays open. Clients of it are left in UTC, see `borrow`. */
  pool: PgPool
  /** Fetches in flight at once (default 2; more gains nothing on most servers). */
  maxConcurrency?: number
  /** Rows per RowBatch (default 8192). */
  batchRows?: number
  /** The longest silence tolerated from the server, in ms (default 0 = no limit). */
  timeoutMs?: number
  /** Prepare repeated fetches by name (default true); switch off behind a pooler that cannot. */
  prepare?: boolean
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
export function postgresSource({ pool, maxConcurrency = 2, batchRows = BATCH_ROWS, timeoutMs = 0, prepare = true, columnTypes }: PostgresSourceOptions): Source {
  if (typeof (pool as Partial<PgPool> | undefined)?.connect !== 'function') {
    throw new InvalidArgumentError({ argument: 'pool', expected: 'a pg.Pool', found: typeof pool })
  }
  for (const [argument, value] of Object.entries({ maxConcurrency, batchRows })) {
    if (!Number.isInteger(value) || value < 1) throw new InvalidArgumentError({ argument, expected: 'a positive integer', found: String(value) })
  }
  const identity = identityOf(pool)
  const context: PgContext = {
    pool, identity, batchRows, timeoutMs, prepare, isClosed: false,
    columnTypes: checkColumnTypes(columnTypes),
    tables: new Map(), types: new Map(),
    cancel: client => { if (pool.options) cancelRequest(pool.options, client) },
    openStream,
    describe: (client, sql) => send(client, new Describe(sql)).fields,
  }
  return {
    fetch: Object.assign(postgresFetch(context), { maxConcurrency, identity }),
    query: (sql, options) => postgresQuery(context, sql, options),
    execute: (sql, options) => postgresExecute(context, sql, options),
    close: () => {
      context.isClosed = true
      return Promise.resolve()
    },
    maxConcurrency,
    identity,
  }
}
