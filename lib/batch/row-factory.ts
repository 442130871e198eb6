import type { Column } from './cells.js'

/** A row as callers see it: a plain object, one own property per column. */
export type Row = Record<string, unknown>

/** Makes the rows `from` (inclusive) to `to` (exclusive) of columns given in the order of the factory's names. */
export type RowFactory = (columns: readonly Column[], from: number, to: number) => Row[]

const MAX_FACTORIES = 64
const factories = new Map<string, RowFactory>()
let generationAllowed = true

/** Switch code generation off (or on again): rows are then made by assignment, about five times slower. */
export function allowCodeGeneration(allowed: boolean): void {
  generationAllowed = allowed
  factories.clear()
}

function plainFactory(names: readonly string[]): RowFactory {
  return (columns, from, to) => {
    const rows = new Array<Row>(to - from)
    for (let i = from; i < to; i++) {
      const row: Row = {}
      for (let c = 0; c < names.length; c++) row[names[c]!] = columns[c]![i]
      rows[i - from] = row
    }
    return rows
  }
}

/**
 * The row factory for these column names. An object literal with fixed keys is the fastest way V8 makes objects, so the
 * factory is generated code; names enter it as JSON literals only. Where code generation is forbidden
 * (`--disallow-code-generation-from-strings`) plain assignment takes over.
 *
 * @param names unique, and never `__proto__`: the literal would set the prototype
 */
export function rowFactory(names: readonly string[]): RowFactory {
  const key = JSON.stringify(names)
  const known = factories.get(key)
  if (known) return known
  let factory = plainFactory(names)
  if (generationAllowed) {
    const columns = names.map((_, c) => `c${c}=columns[${c}]`).join(',')
    // the array form of a computed key is not needed: JSON text is a valid literal key, line separators included since ES2019
    const literal = names.map((name, c) => `${JSON.stringify(name)}:c${c}[i]`).join(',')
    try {
      // eslint-disable-next-line @typescript-eslint/no-implied-eval -- the one place that generates code; see SECURITY.md
      factory = new Function('columns', 'from', 'to',
        `const ${columns || 'none=0'};const rows=new Array(to-from);` +
        `for(let i=from;i<to;i++)rows[i-from]={${literal}};return rows`) as RowFactory
    } catch {
      generationAllowed = false
    }
  }
  if (factories.size >= MAX_FACTORIES) factories.clear()
  factories.set(key, factory)
  return factory
}
