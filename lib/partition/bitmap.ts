/**
 * Sets of small non-negative integers as packed bits: key k is the bit `0x80 >> (k & 7)` of byte `k >> 3`, the order of Redis'
 * SETBIT and of PostgreSQL's `bit varying`. Lengths are multiples of 8 bytes, so that words can be ANDed.
 */

/** 2^26: a set of one key then takes at most 8 MB. */
export const DEFAULT_MAX_BITS = 2 ** 26
/** Redis strings end at 512 MB. */
export const MAX_BITS = 2 ** 32

/** Bytes that keys 0 … maxKey take. */
export function bitmapBytes(maxKey: number): number {
  return Math.ceil((maxKey + 1) / 64) * 8
}

/** `offset` bytes of zeros, then the bits. */
export function packBits(keys: readonly number[], offset = 0): Uint8Array {
  let max = -1
  for (const key of keys) if (key > max) max = key
  const bytes = new Uint8Array(offset + bitmapBytes(max))
  for (const key of keys) bytes[offset + (key >>> 3)]! |= 0x80 >>> (key & 7)
  return bytes
}

/** The same bytes at an address that 32-bit words can start at. */
function words(bytes: Uint8Array, count: number): Uint32Array {
  // not slice(): a Buffer's shares the memory
  const aligned = bytes.byteOffset % 4 === 0 ? bytes : new Uint8Array(bytes)
  return new Uint32Array(aligned.buffer, aligned.byteOffset, count)
}

/** The AND of `maps` (at least one), as long as the shortest. */
export function andBits(maps: readonly Uint8Array[]): Uint8Array {
  const bytes = Math.min(...maps.map(map => map.length))
  const count = bytes >>> 2
  const result = new Uint8Array(bytes)
  const target = new Uint32Array(result.buffer, 0, count)
  maps.forEach((map, nth) => {
    const from = words(map, count)
    if (nth === 0) target.set(from)
    else for (let i = 0; i < count; i++) target[i]! &= from[i]!
  })
  for (let i = count * 4; i < bytes; i++) result[i] = maps.reduce((bits, map) => bits & map[i]!, 0xff)
  return result
}

/** The keys, ascending. */
export function bitsToSet(bytes: Uint8Array): Set<number> {
  const keys = new Set<number>()
  for (let i = 0; i < bytes.length; i++) {
    let bits = bytes[i]!
    const base = i * 8 - 24
    while (bits !== 0) {
      const lead = Math.clz32(bits) // 24 … 31
      keys.add(base + lead)
      bits ^= 0x80000000 >>> lead
    }
  }
  return keys
}

/** Whether key `key` is in. */
export function hasBit(bytes: Uint8Array, key: number): boolean {
  return key >= 0 && key < bytes.length * 8 && (bytes[key >>> 3]! & 0x80 >>> (key & 7)) !== 0
}
