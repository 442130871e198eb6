import { canonicalNumber } from '../sql/decimal.js'
import type { Expression } from '../sql/expression.js'
import { arrayLiteral } from '../sql/quote.js'
import { Uncacheable } from './scope.js'

/** As the server would be sent it. Undefined: a value that has no one text. */
function textOf(value: unknown): string | undefined {
  switch (typeof value) {
    case 'string': return value
    case 'number': case 'bigint': return String(value)
    case 'boolean': return value ? 'true' : 'false'
    // the offset is read by timestamptz, and ignored by timestamp, where the driver sends local time: UTC is what millrace's own sources run in
    default: return value instanceof Date && Number.isFinite(value.getTime()) ? value.toISOString().replace('T', ' ').replace('Z', '+00') : undefined
  }
}

/**
 * A bound value as a literal that compares as the parameter would.
 *
 * A parameter takes the type of what it meets, and so does a quoted literal; a bare number does not: against a `real` column 5.1
 * is compared as double precision. So numbers stand bare only where a `real` holds them exactly, as both ways are one then.
 */
export function parameterLiteral(value: unknown, isCompared: boolean): Expression {
  if (value === null) return { k: 'null' }
  if (typeof value === 'boolean') return { k: 'bool', value }
  if (isCompared && (typeof value === 'number' || typeof value === 'bigint') && Number.isFinite(Number(value)) && Math.fround(Number(value)) === Number(value) &&
    (typeof value === 'number' || BigInt(Number(value)) === value)) {
    const text = canonicalNumber(String(value))
    if (text !== undefined) return { k: 'num', text }
  }
  const text = Array.isArray(value) ? arrayText(value) : textOf(value)
  if (text === undefined) throw new Uncacheable(`a parameter of type ${typeof value}`)
  return { k: 'text', value: text }
}

function arrayText(values: readonly unknown[]): string | undefined {
  const texts = values.map(textOf)
  return texts.every(text => text !== undefined) ? arrayLiteral(texts) : undefined
}
