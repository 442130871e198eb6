import { CollectedColumn } from '../batch/collected-column.js'
import { followPath } from '../json/extract.js'
import type { RequestColumns } from './request-columns.js'

/** Names that objects inherit: taken from a row only as its own properties. */
const INHERITED = new Set(Object.getOwnPropertyNames(Object.prototype))

/** A property of rows, undefined where a row does not have it. */
export function ownValue(row: Record<string, unknown>, name: string): unknown {
  return INHERITED.has(name) && !Object.hasOwn(row, name) ? undefined : row[name]
}

/** A column that is being collected. */
interface Slot {
  name: string
  /** Whether every object has something under the name, so that only an own property counts. */
  inherited: boolean
  column: CollectedColumn
}

interface PathSlot extends Slot {
  keys: readonly string[]
  /** Whether a row may bring the column ready-made under its dotted name. */
  maybeReady: boolean
}

/** A document that paths are read from. Its slot holds the text where it comes as text. */
interface BaseSlot extends Slot {
  paths: PathSlot[]
}

/** What a row has for a request, in the order of the slots. */
type RowValues = readonly unknown[]

/**
 * Reads the requested columns out of a fetcher's rows: plain ones as they are, dotted ones ready-made or out of their document.
 * Values are copied as they come (see `CollectedColumn`).
 */
export class RowReader {
  readonly #plain: readonly Slot[]
  readonly #bases: readonly BaseSlot[]
  readonly #distinct: Set<string>

  /** @param distinct columns whose texts are known not to repeat; learned here for the batches to come */
  constructor(rows: number, { plain, paths }: Pick<RequestColumns, 'plain' | 'paths'>, distinct: Set<string>) {
    const slot = (name: string): Slot => ({ name, inherited: INHERITED.has(name), column: new CollectedColumn(rows, { distinct: distinct.has(name) }) })
    this.#distinct = distinct
    this.#plain = [...new Set(plain.map(({ column }) => column))].map(slot)
    const bases = new Map<string, BaseSlot>()
    for (const { name, base, keys } of paths) {
      const of = bases.get(base) ?? { ...slot(base), paths: [] }
      bases.set(base, of)
      // a column whose real name is this one, and that was asked for as such, is not the path ready-made
      of.paths.push({ ...slot(name), keys, maybeReady: !this.#plain.some(({ name: plainName }) => plainName === name) })
    }
    this.#bases = [...bases.values()]
  }

  /** Take a row's values for `position`. Whatever a getter throws is thrown. */
  read(row: Record<string, unknown>, position: number): void {
    for (let c = 0; c < this.#plain.length; c++) {
      const { name, inherited, column } = this.#plain[c]!
      if (!inherited || Object.hasOwn(row, name)) column.set(position, row[name])
    }
    for (const base of this.#bases) {
      const document = !base.inherited || Object.hasOwn(row, base.name) ? row[base.name] : undefined
      if (typeof document === 'string') base.column.set(position, document)
      for (const path of base.paths) path.column.set(position, pathValue(row, document, path))
    }
  }

  /** The values `read` would take of a row, and those that were taken for a position, in one order. */
  valuesOf(row: Record<string, unknown>): RowValues {
    const copy = new RowReader(1, { plain: this.#plain.map(({ name }) => ({ name, column: name })),
      paths: this.#bases.flatMap(({ name: base, paths }) => paths.map(({ name, keys }) => ({ name, base, keys }))) }, new Set())
    copy.read(row, 0)
    return copy.valuesAt(0)
  }

  valuesAt(position: number): RowValues {
    return this.#all().map(({ column }) => column.valueAt(position))
  }

  /** The columns' names in the order of `valuesAt`. */
  get names(): readonly string[] {
    return this.#all().map(({ name }) => name)
  }

  /** What was collected, for the positions `found` (undefined: for all): columns by the source's name, and dotted ones as requested. */
  finish(found: Uint32Array | undefined): { raw: Map<string, { collected: CollectedColumn }>, paths: Map<string, CollectedColumn> } {
    for (const { name, column } of this.#all()) if (column.isDistinct) this.#distinct.add(name)
    const kept = (column: CollectedColumn): CollectedColumn => found ? column.pick(found) : column
    const raw = new Map<string, { collected: CollectedColumn }>()
    for (const { name, column } of this.#bases) raw.set(name, { collected: kept(column) })
    // a document that is wanted as it is as well: the plain column has more than its texts
    for (const { name, column } of this.#plain) raw.set(name, { collected: kept(column) })
    return { raw, paths: new Map(this.#bases.flatMap(({ paths }) => paths.map(({ name, column }) => [name, kept(column)]))) }
  }

  #all(): readonly Slot[] {
    return [...this.#plain, ...this.#bases.flatMap(base => [base, ...base.paths])]
  }
}

/** A dotted column's value in a row; undefined where the document is absent, or text that somebody has to parse. */
function pathValue(row: Record<string, unknown>, document: unknown, { name, inherited, keys, maybeReady }: PathSlot): unknown {
  const ready = maybeReady && (!inherited || Object.hasOwn(row, name)) ? row[name] : undefined
  if (ready !== undefined) return ready
  if (document === undefined || typeof document === 'string') return undefined
  return followPath(document, keys) ?? null
}
