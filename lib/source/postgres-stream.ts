import { UnsupportedQueryError } from '../errors.js'
import type { PgField, RawBatch } from './postgres-decode.js'
import { endSoon, watchSilence, type StopOptions } from './postgres-settle.js'
import { silenceError } from './source-error.js'

const RAW_TYPES = { getTypeParser: () => (text: string): string => text }

/** How a statement is streamed. */
export interface BatchStreamOptions extends StopOptions {
  name?: string | undefined
  batchRows: number
}

/** The part of pg's connection that a statement is sent over. */
type Wire = Record<'describe' | 'execute' | 'close' | 'sync' | 'flush' | 'end', (...args: unknown[]) => void> &
{ stream?: { cork?(): void, uncork?(): void }, parse(query: object): void, bind(config: object): void, once(event: string, listener: () => void): void,
  removeListener(event: string, listener: () => void): void,
  parsedStatements: Record<string, string>, submittedNamedStatements: Record<string, string> }

/** pg-query-stream's class, as far as it is built on here; the class itself is passed in, so that one file imports the driver. */
export type QueryStreamClass = new (text: string, values: unknown[], config: { rowMode: 'array', highWaterMark: number, types: object }) => QueryStreamFace

interface QueryStreamFace extends AsyncIterable<unknown> {
  readonly destroyed: boolean
  push(batch: unknown): boolean
  destroy(error?: Error): unknown
  on(event: 'error', listener: () => void): unknown
  once(event: 'close', listener: () => void): unknown
  _read(size: number): void
  _destroy(error: Error | null, done: (error?: Error | null) => void): void
  cursor: { state: string, read(rows: number, done: (error?: Error | null) => void): void }
  handleRowDescription(message: object): void
  handleDataRow(message: object): void
  handleCommandComplete(message: object): void
  submit(connection: object): void
}

/** A statement's answer as a stream of batches, which settles whatever happens. */
export interface BatchStream extends AsyncIterable<unknown> {
  /** The connection cannot be used any more, or a cancel request is on its way to it. */
  readonly isBroken: boolean
  submit(connection: object): void
  destroy(error?: Error): unknown
  once(event: 'close', listener: () => void): unknown
  /** Destroy the stream; what the server is busy with is cancelled at once. (A `break` leaves it the time to end by itself.) */
  abort(error: Error): void
}

/**
 * A QueryStream of raw column batches that always settles.
 *
 * pg-query-stream waits for the server's last word when it is destroyed, and so for ever when the connection is gone or silent
 * (node-postgres#2642). Here the connection's end counts as the last word, silence is limited while an answer is awaited, and
 * a statement that does not close in time is cancelled and then cut off. Rows go straight into columns, one object per batch.
 */
export function batchStreamOf(Base: QueryStreamClass): new (text: string, values: unknown[], options: BatchStreamOptions) => BatchStream {
  return class extends Base {
    readonly name: string | undefined
    readonly text: string
    isBroken = false
    readonly #options: BatchStreamOptions
    #fields: readonly PgField[] = []
    #columns: (string | null)[][] = []
    #rows = 0
    #isFirst = true
    #heard = false
    #endWatch: () => void = () => undefined
    #wire: Wire | undefined
    #isDead = false
    #isReading = false
    #isUrgent = false
    #finish: (() => void) | undefined
    readonly #onEnd = (): void => {
      this.#isDead = this.isBroken = true
      this.#finish?.()
      // a cursor that has heard CommandComplete tells its reader nothing more: neither why nor that the connection ended.
      // Not at once: what the cursor and the client have to say, an answer that is whole among it, is on its way and goes first
      setImmediate(() => { if (this.#isReading) this.destroy(new Error('Connection terminated unexpectedly')) })
    }

    constructor(text: string, values: unknown[], options: BatchStreamOptions) {
      super(text, values, { rowMode: 'array', highWaterMark: 1, types: RAW_TYPES })
      this.text = text
      this.name = options.name
      this.#options = options
      const describe = this.handleRowDescription.bind(this)
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
      const complete = this.handleCommandComplete.bind(this)
      this.handleCommandComplete = (message: object) => this.#together(() => complete(message))
      // errors reach the reader; an unread stream must not end the process
      this.on('error', () => {})
    }

    override submit(connection: object): void {
      const wire = connection as Wire
      this.#wire = wire
      wire.once('end', this.#onEnd)
      this.#together(() => super.submit(this.name === undefined ? connection : namedWire(wire, this.text, this.name)))
    }

    /** Send what `write` writes in one packet: the driver sends each message at once. */
    #together(write: () => void): void {
      this.#wire?.stream?.cork?.()
      try {
        write()
      } finally {
        this.#wire?.stream?.uncork?.()
      }
    }

    override _read(): void {
      this.#watch()
      this.#isReading = true
      this.#together(() => this.cursor.read(this.#options.batchRows, error => {
        this.#isReading = false
        this.#endWatch()
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
      }))
    }

    // the client calls these two of whatever statement runs: without them a COPY would end the process

    handleCopyInResponse(connection: { sendCopyFail(reason: string): void }): void {
      connection.sendCopyFail('not supported')
      this.destroy(new UnsupportedQueryError({ construct: 'COPY FROM STDIN', reason: 'there are no rows to send: use INSERT' }))
    }

    handleCopyData(): void {
      this.destroy(new UnsupportedQueryError({ construct: 'COPY TO STDOUT', reason: 'its rows have no columns: use SELECT' }))
    }

    #watch(): void {
      const { timeoutMs } = this.#options
      this.#endWatch = watchSilence(timeoutMs, () => {
        const heard = this.#heard
        this.#heard = false
        return heard
      }, () => this.destroy(silenceError(timeoutMs)))
    }

    abort(error: Error): void {
      this.#isUrgent = true
      this.destroy(error)
    }

    override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
      this.#endWatch()
      let ended = (): void => undefined
      this.#finish = () => {
        this.#finish = undefined
        ended()
        this.#wire?.removeListener('end', this.#onEnd)
        done(error)
      }
      if (!this.#wire || this.#isDead) {
        this.#finish()
        return
      }
      ended = endSoon(this.#options, { error, isBusy: this.cursor.state === 'busy', isUrgent: this.#isUrgent, onBroken: () => { this.isBroken = true } })
      this.#together(() => super._destroy(error, () => this.#finish?.()))
    }
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
