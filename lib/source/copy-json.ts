import type { BytesVector, DictionaryVector, Vector } from '../batch/vector.js'
import { bytesVector } from './copy-columns.js'
import { repeatedBytes } from './copy-repeated.js'
import type { CopyRows } from './copy-rows.js'

const [QUOTE, BACKSLASH, NULL_TEXT] = [0x22, 0x5c, 'null']

/** A column of JSON texts as a column of texts, where all of them are plain strings (or null): what stands between the quotes. Else undefined. */
export function jsonStrings(rows: CopyRows, column: number): Vector | undefined {
  const repeated = repeatedBytes(rows, column)
  return repeated ? stringsOfCodes(repeated.entries.vector('text'), repeated) : stringsOfRows(rows, column)
}

/** What is said of an entry is said of all its rows. */
function stringsOfCodes(dictionary: BytesVector, { codes, valid: given }: { codes: Uint16Array, valid: Uint8Array | undefined }): DictionaryVector | undefined {
  const { bytes, starts, ends, length: size } = dictionary
  let [noText, hasTexts] = [-1, false]
  for (let entry = 0; entry < size; entry++) {
    const kind = kindOf(bytes, starts[entry]!, ends[entry]! - starts[entry]!)
    if (kind === 'other') return undefined
    if (kind === 'null') noText = entry
    else hasTexts = true
  }
  if (!hasTexts) return undefined
  const valid = noText === -1 ? given : given ?? new Uint8Array(codes.length).fill(1)
  if (valid && noText !== -1) markRows(codes, noText, valid)
  const inner: BytesVector = { form: 'bytes', type: 'text', length: size, bytes, starts: starts.slice(), ends: ends.slice() }
  dropQuotes(inner, noText)
  return { form: 'dictionary', type: 'text', length: codes.length, codes, dictionary: inner, valid }
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
  const { marks, columns, length, bytes } = rows
  const valid = new Uint8Array(length)
  let present = 0
  for (let row = 0, mark = column * 2; row < length; row++, mark += columns * 2) {
    const [at, size] = [marks[mark]!, marks[mark + 1]!]
    if (size === -1) continue
    const kind = kindOf(bytes, at, size)
    if (kind === 'null') continue
    if (kind === 'other') return undefined
    valid[row] = 1
    present++
  }
  if (present === 0) return undefined
  return bytesVector(rows, column, 'text', { skip: 1, omit: 1, valid: present === length ? undefined : valid })
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
