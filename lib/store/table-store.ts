import { randomBytes } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import type { ColumnType, Field } from '../batch/column-type.js'
import { CacheConflictError, CacheUnusableError, messageOf, type CacheCorruptionError } from '../errors.js'
import type { Warning } from '../report.js'
import { turns } from '../turns.js'
import type { Change, Manifest, PartEntry, TableKey } from './catalog.js'
import { applyChange, emptyManifest } from './change.js'
import { compact } from './compaction.js'
import { planCompaction } from './compaction-plan.js'
import { collectGarbage } from './garbage.js'
import type { IdIndex } from './id-index.js'
import { writeIdList } from './id-list.js'
import { rangesOverlap } from './manifest.js'
import { PartWriter } from './part-writer.js'
import { Snapshot, UnusablePartError } from './snapshot.js'
import type { StoreSettings } from './store-settings.js'
import { errnoOf } from './local-files.js'
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
  /** What compactions found damaged, until somebody is there to be told. */
  #noticed: Warning[] = []
  /** Names of removed files that are gone from disk: the next commit need not list them any more. */
  #forgotten: readonly string[] = []
  #folding: Promise<void> | undefined
  readonly #inTurn = turns()

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
    // whatever goes wrong, nothing was changed, and the next commit tries again
    this.#folding = this.compact().catch(() => undefined).finally(() => { this.#folding = undefined })
  }

  /**
   * Compact what is worth it. Parts that turn out damaged are dropped on the way; the next snapshot says so.
   *
   * @param all everything that is not in the best layout yet, instead of many small segments
   * @throws an input that the system would not read, or a full disk: nothing was changed then
   */
  async compact({ all = false, signal }: { all?: boolean, signal?: AbortSignal } = {}): Promise<void> {
    for (;;) {
      const newest = await this.manifest()
      const plan = planCompaction(newest, this.settings.partBytes, all)
      if (!plan) return
      try {
        await compact(this, newest, plan, signal)
        return
      } catch (error) {
        if (!(error instanceof UnusablePartError)) throw error
        if (!error.corruption) throw error.cause
        const { parts } = await this.manifest()
        if (parts.some(({ name }) => name === error.part.name)) this.#noticed.push(...await this.dropDamaged(error.part, error.corruption, error.ids))
        // it must be gone by now, or this would go round for ever
        if ((await this.manifest()).parts.some(({ name }) => name === error.part.name)) throw error.corruption
      }
    }
  }

  /** Resolves when no folding is under way. */
  async settled(): Promise<void> {
    await this.#folding
  }

  /**
   * Commit a change: applied to the newest manifest, again and again until no other writer was faster. Returns the new
   * manifest, or undefined when the change had become pointless. Commits of this object take turns: each of a hundred that race
   * would write a hundred manifests.
   *
   * @throws {CacheConflictError} others kept winning
   */
  async commit(change: Change): Promise<Manifest | undefined> {
    return await this.#inTurn(() => this.#commit(change))
  }

  async #commit(change: Change): Promise<Manifest | undefined> {
    const token = change.token ?? newToken()
    for (let attempt = 1; attempt <= MAX_COMMIT_ATTEMPTS; attempt++) {
      const { latest, manifest } = await this.#state()
      // a writer that slept may have won without knowing: its change is in, and must not be made again
      if (attempt > 1 && manifest.commits?.includes(token)) return manifest
      const next = applyChange(manifest, { ...change, token, forget: [...change.forget ?? [], ...this.#forgotten] }, latest + 1, Date.now())
      if (!next) return undefined
      if (await this.settings.catalog.commit(this.key, latest, next)) {
        this.#forgotten = []
        await this.#collectGarbage()
        return next
      }
      await delay(Math.random() * Math.min(100, 2 * attempt))
    }
    throw new CacheConflictError({ table: this.name })
  }

  /**
   * Commit a change that names blobs just written, and settle their fate with it: kept when it is in, gone when it had become
   * pointless or failed, left to the garbage collection when that cannot be told.
   */
  async commitBlobs(blobs: readonly WrittenBlob[], change: Change): Promise<Manifest | undefined> {
    const token = newToken()
    let fate: 'in' | 'out' | 'unknown' = 'unknown'
    try {
      const manifest = await this.commit({ ...change, token })
      fate = manifest ? 'in' : 'out'
      return manifest
    } catch (error) {
      fate = await this.#isIn(token).then(isIn => isIn ? 'in' : 'out', () => 'unknown' as const)
      throw error
    } finally {
      for (const blob of blobs) {
        if (fate === 'out') await blob.abort()
        else await blob.release()
      }
    }
  }

  /** Commit finished parts, and what else changes with them. */
  async commitParts(writers: readonly PartWriter[], change: Change = {}): Promise<Manifest | undefined> {
    return await this.commitBlobs(writers, { ...change, add: writers.flatMap(({ part }) => part ?? []) })
  }

  /** Whether a commit that failed is visible all the same (its folder could not be flushed). */
  async #isIn(token: string): Promise<boolean> {
    const { manifest, damaged } = await this.settings.catalog.read(this.key)
    if (damaged.length > 0) throw new Error('the newest manifest cannot be read')
    return manifest?.commits?.includes(token) ?? false
  }

  /**
   * Put a new manifest above damaged ones, and set those aside.
   *
   * @returns their new names
   */
  async repairManifests(damaged: readonly { file: string }[]): Promise<string[]> {
    const { catalog } = this.settings
    const { latest, manifest } = await this.#state()
    // when this loses against another commit, that one stands above them
    await catalog.commit(this.key, latest, { ...manifest, version: latest + 1 })
    return await catalog.forgetOld(this.key, damaged)
  }

  /** A writer of one part with these fields, the id first. */
  partWriter(fields: readonly Field[], partial?: readonly string[]): PartWriter {
    const { blobs, codec } = this.settings
    return new PartWriter({ blobs, codec, folder: this.key.folder, fields, ...(partial ? { partial } : {}) })
  }

  /**
   * Take a damaged part out of the table and set its file aside. Its rows are misses from now on, those it had replaced in older
   * parts included. Trouble in doing so is returned as a warning: the caller goes on without the part either way. A file that is
   * gone because its time had come (a reader was slower than the grace time) is worth no warning.
   *
   * @param ids the part's ids, where they are known
   */
  async dropDamaged(part: PartEntry, corruption: CacheCorruptionError, ids?: IdIndex): Promise<Warning[]> {
    const { blobs, reader } = this.settings
    const { folder } = this.key
    const file = blobs.pathOf(folder, part.name)
    const warnings: Warning[] = [{ code: 'CACHE_CORRUPT', file, message: `${corruption.message}; the file is set aside and its rows are fetched again` }]
    try {
      const { parts } = await this.manifest()
      if (!parts.some(({ name }) => name === part.name)) return await blobs.head(folder, part.name) ? warnings : []
      const replaced = parts.some(older => older.seq < part.seq && rangesOverlap(older, part))
      const known = replaced ? ids ?? await reader.tail(folder, part, {}).then(({ index }) => index, () => undefined) : undefined
      const written = known && await writeIdList(blobs, folder, known)
      const { idMin, idMax } = part
      await this.commitBlobs(written ? [written] : [], { remove: [part.name], removeAll: true, ...(replaced ? { tombstones: [{
        ids: written?.list ?? null, ...(written ? {} : { range: { idMin, idMax } }), columns: part.columns.map(({ name }) => name), belowSeq: part.seq }] } : {}) })
      await blobs.quarantine(folder, part.name)
    } catch (error) {
      warnings.push(warningOf('CACHE_WRITE_FAILED', error, file))
    } finally {
      reader.forget(folder, part.name)
    }
    return warnings
  }

  async #state(warn?: (warning: Warning) => void): Promise<{ latest: number, manifest: Manifest }> {
    const { latest, manifest, damaged, newerFormat } = await this.settings.catalog.read(this.key)
    if (warn) for (const warning of this.#noticed.splice(0)) warn(warning)
    for (const { file, reason } of damaged) warn?.({ code: 'CACHE_CORRUPT', file, message: `${file}: ${reason}; the version before it is used` })
    if (newerFormat) {
      throw new CacheUnusableError({ file: newerFormat.file,
        reason: `written by a newer millrace (format ${newerFormat.format}); upgrade, or use another cacheDir` })
    }
    return { latest, manifest: manifest ?? { ...emptyManifest(this.key), version: latest } }
  }

  /** At most once a minute: it lists the folder. Trouble is no trouble of the commit, and comes up again with the next. */
  async #collectGarbage(): Promise<void> {
    const now = Date.now()
    if (Math.abs(now - this.#lastGarbageMs) < Math.min(60_000, this.settings.graceMs)) return
    this.#lastGarbageMs = now
    await this.collectGarbage().catch(() => undefined)
  }

  /** Delete what no reader and no writer needs any more. */
  async collectGarbage(): Promise<void> {
    const { forgotten } = await collectGarbage({ ...this.settings, folder: this.key.folder }, () => this.manifest())
    this.#forgotten = forgotten
  }
}

/** A blob whose fate a commit decides. */
interface WrittenBlob {
  release(): Promise<void>
  abort(): Promise<void>
}

const newToken = (): string => randomBytes(9).toString('base64url')

/** A warning from anything thrown. It names folders instead of temporary files, whose names tell nobody anything. */
export function warningOf(code: string, error: unknown, file?: string): Warning {
  const { path } = (error ?? {}) as { path?: unknown }
  const errno = errnoOf(error) ?? (error as { errno?: unknown } | null)?.errno
  const named = (text: string): string => text.replaceAll(/[/\\]tmp-\d+-[0-9a-f-]{36}/g, '')
  const about = file ?? (typeof path === 'string' ? named(path) : (error as { file?: unknown } | null)?.file)
  return { code, message: named(messageOf(error)),
    ...(typeof about === 'string' ? { file: about } : {}), ...(typeof errno === 'string' ? { errno } : {}) }
}
