/** Anything a result or an error holds as one line of JSON: bigints as digits, dates and bytes as text, errors as their message. */
export function jsonLine(value: unknown): string {
  if (value === null || value === undefined) return 'null'
  if (typeof value === 'bigint') return value.toString()
  if (typeof value === 'number') return Number.isFinite(value) ? String(value) : `"${value}"`
  if (value instanceof Date) return JSON.stringify(value)
  if (value instanceof Error) return JSON.stringify(value.message)
  if (Array.isArray(value) || ArrayBuffer.isView(value)) return `[${Array.from(value as ArrayLike<unknown>, jsonLine).join(',')}]`
  if (typeof value !== 'object') return JSON.stringify(value)
  const entries = Object.entries(value).filter(([, item]) => item !== undefined)
  return `{${entries.map(([key, item]) => `${JSON.stringify(key)}:${jsonLine(item)}`).join(',')}}`
}
