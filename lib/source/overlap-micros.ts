import { InvalidArgumentError } from '../errors.js'

const UNIT_MICROS = new Map(Object.entries({ microsecond: 1, millisecond: 1000, second: 1e6, minute: 60e6, hour: 3600e6, day: 86_400e6, week: 604_800e6 }))

/**
 * An overlap of time as whole microseconds: `'5 minutes'`, `'1.5 seconds'`, `'1 day 2 hours'`. Months and years have no length.
 *
 * @throws {InvalidArgumentError}
 */
export function overlapMicros(text: string): number {
  const parts = [...text.trim().matchAll(/(\d+(?:\.\d+)?)\s*([a-z]+?)s?(?:\s+|$)/gi)]
  const isWhole = parts.map(([part]) => part).join('') === text.trim()
  const micros = parts.reduce((sum, [, count, unit]) => sum + Number(count) * (UNIT_MICROS.get(unit!.toLowerCase()) ?? NaN), 0)
  if (isWhole && parts.length > 0 && Number.isSafeInteger(micros)) return micros
  throw new InvalidArgumentError({ argument: 'overlap', expected: "a length of time such as '5 minutes' (weeks to microseconds)", found: JSON.stringify(text) })
}

/** An overlap of whole numbers. @throws {InvalidArgumentError} */
export function overlapDigits(text: string): string {
  if (/^\d{1,18}$/.test(text.trim())) return text.trim()
  throw new InvalidArgumentError({ argument: 'overlap', expected: 'a whole number, as the order column holds', found: JSON.stringify(text) })
}

/** An overlap of any number. @throws {InvalidArgumentError} */
export function overlapNumber(text: string): string {
  if (/^(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(text.trim())) return text.trim()
  throw new InvalidArgumentError({ argument: 'overlap', expected: 'a number, not below zero', found: JSON.stringify(text) })
}
