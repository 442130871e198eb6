import type { Field } from '../batch/column-type.js'
import { concatBatches } from '../batch/combine.js'
import { idAt, type Id } from '../batch/ids.js'
import { WINDOW_ROWS } from '../batch/id-set.js'
import type { RowBatch } from '../batch/row-batch.js'
import type { Manifest } from './catalog.js'
import type { PartWriter } from './part-writer.js'
import type { TableStore } from './table-store.js'

/** A running request commits at least every this many bytes … */
const COMMIT_BYTES = 64 * 1024 * 1024
/** … or milliseconds, so that a killed run keeps what it had fetched. */
const COMMIT_MS = 30_000

/**
 * Takes the rows of a running request and commits them as parts, as it goes. A part has one schema: rows of other columns or
 * wider types, and ids that do not ascend, begin a new one.
 */
export class SegmentWriter {
  readonly #store: TableStore
  readonly #since: number
  readonly #source: string | null
  readonly #retype: ReadonlySet<string>
  #pending: RowBatch[] = []
  #pendingRows = 0
  #writer: PartWriter | undefined
  #fields: readonly Field[] = []
  #lastId: Id | undefined
  #startedMs = 0
  #bytesWritten = 0

  /** @param retype columns whose cached type gives way; read at each commit */
  constructor(store: TableStore, { since, source = null, retype = new Set() }: { since: number, source?: string | null, retype?: ReadonlySet<string> }) {
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
   * @returns the new manifest when this call committed
   */
  async add(batch: RowBatch): Promise<Manifest | undefined> {
    if (batch.length === 0) return undefined
    let committed: Manifest | undefined
    if (this.#lastId !== undefined && (idAt(batch.ids, 0) <= this.#lastId || !sameShape(this.#fields, batch.schema))) {
      committed = await this.commit()
    }
    if (this.#lastId === undefined) this.#startedMs = Date.now()
    this.#fields = mergeNullable(this.#fields, batch.schema)
    this.#lastId = idAt(batch.ids, batch.length - 1)
    this.#pending.push(batch)
    this.#pendingRows += batch.length
    if (this.#pendingRows >= WINDOW_ROWS) await this.#writePending(false)
    const due = (this.#writer?.bytes ?? 0) >= Math.min(COMMIT_BYTES, this.#store.settings.partBytes) || Date.now() - this.#startedMs >= COMMIT_MS
    return due ? await this.commit() ?? committed : committed
  }

  /** Write what is pending and commit it. */
  async commit(): Promise<Manifest | undefined> {
    if (this.#lastId === undefined) return undefined
    await this.#writePending(true)
    const writer = this.#writer
    this.#reset()
    if (!writer) return undefined
    const part = await writer.finish({ since: this.#since })
    const manifest = await this.#store.commit({ add: [part], source: this.#source, retype: [...this.#retype] })
    this.#bytesWritten += part.bytes
    return manifest
  }

  /** Drop what was not committed. Never throws. */
  async abort(): Promise<void> {
    const writer = this.#writer
    this.#reset()
    await writer?.abort()
  }

  #reset(): void {
    this.#writer = undefined
    this.#pending = []
    this.#pendingRows = 0
    this.#lastId = undefined
    this.#fields = []
  }

  /** Row groups of 65,536 rows; the rest waits for more unless this is the end. */
  async #writePending(all: boolean): Promise<void> {
    while (this.#pendingRows >= WINDOW_ROWS || (all && this.#pendingRows > 0)) {
      const group: RowBatch[] = []
      let rows = 0
      while (rows < WINDOW_ROWS && this.#pending.length > 0) {
        const batch = this.#pending[0]!
        const room = WINDOW_ROWS - rows
        if (batch.length <= room) this.#pending.shift()
        else this.#pending[0] = batch.slice(room, batch.length)
        const taken = batch.slice(0, Math.min(room, batch.length))
        group.push(taken)
        rows += taken.length
      }
      this.#pendingRows -= rows
      await this.#writeGroup(concatBatches(group.length === 1 ? group[0]!.schema : this.#fields, group))
    }
  }

  async #writeGroup(group: RowBatch): Promise<void> {
    // a column that was REQUIRED in this file so far and now has a null (or its first integer beyond 2^53): the next file says so
    if (this.#writer && group.schema.some((field, c) => outgrows(field, this.#writer?.fields[c]))) {
      const part = await this.#writer.finish({ since: this.#since })
      this.#writer = undefined
      await this.#store.commit({ add: [part], source: this.#source, retype: [...this.#retype] })
      this.#bytesWritten += part.bytes
    }
    this.#writer ??= this.#store.partWriter(group.schema)
    try {
      await this.#writer.append(group)
    } catch (error) {
      await this.abort()
      throw error
    }
  }
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
