import type { Datatype, StoredKey } from './key-types.js'

/**
 * Sets of any datatype as bytes, for stores that keep bytes. Integers are sorted and written as the distances between them,
 * seven bits a byte; integers beyond 2^53, floats and timestamps take eight bytes each; texts are a JSON array.
 */

const DISTANCES = 0
const WIDE = 1

function packDistances(sorted: readonly number[], offset: number): Uint8Array {
  const bytes = new Uint8Array(offset + 1 + 10 + sorted.length * 8)
  bytes[offset] = DISTANCES
  let at = offset + 1
  const put = (value: number): void => {
    // up to 2^54: beyond what bit operators reach
    while (value >= 128) {
      bytes[at++] = value % 128 | 128
      value = Math.floor(value / 128)
    }
    bytes[at++] = value
  }
  const first = sorted[0]
  if (first !== undefined) {
    bytes[at++] = first < 0 ? 1 : 0
    put(Math.abs(first))
  }
  for (let i = 1; i < sorted.length; i++) put(sorted[i]! - sorted[i - 1]!)
  return bytes.slice(0, at)
}

function unpackDistances(bytes: Uint8Array, start: number): number[] {
  const keys: number[] = []
  if (start >= bytes.length) return keys
  const isNegative = bytes[start] === 1
  let last = 0
  let value = 0
  let scale = 1
  for (let at = start + 1; at < bytes.length; at++) {
    const byte = bytes[at]!
    value += (byte & 127) * scale
    if (byte >= 128) {
      scale *= 128
      continue
    }
    last = keys.length === 0 ? (isNegative ? -value : value) : last + value
    keys.push(last)
    value = 0
    scale = 1
  }
  return keys
}

function packWide(keys: readonly StoredKey[], offset: number, isFloat: boolean): Uint8Array {
  const bytes = new Uint8Array(offset + keys.length * 8)
  const view = new DataView(bytes.buffer, offset)
  keys.forEach((key, i) => {
    if (isFloat) view.setFloat64(i * 8, key as number)
    else view.setBigInt64(i * 8, BigInt(key))
  })
  return bytes
}

function unpackWide(bytes: Uint8Array, start: number, datatype: Datatype): StoredKey[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset + start, bytes.length - start)
  return Array.from({ length: view.byteLength / 8 }, (_, i) => {
    if (datatype === 'float') return view.getFloat64(i * 8)
    const value = view.getBigInt64(i * 8)
    if (datatype === 'timestamp') return value
    const number = Number(value)
    return Number.isSafeInteger(number) ? number : value
  })
}

/** The distance between any two is an exact number below this. */
const NARROW = 2 ** 52

/** `offset` free bytes, then the set. */
export function packKeys(keys: readonly StoredKey[], datatype: Datatype, offset = 0): Uint8Array {
  if (datatype === 'text') {
    const text = Buffer.from(JSON.stringify(keys))
    const bytes = new Uint8Array(offset + text.length)
    bytes.set(text, offset)
    return bytes
  }
  if (datatype !== 'integer') return packWide(keys, offset, datatype === 'float')
  if (keys.every(key => typeof key === 'number' && Math.abs(key) < NARROW)) {
    return packDistances(Array.from(Float64Array.from(keys as readonly number[]).sort()), offset)
  }
  const bytes = packWide(keys, offset + 1, false)
  bytes[offset] = WIDE
  return bytes
}

/** What `packKeys` wrote, from byte `start`; integers that were written as distances are in order. */
export function unpackKeys(bytes: Uint8Array, datatype: Datatype, start = 0): StoredKey[] {
  if (datatype === 'text') return JSON.parse(Buffer.from(bytes.buffer, bytes.byteOffset + start, bytes.length - start).toString()) as string[]
  if (datatype !== 'integer') return unpackWide(bytes, start, datatype)
  return bytes[start] === DISTANCES ? unpackDistances(bytes, start + 1) : unpackWide(bytes, start + 1, datatype)
}

function intersectSorted(a: readonly number[], b: readonly number[]): number[] {
  const common: number[] = []
  for (let i = 0, k = 0; i < a.length && k < b.length;) {
    if (a[i]! < b[k]!) i++
    else if (a[i]! > b[k]!) k++
    else {
      common.push(a[i++]!)
      k++
    }
  }
  return common
}

/** The AND of sets that `packKeys` wrote (at least one). */
export function intersectPacked(sets: readonly Uint8Array[], datatype: Datatype, start = 0): Set<StoredKey> {
  const lists = sets.map(bytes => unpackKeys(bytes, datatype, start))
  if (datatype === 'integer' && sets.every(bytes => bytes[start] === DISTANCES)) {
    return new Set((lists as number[][]).sort((a, b) => a.length - b.length).reduce(intersectSorted))
  }
  const [smallest, ...others] = lists.sort((a, b) => a.length - b.length)
  const sieves = others.map(list => new Set(list))
  return new Set(smallest!.filter(key => sieves.every(set => set.has(key))))
}
