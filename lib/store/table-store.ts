import { setTimeout as delay } from 'node:timers/promises'
import type { ColumnType, Field } from '../batch/column-type.js'
import { CacheConflictError, CacheUnusableError, type CacheCorruptionError } from '../errors.js'
import type { Warning } from '../report.js'
import type { Change, Manifest, PartEntry, TableKey } from './catalog.js'
import { applyChange, emptyManifest } from './change.js'
import { compact } from './compaction.js'
import { planCompaction } from './compaction-plan.js'
import { collectGarbage } from './garbage.js'
import { PartWriter } from './part-writer.js'
import { Snapshot } from './snapshot.js'
import type { StoreSettings } from './store-settings.js'
import { formatTableName } from './table-name.js'

/** Commits are tried this often before a writer gives up against faster ones. */
const MAX_COMMIT_ATTEMPTS = 200

/**
 * One table of a cache: its snapshots, its commits, its damage. Holds no state that another process could make stale but the
 * number of the version it last saw.
 */
export class TableStore {
  readonly key: TableKey
  readonly settings: StoreSettings
  #lastGarbageMs = 0
  #folding: Promise<void> | undefined

  constructor(key: TableKey, settings: StoreSettings) {
    this.key = key
    this.settings = settings
  }

  /** The table's name as messages show it. */
  get name(): string {
    return formatTableName(this.key.table)
  }

  /**
   * The newest manifest.
   *
   * @param warn told of manifests that could not be read
   * @throws {CacheUnusableError} a newer version of millrace wrote here
   */
  async manifest(warn?: (warning: Warning) => void): Promise<Manifest> {
    return (await this.#state(warn)).manifest
  }

  /** A view of the table that stays as it is. */
  async snapshot(warn?: (warning: Warning) => void, declared?: ReadonlyMap<string, ColumnType>): Promise<Snapshot> {
    return this.snapshotOf(await this.manifest(warn), declared)
  }

  snapshotOf(manifest: Manifest, declared?: ReadonlyMap<string, ColumnType>): Snapshot {
    const { blobs, reader } = this.settings
    return new Snapshot({ manifest, folder: this.key.folder, blobs, reader, declared })
  }

  /** Fold small segments when there are many, without keeping anybody waiting; the rest of the process may end meanwhile. */
  foldLater(manifest: Manifest): void {
    if (this.#folding || !planCompaction(manifest, this.settings.partBytes)) return
    const fold = async (): Promise<void> => {
      try {
        const newest = await this.manifest()
        const plan = planCompaction(newest, this.settings.partBytes)
        if (plan) await compact(this, newest, plan)
      } catch {
        // whatever it was, nothing was changed, and the next commit tries again
      }
    }
    this.#folding = fold().finally(() => { this.#folding = undefined })
  }

  /** Resolves when no folding is under way. */
  async settled(): Promise<void> {
    await this.#folding
  }

  /**
   * Commit a change: applied to the newest manifest, again and again until no other writer was faster. Returns the new
   * manifest, or undefined when the change had become pointless.
   *
   * @throws {CacheConflictError} others kept winning
   */
  async commit(change: Change): Promise<Manifest | undefined> {
    for (let attempt = 1; attempt <= MAX_COMMIT_ATTEMPTS; attempt++) {
      const { latest, manifest } = await this.#state()
      const next = applyChange(manifest, change, latest + 1, Date.now())
      if (!next) return undefined
      if (await this.settings.catalog.commit(this.key, latest, next)) {
        await this.#collectGarbage(next)
        return next
      }
      await delay(Math.random() * Math.min(100, 2 * attempt))
    }
    throw new CacheConflictError({ table: this.name })
  }

  /** Commit the newest readable manifest again, above damaged ones. */
  async touch(): Promise<void> {
    const { latest, manifest } = await this.#state()
    await this.settings.catalog.commit(this.key, latest, { ...manifest, version: latest + 1 })
  }

  /** A writer of one part with these fields, the id first. */
  partWriter(fields: readonly Field[], partial?: readonly string[]): PartWriter {
    const { blobs, codec } = this.settings
    return new PartWriter({ blobs, codec, folder: this.key.folder, fields, ...(partial ? { partial } : {}) })
  }

  /**
   * Take a damaged part out of the table and set its file aside. Its rows are misses from now on. Trouble in doing so is
   * returned as a warning: the caller goes on without the part either way.
   */
  async dropDamaged(part: PartEntry, corruption: CacheCorruptionError): Promise<Warning[]> {
    const { blobs, reader } = this.settings
    const file = blobs.pathOf(this.key.folder, part.name)
    const warnings: Warning[] = [{ code: 'CACHE_CORRUPT', file,
      message: `${corruption.message}; the file is set aside and its rows are fetched again` }]
    reader.forget(this.key.folder, part.name)
    try {
      await this.commit({ remove: [part.name] })
      await blobs.quarantine(this.key.folder, part.name)
    } catch (error) {
      warnings.push(warningOf('CACHE_WRITE_FAILED', error, file))
    }
    return warnings
  }

  async #state(warn?: (warning: Warning) => void): Promise<{ latest: number, manifest: Manifest }> {
    const { latest, manifest, damaged, newerFormat } = await this.settings.catalog.read(this.key)
    for (const { file, reason } of damaged) warn?.({ code: 'CACHE_CORRUPT', file, message: `${file}: ${reason}; the version before it is used` })
    if (newerFormat) {
      throw new CacheUnusableError({ file: newerFormat.file,
        reason: `written by a newer millrace (format ${newerFormat.format}); upgrade, or use another cacheDir` })
    }
    if (manifest && formatTableName(manifest.table) !== this.name) {
      throw new CacheUnusableError({ file: this.key.folder, reason: `belongs to ${formatTableName(manifest.table)}, not to ${this.name}` })
    }
    return { latest, manifest: manifest ?? { ...emptyManifest(this.key), version: latest } }
  }

  /** At most once a minute: it lists the folder. Trouble is no trouble of the commit, and comes up again with the next. */
  async #collectGarbage(manifest: Manifest): Promise<void> {
    const now = Date.now()
    if (Math.abs(now - this.#lastGarbageMs) < Math.min(60_000, this.settings.graceMs)) return
    this.#lastGarbageMs = now
    await collectGarbage({ ...this.settings, folder: this.key.folder }, manifest).catch(() => undefined)
  }
}

/** A warning from anything thrown. */
export function warningOf(code: string, error: unknown, file?: string): Warning {
  const errno = (error as { code?: unknown } | null)?.code
  const path = file ?? (error as { path?: unknown } | null)?.path
  return { code, message: error instanceof Error ? error.message : String(error),
    ...(typeof path === 'string' ? { file: path } : {}), ...(typeof errno === 'string' ? { errno } : {}) }
}
