import { listElement, type ColumnType } from '../batch/column-type.js'
import { parseDate, parseTime, parseTimestamp } from '../batch/temporal.js'
import type { Vector } from '../batch/vector.js'
import type { EncodedColumn } from './encoded-column.js'
import { encodePlain } from './encode-plain.js'
import { encodeLevels, lengthPrefixed } from './hybrid.js'

/**
 * Encode a list column: three levels, elements optional.
 *
 * Elements are row values: numbers, bigints, strings, booleans, Uint8Arrays, null. Where a row value would lose something they
 * are storage values instead, on both ways: timestamps are bigint microseconds (a `Date` or PostgreSQL's text is taken as well),
 * json elements are JSON text.
 *
 * @throws {RangeError} a value is no array, or an element does not fit
 * @see https://github.com/apache/parquet-format/blob/master/LogicalTypes.md (lists)
 */
export function encodeList(type: ColumnType, vector: Vector, optional: boolean): EncodedColumn {
  if (vector.form !== 'values') throw new RangeError(`expected arrays for ${type}, found ${vector.form}`)
  const element = listElement(type)!
  let count = 0
  for (const list of vector.values) {
    if (list !== null && !Array.isArray(list)) throw new RangeError(`expected an array for ${type}, found ${typeof list}`)
    count += Array.isArray(list) && list.length > 0 ? list.length : 1
  }
  // definition levels from the top: the list is there, it has an element, the element is there
  const there = optional ? 1 : 0
  const definitions = new Uint8Array(count)
  const repetitions = new Uint8Array(count)
  const elements: unknown[] = []
  let at = 0
  for (const list of vector.values as readonly (readonly unknown[] | null)[]) {
    if (list === null || list.length === 0) {
      definitions[at++] = list === null ? 0 : there
      continue
    }
    for (let i = 0; i < list.length; i++, at++) {
      const value = list[i] ?? null
      repetitions[at] = i === 0 ? 0 : 1
      definitions[at] = value === null ? there + 1 : there + 2
      if (value !== null) elements.push(storageElement(element, value))
    }
  }
  const levels = Buffer.concat([lengthPrefixed(encodeLevels(repetitions, 1)), lengthPrefixed(encodeLevels(definitions, 2))])
  const values = encodePlain(element, { form: 'values', type: element, length: elements.length, values: elements }, undefined, elements.length)
  return { levels, preamble: new Uint8Array(0), values: [values], count, nulls: count - elements.length }
}

function storageElement(type: ColumnType, value: unknown): unknown {
  switch (type) {
    case 'date': return typeof value === 'string' ? parseDate(value) ?? value : value
    case 'time': return typeof value === 'string' ? parseTime(value) ?? value : value
    case 'timestamp': case 'timestamptz':
      if (value instanceof Date) return BigInt(value.getTime()) * 1000n
      return typeof value === 'string' ? parseTimestamp(value) ?? value : value
    case 'text': case 'json': case 'uuid':
      if (typeof value !== 'string') throw new RangeError(`expected ${type} elements, found ${typeof value}`)
      return value
    default: return value
  }
}
