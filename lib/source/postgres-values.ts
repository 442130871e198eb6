import { buildVector } from '../batch/build.js'
import { listElement, type ColumnType } from '../batch/column-type.js'
import { storageValueAs } from '../batch/declare.js'
import { parseDate, parseTime, parseTimestamp } from '../batch/temporal.js'
import type { FixedArray, Vector } from '../batch/vector.js'
import { parseArrayText, type ArrayText } from './postgres-array.js'
import type { ReadAs } from './postgres-types.js'
import { UnreadableValue } from './source-error.js'

/** One column of some rows as the server printed them. */
export type Texts = readonly (string | null)[]

/**
 * A column's texts as a vector of the type that `readAs` chose. Exact: nothing is rounded but `float4`, which is its own
 * nearest single.
 *
 * @throws {UnreadableValue} a value the type cannot hold: NaN in numeric(p,s), an array of more dimensions than declared
 */
export function decodeColumn(texts: Texts, as: ReadAs, column: string): Vector {
  const { type } = as
  if (as.isDeclared && type !== 'text' && type !== 'json') return values(type, texts, declaredReader(type, column))
  switch (type) {
    case 'int32': return fixed(type, texts, new Int32Array(texts.length), Number)
    case 'float64': return fixed(type, texts, new Float64Array(texts.length), numberOf)
    case 'float32': return fixed(type, texts, new Float32Array(texts.length), numberOf)
    case 'bool': return fixed(type, texts, new Uint8Array(texts.length), text => text === 't' ? 1 : 0)
    case 'int64': return decodeInt64(texts)
    case 'date': case 'time': case 'timestamp': case 'timestamptz': {
      const read = elementReader(type, column) as (text: string) => never
      return fixed(type, texts, type === 'date' ? new Int32Array(texts.length) : new BigInt64Array(texts.length), read)
    }
    case 'text': case 'uuid': return { form: 'values', type, length: texts.length, values: texts }
    case 'json':
      if (as.isDeclared && as.element === undefined) checkJson(texts, column)
      if (as.element === undefined) return { form: 'values', type, length: texts.length, values: texts }
      return values(type, texts, text => arrayJson(arrayOf(text, as, column), as.element!))
    default: {
      const element = listElement(type)
      const read = element ? listReader(element, as, column) : elementReader(type, column)
      return values(type, texts, read)
    }
  }
}

/** Only the server's own json columns are known to hold JSON. */
function checkJson(texts: Texts, column: string): void {
  for (const text of texts) {
    if (text === null) continue
    try {
      JSON.parse(text)
    } catch {
      throw new UnreadableValue(column, `${JSON.stringify(text.slice(0, 60))} is no JSON, as columnTypes declares`)
    }
  }
}

function fixed<T extends number | bigint>(type: ColumnType, texts: Texts, target: FixedArray, read: (text: string) => T): Vector {
  let valid: Uint8Array | undefined
  for (let i = 0; i < texts.length; i++) {
    const text = texts[i] as string | null
    if (text === null) {
      valid ??= new Uint8Array(texts.length).fill(1)
      valid[i] = 0
    } else target[i] = read(text)
  }
  return { form: 'fixed', type, length: texts.length, values: target, valid }
}

function values(type: ColumnType, texts: Texts, read: (text: string) => unknown): Vector {
  return buildVector(type, texts.map(text => text === null ? null : read(text)))
}

/** PostgreSQL prints `Infinity`, `-Infinity` and `NaN` as JS reads them. */
function numberOf(text: string): number {
  return Number(text)
}

function declaredReader(type: ColumnType, column: string): (text: string) => unknown {
  return text => {
    const value = storageValueAs(type, text)
    if (value === undefined) throw new UnreadableValue(column, `${JSON.stringify(text.slice(0, 60))} is no ${type}, as columnTypes declares`)
    return value
  }
}

/** Doubles while all values are safe integers, else int64. */
function decodeInt64(texts: Texts): Vector {
  const safe = texts.every(text => text === null || text.length < 16 || Number.isSafeInteger(Number(text)))
  return safe ? fixed('int64', texts, new Float64Array(texts.length), Number)
    : fixed('int64', texts, new BigInt64Array(texts.length), BigInt)
}

/** Reads one value's text as the storage value of `type`. */
function elementReader(type: ColumnType, column: string): (text: string) => unknown {
  const must = (value: unknown, text: string): unknown => {
    if (value !== undefined) return value
    throw notHeld(column, text, type)
  }
  switch (type) {
    case 'bool': return text => text === 't'
    case 'int32': case 'float64': return numberOf
    case 'float32': return text => Math.fround(Number(text))
    case 'int64': return text => Number.isSafeInteger(Number(text)) ? Number(text) : BigInt(text)
    case 'date': return text => must(parseDate(text), text)
    case 'time': return text => must(parseTime(text), text)
    case 'timestamp': case 'timestamptz': return text => must(parseTimestamp(text), text)
    case 'bytes': return text => must(hexBytes(text), text)
    case 'text': case 'uuid': case 'json': return text => text
    default: // decimal(p,s): NaN and the infinities are the texts that are no number
      return text => /\d/.test(text) ? text : must(undefined, text)
  }
}

/** bytea begins with `\x`, geometries are bare digits. */
function hexBytes(text: string): Uint8Array | undefined {
  const digits = text.startsWith('\\x') ? text.slice(2) : text
  const bytes = Buffer.from(digits, 'hex')
  return bytes.length * 2 === digits.length ? new Uint8Array(bytes) : undefined
}

/** The error for a text that is no value of the column's type. */
export function notHeld(column: string, text: string, type: ColumnType): UnreadableValue {
  return new UnreadableValue(column, `${JSON.stringify(text)} cannot be held as ${type}`, declareText(column))
}

function declareText(column: string): string {
  return `read it as text: columnTypes: { ${JSON.stringify(column)}: 'text' }`
}

function arrayOf(text: string, { delimiter }: ReadAs, column: string): ArrayText {
  const parsed = parseArrayText(text, delimiter)
  if (!parsed) throw new UnreadableValue(column, `not the text of an array: ${text.slice(0, 60)}`, declareText(column))
  return parsed
}

function listReader(element: ColumnType, as: ReadAs, column: string): (text: string) => unknown {
  const read = elementReader(element, column)
  return text => arrayOf(text, as, column).map(item => {
    if (Array.isArray(item)) {
      // one dimension in one row and two in the next would change the column's type between batches
      throw new UnreadableValue(column, 'an array of two or more dimensions in a column that is declared with one',
        `read it as json: columnTypes: { ${JSON.stringify(column)}: 'json' }, or declare the column as int[][]`)
    }
    return item === null ? null : read(item)
  })
}

const NUMBER_TYPES: ReadonlySet<ColumnType> = new Set(['int32', 'int64', 'float32', 'float64'])

/** Nested arrays as JSON text: numbers and booleans as such, json embedded, everything else as the server's text. */
function arrayJson(list: ArrayText, element: ColumnType): string {
  const items = list.map(item => {
    if (item === null) return 'null'
    if (Array.isArray(item)) return arrayJson(item, element)
    if (NUMBER_TYPES.has(element) && /^-?\d/.test(item)) return item
    if (element === 'bool') return item === 't' ? 'true' : 'false'
    return element === 'json' ? item : JSON.stringify(item)
  })
  return `[${items.join(',')}]`
}
