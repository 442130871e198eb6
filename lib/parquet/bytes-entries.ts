import type { ColumnType } from '../batch/column-type.js'
import { copyBytes, LENGTH_BYTES, viewOf } from '../batch/length-prefixed.js'
import type { BytesVector } from '../batch/vector.js'

const FNV_PRIME = 0x01000193

/** Distinct byte strings, numbered in the order they came, kept as they stand in a PLAIN page. */
export class BytesEntries {
  size = 0
  readonly #limit: number
  readonly #maxBytes: number
  /** Open addressing; a slot holds an entry's number + 1. */
  readonly #slots: Uint32Array
  #page = new Uint8Array(1 << 14)
  #view = viewOf(this.#page)
  readonly #starts: Uint32Array
  readonly #ends: Uint32Array
  #filled = 0

  /** @param limit most entries */
  constructor(limit: number, maxBytes: number) {
    this.#maxBytes = maxBytes
    this.#limit = limit
    this.#slots = new Uint32Array(2 ** Math.ceil(Math.log2(limit * 2 + 2)))
    this.#starts = new Uint32Array(limit)
    this.#ends = new Uint32Array(limit)
  }

  /** The number of these bytes; -1 where they would be one entry too many. */
  numberOf(view: DataView, start: number, end: number): number {
    const slots = this.#slots
    const mask = slots.length - 1
    let slot = hashBytes(view, start, end) & mask
    let entry = slots[slot]!
    while (entry !== 0 && !equalBytes(this.#view, this.#starts[entry - 1]!, this.#ends[entry - 1]!, view, start, end)) {
      slot = slot + 1 & mask
      entry = slots[slot]!
    }
    if (entry === 0) {
      if (!this.#add(view, start, end - start)) return -1
      slots[slot] = entry = this.size
    }
    return entry - 1
  }

  /** The entries in the order of their numbers. */
  vector(type: ColumnType): BytesVector {
    return { form: 'bytes', type, length: this.size, bytes: this.page(), starts: this.#starts.subarray(0, this.size), ends: this.#ends.subarray(0, this.size) }
  }

  /** The entries as a PLAIN page. */
  page(): Uint8Array {
    return this.#page.subarray(0, this.#filled)
  }

  #add(view: DataView, at: number, size: number): boolean {
    const start = this.#filled + LENGTH_BYTES
    const end = start + size
    if (this.size >= this.#limit || end > this.#maxBytes) return false
    if (end > this.#page.length) {
      const bigger = new Uint8Array(Math.max(end, 2 * this.#page.length))
      bigger.set(this.#page)
      this.#page = bigger
      this.#view = viewOf(bigger)
    }
    this.#view.setUint32(this.#filled, size, true)
    copyBytes(view, at, this.#view, start, size)
    this.#starts[this.size] = start
    this.#ends[this.size++] = this.#filled = end
    return true
  }
}

/** FNV-1a over words of 4 bytes, then over the rest; signed, so that it is a small integer. */
export function hashBytes(view: DataView, start: number, end: number): number {
  let hash = end - start
  let at = start
  for (; at + 4 <= end; at += 4) hash = Math.imul(hash ^ view.getInt32(at, true), FNV_PRIME)
  for (; at < end; at++) hash = Math.imul(hash ^ view.getUint8(at), FNV_PRIME)
  hash = Math.imul(hash ^ hash >>> 15, 0x85ebca6b)
  return hash ^ hash >>> 13
}

function equalBytes(view: DataView, start: number, end: number, others: DataView, otherStart: number, otherEnd: number): boolean {
  if (end - start !== otherEnd - otherStart) return false
  const by = otherStart - start
  for (; start + 4 <= end; start += 4) if (view.getInt32(start) !== others.getInt32(start + by)) return false
  for (; start < end; start++) if (view.getUint8(start) !== others.getUint8(start + by)) return false
  return true
}
