import { idAt, lowerBound, type Id, type IdArray } from '../batch/ids.js'
import { popcount } from '../batch/popcount.js'

/**
 * Which ids a part holds, and at which row: row r of a part has the r-th smallest id. Three forms, the smallest is taken:
 * runs of consecutive ids, a bitmap with running counts, or the ids themselves.
 */
export type IdIndex = RunIndex | BitmapIndex | ListIndex

interface IndexBase {
  readonly rows: number
}

/** `starts[k] … starts[k] + (firstRows[k + 1] - firstRows[k]) - 1` are rows `firstRows[k] …`. */
interface RunIndex extends IndexBase { readonly form: 'runs', readonly starts: Float64Array, readonly firstRows: Uint32Array }
/** Bit i of `words` is id `base + i`; `counts[w]` bits are set before word w. */
interface BitmapIndex extends IndexBase { readonly form: 'bitmap', readonly base: number, readonly words: Uint32Array, readonly counts: Uint32Array }
interface ListIndex extends IndexBase { readonly form: 'list', readonly ids: IdArray }

/** Some of a window's ids found in a part: positions in the window and the part's rows, both ascending. */
export interface Located {
  readonly count: number
  /** Set when the positions are `from … from + count - 1`. */
  readonly from?: number
  /** Set when the rows are `firstRow … firstRow + count - 1`. */
  readonly firstRow?: number
  /** Undefined when `from` says it all. */
  readonly positions?: Uint32Array
  /** Undefined when `firstRow` says it all. */
  readonly rows?: Uint32Array
}

const NOTHING: Located = { count: 0, from: 0, firstRow: 0 }

/** Collects a part's ids, ascending, piece by piece. */
export class IdIndexBuilder {
  readonly #pieces: IdArray[] = []
  #rows = 0
  #runs = 0
  #last: Id | undefined
  #first: Id | undefined
  #wide = false

  get rows(): number {
    return this.#rows
  }

  /**
   * @param ids ascending, and above all ids added before
   * @throws {RangeError} they are not: a part that says so of unordered rows would answer with the wrong ones
   */
  add(ids: IdArray): void {
    if (ids.length === 0) return
    if (this.#last !== undefined && ids[0]! <= this.#last) throw notAscending(ids[0]!, this.#last)
    this.#first ??= idAt(ids, 0)
    if (ids instanceof Float64Array) {
      const runs = countRuns(ids)
      this.#runs += typeof this.#last === 'number' && ids[0] === this.#last + 1 ? runs - 1 : runs
    } else {
      for (let i = 1; i < ids.length; i++) if (ids[i]! <= ids[i - 1]!) throw notAscending(ids[i]!, ids[i - 1]!)
      this.#wide = true
    }
    this.#pieces.push(ids)
    this.#rows += ids.length
    this.#last = idAt(ids, ids.length - 1)
  }

  get range(): { idMin: Id, idMax: Id } {
    return { idMin: this.#first ?? 0, idMax: this.#last ?? 0 }
  }

  finish(): IdIndex {
    const rows = this.#rows
    if (this.#wide) {
      const ids = new BigInt64Array(rows)
      let at = 0
      for (const piece of this.#pieces) for (let i = 0; i < piece.length; i++) ids[at++] = BigInt(piece[i]!)
      return { form: 'list', rows, ids }
    }
    const pieces = this.#pieces as Float64Array[]
    const first = this.#first as number
    const span = rows === 0 ? 0 : (this.#last as number) - first + 1
    if (this.#runs * 12 <= Math.min(span / 8, rows * 8)) return runIndex(pieces, rows, this.#runs)
    if (span / 8 <= rows * 8) return bitmapIndex(pieces, rows, first, span)
    const ids = new Float64Array(rows)
    let at = 0
    for (const piece of pieces) {
      ids.set(piece, at)
      at += piece.length
    }
    return { form: 'list', rows, ids }
  }
}

function notAscending(id: Id, before: Id): RangeError {
  return new RangeError(`id ${id} after ${before}: a part's ids ascend`)
}

/** How many times consecutive ids begin anew. */
function countRuns(ids: Float64Array): number {
  let runs = 1
  for (let i = 1; i < ids.length; i++) {
    const step = ids[i]! - ids[i - 1]!
    if (step === 1) continue
    if (!(step > 0)) throw notAscending(ids[i]!, ids[i - 1]!)
    runs++
  }
  return runs
}

function runIndex(pieces: readonly Float64Array[], rows: number, runs: number): RunIndex {
  const starts = new Float64Array(runs)
  const firstRows = new Uint32Array(runs + 1)
  let [run, row, next] = [0, 0, NaN]
  for (const ids of pieces) {
    const isRun = ids[ids.length - 1]! - ids[0]! === ids.length - 1
    for (let i = 0; i < (isRun ? 1 : ids.length); i++) {
      if (ids[i] !== next) {
        starts[run] = ids[i]!
        firstRows[run++] = row + i
      }
      next = ids[i]! + 1
    }
    if (isRun) next = ids[ids.length - 1]! + 1
    row += ids.length
  }
  firstRows[runs] = rows
  return { form: 'runs', rows, starts, firstRows }
}

function bitmapIndex(pieces: readonly Float64Array[], rows: number, base: number, span: number): BitmapIndex {
  const words = new Uint32Array(Math.ceil(span / 32))
  for (const ids of pieces) {
    for (let i = 0; i < ids.length; i++) {
      const offset = ids[i]! - base
      words[Math.floor(offset / 32)]! |= 1 << (offset % 32)
    }
  }
  return { form: 'bitmap', rows, base, words, counts: countsOf(words) }
}

function countsOf(words: Uint32Array): Uint32Array {
  const counts = new Uint32Array(words.length)
  for (let w = 0, total = 0; w < words.length; w++) {
    counts[w] = total
    total += popcount(words[w]!)
  }
  return counts
}

/** Which of `ids` (ascending, each once) the index holds. */
export function locate(index: IdIndex, ids: IdArray): Located {
  if (ids.length === 0 || index.rows === 0) return NOTHING
  switch (index.form) {
    case 'runs': return ids instanceof Float64Array ? locateInRuns(index, ids) : NOTHING
    case 'bitmap': return ids instanceof Float64Array ? locateInBitmap(index, ids) : NOTHING
    case 'list': return locateInList(index, ids)
  }
}

/** The last run that starts at or below `id`, -1 when none does. */
function runAt(starts: Float64Array, id: number): number {
  const at = lowerBound(starts, id)
  return starts[at] === id ? at : at - 1
}

function locateInRuns({ starts, firstRows }: RunIndex, ids: Float64Array): Located {
  const first = ids[0]!
  const span = ids[ids.length - 1]! - first
  let run = runAt(starts, first)
  const runEnd = (k: number): number => starts[k]! + (firstRows[k + 1]! - firstRows[k]!)
  if (run >= 0 && span === ids.length - 1 && first + span < runEnd(run)) {
    return { count: ids.length, from: 0, firstRow: firstRows[run]! + (first - starts[run]!) }
  }
  const found = new Found(ids.length)
  if (run < 0) run = 0
  for (let i = 0; i < ids.length && run < starts.length; i++) {
    const id = ids[i]!
    while (run < starts.length && id >= runEnd(run)) run++
    if (run < starts.length && id >= starts[run]!) found.add(i, firstRows[run]! + (id - starts[run]!))
  }
  return found.finish()
}

function locateInBitmap(index: BitmapIndex, ids: Float64Array): Located {
  const { base, words, counts } = index
  const first = lowerBound(ids, base)
  const found = new Found(ids.length - first)
  // a window without gaps: only what is held costs anything
  if (ids[ids.length - 1]! - ids[0]! === ids.length - 1) addRun(index, ids, first, found)
  else {
    const end = base + words.length * 32
    for (let i = first; i < ids.length; i++) {
      const offset = ids[i]! - base
      if (ids[i]! >= end) break
      // offsets may exceed 31 bits; below that, shifts cost a third of a division
      const w = offset < 0x80000000 ? offset >>> 5 : Math.floor(offset / 32)
      const bit = offset < 0x80000000 ? offset & 31 : offset % 32
      const word = words[w]!
      if ((word >>> bit & 1) === 1) found.add(i, counts[w]! + (bit === 0 ? 0 : popcount(word << (32 - bit))))
    }
  }
  return found.finish()
}

/** Add what a bitmap holds of consecutive ids, from position `first` on, word by word. */
function addRun({ base, words, counts }: BitmapIndex, ids: Float64Array, first: number, found: Found): void {
  if (first === ids.length) return
  const from = ids[first]! - base
  const to = ids[ids.length - 1]! - base
  const lastWord = Math.min(words.length - 1, Math.floor(to / 32))
  for (let w = Math.floor(from / 32); w <= lastWord; w++) {
    let word = words[w]!
    let row = counts[w]!
    const start = w * 32
    while (word !== 0) {
      const offset = start + lowestBit(word)
      word &= word - 1
      if (offset > to) break
      if (offset >= from) found.add(first + (offset - from), row)
      row++
    }
  }
}

function locateInList({ ids: held }: ListIndex, ids: IdArray): Located {
  const found = new Found(ids.length)
  let row = lowerBound(held, idAt(ids, 0))
  for (let i = 0; i < ids.length && row < held.length; i++) {
    const id = ids[i]!
    if (held[row]! < id) {
      // gallop: a sparse window must not cost a walk over the whole part
      let step = 1
      while (row + step < held.length && held[row + step]! < id) step *= 2
      row = lowerBound(held, id, row + 1, Math.min(row + step + 1, held.length))
    }
    // eslint-disable-next-line eqeqeq -- a bigint id and the same number are one id
    if (row < held.length && held[row]! == id) found.add(i, row++)
  }
  return found.finish()
}

/** Gathers hits; recognises when all positions or rows are consecutive. */
class Found {
  readonly #positions: Uint32Array
  readonly #rows: Uint32Array
  #count = 0

  constructor(most: number) {
    this.#positions = new Uint32Array(most)
    this.#rows = new Uint32Array(most)
  }

  add(position: number, row: number): void {
    this.#positions[this.#count] = position
    this.#rows[this.#count++] = row
  }

  finish(): Located {
    const count = this.#count
    if (count === 0) return NOTHING
    const from = this.#positions[0]!
    const firstRow = this.#rows[0]!
    return {
      count,
      ...(this.#positions[count - 1]! - from === count - 1 ? { from } : { positions: this.#positions.subarray(0, count) }),
      ...(this.#rows[count - 1]! - firstRow === count - 1 ? { firstRow } : { rows: this.#rows.subarray(0, count) })
    }
  }
}

/** The index's ids ascending, in arrays of at most `maxIds`. */
export function * indexWindows(index: IdIndex, maxIds: number): Generator<IdArray> {
  if (index.form === 'list') {
    for (let at = 0; at < index.rows; at += maxIds) yield index.ids.subarray(at, at + maxIds)
    return
  }
  let left = index.rows
  let window = new Float64Array(Math.min(maxIds, left))
  let filled = 0
  for (const id of index.form === 'runs' ? runIds(index) : bitmapIds(index)) {
    window[filled++] = id
    if (filled === window.length) {
      yield window
      left -= filled
      window = new Float64Array(Math.min(maxIds, left))
      filled = 0
    }
  }
}

/** The ids of `count` rows from `firstRow` on, in a new array. */
export function idsOfRows(index: IdIndex, firstRow: number, count: number): IdArray {
  if (index.form === 'list') return index.ids.slice(firstRow, firstRow + count)
  const ids = new Float64Array(count)
  let filled = 0
  if (index.form === 'runs') {
    const { starts, firstRows } = index
    for (let run = lastNotAbove(firstRows, firstRow); filled < count; run++) {
      const from = firstRow + filled - firstRows[run]!
      const to = Math.min(firstRows[run + 1]! - firstRows[run]!, from + count - filled)
      for (let i = from; i < to; i++) ids[filled++] = starts[run]! + i
    }
    return ids
  }
  const { base, words, counts } = index
  for (let w = lastNotAbove(counts, firstRow), skip = firstRow - counts[w]!; filled < count; w++, skip = 0) {
    for (let word = words[w]!; word !== 0 && filled < count; word &= word - 1) {
      if (skip > 0) skip--
      else ids[filled++] = base + w * 32 + lowestBit(word)
    }
  }
  return ids
}

/** The last position whose value is not above `value`; the values ascend, repeats allowed. */
function lastNotAbove(values: Uint32Array, value: number): number {
  let [low, high] = [0, values.length]
  while (low < high) {
    const middle = (low + high) >>> 1
    if (values[middle]! <= value) low = middle + 1
    else high = middle
  }
  return low - 1
}

function * runIds({ starts, firstRows }: RunIndex): Generator<number> {
  for (let run = 0; run < starts.length; run++) {
    const length = firstRows[run + 1]! - firstRows[run]!
    for (let i = 0; i < length; i++) yield starts[run]! + i
  }
}

/** By itself: an id beside 2^53 and 31 more would be rounded. */
function lowestBit(word: number): number {
  return 31 - Math.clz32(word & -word)
}

function * bitmapIds({ base, words }: BitmapIndex): Generator<number> {
  for (let w = 0; w < words.length; w++) {
    let word = words[w]!
    while (word !== 0) {
      yield base + w * 32 + lowestBit(word)
      word &= word - 1
    }
  }
}

const FORMS = ['runs', 'bitmap', 'list', 'wide'] as const

/** The bytes of an index: form, rows, size and base, then the arrays (little-endian). */
export function serializeIndex(index: IdIndex): Uint8Array {
  const head = new Float64Array(4)
  const form = index.form === 'list' && index.ids instanceof BigInt64Array ? 'wide' : index.form
  const arrays = index.form === 'runs' ? [index.starts, index.firstRows] : index.form === 'bitmap' ? [index.words] : [index.ids]
  head.set([FORMS.indexOf(form), index.rows, arrays[0]!.length, index.form === 'bitmap' ? index.base : 0])
  return Buffer.concat([head, ...arrays].map(array => Buffer.from(array.buffer, array.byteOffset, array.byteLength)))
}

/** The index in verified bytes. */
export function parseIndex(bytes: Uint8Array): IdIndex {
  // copied: the arrays need aligned memory, and must not keep the whole tail alive
  const memory = new Uint8Array(bytes).buffer
  const [form, rows, length, base] = new Float64Array(memory, 0, 4) as unknown as [number, number, number, number]
  switch (FORMS[form]) {
    case 'runs': return { form: 'runs', rows, starts: new Float64Array(memory, 32, length), firstRows: new Uint32Array(memory, 32 + length * 8, length + 1) }
    case 'bitmap': {
      const words = new Uint32Array(memory, 32, length)
      return { form: 'bitmap', rows, base, words, counts: countsOf(words) }
    }
    case 'wide': return { form: 'list', rows, ids: new BigInt64Array(memory, 32, length) }
    default: return { form: 'list', rows, ids: new Float64Array(memory, 32, length) }
  }
}

/** Bytes an index keeps in memory. */
export function indexBytes(index: IdIndex): number {
  if (index.form === 'runs') return index.starts.byteLength + index.firstRows.byteLength
  return index.form === 'bitmap' ? index.words.byteLength * 2 : index.ids.byteLength
}
