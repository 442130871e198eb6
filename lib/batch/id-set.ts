import { Buffer } from 'node:buffer'
import { abortableReader } from '../abortable.js'
import { InvalidArgumentError } from '../errors.js'
import { fillBetween, idOf, invalidId, type IdArray } from './ids.js'
import { popcount } from './popcount.js'

/** Ids per window: what flows through the stages at a time. */
export const WINDOW_ROWS = 65_536

/** Everything ids may come as. */
export type IdsInput = Iterable<unknown> | AsyncIterable<unknown>

/** A bitmap is used while it costs at most this many bits per id; a sorted array costs 64. */
const MAX_BITS_PER_ID = 32

const MAX_INT32 = 2 ** 31 - 1

/** Safe ids as a bitmap over `base …`, or as a sorted array. */
type SafeIds = { form: 'bitmap', base: number, words: Uint32Array, count: number } | { form: 'sorted', ids: Float64Array }

/**
 * A request's ids, each once. Dense sets are a bitmap (at most 4 bytes per id), others one sorted array (8 bytes); ids
 * beyond ±2^53 are kept apart as int64.
 */
export class IdSet {
  readonly size: number
  readonly #below: BigInt64Array
  readonly #safe: SafeIds
  readonly #above: BigInt64Array

  constructor(safe: SafeIds, below = new BigInt64Array(0), above = new BigInt64Array(0)) {
    this.#safe = safe
    this.#below = below
    this.#above = above
    this.size = below.length + above.length + (safe.form === 'bitmap' ? safe.count : safe.ids.length)
  }

  /** How many ids of one kind, safe or beyond ±2^53, follow one another, in order. */
  kinds(): number[] {
    const [below, above] = [this.#below.length, this.#above.length]
    const safe = this.size - below - above
    return (safe === 0 ? [below + above] : [below, safe, above]).filter(count => count > 0)
  }

  /**
   * The ids ascending, in arrays of at most `maxIds`; one array holds ids of one kind. The same cuts every time.
   *
   * @param memory for `maxIds` ids, to be used for every array: each is then good until the next one is asked for
   */
  * windows(maxIds = WINDOW_ROWS, memory?: Float64Array): Generator<IdArray> {
    for (let at = 0; at < this.#below.length; at += maxIds) yield this.#below.subarray(at, at + maxIds)
    if (this.#safe.form === 'sorted') {
      const { ids } = this.#safe
      for (let at = 0; at < ids.length; at += maxIds) yield ids.subarray(at, at + maxIds)
    } else yield * bitmapWindows(this.#safe, maxIds, memory)
    for (let at = 0; at < this.#above.length; at += maxIds) yield this.#above.subarray(at, at + maxIds)
  }
}

function * bitmapWindows({ base, words, count }: { base: number, words: Uint32Array, count: number }, maxIds: number, memory?: Float64Array): Generator<IdArray> {
  const full = isFull(words, count)
  for (let offset = 0, at = 0; at < count; at += maxIds) {
    const size = Math.min(maxIds, count - at)
    const window = memory?.subarray(0, size) ?? new Float64Array(size)
    if (full) fillBetween(window, base + at)
    else offset = fillWindow(window, base, words, offset)
    yield window
  }
}

/** Whether the bits are the first `count` ones: a bitmap begins with its first id and ends with its last. */
function isFull(words: Uint32Array, count: number): boolean {
  return Math.ceil(count / 32) === words.length && (count % 32 === 0 ? words[words.length - 1] === 0xffffffff : words[words.length - 1] === 2 ** (count % 32) - 1)
}

/** Write the ids of the bits from `offset` on until the window is full; returns where the next one goes on. */
function fillWindow(window: Float64Array, base: number, words: Uint32Array, offset: number): number {
  let filled = 0
  let at = Math.floor(offset / 32)
  // bits before the offset were taken
  let word = words[at]! & -1 << offset % 32
  for (;;) {
    const first = base + at * 32
    if (word === -1 && window.length - filled >= 32) {
      // most ids stand close together
      for (let bit = 0; bit < 32; bit++) window[filled++] = first + bit
      if (filled === window.length) return at * 32 + 32
      word = 0
    }
    while (word !== 0) {
      const bit = 31 - Math.clz32(word & -word)
      word &= word - 1
      window[filled++] = first + bit
      if (filled === window.length) return at * 32 + bit + 1
    }
    word = words[++at]! | 0
  }
}

/** Takes ids one chunk at a time; remembers what decides the final form. */
class IdCollector {
  #chunks: Float64Array[] = []
  #chunk = new Float64Array(WINDOW_ROWS)
  #filled = 0
  #min = Infinity
  #max = -Infinity
  readonly #wide: bigint[] = []

  add(value: unknown, position: number): void {
    const id = typeof value === 'number' && Number.isSafeInteger(value) ? value + 0 : idOf(value)
    if (typeof id === 'number') {
      if (this.#filled === this.#chunk.length) {
        this.#chunks.push(this.#chunk)
        this.#chunk = new Float64Array(WINDOW_ROWS)
        this.#filled = 0
      }
      this.#chunk[this.#filled++] = id
      if (id < this.#min) this.#min = id
      if (id > this.#max) this.#max = id
    } else if (id === undefined) throw invalidId(`ids[${position}]`, value)
    else this.#wide.push(id)
  }

  finish(): IdSet {
    this.#chunks.push(this.#chunk.subarray(0, this.#filled))
    const total = this.#chunks.reduce((sum, chunk) => sum + chunk.length, 0)
    const wide = BigInt64Array.from(new Set(this.#wide)).sort()
    const split = wide.findIndex(id => id > 0n)
    const below = split === -1 ? wide : wide.subarray(0, split)
    return new IdSet(this.#safeIds(total), below, split === -1 ? wide.subarray(wide.length) : wide.subarray(split))
  }

  #safeIds(total: number): SafeIds {
    const span = this.#max - this.#min + 1
    if (total > 0 && span <= Math.max(total * MAX_BITS_PER_ID, 1024)) {
      return bitmapOf(this.#chunks, this.#min, span)
    }
    const ids = new Float64Array(total)
    let at = 0
    while (this.#chunks.length > 0) {
      // chunk by chunk out of the list, so that both copies never stand side by side
      const chunk = this.#chunks.shift()!
      ids.set(chunk, at)
      at += chunk.length
    }
    return { form: 'sorted', ids: sortUnique(ids) }
  }
}

function bitmapOf(chunks: readonly ArrayLike<number>[], base: number, span: number): SafeIds {
  const words = new Uint32Array(Math.ceil(span / 32))
  const setBits = span <= MAX_INT32 ? setNearBits : setFarBits
  for (const chunk of chunks) setBits(words, chunk, base)
  let count = 0
  for (let at = 0; at < words.length; at++) count += popcount(words[at]!)
  return { form: 'bitmap', base, words, count }
}

function setNearBits(words: Uint32Array, ids: ArrayLike<number>, base: number): void {
  for (let i = 0; i < ids.length; i++) {
    const offset = ids[i]! - base | 0
    words[offset >>> 5]! |= 1 << offset
  }
}

/** Offsets may have more than 31 bits; `&` keeps the low ones of any integer, and is cheaper than a remainder. */
function setFarBits(words: Uint32Array, ids: ArrayLike<number>, base: number): void {
  for (let i = 0; i < ids.length; i++) {
    const offset = ids[i]! - base
    words[Math.floor(offset / 32)]! |= 1 << (offset & 31)
  }
}

/** Sort in place and drop repeats. */
function sortUnique(ids: Float64Array): Float64Array {
  ids.sort()
  let kept = 0
  for (let i = 0; i < ids.length; i++) {
    if (i === 0 || ids[i] !== ids[i - 1]) ids[kept++] = ids[i]!
  }
  return ids.subarray(0, kept)
}

function isAsyncIterable(value: object): value is AsyncIterable<unknown> {
  return Symbol.asyncIterator in value
}

function throwIfAborted(signal: AbortSignal | undefined): void {
  signal?.throwIfAborted()
}

type NumberArray = readonly number[] | Float64Array | Int32Array | Uint32Array

function isNumberArray(ids: unknown): ids is NumberArray {
  return Array.isArray(ids) || ids instanceof Float64Array || ids instanceof Int32Array || ids instanceof Uint32Array
}

/**
 * A dense array of plain numbers goes straight into a bitmap. Undefined where the array is anything else; the collector
 * then finds out what.
 */
function denseSet(ids: NumberArray): IdSet | undefined {
  let [min, max] = [Infinity, -Infinity]
  for (let i = 0; i < ids.length; i++) {
    const id = ids[i] as unknown
    if (typeof id !== 'number' || !Number.isSafeInteger(id)) return undefined
    if (id < min) min = id
    if (id > max) max = id
  }
  const span = max - min + 1
  return ids.length > 0 && span <= Math.max(ids.length * MAX_BITS_PER_ID, 1024) ? new IdSet(bitmapOf([ids], min + 0, span)) : undefined
}

/**
 * Collect a request's ids: any order, repeats allowed. Memory: at most 12 bytes per id while collecting.
 *
 * @param ids arrays, typed arrays, iterables, async iterables and streams of numbers or bigints (or of arrays of them)
 * @throws {InvalidArgumentError} something is no id; the error names its position
 */
export async function collectIds(ids: IdsInput, signal?: AbortSignal): Promise<IdSet> {
  checkIterable(ids)
  if (Buffer.isBuffer(ids)) throw bytesAsIds('ids')
  const dense = isNumberArray(ids) ? denseSet(ids) : undefined
  if (dense) return dense
  const collector = new IdCollector()
  let position = 0
  const take = (item: unknown): void => {
    if (Buffer.isBuffer(item)) throw bytesAsIds(`ids[${position}]`)
    if (typeof item === 'object' && item !== null && Symbol.iterator in item) {
      for (const id of item as Iterable<unknown>) collector.add(id, position++)
    } else collector.add(item, position++)
  }
  throwIfAborted(signal)
  if (!isAsyncIterable(ids)) for (const id of ids) collector.add(id, position++)
  else {
    const reader = abortableReader(ids, signal)
    try {
      for (let next = await reader.next(); next.done !== true; next = await reader.next()) take(next.value)
    } finally {
      reader.close()
    }
  }
  return collector.finish()
}

function checkIterable(ids: unknown): void {
  if (typeof ids === 'object' && ids !== null && (Symbol.iterator in ids || Symbol.asyncIterator in ids)) return
  throw new InvalidArgumentError({ argument: 'ids', expected: 'an array, typed array, iterable, async iterable or stream of ids',
    found: ids === null ? 'null' : typeof ids })
}

/** A file's bytes would all pass for ids between 0 and 255. */
function bytesAsIds(argument: string): InvalidArgumentError {
  return new InvalidArgumentError({ argument, expected: 'ids', found: 'bytes (split the text and turn each line into a number)' })
}
