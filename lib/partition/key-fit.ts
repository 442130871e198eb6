import type { KeyTexts } from './key-literals.js'

/** Integers of these types lie from -limit up to, but without, the limit. */
const LIMITS: ReadonlyMap<string | undefined, number> = new Map([['int2', 2 ** 15], ['int4', 2 ** 31], [undefined, 2 ** 15]])

function fitsReal(text: string): boolean {
  const [exact, real] = [Number(text), Math.fround(Number(text))]
  return Number.isFinite(exact) ? Number.isFinite(real) && (real !== 0 || exact === 0) : true
}

/**
 * Whether each of these keys can be read as a value of a column's type. Sets come from other columns too that the key ties to it: a
 * bigint's keys may be beyond an integer, a double's beyond a real. Of an unknown type only what fits every one is certain.
 */
export function fitsType({ texts, isBare, areNumbers }: KeyTexts, type: string | undefined): boolean {
  if (areNumbers && !isBare) return type === 'float8' || type === 'numeric' || (type === 'float4' && texts.every(fitsReal))
  const limit = LIMITS.get(type)
  return limit === undefined || texts.every(text => !/^-?\d+$/.test(text) || (Number(text) < limit && Number(text) >= -limit))
}
