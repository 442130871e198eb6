import { randomUUID } from 'node:crypto'
import type { RowBatch } from '../batch/row-batch.js'
import { WINDOW_ROWS } from '../batch/id-set.js'
import type { Run } from '../run.js'
import type { QueryRecord } from '../store/query-record.js'
import type { PartWriter } from '../store/part-writer.js'
import { SegmentWriter } from '../store/segment-writer.js'
import { warningOf, type TableStore } from '../store/table-store.js'

/** What a query's commit is about. */
export interface QueryCommit {
  /** Rows of the cache that stay, counted from the first; the new ones follow. Undefined: the new rows are the whole result. */
  keep?: number
  /** How many rows there were before. */
  rowsBefore: number
  /** Committed only while the cached query has this revision; undefined: whatever is there. */
  ifRevision?: string | null
  source: string | undefined
  /** The record of the result, asked for when all rows came; undefined: the rows are not worth keeping. */
  record: () => Omit<QueryRecord, 'revision'> | undefined
  /** Whether these few rows are what is cached in their place already. */
  isUnchanged?: (batches: readonly RowBatch[]) => Promise<boolean>
}

/**
 * Writes a query's numbered rows as parts, and commits them with the query's record, all or nothing. Trouble with the cache
 * becomes a warning of the run. Whoever committed first in the meantime wins: nothing is committed then.
 */
export class QueryCommitter {
  readonly run: Run
  readonly #store: TableStore
  readonly #commit: QueryCommit
  readonly #segment: SegmentWriter
  readonly #parts: PartWriter[] = []
  /** The new rows while they are few. */
  #held: RowBatch[] | undefined = []
  #rows = 0
  #failed = false

  constructor(store: TableStore, run: Run, commit: QueryCommit) {
    this.run = run
    this.#store = store
    this.#commit = commit
    // parts are collected here; the one commit is ours
    this.#segment = new SegmentWriter({
      settings: store.settings,
      partWriter: (fields, partial) => store.partWriter(fields, partial),
      commitParts: writers => {
        this.#parts.push(...writers)
        return Promise.resolve(undefined)
      }
    }, { since: run.since })
  }

  async add(batches: readonly RowBatch[]): Promise<void> {
    for (const batch of batches) await this.addAnyOrder(batch)
  }

  async addAnyOrder(batch: RowBatch): Promise<void> {
    this.#rows += batch.length
    if (this.#rows > WINDOW_ROWS) this.#held = undefined
    else this.#held?.push(batch)
    await this.#try(async () => { await this.#segment.add(batch) })
  }

  async commit(): Promise<void> {
    await this.#try(async () => {
      const { keep, rowsBefore, ifRevision, source, record: describe, isUnchanged } = this.#commit
      if (this.#held && isUnchanged && this.#rows === rowsBefore - (keep ?? 0) && await isUnchanged(this.#held)) return await this.rescue()
      const record = describe()
      if (!record) return await this.rescue()
      await this.#segment.commit()
      // what becomes of the files is the commit's business from here on
      const parts = this.#parts.splice(0)
      const bytes = parts.reduce((sum, { part }) => sum + (part?.bytes ?? 0), 0)
      const shrunk = keep !== undefined && record.rows < rowsBefore
      const committed = await this.#store.commitParts(parts, {
        source: source ?? null,
        ...(shrunk ? { tombstones: [{ ids: null, columns: null, range: { idMin: record.rows, idMax: rowsBefore - 1 } }] } : {}),
        query: { record: { ...record, revision: randomUUID() }, replacesAll: keep === undefined, ...(ifRevision === undefined ? {} : { ifRevision }) }
      })
      if (!committed) return
      this.run.report.bytesWritten += bytes
      this.#store.foldLater(committed)
    })
  }

  /** Drop what was written. Never throws. */
  async rescue(): Promise<void> {
    this.#held = undefined
    await this.#segment.abort()
    for (const writer of this.#parts.splice(0)) await writer.abort()
  }

  async #try(work: () => Promise<void>): Promise<void> {
    if (this.#failed) return
    try {
      await work()
    } catch (error) {
      this.#failed = true
      await this.rescue()
      this.run.trouble(warningOf('CACHE_WRITE_FAILED', error), error)
    }
  }
}
