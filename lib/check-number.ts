import { InvalidArgumentError } from './errors.js'

function refuse(argument: string, value: unknown, kind: string, min: number, max: number): never {
  throw new InvalidArgumentError({ argument, expected: `a ${kind} ${max === Infinity ? `of at least ${min}` : `from ${min} to ${max}`}`, found: String(value) })
}

/** A finite number of an option. @throws {InvalidArgumentError} anything else, or not from `min` to `max` */
export function checkNumber(argument: string, value: unknown, min: number, max = Infinity): number {
  if (typeof value === 'number' && Number.isFinite(value) && value >= min && value <= max) return value
  return refuse(argument, value, 'number', min, max)
}

/** A safe integer of an option. @throws {InvalidArgumentError} anything else, or not from `min` to `max` */
export function checkInteger(argument: string, value: unknown, min: number, max = Infinity): number {
  if (Number.isSafeInteger(value) && (value as number) >= min && (value as number) <= max) return value as number
  return refuse(argument, value, 'whole number', min, max)
}
