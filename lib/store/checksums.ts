import { createHash, type Hash } from 'node:crypto'
import { crc32 } from 'node:zlib'

/** Bytes a block checksum covers; the last block of a file may be shorter. */
export const BLOCK_BYTES = 65_536

/** Takes a file's bytes in order: the crc32 of each block and the sha256 of all. */
export class RunningChecksums {
  readonly #sha: Hash = createHash('sha256')
  readonly #crcs: number[] = []
  #crc = 0
  #inBlock = 0

  update(bytes: Uint8Array): void {
    this.#sha.update(bytes)
    let at = 0
    while (at < bytes.length) {
      const taken = Math.min(BLOCK_BYTES - this.#inBlock, bytes.length - at)
      this.#crc = crc32(bytes.subarray(at, at + taken), this.#crc)
      this.#inBlock += taken
      at += taken
      if (this.#inBlock === BLOCK_BYTES) this.#endBlock()
    }
  }

  /** The crc32 of every block so far, the unfinished one included. */
  blocks(): Uint32Array {
    if (this.#inBlock > 0) this.#endBlock()
    return Uint32Array.from(this.#crcs)
  }

  sha256(): string {
    return this.#sha.digest('hex')
  }

  #endBlock(): void {
    this.#crcs.push(this.#crc)
    this.#crc = 0
    this.#inBlock = 0
  }
}

/** sha256 of some bytes, hex. */
export function sha256Of(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex')
}
