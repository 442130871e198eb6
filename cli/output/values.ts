import { timestampText } from '../../lib/batch/cells.js'
import { listElement, type ColumnType } from '../../lib/batch/column-type.js'
import { formatDate, formatTime } from '../../lib/batch/temporal.js'

function hex(bytes: Uint8Array): string {
  return `\\x${Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('hex')}`
}

/** `2024-01-02 03:04:05.678901+00` → `2024-01-02T03:04:05.678901Z`; BC and ±infinity stay as the server prints them. */
function rfc3339(text: string): string {
  return /^\d{4}-\d\d-\d\d \d/.test(text) && !text.endsWith('BC') ? text.replace(' ', 'T').replace(/\+00$/, 'Z') : text
}

function numberText(value: number | bigint): string {
  return Object.is(value, -0) ? '-0' : String(value)
}

/**
 * A storage value as JSON text that loses nothing: integers of any size as digits, numerics as text, timestamps with their
 * microseconds in RFC 3339 (`Z` where they have a zone), JSON as it is stored, NaN and ±Infinity and bytes (`\x…`) as text.
 */
export function jsonText(value: unknown, type: ColumnType): string {
  if (value === null || value === undefined) return 'null'
  const element = listElement(type)
  if (element) return `[${(value as unknown[]).map(each => jsonText(each, element)).join(',')}]`
  switch (type) {
    case 'bool': return String(value)
    case 'int32': case 'int64': case 'float32': case 'float64':
      return typeof value === 'number' && !Number.isFinite(value) ? `"${value}"` : numberText(value as number | bigint)
    // a line break in stored JSON stands between its tokens, never inside text
    case 'json': return (value as string).replaceAll(/[\r\n]+/g, ' ')
    case 'timestamp': case 'timestamptz': return `"${rfc3339(timestampText(value as bigint, type))}"`
    default: return JSON.stringify(plainText(value, type))
  }
}

/** A storage value as plain text, as the server prints it: what COPY would take back. */
export function plainText(value: unknown, type: ColumnType): string {
  if (value === null || value === undefined) return ''
  if (listElement(type)) return jsonText(value, type)
  switch (type) {
    case 'date': return typeof value === 'number' ? formatDate(value) : String(value)
    case 'time': return typeof value === 'bigint' ? formatTime(value) : String(value)
    case 'timestamp': case 'timestamptz': return timestampText(value as bigint, type)
    case 'bytes': return hex(value as Uint8Array)
    case 'int32': case 'int64': case 'float32': case 'float64': return numberText(value as number | bigint)
    default: return String(value)
  }
}
