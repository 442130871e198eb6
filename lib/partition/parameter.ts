import { canonicalNumber } from '../sql/decimal.js'
import type { Expression } from '../sql/expression.js'
import { arrayLiteral } from '../sql/quote.js'
import { Uncacheable } from './scope.js'

/** A moment as UTC has it. */
function momentText(date: Date): string {
  return date.toISOString().replace('T', ' ').replace('Z', '+00')
}

/** Whether this process's clock shows something else than UTC's: drivers send what it shows, and a timestamp ignores the offset. */
function isLocal(value: unknown): value is Date {
  return value instanceof Date && Number.isFinite(value.getTime()) && value.getTimezoneOffset() !== 0
}

/** As the server would be sent it. Undefined: a value that has no one text. */
function textOf(value: unknown): string | undefined {
  switch (typeof value) {
    case 'string': return value
    case 'number': case 'bigint': return String(value)
    case 'boolean': return value ? 'true' : 'false'
    default: return value instanceof Date && Number.isFinite(value.getTime()) && !isLocal(value) ? momentText(value) : undefined
  }
}

/**
 * A bound value as a literal that compares as the parameter would.
 *
 * A parameter takes the type of what it meets, and so does a quoted literal; a bare number does not: against a `real` column 5.1
 * is compared as double precision. So numbers stand bare only where a `real` holds them exactly, as both ways are one then.
 * A `Date` beside a clock that is not UTC's is a moment, and compares as sent with columns of moments alone.
 */
export function parameterLiteral(value: unknown, isCompared: boolean): Expression {
  if (value === null) return { k: 'null' }
  if (typeof value === 'boolean') return { k: 'bool', value }
  if (isCompared && (typeof value === 'number' || typeof value === 'bigint') && Number.isFinite(Number(value)) && Math.fround(Number(value)) === Number(value) &&
    (typeof value === 'number' || BigInt(Number(value)) === value)) {
    const text = canonicalNumber(String(value))
    if (text !== undefined) return { k: 'num', text }
  }
  if (isCompared && isLocal(value)) return { k: 'text', value: momentText(value), type: 'timestamptz' }
  const text = Array.isArray(value) ? arrayText(value) : textOf(value)
  if (text === undefined) throw new Uncacheable(`a parameter of type ${typeof value}`)
  return { k: 'text', value: text }
}

function arrayText(values: readonly unknown[]): string | undefined {
  const texts = values.map(textOf)
  return texts.every(text => text !== undefined) ? arrayLiteral(texts) : undefined
}
