import { EncodedJson } from '../json/json-text.js'
import { sameValue } from './same-value.js'

/** Arrays nested deeper than this are kept as JSON text. */
const MAX_LIST_DEPTH = 8

/**
 * A caller's value as one of ours: what the caller does to it afterwards (or puts into the object or buffer that it reuses) is not seen.
 * Dates and bytes are copied, and so are arrays without objects in them, which a `list<T>` column may hold. Other objects become
 * their JSON text, which they would become anyway.
 */
export function ownValue(value: unknown): unknown {
  if (typeof value !== 'object' || value === null || value instanceof EncodedJson) return value
  if (value instanceof Date) return new Date(value.getTime())
  // small ones share memory: an ArrayBuffer for each costs three times as much
  if (value instanceof Uint8Array) return Buffer.from(value)
  return Array.isArray(value) && isList(value, MAX_LIST_DEPTH) ? Array.from(value as unknown[], ownValue) : new EncodedJson(value)
}

function isList(items: readonly unknown[], depth: number): boolean {
  return depth > 0 && items.every(item => typeof item !== 'object' || item === null || item instanceof Date || item instanceof Uint8Array ||
    (Array.isArray(item) && isList(item, depth - 1)))
}

/** `sameValue` of values of ours. */
export function sameOwnValue(left: unknown, right: unknown): boolean {
  if (left instanceof EncodedJson && right instanceof EncodedJson) return left.equals(right, sameValue)
  if (Array.isArray(left) && Array.isArray(right)) return left.length === right.length && left.every((item, i) => sameOwnValue(item, right[i]))
  return sameValue(left, right)
}
