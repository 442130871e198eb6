/** A sample with more distinct values than this share looks like a column whose values hardly repeat. */
const MAX_SHARE = 0.95

/** Tells by a sample whether a column's values hardly repeat. */
export class DistinctSample<K> {
  readonly #seen = new Set<K>()
  #taken = 0

  /**
   * Look at `count` of `length` rows.
   *
   * @param keyAt what identifies the value of a row, null where there is none
   */
  take(length: number, count: number, keyAt: (row: number) => K | null): void {
    for (let i = 0; i < count; i++) {
      const key = keyAt(scattered(i) % length)
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
 * Spreads 0, 1, 2 … over all 32-bit numbers, as good as random: a sample taken at equal distances finds all values different where they
 * go round. The last steps of MurmurHash3.
 *
 * @see https://github.com/aappleby/smhasher/blob/master/src/MurmurHash3.cpp (fmix32)
 */
function scattered(i: number): number {
  let mixed = Math.imul(i ^ i >>> 16, 0x85ebca6b)
  mixed = Math.imul(mixed ^ mixed >>> 13, 0xc2b2ae35)
  return (mixed ^ mixed >>> 16) >>> 0
}
