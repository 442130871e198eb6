import type { Piece } from '../batch/combine.js'
import type { ColumnType, Field } from '../batch/column-type.js'
import { idAt, positionsBetween, positionsWhere, type IdArray } from '../batch/ids.js'
import { CacheCorruptionError, messageOf } from '../errors.js'
import { inParallel } from '../in-parallel.js'
import type { BlobStore } from './blob-store.js'
import type { Manifest, PartEntry, Tombstone } from './catalog.js'
import { fitsTable } from './change.js'
import type { IdIndex } from './id-index.js'
import { readIdList } from './id-list.js'
import { rangesOverlap } from './manifest.js'
import type { PartReader } from './part-reader.js'
import { isPresent, type PartTail } from './part-tail.js'
import { answersOf, assignOwners, type Answer, type Candidate, type HiddenIds, type Owners } from './presence.js'

/** Parts opened, read or checked at once: enough to wait for none of them alone. */
const PARTS_AT_ONCE = 4

/** A part that has a column. */
interface Holding {
  part: PartEntry
  tombstones: Tombstone[]
  excluded: { part: PartEntry, ids: HiddenIds }[]
  partial: boolean
  outdated: boolean
}

/** Thrown inside when a part cannot be used, so that the caller can leave it out and look again. */
export class UnusablePartError extends Error {
  readonly part: PartEntry
  /** Set when the file is not what was written; else the system would not read it (`cause`), and it may be fine. */
  readonly corruption: CacheCorruptionError | undefined
  /** Its ids, where they are known. */
  readonly ids: IdIndex | undefined
  constructor(part: PartEntry, cause: unknown, ids?: IdIndex) {
    super(messageOf(cause), { cause })
    this.part = part
    this.corruption = cause instanceof CacheCorruptionError ? cause : undefined
    this.ids = ids
  }
}

/** What the table can say about a window: where its columns' values are, and which ids lack some column. */
export interface Cover {
  /** Ids that have every requested column. */
  hits: number
  /** Window positions of the others, ascending. */
  misses: Uint32Array
  answers: () => { columns: readonly string[], answers: readonly Answer<PartEntry>[] }[]
}

/**
 * One manifest's view of a table: what it says does not change while others commit. Parts are opened when they are first
 * needed. `exclude` takes an unusable part out of sight, and what it had replaced with it.
 */
export class Snapshot {
  readonly manifest: Manifest
  readonly #folder: string
  readonly #blobs: BlobStore
  readonly #reader: PartReader
  /** Newest first: where parts overlap, the first wins. */
  readonly #parts: PartEntry[]
  readonly #excluded: { part: PartEntry, ids: HiddenIds }[] = []
  readonly #tombstoneIds = new Map<number, IdIndex>()
  readonly #columns: ReadonlyMap<string, Field>

  /** @param declared types the caller insists on; parts whose type cannot become that one do not count for the column */
  constructor({ manifest, folder, blobs, reader, declared }: { manifest: Manifest, folder: string, blobs: BlobStore, reader: PartReader,
    declared?: ReadonlyMap<string, ColumnType> | undefined }) {
    this.manifest = manifest
    this.#folder = folder
    this.#blobs = blobs
    this.#reader = reader
    this.#parts = [...manifest.parts].sort((a, b) => b.seq - a.seq)
    this.#columns = new Map(manifest.columns.map(field => {
      const type = declared?.get(field.name)
      return [field.name, type && type !== field.type ? { name: field.name, type, nullable: field.nullable } : field]
    }))
  }

  /** Parts that were not left out. */
  get partCount(): number {
    return this.#parts.length
  }

  /** Bytes read from the store through this view. */
  get bytesRead(): number {
    return this.#reader.bytesReadFor(this)
  }

  /** The table-wide types of the columns that were ever cached. */
  get columns(): readonly Field[] {
    return [...this.#columns.values()]
  }

  /** Leave a part out from now on. Its ids have no older values either: those were replaced, and must be fetched again. */
  exclude({ part, ids }: { part: PartEntry, ids: IdIndex | undefined }): void {
    const at = this.#parts.findIndex(({ name }) => name === part.name)
    if (at === -1) return
    this.#parts.splice(at, 1)
    this.#excluded.push({ part, ids: ids ?? { idMin: part.idMin, idMax: part.idMax } })
  }

  /**
   * What a part says about itself.
   *
   * @throws {UnusablePartError}
   */
  async tail(part: PartEntry): Promise<PartTail> {
    return await this.#guard(part, () => this.#reader.tail(this.#folder, part, this))
  }

  /**
   * The bytes of a whole row group, for copying.
   *
   * @throws {UnusablePartError}
   */
  async readEncoded(part: PartEntry, group: number): Promise<Uint8Array> {
    return await this.#guard(part, () => this.#reader.readEncoded(this.#folder, part, group, this))
  }

  /**
   * Read every byte of every part and check it.
   *
   * @throws {UnusablePartError}
   */
  async check(): Promise<void> {
    await inParallel(this.manifest.parts, PARTS_AT_ONCE, async part => {
      const { rowGroups } = await this.tail(part)
      for (let group = 0; group < rowGroups.length; group++) {
        await this.#guard(part, () => this.#reader.check(this.#folder, part, group, this))
      }
    })
  }

  /**
   * Which of a window's ids are hits for these columns, and where their values are.
   *
   * @param ids ascending, each once
   * @throws {UnusablePartError}
   */
  async cover(ids: IdArray, columns: readonly string[]): Promise<Cover> {
    const [low, high] = [idAt(ids, 0), idAt(ids, ids.length - 1)]
    const parts = this.#parts.filter(part => part.idMin <= high && part.idMax >= low)
    if (parts.length === 0) return { hits: 0, misses: positionsBetween(0, ids.length), answers: () => [{ columns, answers: [] }] }
    const groups = await this.#columnGroups(parts, columns)
    const covers = groups.map(group => ({ ...group, owners: assignOwners(group.candidates, ids) }))
    const missing = missingIn(covers.map(({ owners }) => owners), ids.length)
    const misses = missing ? positionsWhere(missing, 1) : new Uint32Array(0)
    return { hits: ids.length - misses.length, misses,
      answers: () => covers.map(({ columns: names, candidates, owners }) => ({ columns: names, answers: answersOf(candidates, owners, ids.length, missing) })) }
  }

  /**
   * The values behind a cover, per column, as pieces that name their window positions.
   *
   * @throws {UnusablePartError}
   */
  async read({ answers }: Pick<Cover, 'answers'>): Promise<Map<string, Piece[]>> {
    const pieces = new Map<string, Piece[]>()
    for (const { columns, answers: group } of answers()) {
      const vectors = await inParallel(group, PARTS_AT_ONCE, ({ part, rows }) => this.#guard(part, () => this.#reader.read(this.#folder, part, columns, rows, this)))
      columns.forEach((column, c) => pieces.set(column, group.map(({ at }, i) => ({ vector: vectors[i]![c]!, at }))))
    }
    return pieces
  }

  /** Columns that the same parts hold in the same way are decided together. */
  async #columnGroups(parts: readonly PartEntry[], columns: readonly string[]): Promise<{ columns: string[], candidates: Candidate<PartEntry>[] }[]> {
    const groups = new Map<string, { columns: string[], candidates: Candidate<PartEntry>[] }>()
    const held = columns.map(name => ({ name, holding: this.#holding(parts, name) }))
    // from now on each is at hand
    await this.#open([...new Set(held.flatMap(({ holding }) => holding.map(({ part }) => part)))])
    for (const { name, holding } of held) {
      const key = holding.map(({ part, tombstones, excluded, partial, outdated }) =>
        `${part.name} ${tombstones.map(({ seq }) => seq).join('+')} ${excluded.map(other => other.part.name).join('+')} ${partial ? name : ''} ${outdated ? '-' : ''}`).join('|')
      const known = groups.get(key)
      if (known) {
        known.columns.push(name)
        continue
      }
      const candidates: Candidate<PartEntry>[] = []
      for (const { part, tombstones, excluded, partial, outdated } of holding) {
        const tail = await this.tail(part)
        const bits = partial ? tail.presence.get(name) : undefined
        const hidden: (HiddenIds | undefined)[] = [...excluded.map(({ ids }) => ids),
          ...await Promise.all(tombstones.map(tombstone => this.#hiddenBy(tombstone)))]
        // an unreadable list of invalid ids hides the whole part: better fetched again than wrong
        if (hidden.includes(undefined)) continue
        candidates.push({ part, index: tail.index, outdated,
          ...(bits ? { isPresent: row => isPresent(bits, row) } : {}),
          ...(hidden.length > 0 ? { hidden: hidden as HiddenIds[] } : {}) })
      }
      groups.set(key, { columns: [name], candidates })
    }
    return [...groups.values()]
  }

  /** Have the tails of some parts at hand. */
  async #open(parts: readonly PartEntry[]): Promise<void> {
    await inParallel(parts, PARTS_AT_ONCE, part => this.tail(part))
  }

  /** The parts that have something to say about a column, and what stands against them. */
  #holding(parts: readonly PartEntry[], name: string): Holding[] {
    return parts.flatMap(part => {
      const column = part.columns.find(field => field.name === name)
      const tombstones = column ? this.manifest.tombstones.filter(tombstone => hides(tombstone, part, name)) : []
      const excluded = this.#excluded.filter(other => other.part.seq > part.seq && rangesOverlap(other.part, part) && holds(other.part, name))
      return column && !tombstones.some(tombstone => tombstone.ids === null && !tombstone.range)
        ? [{ part, tombstones, excluded, partial: column.partial === true, outdated: !this.#fits(column) }] : []
    })
  }

  /** Whether a part's column can be read as the table's type of it. */
  #fits(field: Field): boolean {
    const column = this.#columns.get(field.name)
    return column !== undefined && fitsTable(field, column)
  }

  /** The ids of a tombstone that is not about all of them; undefined when its list is damaged. */
  async #hiddenBy({ seq, ids, range }: Tombstone): Promise<HiddenIds | undefined> {
    if (range) return range
    const known = this.#tombstoneIds.get(seq)
    if (known || ids === null) return known
    try {
      const index = await readIdList(this.#blobs, this.#folder, ids)
      this.#tombstoneIds.set(seq, index)
      return index
    } catch (error) {
      if (error instanceof CacheCorruptionError) return undefined
      throw error
    }
  }

  async #guard<T>(part: PartEntry, read: () => Promise<T>): Promise<T> {
    try {
      return await read()
    } catch (error) {
      throw new UnusablePartError(part, error, this.#reader.knownIds(this.#folder, part.name))
    }
  }
}

/** Whether a part has a column, for some of its ids at least. */
function holds(part: PartEntry, column: string): boolean {
  return part.columns.some(({ name }) => name === column)
}

/** Whether a tombstone hides a part's values of a column, for some of its ids at least. */
export function hides(tombstone: Tombstone, part: Pick<PartEntry, 'seq' | 'since' | 'createdMs'>, column: string): boolean {
  const { seq, beforeMs, belowSeq, columns } = tombstone
  return part.since < seq && (beforeMs === undefined || part.createdMs < beforeMs) && (belowSeq === undefined || part.seq < belowSeq) &&
    (columns === null || columns.includes(column))
}

/** One byte per id, 1 = some group lacks it; undefined when nothing is missing. */
function missingIn(owners: readonly Owners[], length: number): Uint8Array | undefined {
  if (owners.every(({ missing }) => missing === 0)) return undefined
  const marks = new Uint8Array(length)
  for (const { owner, missing } of owners) {
    if (missing === 0) continue
    for (let i = 0; i < length; i++) if (owner[i]! < 0) marks[i] = 1
  }
  return marks
}
