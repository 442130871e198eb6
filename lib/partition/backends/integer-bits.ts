import { checkInteger } from '../../check-number.js'
import { KeyTypeError } from '../../errors.js'
import { DEFAULT_MAX_BITS, MAX_BITS } from '../bitmap.js'
import type { StoredKey } from '../key-types.js'

/** What every backend of packed bits takes. */
export interface BitOptions {
  /** How many keys, counted from 0, are expected (as in the seed). No limit: sets are as long as their largest key needs. */
  bitsize?: number | undefined
  /** Keys from here on are refused, so that one stray id cannot take half a gigabyte (default 2^26, or `bitsize` if more). */
  maxBitsize?: number | undefined
}

/** The first key that is refused. */
export function bitLimit({ bitsize, maxBitsize }: BitOptions, most = MAX_BITS): number {
  for (const [argument, value] of Object.entries({ bitsize, maxBitsize })) {
    if (value !== undefined) checkInteger(argument, value, 1, most)
  }
  return maxBitsize ?? Math.max(bitsize ?? 0, DEFAULT_MAX_BITS)
}

/** `keys` as numbers that bits can stand for. @throws {KeyTypeError} negative, or not below `limit` */
export function bitKeys(keys: readonly StoredKey[], limit: number, backend: string): readonly number[] {
  for (const key of keys) {
    if (typeof key === 'number' && key >= 0 && key < limit) continue
    throw new KeyTypeError({ backend, keyType: 'integer', reason: `${key} is ${typeof key !== 'string' && key < 0 ? 'negative' : `not below maxBitsize ${limit}`}; sets and arrays keep any integer` })
  }
  return keys as readonly number[]
}
