import { crc32 } from 'node:zlib'
import { listElement, type Field } from '../batch/column-type.js'
import { positionsBetween } from '../batch/ids.js'
import { concatVectors } from '../batch/combine.js'
import { gatherVector, ownBytes, sliceVector, type Vector } from '../batch/vector.js'
import { CacheCorruptionError } from '../errors.js'
import type { PlacedRowGroup } from '../parquet/column-chunk.js'
import { decodeColumn, decodeColumnRows } from '../parquet/column.js'
import { ScratchBuffers } from '../scratch-buffers.js'
import type { BlobReader, BlobStore } from './blob-store.js'
import { BoundedCache } from './bounded-cache.js'
import type { PartEntry } from './catalog.js'
import { BLOCK_BYTES, sha256Of } from './checksums.js'
import { indexBytes, type IdIndex } from './id-index.js'
import { parseTail, type PartTail } from './part-tail.js'

const TAIL_CACHE_BYTES = 64 * 1024 * 1024
const DECODED_CACHE_BYTES = 32 * 1024 * 1024
const SCRATCH_BYTES = 16 * 1024 * 1024

/** Bytes checked in one go: whole blocks, few enough to stay in the processor's cache. */
const CHECKED_BYTES = 1024 * 1024

/** Parts up to this size are read in one go when they are opened, and their bytes kept with their tail: opening files takes longer than reading little. */
const SMALL_PART_BYTES = 2 * BLOCK_BYTES

/** Above this share of a row group's rows the whole column is decoded and the rows picked from it. */
const DECODE_ALL_SHARE = 1 / 16

/** Column chunks this close are read in one go. */
const MAX_READ_GAP = BLOCK_BYTES

/** Rows of a part: consecutive ones, or ascending positions. */
export type RowSelection = { firstRow: number, count: number } | Uint32Array

interface OpenPart {
  tail: PartTail
  blob: BlobReader
  /** The whole file, where it is small. */
  bytes: Uint8Array | undefined
  /** The request that last looked whether the file is still the same. */
  request: object
}

/**
 * Reads parts. Nothing reaches a parser before its checksum held: the tail by the manifest's sha256, once per file identity, and
 * every block by its crc32, every time it is used: a file may change between two reads, and checking costs less than reading.
 * Tails and the row groups decoded last are kept, within bounds.
 */
export class PartReader {
  readonly #blobs: BlobStore
  readonly #tails = new BoundedCache<OpenPart>(TAIL_CACHE_BYTES)
  readonly #decoded = new BoundedCache<Vector>(DECODED_CACHE_BYTES)
  readonly #scratch = new ScratchBuffers(SCRATCH_BYTES)
  readonly #bytesRead = new WeakMap<object, number>()

  constructor(blobs: BlobStore) {
    this.#blobs = blobs
  }

  /** Bytes read from the store for one request so far. */
  bytesReadFor(request: object): number {
    return this.#bytesRead.get(request) ?? 0
  }

  /**
   * @param request who asks; a file is looked at anew once per request, so that what changed on disk since is noticed
   * @throws {CacheCorruptionError} the part is not what the manifest says
   */
  async tail(folder: string, part: PartEntry, request: object): Promise<PartTail> {
    return (await this.#open(folder, part, request)).tail
  }

  /**
   * Some columns of some rows, in the order of `names`, as the part's own types.
   *
   * @throws {CacheCorruptionError} a block's checksum does not hold
   */
  async read(folder: string, part: PartEntry, names: readonly string[], selection: RowSelection, request: object): Promise<Vector[]> {
    const open = await this.#open(folder, part, request)
    const file = this.#blobs.pathOf(folder, part.name)
    const fields = names.map(name => {
      const at = open.tail.fields.findIndex(field => field.name === name)
      if (at === -1) throw new CacheCorruptionError({ file, reason: `has no column ${name}, against the manifest` })
      return { field: open.tail.fields[at]!, at }
    })
    const pieces: Vector[][] = names.map(() => [])
    const read = ({ group, picks }: GroupPicks): Promise<Vector[]> => {
      const reading = this.#readGroup(open, file, group, fields, picks, request)
      // where the group before it fails, nobody waits for this one
      reading.catch(() => undefined)
      return reading
    }
    const groups = splitByGroup(open.tail.firstRows, selection)
    // one group is read while the one before it is decoded
    for (let reading = groups.next().value, next = reading && read(reading); next;) {
      reading = groups.next().value
      const current = next
      next = reading && read(reading)
      for (const [c, vector] of (await current).entries()) pieces[c]!.push(vector)
    }
    return pieces.map((vectors, c) => concatVectors(fields[c]!.field.type, vectors))
  }

  /** The verified bytes of a whole row group, for copying. */
  async readEncoded(folder: string, part: PartEntry, group: number, request: object): Promise<Uint8Array> {
    const open = await this.#open(folder, part, request)
    const { offset, bytes } = open.tail.rowGroups[group]!
    const { bytes: block, start } = await this.#readVerified(open, this.#blobs.pathOf(folder, part.name), offset, offset + bytes, request)
    return block.subarray(offset - start, offset - start + bytes)
  }

  /**
   * Read a whole row group and check it, for nothing else.
   *
   * @throws {CacheCorruptionError} a block's checksum does not hold
   */
  async check(folder: string, part: PartEntry, group: number, request: object): Promise<void> {
    const open = await this.#open(folder, part, request)
    const { offset, bytes } = open.tail.rowGroups[group]!
    for (let from = offset; from < offset + bytes; from += CHECKED_BYTES) {
      const to = Math.min(from + CHECKED_BYTES, offset + bytes)
      const into = this.#scratch.take(to - from + 2 * BLOCK_BYTES)
      await this.#readVerified(open, this.#blobs.pathOf(folder, part.name), from, to, request, into)
      this.#scratch.giveBack(into)
    }
  }

  /** The ids of a part whose tail is at hand: they stay true, whatever became of the file. */
  knownIds(folder: string, name: string): IdIndex | undefined {
    return this.#tails.get(`${folder}/${name}`)?.tail.index
  }

  /** Forget what is known of a part's file. */
  forget(folder: string, name: string): void {
    this.#tails.delete(`${folder}/${name}`)
  }

  async #open(folder: string, part: PartEntry, request: object): Promise<OpenPart> {
    const file = this.#blobs.pathOf(folder, part.name)
    const key = `${folder}/${part.name}`
    const known = this.#tails.get(key)
    if (known?.request === request) return known
    const blob = await this.#blobs.open(folder, part.name)
    if (known?.blob.identity === blob.identity) {
      known.request = request
      return known
    }
    if (blob.bytes !== part.bytes) {
      throw new CacheCorruptionError({ file, reason: `has ${blob.bytes} bytes, the manifest says ${part.bytes}` })
    }
    const from = part.bytes <= SMALL_PART_BYTES ? 0 : part.tail.offset
    const bytes = await blob.read(from, part.bytes - from)
    this.#count(request, bytes.length)
    const tailBytes = bytes.subarray(part.tail.offset - from)
    if (sha256Of(tailBytes) !== part.tail.sha256) throw new CacheCorruptionError({ file, reason: 'the checksum of its tail does not hold' })
    const tail = parseTail(tailBytes, part.bytes, file)
    const open = { tail, blob, request, bytes: from === 0 ? bytes : undefined }
    this.#tails.set(key, open, bytes.length + indexBytes(tail.index))
    return open
  }

  async #readGroup(open: OpenPart, file: string, group: number, fields: readonly { field: Field, at: number }[],
    picks: { from: number, to: number } | Uint32Array, request: object): Promise<Vector[]> {
    const meta = open.tail.rowGroups[group]!
    const picked = picks instanceof Uint32Array ? picks.length : picks.to - picks.from
    const whole = picked > meta.rows * DECODE_ALL_SHARE
    // what is picked is copied, but for lists of bytes: the memory it is read into can be used again
    const copied = !whole && fields.every(({ field }) => listElement(field.type) === undefined)
    const keys = fields.map(({ at }) => `${open.blob.identity}:${group}:${at}`)
    const vectors = new Array<Vector | undefined>(fields.length)
    if (whole) keys.forEach((key, c) => { vectors[c] = this.#decoded.get(key) })
    const wanted = fields.flatMap((_, c) => vectors[c] ? [] : [c])
    for (const run of readRuns(meta, wanted.map(c => fields[c]!.at))) {
      const into = copied ? this.#scratch.take(run.to - run.from + 2 * BLOCK_BYTES) : undefined
      const { bytes, start } = await this.#readVerified(open, file, run.from, run.to, request, into)
      for (const c of wanted) {
        const { field, at } = fields[c]!
        const chunk = meta.columns[at]!
        const offset = meta.offset + chunk.offset
        if (offset < run.from || offset + chunk.bytes > run.to) continue
        const chunkBytes = bytes.subarray(offset - start, offset - start + chunk.bytes)
        // a few rows must not keep the bytes of the whole group
        if (!whole) vectors[c] = ownBytes(decodeColumnRows(field, chunk, meta.rows, chunkBytes, picks instanceof Uint32Array ? picks : positionsBetween(picks.from, picks.to), file))
        else {
          const vector = decodeColumn(field, chunk, meta.rows, chunkBytes, file)
          vectors[c] = vector
          // kept only when another window may still want the rest of it
          if (picked < meta.rows) this.#decoded.set(keys[c]!, vector, chunk.uncompressedBytes)
        }
      }
      if (into) this.#scratch.giveBack(into)
    }
    const complete = vectors as Vector[]
    if (!whole) return complete
    return complete.map(vector => picks instanceof Uint32Array ? gatherVector(vector, picks) : sliceVector(vector, picks.from, picks.to))
  }

  /** Reads whole blocks around `from` … `to` and checks them; `start` is the file offset of `bytes`. */
  async #readVerified(open: OpenPart, file: string, from: number, to: number, request: object, into?: Uint8Array): Promise<{ bytes: Uint8Array, start: number }> {
    const { tail, blob } = open
    const firstBlock = Math.floor(from / BLOCK_BYTES)
    const lastBlock = Math.floor((to - 1) / BLOCK_BYTES)
    const start = firstBlock * BLOCK_BYTES
    // the last block before the tail ends where the tail begins
    const end = lastBlock === tail.crcs.length - 1 ? blobEnd(tail) : (lastBlock + 1) * BLOCK_BYTES
    const bytes = open.bytes ? open.bytes.subarray(start, Math.max(end, to)) : await blob.read(start, Math.max(end, to) - start, into)
    if (!open.bytes) this.#count(request, bytes.length)
    for (let block = firstBlock; block <= lastBlock; block++) {
      const at = block * BLOCK_BYTES - start
      if (crc32(bytes.subarray(at, at + Math.min(BLOCK_BYTES, end - start - at))) !== tail.crcs[block]) {
        throw new CacheCorruptionError({ file, reason: `the checksum of block ${block} (byte ${block * BLOCK_BYTES}) does not hold` })
      }
    }
    return { bytes, start }
  }

  #count(request: object, bytes: number): void {
    this.#bytesRead.set(request, this.bytesReadFor(request) + bytes)
  }
}

/** Where the row groups end, and the last checksummed block with them. */
function blobEnd({ rowGroups }: PartTail): number {
  const last = rowGroups.at(-1)
  return last ? last.offset + last.bytes : 0
}

interface GroupPicks {
  group: number
  picks: { from: number, to: number } | Uint32Array
}

/** A selection cut at row group borders, positions counted from each group's first row. */
function * splitByGroup(firstRows: Uint32Array, selection: RowSelection): Generator<GroupPicks, undefined> {
  const groups = firstRows.length - 1
  if (!(selection instanceof Uint32Array)) {
    const end = selection.firstRow + selection.count
    for (let group = 0; group < groups; group++) {
      const from = Math.max(selection.firstRow, firstRows[group]!)
      const to = Math.min(end, firstRows[group + 1]!)
      if (from < to) yield { group, picks: { from: from - firstRows[group]!, to: to - firstRows[group]! } }
    }
    return undefined
  }
  let at = 0
  for (let group = 0; group < groups && at < selection.length; group++) {
    let next = at
    while (next < selection.length && selection[next]! < firstRows[group + 1]!) next++
    if (next > at) yield { group, picks: selection.subarray(at, next).map(row => row - firstRows[group]!) }
    at = next
  }
  return undefined
}

/** Byte ranges that cover these columns of a row group; neighbours are read together. */
function readRuns(group: PlacedRowGroup, columns: readonly number[]): { from: number, to: number }[] {
  const ranges = columns.map(at => {
    const { offset, bytes } = group.columns[at]!
    return { from: group.offset + offset, to: group.offset + offset + bytes }
  }).sort((a, b) => a.from - b.from)
  const runs: { from: number, to: number }[] = []
  for (const range of ranges) {
    const last = runs.at(-1)
    if (last && range.from - last.to <= MAX_READ_GAP) last.to = Math.max(last.to, range.to)
    else runs.push({ ...range })
  }
  return runs
}
