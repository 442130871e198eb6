import type { RowBatch } from '../batch/row-batch.js'
import { BatchQueue } from './batch-queue.js'
import { CopyFormatError, CopyReader, type CopyRows } from './copy-rows.js'
import type { PgField } from './postgres-decode.js'
import { silenceError } from './source-error.js'
import { SocketLoan, type Connection } from './postgres-socket.js'
import { endSoon, watchSilence, type StopOptions } from './postgres-settle.js'
import type { BatchStream } from './postgres-stream.js'

const [READY_FOR_QUERY, COPY_DONE, COPY_OUT] = [0x5a, 0x63, 0x48]
/** A batch has fewer rows than it may where they are as large as this together. */
const BATCH_BYTES = 4 * 1024 * 1024

/** What is read by COPY. */
export interface CopyStreamOptions extends StopOptions {
  /** A statement that describes the columns, then the COPY. */
  text: string
  /** Values in a row. */
  columns: number
  batchRows: number
  /** Looks at what the first statement described; may throw, then nothing is read. */
  check: (fields: readonly PgField[]) => void
  /** Makes a batch of rows, which it must not keep. */
  decode: (rows: CopyRows) => RowBatch
}

/** The connection cannot be read from here; another statement on another connection may well succeed. */
export class CopyUnavailable extends Error {}

/**
 * The rows of a COPY in binary form as a stream of RowBatch, to be submitted to pg's client as its next query.
 *
 * While it lasts, the socket's bytes come here and not to pg's parser, which would make two objects and an event of each row; every
 * message that is no row is handed on to that parser as it came, so that the client sees all it needs to see. The socket is paused
 * while a full batch waits. Ends well only when the server said that the copy is done, the rows' own end was there, and the
 * server counted as many; else with an error. Settles as BatchStream does.
 */
export class CopyStream implements BatchStream {
  isBroken = false
  readonly #options: CopyStreamOptions
  readonly #reader: CopyReader
  #connection: Connection | undefined
  #socket: SocketLoan | undefined
  #isAtBoundary = false
  readonly #queue = new BatchQueue<RowBatch>(() => {
    this.#isWanted = true
    this.#walk()
  })

  #isWanted = true
  #isDestroyed = false
  #isWalking = false
  #isUrgent = false
  #heard = false
  #isCopyDone = false
  #counted: number | undefined
  /** The server's last word was heard, or there will be none. */
  #isDone = false
  #endWatch: () => void = () => undefined
  #error: Error | undefined
  #endClosing: () => void = () => undefined
  #closed: (() => void)[] | undefined = []
  readonly #onEnd = (): void => {
    this.#isDone = this.isBroken = true
    // without an error it is still to come: the client tells its query why the connection ended
    if (this.#isDestroyed) this.#close()
  }

  constructor(options: CopyStreamOptions) {
    this.#options = options
    this.#reader = new CopyReader({ ...options, batchBytes: BATCH_BYTES })
  }

  submit(connection: object): void {
    this.#connection = connection as Connection
    this.#connection.once('end', this.#onEnd)
    this.#socket = new SocketLoan(this.#connection, chunk => {
      this.#heard = true
      this.#reader.push(chunk)
      this.#walk()
    })
    if (!this.#socket.take(() => this.#isAtBoundary)) {
      this.destroy(new CopyUnavailable('the connection is in the middle of a message'))
      this.isBroken = true
      this.#options.cut()
      return
    }
    this.#connection.query(this.#options.text)
    const { timeoutMs } = this.#options
    this.#endWatch = watchSilence(timeoutMs, () => {
      const heard = this.#heard || this.#socket!.isPaused
      this.#heard = false
      return heard
    }, () => this.destroy(silenceError(timeoutMs)))
  }

  /** Go through what has arrived, until more must arrive or a full batch has to wait. */
  #walk(): void {
    if (this.#isWalking || this.#isDone) return
    this.#isWalking = true
    try {
      for (let step = this.#reader.next(); step !== 'more'; step = this.#reader.next()) {
        if (step === 'message') {
          if (this.#pass(this.#reader.message())) return
        } else if (this.#isWanted) this.#deliver()
        else {
          this.#socket?.pause(true)
          return
        }
      }
      this.#socket?.pause(false)
    } catch (error) {
      // bytes that make no sense: nothing more can be read from this connection
      this.isBroken = true
      this.destroy(error as Error)
      this.#options.cut()
    } finally {
      this.#isWalking = false
    }
  }

  /** Hand a message on to pg; true where it was the last one. */
  #pass(message: Uint8Array): boolean {
    if (message[0] === READY_FOR_QUERY) {
      this.#socket!.giveBack(this.#reader.rest())
      this.#connection!.removeListener('end', this.#onEnd)
      this.#complete()
      return true
    }
    if (message[0] === COPY_DONE) this.#isCopyDone = true
    if (message[0] === COPY_OUT && (message[5] !== 1 || ((message[6]! << 8) | message[7]!) !== this.#options.columns)) {
      throw new CopyFormatError('a copy of another form than was asked for')
    }
    this.#socket!.handOn(message)
    return false
  }

  #complete(): void {
    this.#isDone = true
    this.#endWatch()
    const { total, isWhole } = this.#reader
    if (!this.#isDestroyed && (!this.#isCopyDone || !isWhole || (this.#counted !== undefined && this.#counted !== total))) {
      this.destroy(new CopyFormatError(`the copy ended after ${total} rows${this.#counted === undefined ? '' : ` of ${this.#counted}`}, before its end`))
    } else {
      if (!this.#isDestroyed) this.#deliver()
      this.#close()
    }
  }

  #deliver(): void {
    const rows = this.#reader.rows()
    if (rows.length === 0) return
    let batch: RowBatch
    try {
      batch = this.#options.decode(rows)
    } catch (error) {
      if (error instanceof CopyFormatError) throw error
      this.destroy(error as Error)
      return
    } finally {
      this.#reader.drop()
    }
    if (batch.length > 0) this.#isWanted = this.#queue.push(batch)
  }

  [Symbol.asyncIterator](): AsyncIterator<RowBatch, undefined> {
    return this.#queue
  }

  abort(error: Error): void {
    this.#isUrgent = true
    this.destroy(error)
  }

  destroy(error?: Error): void {
    if (this.#isDestroyed) return
    this.#isDestroyed = true
    this.#error = error
    this.#endWatch()
    if (!this.#connection || this.#isDone) {
      this.#close()
      return
    }
    this.#endClosing = endSoon(this.#options, { error: error ?? null, isBusy: true, isUrgent: this.#isUrgent, onBroken: () => { this.isBroken = true } })
    // what was sent must be read before the server's last word can be heard
    this.#reader.isSkipping = true
    this.#reader.drop()
    this.#socket?.pause(false)
    this.#walk()
  }

  /** Tell everybody that it is over. */
  #close(): void {
    this.#isDestroyed = true
    this.#endClosing()
    this.#queue.end(this.#error)
    // what waits behind a broken connection is nobody's any more
    this.#reader.end()
    const closed = this.#closed
    this.#closed = undefined
    for (const listener of closed ?? []) listener()
  }

  once(_event: 'close', listener: () => void): void {
    if (this.#closed) this.#closed.push(listener)
    else listener()
  }

  handlePortalSuspended(): void {
    this.#isAtBoundary = true
  }

  handleRowDescription({ fields }: { fields: readonly PgField[] }): void {
    try {
      this.#options.check(fields)
    } catch (error) {
      this.destroy(error as Error)
    }
  }

  /** `SELECT 0`, then `COPY n`. */
  handleCommandComplete({ text }: { text: string }): void {
    const count = /^COPY (\d+)/.exec(text)?.[1]
    if (count !== undefined) this.#counted = Number(count)
  }

  handleError(error: Error): void {
    this.destroy(error)
  }

  handleReadyForQuery(): void { /* seen in the bytes */ }
}
