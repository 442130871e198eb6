import { settled, taken, type Waits } from './limits.js'
import { abortError } from './source-error.js'

/** What `client.query` answers with, as far as it is used here. */
export interface PgResult {
  rows: unknown[]
  rowCount: number | null
}

/** A query by text; rows come as arrays of raw text. */
export interface PgQuery {
  text: string
  values?: unknown[]
  rowMode?: 'array'
  types?: { getTypeParser: (oid: number, format?: never) => (value: string) => unknown }
}

/** A client of the `pg` package, by the methods used. */
export interface PgClient {
  query(config: PgQuery): Promise<PgResult>
  on(event: 'error', listener: (error: Error) => void): unknown
  removeListener(event: 'error', listener: (error: Error) => void): unknown
  release(error?: Error | boolean): void
}

/** A pool of the `pg` package, by the methods used. */
export interface PgPool {
  connect(): Promise<PgClient>
  on?(event: 'error', listener: (error: Error) => void): unknown
  on?(event: 'acquire', listener: (client: PgClient) => void): unknown
  /** Where the pool connects to; read for the source's identity, never kept. */
  readonly options?: object
}

/** What pg's client has beside its documented face. Absent with other drivers; then less is promised, see `borrow`. */
interface ClientInternals {
  connection?: {
    on(event: 'parameterStatus', listener: (message: { parameterName?: string, parameterValue?: string }) => void): unknown
    stream?: { setKeepAlive?(enable: boolean, delayMs: number): unknown, destroy?(): unknown }
  }
  getTransactionStatus?(): 'I' | 'T' | 'E' | null
}

// the forms that values are read in, see `postgres-values.ts`, and the literals that the grammar judges statements by
const PINNED = { TimeZone: 'UTC', DateStyle: 'ISO', IntervalStyle: 'iso_8601', client_encoding: 'UTF8', standard_conforming_strings: 'on' }
const PIN = `SET client_encoding TO 'UTF8'; SET TimeZone TO 'UTC'; SET DateStyle TO 'ISO'; SET IntervalStyle TO 'iso_8601'; SET extra_float_digits TO 3; SET bytea_output TO 'hex'; SET lc_monetary TO 'C'; SET standard_conforming_strings TO on`

const pinnedClients = new WeakSet<PgClient>()
const watchedClients = new WeakSet<PgClient>()
const watchedPools = new WeakSet<PgPool>()
/** How often a client was lent, and how often to us. Between two loans of ours others may have changed what the server does not report. */
const loans = new WeakMap<PgClient, { all: number, ours: number }>()

/** An idle client that loses its connection is dropped by the pool; without a listener it would end the process. */
function ignoreIdleError(): void { /* the next checkout gets another client, or the error that matters */ }

/** A client on loan. */
export interface Lease {
  readonly client: PgClient
  /** The connection's error, once it has one. */
  readonly lost: Error | undefined
  /** Give the client back; `broken` ones are closed. Later calls do nothing. */
  release(broken?: boolean): void
  /** Cut the connection: everything waiting on it fails at once. */
  cut(): void
}

function watch(client: PgClient): void {
  if (watchedClients.has(client)) return
  watchedClients.add(client)
  const { connection } = client as PgClient & ClientInternals
  connection?.stream?.setKeepAlive?.(true, 30_000)
  // the server reports changes of exactly these settings, whoever made them: RESET, DISCARD ALL, another user of the pool
  connection?.on('parameterStatus', ({ parameterName = '', parameterValue = '' }) => {
    if (parameterName in PINNED && !parameterValue.startsWith(PINNED[parameterName as keyof typeof PINNED])) pinnedClients.delete(client)
  })
}

/**
 * Take a client from the pool, guarded and with a pinned session: UTC, ISO dates and intervals, exact floats, hex bytea, money as `$1,234.50`,
 * backslashes that stand for themselves.
 *
 * The settings stay with the client, so pinning costs one round trip per connection. Other users of the same pool see them, and may
 * change them: a client that was lent to somebody else in between is pinned again, and so is one that ran a statement of the caller's.
 *
 * @throws the pool's own error: no connection, or none free within its `connectionTimeoutMillis`
 */
export async function borrow(pool: PgPool, limits: Limits): Promise<Lease> {
  const { signal } = limits
  if (!watchedPools.has(pool)) {
    watchedPools.add(pool)
    pool.on?.('error', ignoreIdleError)
    pool.on?.('acquire', client => {
      const loan = loans.get(client) ?? { all: 0, ours: 0 }
      loans.set(client, { ...loan, all: loan.all + 1 })
    })
  }
  const client = await connect(pool, signal)
  const { all, ours } = loans.get(client) ?? { all: 1, ours: 0 }
  if (all > ours + 1) pinnedClients.delete(client)
  loans.set(client, { all, ours: all })
  let released = false
  const onError = (error: Error): void => {
    state.lost ??= error
  }
  const state = {
    client,
    lost: undefined as Error | undefined,
    release(broken = false): void {
      if (released) return
      released = true
      // a transaction that a statement left open must not reach the next user
      const status = (client as ClientInternals).getTransactionStatus?.() ?? 'I'
      const isClosed = broken || state.lost !== undefined || status !== 'I'
      client.release(isClosed)
      // what the server says to a client that is being closed (terminated, cancelled) must not end the process
      if (!isClosed) client.removeListener('error', onError)
    },
    cut(): void {
      const stream = (client as ClientInternals).connection?.stream
      if (stream?.destroy) stream.destroy()
      else state.release(true)
    },
  }
  client.on('error', onError)
  try {
    watch(client)
    if (!pinnedClients.has(client)) {
      await guarded(state, limits, () => client.query({ text: PIN }))
      pinnedClients.add(client)
    }
    if (signal?.aborted) throw abortError(signal)
    return state
  } catch (error) {
    state.release(!pinnedClients.has(client))
    throw error
  }
}

/** A statement of the caller's is about to run, which may change any setting: pin them again before the client's next use. */
export function unpin(client: PgClient): void {
  pinnedClients.delete(client)
}

/** What ends a wait for the server. */
export interface Limits extends Waits {
  /** Asks the server, over another connection, to stop what the client waits for. Best effort, never throws. */
  cancel(client: PgClient): void
}

/** Run one statement so that it settles: on abort and timeout the statement is cancelled and the connection cut. */
export async function guarded<T>(lease: Lease, limits: Limits, work: () => Promise<T>): Promise<T> {
  return await settled(limits, work, () => {
    limits.cancel(lease.client)
    lease.cut()
  })
}

/** `pool.connect()`, given up on abort: a client that comes too late goes straight back. */
function connect(pool: PgPool, signal?: AbortSignal): Promise<PgClient> {
  return taken(() => pool.connect(), { signal, waitMs: 0, giveBack: client => client.release(), what: 'no client was free' })
}
