/** Numbers as `numeric_send` sends them, as the text that the server would print. */

const [NEGATIVE, NAN, INFINITY, MINUS_INFINITY] = [0x4000, 0xc000, 0xd000, 0xf000]
const SPECIAL = new Map([[NAN, 'NaN'], [INFINITY, 'Infinity'], [MINUS_INFINITY, '-Infinity']])
const [ZERO, DOT, MINUS] = [48, 46, 45]

/** NaN and the infinities, which no DECIMAL holds; undefined for every number. */
export function specialNumeric(view: DataView, at: number): string | undefined {
  return SPECIAL.get(view.getUint16(at + 4))
}

/** The most bytes that the text of the value at `at` takes. */
export function numericRoom(view: DataView, at: number): number {
  return 16 + 4 * Math.max(0, view.getInt16(at + 2) + 1) + view.getUint16(at + 6)
}

/**
 * Write the value at `at` as text to `out`; returns where it ends. Digits come in groups of four, most significant first; the
 * weight is the first group's power of 10,000, the scale says how many decimals are shown.
 *
 * @see https://github.com/postgres/postgres/blob/master/src/backend/utils/adt/numeric.c (numeric_send, get_str_from_var)
 */
export function writeNumeric(view: DataView, at: number, out: Uint8Array, to: number): number {
  const special = specialNumeric(view, at)
  if (special !== undefined) {
    for (let i = 0; i < special.length; i++) out[to++] = special.charCodeAt(i)
    return to
  }
  const groups = view.getUint16(at)
  const weight = view.getInt16(at + 2)
  const scale = view.getUint16(at + 6)
  const groupAt = (group: number): number => group >= 0 && group < groups ? view.getUint16(at + 8 + 2 * group) : 0
  if (view.getUint16(at + 4) === NEGATIVE) out[to++] = MINUS
  if (weight < 0) out[to++] = ZERO
  else {
    let first = groupAt(0)
    let digits = first > 999 ? 4 : first > 99 ? 3 : first > 9 ? 2 : 1
    for (let group = 0; group <= weight; group++) {
      first = groupAt(group)
      writeDigits(first, digits, out, to)
      to += digits
      digits = 4
    }
  }
  if (scale === 0) return to
  out[to++] = DOT
  const end = to + scale
  for (let group = weight + 1; to < end; group++) {
    writeDigits(groupAt(group), 4, out, to)
    to += 4
  }
  return end
}

function writeDigits(value: number, digits: number, out: Uint8Array, to: number): void {
  for (let i = to + digits - 1; i >= to; i--) {
    out[i] = ZERO + value % 10
    value = (value / 10) | 0
  }
}
