import { JSONParseError } from '../errors.js'
import { parsePath } from './column-name.js'

/** An array position is written without sign and leading zeros. */
const ARRAY_POSITION = /^(0|[1-9]\d*)$/

/**
 * The value under one key of parsed JSON: an own property of an object, a position of an array, nothing else (no prototype, no
 * `length`, no character of a string, no byte). Undefined where there is none.
 */
export function stepInto(value: unknown, key: string): unknown {
  if (typeof value !== 'object' || value === null || ArrayBuffer.isView(value)) return undefined
  // own positions only: a hole must not show what somebody put on Array.prototype
  if (!Object.hasOwn(value, key)) return undefined
  if (Array.isArray(value)) return ARRAY_POSITION.test(key) ? value[Number(key)] as unknown : undefined
  return (value as Record<string, unknown>)[key]
}

/** Follow `keys` through parsed JSON, as `stepInto` does. Undefined where the way ends early. */
export function followPath(value: unknown, keys: readonly string[]): unknown {
  let at = value
  for (const key of keys) at = stepInto(at, key)
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
