import { listElement, type ColumnType } from '../batch/column-type.js'
import { formatDate, formatTime } from '../batch/temporal.js'
import type { BytesVector, FixedVector, ValuesVector } from '../batch/vector.js'
import { decodePlain } from './decode-plain.js'
import type { ColumnPages } from './pages.js'

/**
 * Assemble a list column's arrays from levels and values. What elements are, `encodeList` says.
 *
 * @param most the definition level of an element that is there
 * @throws {Error} levels and rows disagree
 */
export function decodeList(type: ColumnType, { definitions, repetitions, values, present }: ColumnPages, count: number, rows: number, most: number): ValuesVector {
  const element = listElement(type)!
  const elements = elementsOf(element, decodePlain(element, values, present))
  const lists: (unknown[] | null)[] = []
  let list: unknown[] = []
  let next = 0
  for (let i = 0; i < count; i++) {
    const level = definitions === undefined ? most : definitions[i]!
    if (repetitions![i] === 0) {
      if (level === most - 3) {
        lists.push(null)
        continue
      }
      list = []
      lists.push(list)
    } else if (lists.length === 0 || level < most - 1) throw new Error('a list goes on that has not begun')
    if (level === most) list.push(elements[next++])
    else if (level === most - 1) list.push(null)
  }
  if (lists.length !== rows) throw new Error(`${lists.length} lists instead of ${rows}`)
  return { form: 'values', type, length: rows, values: lists }
}

function elementsOf(type: ColumnType, vector: FixedVector | BytesVector): unknown[] {
  if (vector.form === 'bytes') {
    const { bytes, starts, ends, length } = vector
    const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    return Array.from({ length }, (_, i) => type === 'bytes' ? bytes.slice(starts[i], ends[i]) : text.toString('utf8', starts[i], ends[i]))
  }
  const { values } = vector
  switch (type) {
    case 'bool': return Array.from(values as Uint8Array, bit => bit === 1)
    case 'date': return Array.from(values as Int32Array, formatDate)
    case 'time': return Array.from(values as BigInt64Array, formatTime)
    case 'int64': return Array.from<number | bigint, number | bigint>(values as Iterable<number | bigint>, safeNumber)
    default: return Array.from<unknown>(values as Iterable<unknown>)
  }
}

/** A column with one unsafe integer holds bigints throughout; its other elements are numbers, as in any other list. */
function safeNumber(value: number | bigint): number | bigint {
  return Number.isSafeInteger(Number(value)) ? Number(value) : value
}
