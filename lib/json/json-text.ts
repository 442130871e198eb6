/**
 * JSON text of a value, exactly as it will be delivered: hit and miss both parse this text.
 *
 * @throws TypeError the value has no JSON form (a bigint inside, a cycle, a function, NaN)
 */
export function jsonText(value: unknown): string {
  if (typeof value === 'number') {
    if (!Number.isFinite(value)) throw new TypeError(`${value} has no JSON form`)
    return Object.is(value, -0) ? '-0' : String(value)
  }
  const text = JSON.stringify(value) as string | undefined
  if (text === undefined) throw new TypeError(`a ${typeof value} has no JSON form`)
  return text
}
