import { DistinctSample } from '../batch/distinct-sample.js'
import type { BytesVector, DictionaryVector } from '../batch/vector.js'
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
  /** The values that the codes mean, and perhaps some of other batches: the same object as long as no value is added. */
  dictionary: BytesVector
  /** One byte for each row, 0 where null; undefined where nothing is. */
  valid: Uint8Array | undefined
}

/**
 * Numbers the values of a column where they repeat, batch after batch with the same numbers: what is known of a value need not be found
 * out again. Keeps at most 1 MB of values.
 */
export class RepeatedValues {
  #entries: BytesEntries | undefined
  #dictionary: BytesVector | undefined

  /** The values of a batch by number; undefined where they hardly repeat. */
  number(rows: CopyRows, column: number): RepeatedBytes | undefined {
    const limit = Math.min(MAX_ENTRIES, Math.floor(rows.length / ROWS_PER_ENTRY))
    // a small batch must not get a large dictionary
    const known = this.#entries && this.#entries.size <= limit ? this.#entries : undefined
    const codes = new Uint16Array(rows.length)
    if (known && numberRows(rows, column, known, codes)) return this.#numbered(known, codes, rows, column)
    // full, and of values that these rows hardly have
    if (known) this.forget()
    if (!looksRepeated(rows, column)) return undefined
    const entries = new BytesEntries(limit, MAX_ENTRIES_BYTES)
    return numberRows(rows, column, entries, codes) ? this.#numbered(entries, codes, rows, column) : undefined
  }

  /** Begin anew with the next batch. */
  forget(): void {
    this.#entries = this.#dictionary = undefined
  }

  #numbered(entries: BytesEntries, codes: Uint16Array, rows: CopyRows, column: number): RepeatedBytes {
    if (this.#entries !== entries || this.#dictionary?.length !== entries.size) this.#dictionary = entries.vector('text')
    this.#entries = entries
    return { codes, dictionary: this.#dictionary, valid: presence(rows, column, undefined) }
  }
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
export function repeatedTexts(rows: CopyRows, column: number, repeated: RepeatedValues): DictionaryVector | undefined {
  const numbered = repeated.number(rows, column)
  return numbered && { form: 'dictionary', type: 'text', length: rows.length, ...numbered }
}
