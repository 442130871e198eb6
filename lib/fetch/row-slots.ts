import type { ColumnType } from '../batch/column-type.js'
import { ownValue, sameOwnValue } from '../batch/own-value.js'
import { isInherited } from '../batch/read-property.js'
import { followPath } from '../json/extract.js'
import type { RequestColumns } from './request-columns.js'

/** How a property of a fetcher's rows is read. */
export interface Property {
  name: string
  /** Every object has something of this name: only an own property counts. */
  isInherited: boolean
}

/** One raw column that is collected from a fetcher's rows, and where in a row its value is found. */
export interface RowSlot {
  /** The raw column's name. */
  key: string
  /** The property that is the value; undefined for a path whose name is a real column's. */
  property: Property | undefined
  /** For a path: the document's property, and the way through it. */
  path: { base: Property, keys: readonly string[] } | undefined
  /** Only paths want it: documents that are objects are taken apart at once and not kept. */
  isDocument: boolean
  declared: ColumnType | undefined
}

/** How to read the property of this name. */
export function propertyOf(name: string): Property {
  return { name, isInherited: isInherited(name) }
}

/** A row's property; undefined also for what the row only inherits from Object. */
export function propertyIn(row: object, { name, isInherited }: Property): unknown {
  return isInherited && !Object.hasOwn(row, name) ? undefined : (row as Record<string, unknown>)[name]
}

/** What to collect from rows for a request's columns. */
export function rowSlots({ plain, paths, bases }: RequestColumns, columnTypes: Readonly<Record<string, ColumnType>>): RowSlot[] {
  const slotOf = (key: string, { requested, property, path }: { requested: string | undefined, property: string | undefined, path?: RowSlot['path'] }): RowSlot => {
    const declared = requested !== undefined && Object.hasOwn(columnTypes, requested) ? columnTypes[requested] : undefined
    return { key, property: property === undefined ? undefined : propertyOf(property), path, isDocument: requested === undefined, declared }
  }
  const whole = bases.map(base => slotOf(base, { requested: plain.find(({ column }) => column === base)?.name, property: base }))
  return whole.concat(paths.map(({ name, base, keys, slot }) =>
    slotOf(slot, { requested: name, property: slot === name ? name : undefined, path: { base: propertyOf(base), keys } })))
}

/** The slot's value in a row; undefined where the row has none, or has it only as a document's text. */
export function valueIn(row: object, { property, path, isDocument }: RowSlot): unknown {
  const value = property && propertyIn(row, property)
  if (value === undefined) {
    if (!path) return undefined
    const document = propertyIn(row, path.base)
    return typeof document === 'object' && document !== null ? followPath(document, path.keys) ?? null : undefined
  }
  if (typeof value !== 'object' || value === null) return value
  return isDocument ? undefined : value
}

/** Whether another row of an id says the same: of documents, only what the paths find counts. */
export function isSameIn(row: object, slot: RowSlot, kept: (key: string) => unknown): boolean {
  if (slot.isDocument) return true
  const { path, key } = slot
  const [again, first] = [ownValue(valueIn(row, slot)), kept(key)]
  if (!path || (again !== undefined && first !== undefined)) return sameOwnValue(again, first)
  return sameOwnValue(again ?? inText(propertyIn(row, path.base), path.keys), first ?? inText(kept(path.base.name), path.keys))
}

/** The value in a document that came as text, one of ours; the text itself where it is no JSON. */
function inText(document: unknown, keys: readonly string[]): unknown {
  if (typeof document !== 'string') return null
  try {
    return ownValue(followPath(JSON.parse(document), keys) ?? null)
  } catch {
    return document
  }
}
