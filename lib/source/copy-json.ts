import type { BytesVector, DictionaryVector, Vector } from '../batch/vector.js'
import { bytesVector } from './copy-columns.js'
import type { RepeatedBytes, RepeatedValues } from './copy-repeated.js'
import type { CopyRows } from './copy-rows.js'

const [QUOTE, BACKSLASH, NULL_TEXT] = [0x22, 0x5c, 'null']

/** A column of JSON texts as a column of texts, where all of them are plain strings (or null): what stands between the quotes. Else undefined. */
export function jsonStrings(rows: CopyRows, column: number, repeated: RepeatedValues): Vector | undefined {
  const numbered = repeated.number(rows, column)
  if (!numbered) return stringsOfRows(rows, column)
  const known = unquoted.get(numbered.dictionary) ?? unquote(numbered.dictionary)
  unquoted.set(numbered.dictionary, known)
  if (known !== 'other') return stringsOfCodes(numbered, known)
  // the batches to come may well be strings again
  repeated.forget()
  return undefined
}

/** A dictionary's strings without their quotes; which entry says null, -1 where none does. */
interface Unquoted {
  strings: BytesVector
  noText: number
}

/** What became of dictionaries: they come again, batch after batch. */
const unquoted = new WeakMap<BytesVector, Unquoted | 'other'>()

/** What is said of an entry is said of all its rows. Undefined where all of them are null: the dictionary's other strings say nothing of their type. */
function stringsOfCodes({ codes, valid: given }: RepeatedBytes, { strings, noText }: Unquoted): DictionaryVector | undefined {
  const saysNull = noText !== -1 && codes.includes(noText)
  const valid = saysNull ? given ?? new Uint8Array(codes.length).fill(1) : given
  if (valid && saysNull) markRows(codes, noText, valid)
  if (valid?.includes(1) === false) return undefined
  return { form: 'dictionary', type: 'text', length: codes.length, codes, dictionary: strings, valid }
}

function unquote({ bytes, starts, ends, length }: BytesVector): Unquoted | 'other' {
  let noText = -1
  for (let entry = 0; entry < length; entry++) {
    const kind = kindOf(bytes, starts[entry]!, ends[entry]! - starts[entry]!)
    if (kind === 'other') return 'other'
    if (kind === 'null') noText = entry
  }
  const strings: BytesVector = { form: 'bytes', type: 'text', length, bytes, starts: starts.slice(), ends: ends.slice() }
  dropQuotes(strings, noText)
  return { strings, noText }
}

function markRows(codes: Uint16Array, code: number, valid: Uint8Array): void {
  for (let row = 0; row < codes.length; row++) if (codes[row] === code) valid[row] = 0
}

function dropQuotes({ starts, ends }: BytesVector, except: number): void {
  for (let entry = 0; entry < starts.length; entry++) {
    if (entry === except) continue
    starts[entry]!++
    ends[entry]!--
  }
}

function stringsOfRows(rows: CopyRows, column: number): BytesVector | undefined {
  const valid = new Uint8Array(rows.length)
  const present = markStrings(rows, column, valid)
  if (present <= 0) return undefined
  return bytesVector(rows, column, 'text', { skip: 1, omit: 1, valid: present === rows.length ? undefined : valid })
}

/** Mark the rows that are strings; returns how many, -1 where something is neither a string nor null. */
function markStrings({ marks, columns, length, bytes }: CopyRows, column: number, valid: Uint8Array): number {
  let present = 0
  for (let row = 0, mark = column * 2; row < length; row++, mark += columns * 2) {
    const [at, size] = [marks[mark]!, marks[mark + 1]!]
    if (size === -1) continue
    const kind = kindOf(bytes, at, size)
    if (kind === 'null') continue
    if (kind === 'other') return -1
    valid[row] = 1
    present++
  }
  return present
}

/** What JSON text of `size` bytes says: a string that reads as it stands, null, or something else. */
function kindOf(bytes: Uint8Array, at: number, size: number): 'string' | 'null' | 'other' {
  if (size === NULL_TEXT.length && isNull(bytes, at)) return 'null'
  if (bytes[at] !== QUOTE) return 'other'
  for (let i = at + 1; i < at + size; i++) if (bytes[i] === BACKSLASH) return 'other'
  return 'string'
}

function isNull(bytes: Uint8Array, at: number): boolean {
  for (let i = 0; i < NULL_TEXT.length; i++) if (bytes[at + i] !== NULL_TEXT.charCodeAt(i)) return false
  return true
}
