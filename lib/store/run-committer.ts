import { idAt, positionsBetween, type IdArray } from '../batch/ids.js'
import type { RowBatch } from '../batch/row-batch.js'
import { SchemaConflictError, SourceMismatchError } from '../errors.js'
import type { Run } from '../run.js'
import type { Manifest } from './catalog.js'
import { SegmentWriter } from './segment-writer.js'
import { warningOf, type TableStore } from './table-store.js'
import { invalidateVanished } from './vanished.js'

/** After this many failures in a row a run stops trying to cache. */
const MAX_FAILURES = 3

/**
 * Caches a run's rows. Trouble with the cache becomes a warning of the run: its rows were or will be delivered all the same.
 * In a strict run it is thrown.
 */
export class RunCommitter {
  readonly run: Run
  readonly #store: TableStore | undefined
  readonly #source: string | undefined
  readonly #retyped = new Set<string>()
  #segment: SegmentWriter | undefined
  #failures = 0
  #bytes = 0
  #manifest: Manifest | undefined

  constructor(store: TableStore | undefined, run: Run, source?: string) {
    this.#store = store
    this.run = run
    this.#source = source
    // what the caller declared holds against what is cached, whether or not a batch shows the difference
    if (run.retype !== 'all') for (const name of run.retype) this.#retyped.add(name)
  }

  /**
   * Cache batches, ids ascending and above those before.
   *
   * @param askedMs when the oldest of their rows was asked for (default now)
   */
  async add(batches: readonly RowBatch[], { retyped = [], askedMs = Date.now() }: { retyped?: readonly string[], askedMs?: number } = {}): Promise<void> {
    for (const name of retyped) this.#retyped.add(name)
    await this.#try(async segment => {
      let manifest: Manifest | undefined
      for (const batch of batches) manifest = await segment.add(batch, askedMs) ?? manifest
      return manifest
    })
  }

  /** Cache a batch whose ids may stand in any order; the last of equal ids counts. */
  async addAnyOrder(batch: RowBatch): Promise<void> {
    const { ids } = batch
    if (ascend(ids)) return await this.add([batch])
    const order = positionsBetween(0, ids.length).sort((a, b) => ids[a]! < ids[b]! ? -1 : ids[a]! > ids[b]! ? 1 : a - b)
    const last = order.filter((row, i) => i + 1 === order.length || idAt(ids, row) !== idAt(ids, order[i + 1]!))
    await this.add([batch.gather(last)])
  }

  /** Commit what is left, and fold small segments in the background where there are many. */
  async commit(): Promise<void> {
    await this.#try(async segment => await segment.commit())
    this.#settleBytes()
    try {
      await this.#dropVanished()
    } catch (error) {
      this.run.trouble(warningOf('CACHE_WRITE_FAILED', error), error)
    }
    if (this.#manifest) this.#store?.foldLater(this.#manifest)
  }

  /** The run was cut short: commit what came so far. Never throws. */
  async rescue(): Promise<void> {
    try {
      await this.#segment?.commit()
      await this.#dropVanished()
    } catch (error) {
      this.run.warn(warningOf('CACHE_WRITE_FAILED', error))
      await this.#segment?.abort()
    }
    this.#settleBytes()
  }

  /** What a refresh did not find again must not come back as a hit. */
  async #dropVanished(): Promise<void> {
    const vanished = [...this.run.vanished()]
    if (this.#store && vanished.length > 0) await invalidateVanished(this.#store, vanished)
  }

  async #try(work: (segment: SegmentWriter) => Promise<Manifest | undefined>): Promise<void> {
    if (!this.#store || this.#failures >= MAX_FAILURES) return
    this.#segment ??= new SegmentWriter(this.#store, { since: this.run.since, source: this.#source ?? null, retype: this.#retyped })
    try {
      this.#manifest = await work(this.#segment) ?? this.#manifest
      this.#failures = 0
    } catch (error) {
      this.#failures++
      await this.#segment.abort()
      this.#settleBytes()
      this.#segment = undefined
      this.#bytes = 0
      // not the disk's trouble but the caller's: another source, or types that others cached meanwhile
      if (error instanceof SourceMismatchError || error instanceof SchemaConflictError) throw error
      this.run.trouble(warningOf('CACHE_WRITE_FAILED', error), error)
    }
  }

  #settleBytes(): void {
    const bytes = this.#segment?.bytesWritten ?? 0
    this.run.report.bytesWritten += bytes - this.#bytes
    this.#bytes = bytes
  }
}

function ascend(ids: IdArray): boolean {
  for (let i = 1; i < ids.length; i++) if (!(ids[i - 1]! < ids[i]!)) return false
  return true
}
