import type { Piece } from '../batch/combine.js'
import { widenTypes, type ColumnType, type Field } from '../batch/column-type.js'
import type { IdArray } from '../batch/ids.js'
import { idAt } from '../batch/ids.js'
import { CacheCorruptionError } from '../errors.js'
import type { BlobStore } from './blob-store.js'
import type { Manifest, PartEntry, Tombstone } from './catalog.js'
import { isDotted } from './change.js'
import { sha256Of } from './checksums.js'
import { parseIndex, type IdIndex } from './id-index.js'
import type { PartReader } from './part-reader.js'
import { isPresent } from './part-tail.js'
import { answersOf, assignOwners, type Answer, type Candidate, type Owners } from './presence.js'

/** Thrown inside when a part turns out damaged, so that the caller can drop it and look again. */
export class DamagedPartError extends Error {
  readonly part: PartEntry
  readonly corruption: CacheCorruptionError
  constructor(part: PartEntry, corruption: CacheCorruptionError) {
    super(corruption.message, { cause: corruption })
    this.part = part
    this.corruption = corruption
  }
}

/** What the table can say about a window: where its columns' values are, and which ids lack some column. */
export interface Cover {
  /** Ids that have every requested column. */
  hits: number
  /** Window positions of the others, ascending. */
  misses: Uint32Array
  answers: { columns: readonly string[], answers: readonly Answer<PartEntry>[] }[]
}

/**
 * One manifest's view of a table: what it says does not change while others commit. Parts are opened when they are first
 * needed. `exclude` takes a damaged part out of sight.
 */
export class Snapshot {
  readonly manifest: Manifest
  readonly #folder: string
  readonly #blobs: BlobStore
  readonly #reader: PartReader
  /** Newest first: where parts overlap, the first wins. */
  readonly #parts: PartEntry[]
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

  /** The table-wide types of the columns that were ever cached. */
  get columns(): readonly Field[] {
    return [...this.#columns.values()]
  }

  /** Leave a part out from now on. */
  exclude(part: PartEntry): void {
    const at = this.#parts.findIndex(({ name }) => name === part.name)
    if (at !== -1) this.#parts.splice(at, 1)
  }

  /**
   * Which of a window's ids are hits for these columns, and where their values are.
   *
   * @param ids ascending, each once
   * @throws {DamagedPartError}
   */
  async cover(ids: IdArray, columns: readonly string[]): Promise<Cover> {
    const [low, high] = [idAt(ids, 0), idAt(ids, ids.length - 1)]
    const parts = this.#parts.filter(part => part.idMin <= high && part.idMax >= low)
    const groups = await this.#columnGroups(parts, columns)
    const covers = groups.map(group => ({ ...group, owners: assignOwners(group.candidates, ids) }))
    const missing = missingIn(covers.map(({ owners }) => owners), ids.length)
    const answers = covers.map(({ columns: names, candidates, owners }) =>
      ({ columns: names, answers: answersOf(candidates, owners, ids.length, missing) }))
    const misses = missing ? positionsOf(missing) : new Uint32Array(0)
    return { hits: ids.length - misses.length, misses, answers }
  }

  /**
   * The values behind a cover, per column, as pieces that name their window positions.
   *
   * @throws {DamagedPartError}
   */
  async read({ answers }: Pick<Cover, 'answers'>): Promise<Map<string, Piece[]>> {
    const pieces = new Map<string, Piece[]>()
    for (const { columns, answers: group } of answers) {
      for (const column of columns) pieces.set(column, [])
      for (const { part, rows, at } of group) {
        const vectors = await this.#guard(part, () => this.#reader.read(this.#folder, part, columns, rows, this))
        vectors.forEach((vector, c) => pieces.get(columns[c]!)!.push({ vector, at }))
      }
    }
    return pieces
  }

  /** Columns that the same parts hold in the same way are decided together. */
  async #columnGroups(parts: readonly PartEntry[], columns: readonly string[]): Promise<{ columns: string[], candidates: Candidate<PartEntry>[] }[]> {
    const groups = new Map<string, { columns: string[], candidates: Candidate<PartEntry>[] }>()
    for (const name of columns) {
      const holding = parts.flatMap(part => {
        const column = part.columns.find(field => field.name === name && this.#fits(field))
        const tombstones = column ? this.manifest.tombstones.filter(tombstone => hides(tombstone, part, name)) : []
        return column && !tombstones.some(tombstone => tombstone.ids === null) ? [{ part, tombstones, partial: column.partial === true }] : []
      })
      const key = holding.map(({ part, tombstones, partial }) => `${part.name} ${tombstones.map(({ seq }) => seq).join('+')} ${partial ? name : ''}`).join('|')
      const known = groups.get(key)
      if (known) {
        known.columns.push(name)
        continue
      }
      const candidates: Candidate<PartEntry>[] = []
      for (const { part, tombstones, partial } of holding) {
        const tail = await this.#guard(part, () => this.#reader.tail(this.#folder, part, this))
        const bits = partial ? tail.presence.get(name) : undefined
        const hidden = await Promise.all(tombstones.map(tombstone => this.#tombstoneIndex(tombstone)))
        // an unreadable list of invalid ids hides the whole part: better fetched again than wrong
        if (hidden.includes(undefined)) continue
        candidates.push({ part, index: tail.index,
          ...(bits ? { isPresent: row => isPresent(bits, row) } : {}),
          ...(hidden.length > 0 ? { hidden: hidden as IdIndex[] } : {}) })
      }
      groups.set(key, { columns: [name], candidates })
    }
    return [...groups.values()]
  }

  /** Whether a part's column can be read as the table's type of it. */
  #fits(field: Field): boolean {
    const column = this.#columns.get(field.name)
    return column !== undefined && widenTypes(field, column, isDotted(field.name))?.type === column.type
  }

  /** The ids of a tombstone; undefined when its list is damaged. */
  async #tombstoneIndex({ seq, ids }: Tombstone): Promise<IdIndex | undefined> {
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
      if (error instanceof CacheCorruptionError) throw new DamagedPartError(part, error)
      throw error
    }
  }
}

/** Whether a tombstone hides a part's values of a column. */
export function hides(tombstone: Tombstone, part: Pick<PartEntry, 'since' | 'createdMs'>, column: string): boolean {
  return part.since < tombstone.seq && (tombstone.beforeMs === undefined || part.createdMs < tombstone.beforeMs) && (tombstone.columns === null || tombstone.columns.includes(column))
}

/**
 * The ids in a tombstone's blob.
 *
 * @throws {CacheCorruptionError} the checksum does not hold
 */
export async function readIdList(blobs: BlobStore, folder: string, ids: NonNullable<Tombstone['ids']>): Promise<IdIndex> {
  const file = blobs.pathOf(folder, ids.name)
  const blob = await blobs.open(folder, ids.name)
  if (blob.bytes !== ids.bytes) throw new CacheCorruptionError({ file, reason: `has ${blob.bytes} bytes, the manifest says ${ids.bytes}` })
  const bytes = await blob.read(0, ids.bytes)
  if (sha256Of(bytes) !== ids.sha256) throw new CacheCorruptionError({ file, reason: 'its checksum does not hold' })
  return parseIndex(bytes)
}

/** One byte per id, 1 = some group lacks it; undefined when nothing is missing. */
function missingIn(owners: readonly Owners[], length: number): Uint8Array | undefined {
  if (owners.every(({ missing }) => missing === 0)) return undefined
  const marks = new Uint8Array(length)
  for (const { owner, missing } of owners) {
    if (missing === 0) continue
    for (let i = 0; i < length; i++) if (owner[i] === -1) marks[i] = 1
  }
  return marks
}

function positionsOf(marks: Uint8Array): Uint32Array {
  const positions = new Uint32Array(marks.length)
  let count = 0
  for (let i = 0; i < marks.length; i++) if (marks[i] === 1) positions[count++] = i
  return positions.subarray(0, count)
}
