import { JSONParseError } from '../errors.js'
import { parsePath } from './column-name.js'

/** An array position is written without sign and leading zeros. */
const ARRAY_POSITION = /^(0|[1-9]\d*)$/

/**
 * Follow `keys` through parsed JSON: own properties of objects, positions of arrays, nothing else (no prototype, no
 * `length`, no characters of a string, no bytes). Undefined where the way ends early.
 */
export function followPath(value: unknown, keys: readonly string[]): unknown {
  let at = value
  for (const key of keys) {
    if (typeof at !== 'object' || at === null || ArrayBuffer.isView(at)) return undefined
    if (Array.isArray(at)) {
      if (!ARRAY_POSITION.test(key)) return undefined
      // own positions only: a hole must not show what somebody put on Array.prototype
      if (!Object.hasOwn(at, key)) return undefined
      at = at[Number(key)] as unknown
    } else {
      if (!Object.hasOwn(at, key)) return undefined
      at = (at as Record<string, unknown>)[key]
    }
  }
  return at
}

/**
 * The value at a dotted path of a JSON document, null where the document lacks it.
 *
 * @param data an object or array, or JSON text
 * @param path keys and array positions, `'items.0.price'`; a dot inside a key is written `'\\.'`
 * @throws {JSONParseError} `data` is text and not JSON
 */
export function extractJsonValue(data: unknown, path: string): unknown {
  let document = data
  if (typeof data === 'string') {
    try {
      document = JSON.parse(data)
    } catch (cause) {
      throw new JSONParseError({ column: path, cause })
    }
  }
  return followPath(document, parsePath(path)) ?? null
}
