/** Deeper values are written without recursion; `JSON.stringify` overflows the stack at some thousand levels. */
const NATIVE_DEPTH = 64

/** Levels named in messages. */
const MAX_SHOWN = 8

/** An object or array that is being written. */
interface Frame {
  value: object
  /** An object's keys; undefined for an array. */
  keys: readonly string[] | undefined
  next: number
  /** Nothing was written into it so far. */
  empty: boolean
}

/**
 * A value's JSON text in the value's place, made when the value came: what its owner does to it afterwards is not seen.
 * `jsonText` gives that text, or throws what the value itself made it throw.
 */
export class EncodedJson {
  readonly #text: string | undefined
  readonly #refusal: unknown

  constructor(value: object) {
    try {
      this.#text = jsonText(value)
    } catch (error) {
      this.#refusal = error
    }
  }

  text(): string {
    if (this.#text === undefined) throw this.#refusal
    return this.#text
  }

  /** Whether both are one document, however it is written, or both are none. */
  equals(other: EncodedJson, same: (a: unknown, b: unknown) => boolean): boolean {
    if (this.#text === other.#text) return true
    return this.#text !== undefined && other.#text !== undefined && same(JSON.parse(this.#text), JSON.parse(other.#text))
  }
}

/**
 * JSON text of a value: hit and miss both parse this text, so it must give the value back.
 *
 * What `JSON.stringify` would change in silence is refused instead: NaN, bigints, functions, undefined elements, and objects whose
 * content is not in their properties (Map, Set, RegExp, typed arrays …). -0 and the infinities are kept (`-0`, `1e999`). Properties that are
 * undefined are left out, and an object with `toJSON` (a `Date` inside a document) is what that says, as everywhere in JSON.
 * Any depth; no recursion.
 *
 * @throws {TypeError} the value has no JSON form; the message says where in it
 */
export function jsonText(value: unknown): string {
  if (value instanceof EncodedJson) return value.text()
  if (typeof value === 'object' && value !== null && isNative(value, 0)) return JSON.stringify(value)
  return writeText(value)
}

/** Whether `JSON.stringify` writes exactly this: plain objects and arrays of plain values, not too deep. */
function isNative(value: object, depth: number): boolean {
  if (depth === NATIVE_DEPTH) return false
  if (Array.isArray(value)) {
    for (let i = 0; i < value.length; i++) if (value[i] === undefined || !isNativeValue(value[i], depth)) return false
    return true
  }
  const prototype = Object.getPrototypeOf(value) as unknown
  if (prototype !== Object.prototype && prototype !== null) return false
  const object = value as Record<string, unknown>
  for (const key of Object.keys(object)) if (!isNativeValue(object[key], depth)) return false
  return typeof object['toJSON'] !== 'function'
}

function isNativeValue(value: unknown, depth: number): boolean {
  switch (typeof value) {
    case 'string': case 'boolean': case 'undefined': return true
    case 'number': return Number.isFinite(value) && !Object.is(value, -0)
    case 'object': return value === null || isNative(value, depth + 1)
    default: return false
  }
}

/** The text, with a stack of our own. */
function writeText(root: unknown): string {
  const frames: Frame[] = []
  const above = new Set<object>()
  let text = ''
  const place = (): string => {
    const steps = frames.slice(0, MAX_SHOWN).map(({ keys, next }) => keys ? `.${keys[next - 1]!}` : `[${next - 1}]`).join('')
    return frames.length === 0 ? '' : ` at ${steps}${frames.length > MAX_SHOWN ? '…' : ''}`
  }
  const write = (raw: unknown, key: string): void => {
    const value = sayJson(raw, key)
    const plain = scalarText(value)
    if (plain !== undefined) text += plain
    else if (!holdsContent(value)) throw new TypeError(`${describe(value)} has no JSON form${place()}`)
    else if (above.has(value)) throw new TypeError(`an object that contains itself has no JSON form${place()}`)
    else {
      const isArray = Array.isArray(value)
      text += isArray ? '[' : '{'
      above.add(value)
      frames.push({ value, keys: isArray ? undefined : Object.keys(value), next: 0, empty: true })
    }
  }
  write(root, '')
  for (let frame = frames.at(-1); frame; frame = frames.at(-1)) {
    const { keys } = frame
    const length = keys ? keys.length : (frame.value as unknown[]).length
    if (frame.next === length) {
      text += keys ? '}' : ']'
      above.delete(frame.value)
      frames.pop()
      continue
    }
    const key = keys ? keys[frame.next]! : String(frame.next)
    frame.next++
    const value = (frame.value as Record<string, unknown>)[key]
    if (value === undefined && keys) continue
    if (!frame.empty) text += ','
    frame.empty = false
    if (keys) text += `${JSON.stringify(key)}:`
    write(value, key)
  }
  return text
}

/** What an object says of itself, if it does. */
function sayJson(value: unknown, key: string): unknown {
  if (typeof value !== 'object' || value === null) return value
  // a Buffer's toJSON would make an object of it
  if (value instanceof Uint8Array) return value
  const { toJSON } = value as { toJSON?: unknown }
  return typeof toJSON === 'function' ? toJSON.call(value, key) as unknown : value
}

/** The text of a value that is no object and has a JSON form. */
function scalarText(value: unknown): string | undefined {
  if (value === null) return 'null'
  if (typeof value === 'string') return JSON.stringify(value)
  if (typeof value === 'boolean') return String(value)
  if (typeof value !== 'number' || Number.isNaN(value)) return undefined
  // JSON has no word for infinity; a number beyond all doubles is read as one
  if (!Number.isFinite(value)) return value > 0 ? '1e999' : '-1e999'
  return Object.is(value, -0) ? '-0' : String(value)
}

/** An array, or an object that is its properties. */
function holdsContent(value: unknown): value is object {
  if (typeof value !== 'object' || value === null) return false
  return Array.isArray(value) || Object.prototype.toString.call(value) === '[object Object]'
}

function describe(value: unknown): string {
  if (typeof value === 'object' && value !== null) return `a ${Object.prototype.toString.call(value).slice(8, -1)}`
  return typeof value === 'number' ? String(value) : value === undefined ? 'undefined' : `a ${typeof value}`
}
