import { InvalidArgumentError } from '../errors.js'
import { parseColumnName, parsePath } from '../json/column-name.js'

/** A dotted column: where its document is and the way to the value. */
export interface PathColumn {
  /** The name as requested, which is also its name in rows and parts. */
  name: string
  base: string
  keys: readonly string[]
  /** Where its values stand among a batch's raw columns: its name, unless the source has a column of that name that was asked for as well. */
  slot: string
}

/** A request's columns, sorted out. */
export interface RequestColumns {
  /** In the order of the request, the id column and repeats left out; names exactly as requested. */
  names: readonly string[]
  /** Columns requested as themselves: name as requested, and the source's name for it. */
  plain: readonly { name: string, column: string }[]
  paths: readonly PathColumn[]
  /** The source's columns that a fetcher is asked for, each once. */
  bases: readonly string[]
}

/**
 * Check and sort out requested columns.
 *
 * @throws {InvalidArgumentError} none, not text, empty, `__proto__`, or named twice
 */
export function requestColumns(columns: unknown, idColumn: string): RequestColumns {
  if (!Array.isArray(columns)) throw new InvalidArgumentError({ argument: 'columns', expected: 'an array of column names', found: typeof columns })
  if (columns.length === 0) throw new InvalidArgumentError({ argument: 'columns', expected: 'at least one column', found: 'none' })
  const seen = new Set<string>()
  const names: string[] = []
  const plain: { name: string, column: string }[] = []
  const paths: Omit<PathColumn, 'slot'>[] = []
  columns.forEach((name: unknown, i) => {
    const argument = `columns[${i}]`
    if (typeof name !== 'string' || name === '') {
      throw new InvalidArgumentError({ argument, expected: 'a column name', found: name === '' ? 'an empty text' : typeof name })
    }
    if (name === '__proto__') throw new InvalidArgumentError({ argument, expected: 'a name other than __proto__, which would alter the row' })
    if (!name.isWellFormed() || name.includes('\0')) throw new InvalidArgumentError({ argument, expected: 'a name without NUL and lone surrogates' })
    if (seen.has(name)) throw new InvalidArgumentError({ argument, expected: 'each column once', found: `${name} again` })
    seen.add(name)
    const { column, path } = parseColumnName(name)
    if (column === '') throw new InvalidArgumentError({ argument, expected: 'a column before the first dot', found: JSON.stringify(name) })
    if (column === idColumn && path === undefined) return
    names.push(name)
    if (path === undefined) plain.push({ name, column })
    else paths.push({ name, base: column, keys: parsePath(path) })
  })
  const real = new Set(plain.map(({ column }) => column))
  // no column has NUL in its name
  const slotted = paths.map(path => ({ ...path, slot: real.has(path.name) ? `\0${path.name}` : path.name }))
  return { names, plain, paths: slotted, bases: [...new Set([...plain.map(({ column }) => column), ...paths.map(({ base }) => base)])] }
}
