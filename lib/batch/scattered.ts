/**
 * Spreads 0, 1, 2 … over all 32-bit numbers, as good as random: a sample taken at equal distances finds all values different where they
 * go round. The last steps of MurmurHash3.
 *
 * @see https://github.com/aappleby/smhasher/blob/master/src/MurmurHash3.cpp (fmix32)
 */
export function scattered(i: number): number {
  let mixed = Math.imul(i ^ i >>> 16, 0x85ebca6b)
  mixed = Math.imul(mixed ^ mixed >>> 13, 0xc2b2ae35)
  return (mixed ^ mixed >>> 16) >>> 0
}
