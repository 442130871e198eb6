/**
 * The messages of a server that answers with `COPY … TO STDOUT (FORMAT binary)`, found in the bytes as they arrive.
 *
 * @see https://www.postgresql.org/docs/current/protocol-message-formats.html
 * @see https://www.postgresql.org/docs/current/sql-copy.html (Binary Format)
 */

import { ScratchBuffers } from '../scratch-buffers.js'

/** Some rows, still as the server sent them. Valid until the next call of the object that they came from. */
export interface CopyRows {
  readonly bytes: Uint8Array
  readonly view: DataView
  /** Row by row and column by column: where the value begins, and its bytes; -1 = null. */
  readonly marks: Int32Array
  readonly columns: number
  readonly length: number
}

/** The bytes are not what the protocol says. */
export class CopyFormatError extends Error {}

/** What stands next: too few bytes, enough rows, or a message that is no row. */
export type CopyStep = 'more' | 'rows' | 'message'

const COPY_DATA = 0x64
const SIGNATURE = Uint8Array.of(0x50, 0x47, 0x43, 0x4f, 0x50, 0x59, 0x0a, 0xff, 0x0d, 0x0a, 0)
/** The signature, flags, and the length of a header extension. */
const HEADER_BYTES = 19
const FIRST_BYTES = 1024 * 1024
const FIRST_ROWS = 1024
/** A buffer that one large answer made larger than this is not kept. */
const MAX_KEPT_BYTES = 16 * 1024 * 1024

/** Readers come and go with every fetch; fresh megabytes for each cost more than reading them. */
const scratch = new ScratchBuffers(MAX_KEPT_BYTES)

/** Rows to collect before they are handed on. */
export interface CopyLimits {
  columns: number
  batchRows: number
  /** Bytes after which fewer rows will do. */
  batchBytes: number
}

/** Where a value begins, and its size. */
const MARK_BYTES = 8

/** Marks of whole rows in some memory. */
function marksIn(memory: Uint8Array, columns: number): Int32Array {
  const rows = Math.floor(memory.length / (MARK_BYTES * columns))
  return new Int32Array(memory.buffer, 0, rows * columns * 2)
}

/** Takes the server's bytes, marks the values of rows, and finds the messages between them. Copies each byte once. */
export class CopyReader {
  /** Rows seen since the beginning. */
  total = 0
  /** The end that the rows themselves have was seen. */
  isWhole = false
  /** Rows are skipped, not collected. */
  isSkipping = false
  readonly #limits: CopyLimits
  #bytes = scratch.take(FIRST_BYTES)
  #view = new DataView(this.#bytes.buffer)
  #filled = 0
  #at = 0
  #message = 0
  #hasHeader = false
  #marks: Int32Array
  #rows = 0

  constructor(limits: CopyLimits) {
    this.#limits = limits
    this.#marks = marksIn(scratch.take(MARK_BYTES * limits.columns * Math.min(limits.batchRows, FIRST_ROWS)), limits.columns)
  }

  /** Give the memory back; nothing may be pushed or read any more. */
  end(): void {
    if (this.#bytes.length === 0) return
    scratch.giveBack(this.#bytes)
    scratch.giveBack(new Uint8Array(this.#marks.buffer))
    this.#bytes = new Uint8Array(0)
    this.#marks = new Int32Array(0)
    this.#filled = this.#at = this.#rows = 0
  }

  push(chunk: Uint8Array): void {
    const needed = this.#filled + chunk.length
    if (needed > this.#bytes.length) this.#move(scratch.take(Math.max(needed, this.#bytes.length * 2)), 0)
    this.#bytes.set(chunk, this.#filled)
    this.#filled = needed
  }

  /** Keep what lies from `from` on, in `to`. */
  #move(to: Uint8Array, from: number): void {
    to.set(this.#bytes.subarray(from, this.#filled))
    scratch.giveBack(this.#bytes)
    this.#bytes = to
    this.#view = new DataView(to.buffer)
    this.#filled -= from
    this.#at -= from
  }

  /** @throws {CopyFormatError} what stands next is no message, or a row that is cut short */
  next(): CopyStep {
    const { columns, batchRows, batchBytes } = this.#limits
    const [view, bytes, filled] = [this.#view, this.#bytes, this.#filled]
    let at = this.#at
    while (filled - at >= 5) {
      const end = at + 1 + view.getUint32(at + 1)
      if (end < at + 5) throw new CopyFormatError('a message of less than no bytes')
      if (end > filled) break
      if (bytes[at] !== COPY_DATA) {
        this.#message = at
        this.#at = end
        return 'message'
      }
      let from = at + 5
      if (this.isSkipping) {
        at = end
        continue
      }
      if (this.#rows > 0 && (this.#rows === batchRows || at >= batchBytes)) {
        this.#at = at
        return 'rows'
      }
      if (!this.#hasHeader) from = this.#header(from, end)
      if (from < end) this.#row(view, from, end, columns)
      at = end
    }
    this.#at = at
    if (this.#rows === 0) this.#compact()
    return 'more'
  }

  #row(view: DataView, from: number, end: number, columns: number): void {
    if (this.isWhole || end - from < 2) throw new CopyFormatError('bytes after the last row')
    const count = view.getInt16(from)
    if (count === -1 && end - from === 2) {
      this.isWhole = true
      return
    }
    if (count !== columns) throw new CopyFormatError(`a row of ${count} values where ${columns} were asked for`)
    let mark = this.#rows * columns * 2
    if (mark === this.#marks.length) this.#moreMarks()
    const marks = this.#marks
    let at = from + 2
    for (let column = 0; column < columns; column++) {
      if (end - at < 4) throw new CopyFormatError('a row that is cut short')
      const size = view.getInt32(at)
      at += 4
      marks[mark++] = at
      marks[mark++] = size
      if (size > 0) at += size
      else if (size < -1) throw new CopyFormatError(`a value of ${size} bytes`)
      if (at > end) throw new CopyFormatError('a row that is cut short')
    }
    if (at !== end) throw new CopyFormatError('a row with more bytes than its values')
    this.#rows++
    this.total++
  }

  #moreMarks(): void {
    const more = marksIn(scratch.take(this.#marks.byteLength * 2), this.#limits.columns)
    more.set(this.#marks)
    scratch.giveBack(new Uint8Array(this.#marks.buffer))
    this.#marks = more
  }

  /** Where the rows begin in the message that has the header. */
  #header(from: number, end: number): number {
    if (end - from < HEADER_BYTES || SIGNATURE.some((byte, i) => this.#bytes[from + i] !== byte)) throw new CopyFormatError('no header of a binary COPY')
    // bits 16 to 31 change the format in ways that a reader must know; there are none that it may ask for
    if (this.#view.getInt32(from + 11) >>> 16 !== 0) throw new CopyFormatError('a binary COPY of a kind that is unknown here')
    const start = from + HEADER_BYTES + this.#view.getUint32(from + 15)
    if (start > end) throw new CopyFormatError('a header that is cut short')
    this.#hasHeader = true
    return start
  }

  /** The message that `next` stopped behind. */
  message(): Uint8Array {
    return this.#bytes.slice(this.#message, this.#at)
  }

  /** That message and all bytes behind it, which are then no longer here. */
  rest(): Uint8Array {
    const rest = this.#bytes.slice(this.#message, this.#filled)
    this.#filled = this.#at = this.#message
    return rest
  }

  /** The rows collected. */
  rows(): CopyRows {
    return { bytes: this.#bytes, view: this.#view, marks: this.#marks, columns: this.#limits.columns, length: this.#rows }
  }

  /** Forget the rows collected. */
  drop(): void {
    this.#rows = 0
    this.#compact()
  }

  #compact(): void {
    if (this.#bytes.length > MAX_KEPT_BYTES && this.#filled - this.#at < FIRST_BYTES) {
      this.#move(scratch.take(FIRST_BYTES), this.#at)
      return
    }
    this.#bytes.copyWithin(0, this.#at, this.#filled)
    this.#filled -= this.#at
    this.#at = 0
  }
}
