import type { FileHandle } from 'node:fs/promises'
import type { Field } from '../../lib/batch/column-type.js'
import { convertVector, unifyFields } from '../../lib/batch/combine.js'
import type { RowBatch } from '../../lib/batch/row-batch.js'
import { SchemaConflictError } from '../../lib/errors.js'
import { decodeColumn } from '../../lib/parquet/column.js'
import type { ColumnChunkMeta, PlacedRowGroup } from '../../lib/parquet/column-chunk.js'
import { encodeFooter, FILE_HEADER } from '../../lib/parquet/footer.js'
import { encodeRowGroup } from '../../lib/parquet/row-group.js'

const CODEC = { codec: 'UNCOMPRESSED' } as const

/**
 * Writes one Parquet file, a row group per batch. A column may turn out wider on the way (its first value came late, or its
 * first integer beyond 32 bits): its earlier chunks are then encoded again and appended, and the footer points to those.
 * Memory: one row group.
 */
export class ParquetFile {
  readonly #file: FileHandle
  #fields: Field[]
  readonly #groups: PlacedRowGroup[] = []
  #offset = 0

  /** @param names the columns, for a file without rows */
  constructor(file: FileHandle, [id = 'id', ...names]: readonly string[]) {
    this.#file = file
    this.#fields = [{ name: id, type: 'int64', nullable: false }, ...names.map((name): Field => ({ name, type: 'null', nullable: true }))]
  }

  async append({ schema, vectors, length }: RowBatch): Promise<void> {
    if (length === 0) return
    const before = this.#fields
    this.#fields = before.map((field, c) => widened(field, schema[c]!))
    for (const [c, field] of this.#fields.entries()) {
      if (field.type !== before[c]!.type) await this.#encodeAgain(c, before[c]!, field)
    }
    const { chunks, ...group } = encodeRowGroup(this.#fields, vectors.map((vector, c) => convertVector(vector, this.#fields[c]!.type)), CODEC)
    this.#groups.push({ ...group, offset: await this.#write(chunks) })
  }

  /** Write the end of the file. */
  async finish(): Promise<void> {
    await this.#write([encodeFooter({ fields: this.#fields, rowGroups: this.#groups })])
  }

  /** Replace one column's chunks by chunks of another type. The old ones stay in the file, unused. */
  async #encodeAgain(c: number, from: Field, to: Field): Promise<void> {
    for (const group of this.#groups) {
      const chunk = group.columns[c]!
      const vector = decodeColumn(from, chunk, group.rows, await this.#read(group, chunk))
      const { chunks, columns: [again] } = encodeRowGroup([to], [convertVector(vector, to.type)], CODEC)
      const offset = await this.#write(chunks)
      group.columns[c] = { ...again!, offset: offset - group.offset + again!.offset }
    }
  }

  async #read({ offset }: PlacedRowGroup, chunk: ColumnChunkMeta): Promise<Uint8Array> {
    // a buffer of its own, so that typed arrays can be laid over it
    const bytes = new Uint8Array(new ArrayBuffer(chunk.bytes))
    await this.#file.read(bytes, 0, chunk.bytes, offset + chunk.offset)
    return bytes
  }

  /** Append, and say where: at a multiple of 8. */
  async #write(chunks: readonly Uint8Array[]): Promise<number> {
    if (this.#offset === 0) this.#offset = (await this.#file.write(FILE_HEADER, 0, FILE_HEADER.length, 0)).bytesWritten
    const start = this.#offset
    for (const chunk of chunks) {
      for (let at = 0; at < chunk.length;) at += (await this.#file.write(chunk, at, chunk.length - at, this.#offset + at)).bytesWritten
      this.#offset += chunk.length
    }
    return start
  }
}

/** Nullable whatever came so far: which columns have nulls is known at the end only. The id is not. */
function widened(known: Field, seen: Field): Field {
  const field = unifyFields([known, seen], true)
  if (!field) throw new SchemaConflictError({ column: known.name, cached: known.type, seen: seen.type })
  return { ...field, nullable: known.nullable }
}
