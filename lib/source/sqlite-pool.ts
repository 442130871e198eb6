import { InvalidArgumentError } from '../errors.js'
import { taken } from './limits.js'
import type { SqliteDatabase, SqliteHandle } from './sqlite-handle.js'

/** Lends connections to one database, each to one call at a time. */
export class SqlitePool {
  readonly #database: () => Promise<SqliteDatabase>
  readonly #max: number
  readonly #waitMs: number
  readonly #idle: SqliteHandle[] = []
  readonly #waiting: (() => void)[] = []
  #lent = 0
  #isClosed = false

  constructor(database: () => Promise<SqliteDatabase>, { max, waitMs }: { max: number, waitMs: number }) {
    this.#database = database
    this.#max = max
    this.#waitMs = waitMs
  }

  /** The database, opened when it is first asked for. */
  async database(): Promise<SqliteDatabase> {
    if (this.#isClosed) throw new InvalidArgumentError({ argument: 'source', expected: 'an open source', found: 'a closed one' })
    return await this.#database()
  }

  /**
   * A connection for one call; a database in memory has only its owner's. Its borrower gives it back.
   *
   * @throws {Error} code `ETIMEDOUT`: none came back in time
   */
  async borrow(signal: AbortSignal | undefined): Promise<SqliteHandle> {
    const database = await this.database()
    await taken(() => this.#slot(), { signal, waitMs: this.#waitMs, giveBack: () => this.#free(), what: `all ${this.#max} connections were busy` })
    try {
      return database.shared ?? this.#idle.pop() ?? database.open()
    } catch (error) {
      this.#free()
      throw error
    }
  }

  /** Give a connection back. */
  async release(handle: SqliteHandle): Promise<void> {
    const { shared } = await this.#database()
    if (handle !== shared) {
      if (this.#isClosed) handle.close()
      else this.#idle.push(handle)
    }
    this.#free()
  }

  /** Close what is idle now, and what is lent when it comes back. */
  close(): void {
    this.#isClosed = true
    for (const handle of this.#idle.splice(0)) handle.close()
  }

  #slot(): Promise<void> {
    if (this.#lent < this.#max) {
      this.#lent++
      return Promise.resolve()
    }
    return new Promise(resolve => { this.#waiting.push(resolve) })
  }

  #free(): void {
    const next = this.#waiting.shift()
    if (next) next()
    else this.#lent--
  }
}
