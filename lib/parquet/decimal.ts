/** Decimal text (`-0.50`) ↔ the unscaled integer (-50) that a DECIMAL column holds. Exact for all 38 digits. */
import type { ColumnType } from '../batch/column-type.js'
import type { BytesVector } from '../batch/vector.js'

/** An integer of this many digits is exact in a double. */
const SAFE_DIGITS = 15
const MINUS = 45
const POINT = 46
const ZERO = 48

/** Size of one decimal type and the bytes a value takes: 4, 8 or 16. */
export interface DecimalShape { precision: number, scale: number, width: number }

/**
 * Write decimal texts as 4 or 8 little-endian bytes or 16 big-endian ones.
 *
 * @throws {RangeError} a text is no number with exactly `scale` decimals, or has more digits than `precision`
 */
export function encodeDecimals({ bytes, starts, ends, length }: BytesVector, { precision, scale, width }: DecimalShape): Uint8Array {
  const out = new Uint8Array(length * width)
  const view = new DataView(out.buffer)
  for (let i = 0; i < length; i++) {
    const start = starts[i]!
    const end = ends[i]!
    const negative = bytes[start] === MINUS
    const point = scale === 0 ? end : end - scale - 1
    let digits = 0
    let value = 0
    let ok = point > start + (negative ? 1 : 0)
    for (let at = negative ? start + 1 : start; at < end; at++) {
      if (at === point) {
        ok &&= bytes[at] === POINT
        continue
      }
      const digit = bytes[at]! - ZERO
      ok &&= digit >= 0 && digit <= 9
      if (digits > 0 || digit !== 0) digits++
      value = value * 10 + digit
    }
    if (!ok || digits > precision) {
      throw new RangeError(`expected decimal(${precision},${scale}), found ${Buffer.from(bytes.subarray(start, end)).toString()}`)
    }
    if (width === 4) view.setInt32(i * 4, negative ? -value : value, true)
    else if (width === 8 && digits <= SAFE_DIGITS) writeInt64(view, i * 8, negative ? -value : value)
    else {
      const exact = BigInt(Buffer.from(bytes.subarray(start, end)).toString('latin1').replace('.', '').replace('-', ''))
      if (width === 8) view.setBigInt64(i * 8, negative ? -exact : exact, true)
      else writeInt128(view, i * 16, negative ? -exact : exact)
    }
  }
  return out
}

function writeInt64(view: DataView, at: number, value: number): void {
  view.setInt32(at, value | 0, true)
  view.setInt32(at + 4, Math.floor(value / 2 ** 32), true)
}

function writeInt128(view: DataView, at: number, value: bigint): void {
  view.setBigInt64(at, value >> 64n)
  view.setBigUint64(at + 8, BigInt.asUintN(64, value))
}

/** The texts of `count` unscaled integers, each with exactly `scale` decimals. */
export function decodeDecimals(type: ColumnType, page: Uint8Array, count: number, { scale, width }: DecimalShape): BytesVector {
  const view = new DataView(page.buffer, page.byteOffset, page.byteLength)
  // sign, point and 39 digits at most (an INT64 has 19, an INT32 10), or all decimals and one digit before them
  const room = Math.max(width === 4 ? 10 : width === 8 ? 19 : 39, scale + 1) + 2
  const bytes = Buffer.allocUnsafeSlow(count * room)
  const starts = new Uint32Array(count)
  const ends = new Uint32Array(count)
  let at = 0
  for (let i = 0; i < count; i++) {
    starts[i] = at
    if (width === 4) at = writeNumber(bytes, at, view.getInt32(i * 4, true), scale)
    else if (width === 8) {
      const value = view.getInt32(i * 8 + 4, true) * 2 ** 32 + view.getUint32(i * 8, true)
      if (Number.isSafeInteger(value)) at = writeNumber(bytes, at, value, scale)
      else at = writeText(bytes, at, view.getBigInt64(i * 8, true), scale)
    } else at = writeText(bytes, at, view.getBigInt64(i * 16) * 2n ** 64n + view.getBigUint64(i * 16 + 8), scale)
    ends[i] = at
  }
  return { form: 'bytes', type, length: count, bytes: bytes.subarray(0, at), starts, ends }
}

function writeNumber(out: Uint8Array, at: number, value: number, scale: number): number {
  if (value < 0) {
    out[at++] = MINUS
    value = -value
  }
  let digits = 1
  for (let limit = 10; value >= limit; limit *= 10) digits++
  digits = Math.max(digits, scale + 1)
  const end = at + digits + (scale > 0 ? 1 : 0)
  const point = scale > 0 ? end - scale - 1 : -1
  for (let to = end - 1; to >= at; to--) {
    if (to === point) out[to] = POINT
    else {
      const rest = Math.floor(value / 10)
      out[to] = ZERO + value - rest * 10
      value = rest
    }
  }
  return end
}

function writeText(out: Buffer, at: number, value: bigint, scale: number): number {
  const digits = String(value < 0n ? -value : value).padStart(scale + 1, '0')
  const whole = digits.slice(0, digits.length - scale)
  const text = `${value < 0n ? '-' : ''}${whole}${scale > 0 ? `.${digits.slice(digits.length - scale)}` : ''}`
  return at + out.write(text, at, 'latin1')
}
