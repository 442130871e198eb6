/** A sample with more distinct values than this share looks like a column whose values hardly repeat. */
const MAX_SHARE = 0.95

/** Tells by a sample whether a column's values hardly repeat. */
export class DistinctSample<K> {
  readonly #seen = new Set<K>()
  #taken = 0

  /**
   * Look at `count` of `length` rows, each at most once.
   *
   * @param keyAt what identifies the value of a row, null where there is none
   */
  take(length: number, count: number, keyAt: (row: number) => K | null): void {
    const bits = 32 - Math.clz32(length - 1)
    for (let i = 0, looked = 0; looked < Math.min(count, length); i++) {
      const row = scattered(i, bits)
      if (row >= length) continue
      looked++
      const key = keyAt(row)
      if (key === null) continue
      this.#taken++
      this.#seen.add(key)
    }
  }

  get looksDistinct(): boolean {
    return this.#seen.size > this.#taken * MAX_SHARE
  }
}

/**
 * Spreads 0, 1, 2 … over all numbers of so many bits, each once, as good as random: a sample taken at equal distances finds all values
 * different where they go round. The last steps of MurmurHash3 with shifts of half the bits; each step can be undone, so no two numbers meet.
 *
 * @see https://github.com/aappleby/smhasher/blob/master/src/MurmurHash3.cpp (fmix32)
 */
function scattered(i: number, bits: number): number {
  const mask = 2 ** bits - 1
  const half = bits + 1 >>> 1
  let mixed = Math.imul(i ^ i >>> half, 0x85ebca6b) & mask
  mixed = Math.imul(mixed ^ mixed >>> half, 0xc2b2ae35) & mask
  return mixed ^ mixed >>> half
}
