import { ColumnNotFoundError } from '../errors.js'
import { parseColumnName, parsePath } from '../json/column-name.js'
import type { FetchRequest } from './fetcher.js'

/** A dotted column taken apart: `meta.items.0` → the name itself, `meta`, `['items', '0']`. */
export interface PathColumn {
  name: string
  base: string
  keys: readonly string[]
}

/** The parts of a requested dotted column. */
export function pathColumn(name: string): PathColumn {
  const { column, path } = parseColumnName(name)
  return { name, base: column, keys: path === undefined ? [] : parsePath(path) }
}

/** A key that stands in MySQL's and SQLite's paths as it is, and that JSON text spells in one way unless it has `\u`. */
const PLAIN_KEY = /^[A-Za-z0-9_ -]+$/
/** A key that is a position where it meets an array. */
export const POSITION = /^(0|[1-9]\d{0,8})$/

/** Whether MySQL and SQLite find the same value at this path as own-property look-up. */
export function isPlainPath(keys: readonly string[]): boolean {
  // a position makes the text before it double
  return keys.length > 0 && keys.every(key => PLAIN_KEY.test(key) && (POSITION.test(key) || !/^\d+$/.test(key))) && keys.filter(key => POSITION.test(key)).length <= 2
}

/**
 * Which columns of a table are read whole, without the id, and which paths are read on the server: those whose document nobody
 * wants, and that MySQL and SQLite follow as we do.
 *
 * @throws {ColumnNotFoundError} naming every column the table lacks
 */
export function splitColumns(request: FetchRequest, { table, columns, isJson }:
{ table: string, columns: ReadonlyMap<string, unknown>, isJson: (column: string) => boolean }): { whole: string[], projected: PathColumn[] } {
  const paths = request.paths.map(pathColumn)
  const missing = [request.idColumn, ...request.plain].filter(column => !columns.has(column))
  missing.push(...paths.filter(path => !columns.has(path.base)).map(path => path.name))
  if (missing.length > 0) throw new ColumnNotFoundError({ table, columns: [...new Set(missing)] })
  const plain = new Set(request.plain)
  const bases = new Set(paths.filter(path => plain.has(path.base) || !isPlainPath(path.keys) || !isJson(path.base) || columns.has(path.name)).map(path => path.base))
  return { whole: [...new Set([...plain, ...bases])].filter(column => column !== request.idColumn), projected: paths.filter(path => !bases.has(path.base)) }
}
