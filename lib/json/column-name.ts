import { InvalidArgumentError } from '../errors.js'

/** A requested column, taken apart: the base column, and the way into its JSON when the name has dots. */
export interface ColumnName {
  /** The column of the table, dots unescaped. */
  column: string
  /** The text after the first dot, as it was written; undefined for a plain name. */
  path?: string
}

/**
 * Split text at its dots. A backslash before a dot (or before a backslash) takes that character as itself.
 */
function splitDots(text: string): { parts: string[], ends: number[] } {
  const parts: string[] = []
  const ends: number[] = []
  let part = ''
  for (let i = 0; i < text.length; i++) {
    const char = text[i]!
    if (char === '\\' && (text[i + 1] === '.' || text[i + 1] === '\\')) part += text[++i]!
    else if (char === '.') {
      parts.push(part)
      ends.push(i)
      part = ''
    } else part += char
  }
  parts.push(part)
  return { parts, ends }
}

/**
 * Split a column name at its first dot: `'vendor.address.city'` is the path `'address.city'` in the JSON column `vendor`.
 * A dot inside a real name is written `'a\\.b'` (and a backslash before a dot `'\\\\'`).
 */
export function parseColumnName(name: string): ColumnName {
  if (typeof name !== 'string') {
    throw new InvalidArgumentError({ argument: 'name', expected: 'a column name', found: typeof name })
  }
  const { parts, ends } = splitDots(name)
  if (parts.length === 1) return { column: parts[0]! }
  return { column: parts[0]!, path: name.slice(ends[0]! + 1) }
}

/** The keys and array positions of a path, in order: `'items.0.price'` → `['items', '0', 'price']`. Keys may be empty. */
export function parsePath(path: string): string[] {
  return splitDots(path).parts
}

/** A base column's real name as a requested one: dots (and backslashes before them) escaped. */
export function escapeColumnName(column: string): string {
  return column.replaceAll(/\\(?=[.\\])|\\$|\./g, match => `\\${match}`)
}
