import { randomUUID } from 'node:crypto'
import { setImmediate } from 'node:timers/promises'
import type { Field } from '../batch/column-type.js'
import { idsIn, type RowBatch } from '../batch/row-batch.js'
import type { Codec } from '../parquet/codec.js'
import type { PlacedRowGroup, RowGroupMeta } from '../parquet/column-chunk.js'
import { encodeFooter, FILE_HEADER } from '../parquet/footer.js'
import { encodeInSteps, type EncodedRowGroup } from '../parquet/row-group.js'
import type { Id, IdArray } from '../batch/ids.js'
import type { BlobStore, BlobWriter } from './blob-store.js'
import type { PartColumn, PartEntry } from './catalog.js'
import { RunningChecksums, sha256Of } from './checksums.js'
import { IdIndexBuilder } from './id-index.js'
import { serializeTailHead } from './part-tail.js'

/** A finished part's entry, before a commit gives it its place in the order. */
export type NewPart = Omit<PartEntry, 'seq'>

interface PartWriterOptions {
  blobs: BlobStore
  folder: string
  fields: readonly Field[]
  codec: Codec
  /** Names of columns that need a presence bitmap. */
  partial?: readonly string[]
}

/**
 * Writes one part, row group by row group, ids ascending. Encoding happens when a batch is appended; writing it overlaps
 * whatever the caller does until the next call. Memory: one row group, and at most 8 bytes per row for the index.
 */
export class PartWriter {
  readonly fields: readonly Field[]
  readonly #blobs: BlobStore
  readonly #folder: string
  readonly #codec: Codec
  readonly #checksums = new RunningChecksums()
  readonly #ids = new IdIndexBuilder()
  readonly #presence: Map<string, number[]>
  readonly #groups: PlacedRowGroup[] = []
  #blob: BlobWriter | undefined
  #part: NewPart | undefined
  #written = 0
  #writing: Promise<void> = Promise.resolve()

  constructor({ blobs, folder, fields, codec, partial = [] }: PartWriterOptions) {
    this.#blobs = blobs
    this.#folder = folder
    this.#codec = codec
    this.fields = fields
    this.#presence = new Map(partial.map(name => [name, []]))
  }

  get bytes(): number {
    return this.#written
  }

  get rows(): number {
    return this.#ids.rows
  }

  /** The finished part; undefined before `finish`. */
  get part(): NewPart | undefined {
    return this.#part
  }

  /**
   * Append batches, the ids of each above those before it, as one row group.
   *
   * @param presence for each partial column one byte per row of them all, 1 = the part holds it
   */
  async append(batches: readonly RowBatch[], presence?: ReadonlyMap<string, Uint8Array>): Promise<void> {
    const group = await this.#encode(batches)
    await this.#appendGroup(group, group.chunks, batches.map(idsIn))
    for (const [name, bits] of this.#presence) for (const bit of presence?.get(name) ?? new Uint8Array(group.rows).fill(1)) bits.push(bit)
  }

  /** Append a row group of another part of the same fields, byte for byte. */
  async appendEncoded(group: RowGroupMeta, bytes: Uint8Array, ids: IdArray): Promise<void> {
    await this.#appendGroup(group, [bytes], [ids])
    for (const bits of this.#presence.values()) for (let i = 0; i < group.rows; i++) bits.push(1)
  }

  /**
   * Complete the file and make it durable under its final name. What comes next is a commit that names it, and then `release`,
   * or `abort`. When it fails nothing is left.
   *
   * @param createdMs when its oldest row was asked for (default now)
   */
  async finish({ since, createdMs = Date.now() }: { since: number, createdMs?: number }): Promise<NewPart> {
    try {
      this.#part = await this.#finish(since, createdMs)
      return this.#part
    } catch (error) {
      await this.abort()
      throw error
    }
  }

  /** A manifest names the part now. Never throws. */
  async release(): Promise<void> {
    await this.#blob?.release()
  }

  async #finish(since: number, createdMs: number): Promise<NewPart> {
    await this.#writing
    const index = this.#ids.finish()
    const offset = this.#written
    const crcs = this.#checksums.blocks()
    const partial = [...this.#presence].filter(([, bits]) => bits.includes(0))
    const presence = new Map(partial.map(([name, bits]) => [name, packBits(bits)]))
    const tail = Buffer.concat([serializeTailHead({ index, presence, crcs }), encodeFooter({ fields: this.fields, rowGroups: this.#groups })])
    await this.#write([tail])
    await this.#writing
    const { idMin, idMax } = this.#ids.range
    const name = `data-${nameOfId(idMin)}-${nameOfId(idMax)}-${randomUUID()}.parquet`
    await this.#blob?.commit(name)
    return {
      name, since, rows: index.rows, bytes: this.#written, idMin, idMax,
      columns: this.fields.map((field): PartColumn => ({ ...field, ...(presence.has(field.name) ? { partial: true } : {}) })),
      sha256: this.#checksums.sha256(), tail: { offset, sha256: sha256Of(tail) }, createdMs
    }
  }

  /** Drop what was written, a finished part included. Never throws. */
  async abort(): Promise<void> {
    await this.#writing.catch(() => undefined)
    await this.#blob?.abort()
  }

  /** A turn of the event loop after each column: whoever fetches meanwhile can take what has arrived, and ask for more. */
  async #encode(batches: readonly RowBatch[]): Promise<EncodedRowGroup> {
    const steps = encodeInSteps(this.fields, this.fields.map((_, c) => batches.map(({ vectors }) => vectors[c]!)), { codec: this.#codec, isSorted: true })
    for (;;) {
      const { done, value } = steps.next()
      if (done === true) return value
      await setImmediate()
    }
  }

  async #appendGroup(group: RowGroupMeta, chunks: readonly Uint8Array[], ids: readonly IdArray[]): Promise<void> {
    if (!this.#blob) {
      this.#blob = await this.#blobs.create(this.#folder)
      chunks = [FILE_HEADER, ...chunks]
    }
    const { rows, bytes, columns, idMin, idMax } = group
    this.#groups.push({ rows, bytes, columns, offset: this.#written || FILE_HEADER.length, ...(idMin === undefined ? {} : { idMin }), ...(idMax === undefined ? {} : { idMax }) })
    for (const piece of ids) this.#ids.add(piece)
    await this.#write(chunks)
  }

  /** Waits for the write before this one, starts this one, and leaves it running. */
  async #write(chunks: readonly Uint8Array[]): Promise<void> {
    await this.#writing
    for (const chunk of chunks) {
      this.#checksums.update(chunk)
      this.#written += chunk.length
    }
    const blob = this.#blob
    this.#writing = blob ? blob.write(chunks) : Promise.resolve()
    // whoever waits next gets the error; until then it must not count as unhandled
    this.#writing.catch(() => undefined)
  }
}

const nameOfId = (id: Id): string => String(id).replace('-', 'm')

function packBits(bits: readonly number[]): Uint8Array {
  const packed = new Uint8Array(Math.ceil(bits.length / 8))
  bits.forEach((bit, row) => { packed[row >>> 3]! |= bit << (row & 7) })
  return packed
}
