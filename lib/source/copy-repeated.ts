import { DistinctSample } from '../batch/distinct-sample.js'
import type { DictionaryVector } from '../batch/vector.js'
import { BytesEntries, hashBytes } from '../parquet/bytes-entries.js'
import { presence } from './copy-presence.js'
import type { CopyRows } from './copy-rows.js'

/** So many values of a batch decide whether it is worth numbering them. */
const SAMPLE = 256
/** At least so many rows for each entry … */
const ROWS_PER_ENTRY = 4
/** … and no more entries than 16-bit codes reach, in so many bytes. */
const MAX_ENTRIES = 65_535
const MAX_ENTRIES_BYTES = 1 << 20

/** A column's values by number: the same bytes are kept once. */
export interface RepeatedBytes {
  /** One for each row, 0 where null. */
  codes: Uint16Array
  entries: BytesEntries
  /** One byte for each row, 0 where null; undefined where nothing is. */
  valid: Uint8Array | undefined
}

/** The values of a column that repeat; undefined where they hardly do. */
export function repeatedBytes(rows: CopyRows, column: number): RepeatedBytes | undefined {
  const { length } = rows
  if (!looksRepeated(rows, column)) return undefined
  const entries = new BytesEntries(Math.min(MAX_ENTRIES, Math.floor(length / ROWS_PER_ENTRY)), MAX_ENTRIES_BYTES)
  const codes = new Uint16Array(length)
  return numberRows(rows, column, entries, codes) ? { codes, entries, valid: presence(rows, column, undefined) } : undefined
}

/** Number the values of all rows; false where they are too many. */
function numberRows({ marks, columns, length, view }: CopyRows, column: number, entries: BytesEntries, codes: Uint16Array): boolean {
  for (let row = 0, mark = column * 2; row < length; row++, mark += columns * 2) {
    const size = marks[mark + 1]!
    if (size === -1) continue
    const code = entries.numberOf(view, marks[mark]!, marks[mark]! + size)
    if (code < 0) return false
    codes[row] = code
  }
  return true
}

function looksRepeated({ marks, columns, length, view }: CopyRows, column: number): boolean {
  if (length < 4 * SAMPLE) return false
  const sample = new DistinctSample<number>()
  sample.take(length, SAMPLE, row => {
    const mark = (row * columns + column) * 2
    const [at, size] = [marks[mark]!, marks[mark + 1]!]
    return size === -1 ? null : hashBytes(view, at, at + size)
  })
  return !sample.looksDistinct
}

/** A column of texts that repeat; undefined where they hardly do. */
export function repeatedTexts(rows: CopyRows, column: number): DictionaryVector | undefined {
  const repeated = repeatedBytes(rows, column)
  return repeated && { form: 'dictionary', type: 'text', length: rows.length, codes: repeated.codes, dictionary: repeated.entries.vector('text'), valid: repeated.valid }
}
