import { buildVector } from '../batch/build.js'
import type { ColumnType } from '../batch/column-type.js'
import { storageValueAs } from '../batch/declare.js'
import type { Vector } from '../batch/vector.js'
import { UnreadableValue } from './source-error.js'

/** A value that a driver hands out, as an error shows it. */
export function shownValue(value: unknown): string {
  if (value instanceof Uint8Array) return `${value.length} bytes`
  const text = typeof value === 'string' ? JSON.stringify(value) : String(value)
  return text.length > 60 ? `${text.slice(0, 60)}…` : text
}

/** JSON text of a column that is declared to hold it; undefined for anything else. */
function json(value: unknown): string | undefined {
  if (typeof value !== 'string') return undefined
  try {
    JSON.parse(value)
    return value
  } catch {
    return undefined
  }
}

/** 0 and 1 are what MySQL and SQLite keep booleans as. */
function bool(value: unknown): boolean | undefined {
  if (value === 0 || value === 0n || value === '0') return false
  return value === 1 || value === 1n || value === '1' ? true : typeof value === 'boolean' ? value : undefined
}

/**
 * One column of a driver's values as a vector of this type; null where null. Nothing is rounded, cut or converted: a value that the
 * type does not hold exactly is refused, by column and value.
 *
 * @param trusted the database's own type: text and numbers are taken as they come
 * @throws {UnreadableValue}
 */
export function driverVector(type: ColumnType, values: readonly unknown[], { column, trusted = false }: { column: string, trusted?: boolean }): Vector {
  const isPlain = type === 'int32' || type === 'float32' || type === 'float64' || type === 'text' || type === 'json' || type === 'uuid' || type.startsWith('decimal(')
  if (trusted && isPlain) return buildVector(type, values)
  return buildVector(type, values.map(value => {
    if (value === null || value === undefined) return null
    // a driver's buffer is a view on the whole answer
    if (type === 'bytes' && value instanceof Uint8Array) return new Uint8Array(value)
    if (trusted && type === 'int64' && typeof value === 'string' && value.length < 16) return Number(value)
    const stored = type === 'json' ? json(value) : type === 'bool' ? bool(value) : storageValueAs(type, value)
    if (stored !== undefined) return stored
    throw new UnreadableValue(column, `${shownValue(value)} cannot be held as ${type}`, `read it otherwise: columnTypes: { ${JSON.stringify(column)}: 'text' }`)
  }))
}
