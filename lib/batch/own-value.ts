import { EncodedJson } from '../json/json-text.js'
import { sameValue } from './same-value.js'

/**
 * A caller's value as one of ours: what the caller does to it afterwards (or puts into the object or buffer that it reuses) is not seen.
 * Dates and bytes are copied. Objects and arrays become their JSON text, which they would become anyway.
 *
 * @param isList the column is declared as a list, so that an array stays one, of values of ours
 */
export function ownValue(value: unknown, isList = false): unknown {
  if (typeof value !== 'object' || value === null) return value
  if (value instanceof Date) return new Date(value.getTime())
  // small ones share memory: an ArrayBuffer for each costs three times as much
  if (value instanceof Uint8Array) return Buffer.from(value)
  return isList && Array.isArray(value) ? Array.from(value as unknown[], item => ownValue(item)) : new EncodedJson(value)
}

/** `sameValue` of values of ours. */
export function sameOwnValue(left: unknown, right: unknown): boolean {
  if (left instanceof EncodedJson && right instanceof EncodedJson) return left.equals(right, sameValue)
  if (Array.isArray(left) && Array.isArray(right)) return left.length === right.length && left.every((item, i) => sameOwnValue(item, right[i]))
  return sameValue(left, right)
}
