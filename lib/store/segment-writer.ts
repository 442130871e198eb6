import type { Field } from '../batch/column-type.js'
import { idAt, type Id } from '../batch/ids.js'
import { idsIn, type RowBatch } from '../batch/row-batch.js'
import { hasNulls } from '../batch/vector.js'
import { batchBytes, SizeGuess } from './batch-bytes.js'
import type { Manifest } from './catalog.js'
import type { PartWriter } from './part-writer.js'
import type { TableStore } from './table-store.js'

/** A running request commits at least every this many bytes … */
const COMMIT_BYTES = 64 * 1024 * 1024
/** … or milliseconds, so that a killed run keeps what it had fetched. */
const COMMIT_MS = 30_000

/** Where the parts go. */
export type SegmentTarget = Pick<TableStore, 'settings' | 'partWriter' | 'commitParts'>

/**
 * Takes the rows of a running request and commits them as parts, as it goes. A part has one schema and at most about `partBytes`:
 * rows of other columns or wider types, and ids that do not ascend, begin a new one.
 */
export class SegmentWriter {
  readonly #store: SegmentTarget
  readonly #since: number
  readonly #source: string | null
  readonly #retype: ReadonlySet<string>
  #pending: RowBatch[] = []
  #pendingRows = 0
  #pendingBytes = 0
  #writer: PartWriter | undefined
  /** Parts that are complete and wait for their commit. */
  #finished: PartWriter[] = []
  #finishedBytes = 0
  #fields: readonly Field[] = []
  #lastId: Id | undefined
  readonly #sizes = new SizeGuess()
  #startedMs = 0
  /** When the oldest row of what is not committed was asked for. */
  #askedMs = Infinity
  #bytesWritten = 0

  /** @param retype columns whose cached type gives way; read at each commit */
  constructor(store: SegmentTarget, { since, source = null, retype = new Set() }: { since: number, source?: string | null, retype?: ReadonlySet<string> }) {
    this.#store = store
    this.#since = since
    this.#source = source
    this.#retype = retype
  }

  /** Bytes of committed parts. */
  get bytesWritten(): number {
    return this.#bytesWritten
  }

  /**
   * Take a batch, ids ascending. Row groups are written as they fill, parts committed as they grow or age.
   *
   * @param askedMs when the oldest of its rows was asked for
   * @returns the new manifest when this call committed
   */
  async add(batch: RowBatch, askedMs = Date.now()): Promise<Manifest | undefined> {
    if (batch.length === 0) return undefined
    let committed: Manifest | undefined
    if (this.#lastId !== undefined && (idAt(idsIn(batch), 0) <= this.#lastId || !sameShape(this.#fields, batch.schema))) {
      committed = await this.commit()
    }
    if (this.#lastId === undefined) this.#startedMs = Date.now()
    this.#askedMs = Math.min(this.#askedMs, askedMs)
    this.#fields = mergeNullable(this.#fields, batch.schema)
    this.#lastId = idAt(idsIn(batch), batch.length - 1)
    this.#pending.push(batch)
    this.#pendingRows += batch.length
    this.#pendingBytes += batchBytes(batch)
    if (this.#pendingRows >= this.#groupRows) await this.#writePending(false)
    const due = this.#finishedBytes + (this.#writer?.bytes ?? 0) >= COMMIT_BYTES || Date.now() - this.#startedMs >= COMMIT_MS
    return due ? await this.commit() ?? committed : committed
  }

  /** Write what is pending and commit it. When that fails, it is dropped. */
  async commit(): Promise<Manifest | undefined> {
    if (this.#lastId === undefined) return undefined
    try {
      await this.#writePending(true)
      await this.#finishPart()
    } catch (error) {
      await this.abort()
      throw error
    }
    const parts = this.#finished
    const bytes = this.#finishedBytes
    this.#reset()
    if (parts.length === 0) return undefined
    const manifest = await this.#store.commitParts(parts, { source: this.#source, retype: [...this.#retype] })
    this.#bytesWritten += bytes
    return manifest
  }

  /** Drop what was not committed. Never throws. */
  async abort(): Promise<void> {
    const writers = this.#writer ? [...this.#finished, this.#writer] : this.#finished
    this.#reset()
    for (const writer of writers) await writer.abort()
  }

  #reset(): void {
    this.#writer = undefined
    this.#finished = []
    this.#finishedBytes = 0
    this.#pending = []
    this.#pendingRows = 0
    this.#pendingBytes = 0
    this.#lastId = undefined
    this.#askedMs = Infinity
    this.#fields = []
  }

  get #groupRows(): number {
    return this.#sizes.groupRows(this.#pendingRows, this.#pendingBytes, this.#store.settings.partBytes)
  }

  /** Full row groups; the rest waits for more unless this is the end. */
  async #writePending(all: boolean): Promise<void> {
    const rawPerRow = this.#pendingBytes / this.#pendingRows
    for (let full = this.#groupRows; this.#pendingRows >= full || (all && this.#pendingRows > 0); full = this.#groupRows) {
      const group: RowBatch[] = []
      let rows = 0
      while (rows < full && this.#pending.length > 0) {
        const batch = this.#pending[0]!
        const room = full - rows
        if (batch.length <= room) this.#pending.shift()
        else this.#pending[0] = batch.slice(room, batch.length)
        const taken = batch.slice(0, Math.min(room, batch.length))
        group.push(taken)
        rows += taken.length
      }
      this.#pendingRows -= rows
      this.#pendingBytes = this.#pendingRows * rawPerRow
      await this.#writeGroup(group, rows * rawPerRow)
    }
  }

  /** @param raw about how many bytes of vectors they are */
  async #writeGroup(group: readonly RowBatch[], raw: number): Promise<void> {
    const { partBytes } = this.#store.settings
    const schema = schemaOf(group)
    // a column that was REQUIRED in this file so far and now has a null (or its first integer beyond 2^53): the next file says so
    const outgrown = schema.some((field, c) => outgrows(field, this.#writer?.fields[c]))
    if (this.#writer && (outgrown || this.#writer.bytes + this.#sizes.encoded(raw) > partBytes * 1.1)) await this.#finishPart()
    this.#writer ??= this.#store.partWriter(schema)
    const before = this.#writer.bytes
    await this.#writer.append(group)
    this.#sizes.learn(raw, this.#writer.bytes - before)
    if (this.#writer.bytes >= partBytes) await this.#finishPart()
  }

  async #finishPart(): Promise<void> {
    const writer = this.#writer
    this.#writer = undefined
    if (!writer) return
    const { bytes } = await writer.finish({ since: this.#since, createdMs: this.#askedMs })
    this.#finished.push(writer)
    this.#finishedBytes += bytes
  }
}

/** The schema of these rows: nullable is what has nulls among them. */
function schemaOf(group: readonly RowBatch[]): readonly Field[] {
  return group.reduce<readonly Field[]>((known, { schema, vectors }) => mergeNullable(known, schema.map((field, c) => ({ ...field, nullable: hasNulls(vectors[c]!) }))), [])
}

/** Whether two schemas can share a file: the same columns, in order, of the same types. */
function sameShape(a: readonly Field[], b: readonly Field[]): boolean {
  return a.length === b.length && a.every((field, c) => field.name === b[c]!.name && field.type === b[c]!.type && field.origin === b[c]!.origin)
}

function outgrows(field: Field, written: Field | undefined): boolean {
  return (field.nullable && written?.nullable === false) || (field.wide === true && written?.wide !== true)
}

function mergeNullable(known: readonly Field[], seen: readonly Field[]): readonly Field[] {
  if (known.length === 0) return seen
  return known.map((field, c) => ({ ...field, nullable: field.nullable || seen[c]!.nullable, ...(field.wide || seen[c]!.wide ? { wide: true } : {}) }))
}
