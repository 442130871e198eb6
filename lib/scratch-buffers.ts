/** Memory to read into, used again and again: fresh megabytes for every row group cost more than reading them. */
export class ScratchBuffers {
  readonly #maxBytes: number
  #free: Uint8Array[] = []

  /** @param maxBytes kept while nobody uses them */
  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes
  }

  /** At least `bytes` long, with anything in it. */
  take(bytes: number): Uint8Array {
    const at = this.#free.findIndex(buffer => buffer.length >= bytes)
    if (at !== -1) return this.#free.splice(at, 1)[0]!
    return new Uint8Array(Buffer.allocUnsafeSlow(Math.ceil(bytes / 2 ** 20) * 2 ** 20).buffer)
  }

  giveBack(buffer: Uint8Array): void {
    if (buffer.length === 0) return
    this.#free.push(buffer)
    while (this.#free.reduce((sum, { length }) => sum + length, 0) > this.#maxBytes) this.#free.shift()
  }
}
