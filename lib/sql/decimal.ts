/** Exact decimal numbers, as SQL literals spell them. */
interface Decimal { readonly digits: bigint, readonly scale: number }

const MAX_EXPONENT = 60

function parse(text: string): Decimal | undefined {
  const match = /^([+-]?)(\d*)(?:\.(\d*))?(?:e([+-]?\d+))?$/i.exec(text)
  if (!match) return undefined
  const [, sign, whole = '', fraction = '', exponent = '0'] = match
  if (whole === '' && fraction === '') return undefined
  const power = Number(exponent)
  if (Math.abs(power) > MAX_EXPONENT) return undefined
  const digits = BigInt(`${whole}${fraction}`) * (sign === '-' ? -1n : 1n)
  const scale = fraction.length - power
  return scale >= 0 ? { digits, scale } : { digits: digits * 10n ** BigInt(-scale), scale: 0 }
}

function format({ digits, scale }: Decimal): string {
  const sign = digits < 0n ? '-' : ''
  const text = (digits < 0n ? -digits : digits).toString().padStart(scale + 1, '0')
  const fraction = scale === 0 ? '' : text.slice(-scale).replace(/0+$/, '')
  return `${sign}${scale === 0 ? text : text.slice(0, -scale)}${fraction && `.${fraction}`}`
}

/** `4.0`, `.5`, `1e3` → `4`, `0.5`, `1000`; undefined for what is no decimal number of reasonable size (0x10, 1_000, 1e400). */
export function canonicalNumber(text: string): string | undefined {
  const value = parse(text)
  return value && format(value).replace(/^-0$/, '0')
}

function aligned(a: string, b: string): [bigint, bigint, number] {
  const [left, right] = [parse(a)!, parse(b)!]
  const scale = Math.max(left.scale, right.scale)
  return [left.digits * 10n ** BigInt(scale - left.scale), right.digits * 10n ** BigInt(scale - right.scale), scale]
}

/** Negative, zero or positive as `a` is below, at or above `b`; both canonical. */
export function compareNumbers(a: string, b: string): number {
  const [left, right] = aligned(a, b)
  return left < right ? -1 : left > right ? 1 : 0
}

/** Whether a `real` holds a canonical number exactly. */
export function isExactReal(text: string): boolean {
  const value = Number(text)
  return Math.fround(value) === value && canonicalNumber(String(value)) === text
}

const INT4_MAX = 2n ** 31n

/** Whether a canonical number is an integer that PostgreSQL reads as `int4`. */
function isInt4(text: string): boolean {
  if (!/^-?\d+$/.test(text)) return false
  const value = BigInt(text)
  return value < INT4_MAX && value >= -INT4_MAX
}

/**
 * `a op b` computed as PostgreSQL does, in canonical form. Undefined where the answer depends on more than the values: results
 * beyond `int4`, fractions, divisions with a remainder.
 */
export function foldNumbers(op: string, a: string, b: string): string | undefined {
  if (!isInt4(a) || !isInt4(b)) return undefined
  const [left, right] = [BigInt(a), BigInt(b)]
  const result = op === '+' ? left + right : op === '-' ? left - right : op === '*' ? left * right
    : op === '/' && right !== 0n && left % right === 0n ? left / right : undefined
  return result !== undefined && isInt4(String(result)) ? String(result) : undefined
}

/** The nearest multiple of `step` that is not below (`up`) or not above the number; undefined for a negative one. */
export function roundTo(text: string, step: number, up: boolean): string | undefined {
  const stepText = canonicalNumber(String(step))
  if (stepText === undefined || step <= 0 || text.startsWith('-')) return undefined
  const [value, unit, scale] = aligned(text, stepText)
  const multiple = value / unit * unit
  return format({ digits: up && multiple < value ? multiple + unit : multiple, scale })
}
