import { settled, taken, type Waits } from './limits.js'
import type { MySqlField } from './mysql-types.js'

/** A command of mysql2, as far as its events are used. */
export interface MySqlCommand {
  on(event: string, listener: (...args: never[]) => void): unknown
}

/** mysql2's connection below its promises, by the methods used. */
export interface MySqlCore {
  readonly threadId: number | null
  readonly config: object
  query(sql: string, done: (error: Error | null, result: unknown) => void): unknown
  prepare(options: object, done: (error: Error | null, statement?: { columns: readonly MySqlField[], parameters: readonly unknown[] }) => void): unknown
  unprepare(options: object): unknown
  execute(options: object): MySqlCommand
  pause(): void
  resume(): void
  destroy(): void
  on(event: string, listener: (error: Error) => void): unknown
  removeListener(event: string, listener: (error: Error) => void): unknown
}

/** A pooled connection of `mysql2/promise`. */
export interface MySqlConnection {
  /** The connection below the promises; `MySqlCore` in effect, whose types differ from release to release. */
  readonly connection: object
  release(): void
}

/** A pool of `mysql2/promise`, by the methods used. */
export interface MySqlPool {
  getConnection(): Promise<MySqlConnection>
  /** Where it connects to; read for the source's identity, never kept. */
  readonly pool?: { readonly config?: object }
}

// What decides how values are printed, how statements are read, and how many rows come. The modes leave `"` for text, `\` an escape, `||` an OR,
// as both servers have it from the start. A session limit on rows would cut answers short without a word, and the server would hang up
// on a reader that pauses for a minute.
const PIN = `SET time_zone = '+00:00', sql_mode = 'STRICT_TRANS_TABLES,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION', sql_select_limit = 18446744073709551615, ` +
  `sql_auto_is_null = 0, character_set_results = 'utf8mb4', net_write_timeout = 86400, autocommit = 1`

const KILL_TIMEOUT_MS = 5000

/** A connection that was given back or cut may still report its end; nobody waits for it then. */
function ignoreLateError(): void { /* the pool drops such a connection */ }

const watched = new WeakSet<MySqlCore>()

/** A connection on loan. */
export class MySqlLease {
  readonly core: MySqlCore
  readonly #connection: MySqlConnection
  #isOver = false

  constructor(connection: MySqlConnection) {
    this.#connection = connection
    this.core = connection.connection as MySqlCore
    if (watched.has(this.core)) return
    watched.add(this.core)
    this.core.on('error', ignoreLateError)
  }

  /** Give the connection back; one in an unknown state is closed instead. Later calls do nothing. */
  release(isBroken = false): void {
    if (this.#isOver) return
    this.#isOver = true
    if (isBroken) this.core.destroy()
    else this.#connection.release()
  }

  /** End whatever the server does on this connection, and the connection with it. Never waits, never throws. */
  cut(): void {
    if (this.#isOver) return
    const { threadId, config } = this.core
    // mysql2's plain connection, without the pool: the class that the pool's own is made of
    const Connection = Object.getPrototypeOf(this.core.constructor) as new (options: { config: object }) => MySqlCore
    this.release(true)
    if (threadId === null) return
    const killer = new Connection({ config })
    const end = (): void => {
      clearTimeout(timer)
      killer.destroy()
    }
    const timer = setTimeout(end, KILL_TIMEOUT_MS)
    killer.on('error', end)
    killer.query(`KILL ${threadId}`, end)
  }

  /** Run a statement of our own; `sql` holds no values of others. */
  run(sql: string, waits: Waits): Promise<unknown> {
    return this.#wait(waits, done => this.core.query(sql, done))
  }

  /** What a statement would return, and how many parameters it takes. */
  prepare(options: object, waits: Waits): Promise<{ columns: readonly MySqlField[], parameters: readonly unknown[] }> {
    // one that is prepared may be older than its table
    this.core.unprepare(options)
    return this.#wait(waits, done => this.core.prepare(options, done)) as ReturnType<MySqlLease['prepare']>
  }

  #wait(waits: Waits, send: (done: (error: Error | null, result: unknown) => void) => unknown): Promise<unknown> {
    let fail: (error: Error) => void = () => undefined
    return settled(waits, () => new Promise((resolve, reject) => {
      fail = reject
      send((error, result) => {
        if (error) reject(error)
        else resolve(result)
      })
    }), error => {
      this.cut()
      fail(error)
    })
  }
}

/**
 * Take a connection from the pool, with a pinned session. mysql2's own queue waits for ever, so the wait ends here.
 *
 * @throws the driver's error: no connection; none free within `waitMs`
 */
export async function borrowMySql(pool: MySqlPool, waits: Waits, waitMs: number): Promise<MySqlLease> {
  const connection = await taken(() => pool.getConnection(), { signal: waits.signal, waitMs, giveBack: late => late.release(), what: 'no free connection in the pool' })
  const lease = new MySqlLease(connection)
  try {
    // every time: neither server tells of changes that other users of the pool make
    await lease.run(PIN, waits)
    return lease
  } catch (error) {
    lease.release(true)
    throw error
  }
}
