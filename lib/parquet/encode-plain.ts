import { decimalSize, isVariableLength, type ColumnType } from '../batch/column-type.js'
import { checkedLengthPrefixed } from '../batch/length-prefixed.js'
import type { BytesVector, Vector } from '../batch/vector.js'
import { encodeDecimals } from './decimal.js'
import { encodeValueTexts, expandDictionary } from './dictionary.js'
import { compactArray, encodeNumbers, fitsType, numbersOf } from './plain-numbers.js'
import { encodeBytesVector } from './plain-texts.js'
import { physicalType } from './schema.js'
import { encodeUuids } from './uuid.js'

/** The values that are present, one behind the other. */
export function encodePlain(type: ColumnType, vector: Vector, valid: Uint8Array | undefined, present: number): Uint8Array {
  if (vector.form === 'dictionary') return encodePlain(type, expandDictionary(vector, valid), valid, present)
  if (!isVariableLength(type)) {
    if (vector.form === 'values') return encodeNumbers(type, numbersOf(type, vector.values))
    if (vector.form !== 'fixed' || !fitsType(type, vector.compact ?? vector.values)) throw new RangeError(`expected numbers for ${type}, found ${vector.form}`)
    return encodeNumbers(type, vector.compact ?? compactArray(vector.values, valid, present))
  }
  if (vector.form === 'fixed') throw new RangeError(`expected bytes or strings for ${type}, found numbers`)
  const page = vector.form === 'values' ? encodeValueTexts(type, vector.values) : undefined
  if (type !== 'uuid' && !decimalSize(type)) return page ?? encodeBytesVector(vector as BytesVector, valid)
  const texts = page ? checkedLengthPrefixed(type, page, present) : compactTexts(vector as BytesVector, valid, present)
  const size = decimalSize(type)
  return size ? encodeDecimals(texts, { ...size, width: physicalType(type).width }) : encodeUuids(texts)
}

function compactTexts(vector: BytesVector, valid: Uint8Array | undefined, present: number): BytesVector {
  if (valid === undefined) return vector
  const starts = new Uint32Array(present)
  const ends = new Uint32Array(present)
  for (let i = 0, to = 0; i < valid.length; i++) {
    if (valid[i] === 0) continue
    starts[to] = vector.starts[i]!
    ends[to++] = vector.ends[i]!
  }
  return { form: 'bytes', type: vector.type, length: present, bytes: vector.bytes, starts, ends }
}
