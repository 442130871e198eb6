import { decimalSize, isVariableLength, type ColumnType } from '../batch/column-type.js'
import { checkedLengthPrefixed } from '../batch/length-prefixed.js'
import type { BytesVector, FixedVector } from '../batch/vector.js'
import { decodeDecimals } from './decimal.js'
import { decodeNumbers, pickNumbers } from './plain-numbers.js'
import { pickByteStrings } from './plain-texts.js'
import { physicalType } from './schema.js'
import { decodeUuids } from './uuid.js'

/** Bytes that `count` values take; for variable lengths those of their length prefixes. */
function leastBytes(type: ColumnType, count: number): number {
  if (type === 'bool') return Math.ceil(count / 8)
  const { width } = physicalType(type)
  return count * (width === 0 ? 4 : width)
}

function checkRoom(type: ColumnType, page: Uint8Array, count: number): void {
  if (leastBytes(type, count) > page.length) throw new Error(`${count} values of ${type} in ${page.length} bytes`)
}

/** Whether a type's values stand in a page as they are, each behind its length. */
export function isPlainBytes(type: ColumnType): boolean {
  return isVariableLength(type) && type !== 'uuid' && !decimalSize(type)
}

/**
 * The first `count` values of a page, without nulls: a view on the page where it can be one.
 *
 * @throws {Error} the page is too short
 */
export function decodePlain(type: ColumnType, page: Uint8Array, count: number): FixedVector | BytesVector {
  checkRoom(type, page, count)
  if (!isVariableLength(type)) return { form: 'fixed', type, length: count, values: decodeNumbers(type, page, count) }
  if (type === 'uuid') return decodeUuids(page, count)
  const size = decimalSize(type)
  if (size) return decodeDecimals(type, page, count, { ...size, width: physicalType(type).width })
  return checkedLengthPrefixed(type, page, count)
}

/**
 * The values at ascending positions `picks` (each below `count`) of a page, without nulls.
 *
 * @throws {Error} the page is too short
 */
export function pickPlain(type: ColumnType, page: Uint8Array, count: number, picks: Uint32Array): FixedVector | BytesVector {
  checkRoom(type, page, count)
  if (!isVariableLength(type)) return { form: 'fixed', type, length: picks.length, values: pickNumbers(type, page, picks) }
  if (isPlainBytes(type)) return pickByteStrings(type, page, picks)
  const { width } = physicalType(type)
  const picked = new Uint8Array(picks.length * width)
  picks.forEach((pick, i) => picked.set(page.subarray(pick * width, (pick + 1) * width), i * width))
  return decodePlain(type, picked, picks.length)
}
