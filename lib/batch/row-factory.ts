import type { Column } from './cells.js'
import { GeneratedFunctions } from './generated.js'

/** A row as callers see it: a plain object, one own property per column. */
export type Row = Record<string, unknown>

/** Makes the rows `from` (inclusive) to `to` (exclusive) of columns given in the order of the factory's names. */
export type RowFactory = (columns: readonly Column[], from: number, to: number) => Row[]

/** An object literal with fixed keys is the fastest way V8 makes objects. */
const factories = new GeneratedFunctions<readonly string[], RowFactory>({
  code: names => {
    const columns = names.map((_, c) => `c${c}=columns[${c}]`).join(',')
    // the array form of a computed key is not needed: JSON text is a valid literal key, line separators included since ES2019
    const literal = names.map((name, c) => `${JSON.stringify(name)}:c${c}[i]`).join(',')
    return { parameters: ['columns', 'from', 'to'],
      body: `const ${columns || 'none=0'};const rows=new Array(to-from);for(let i=from;i<to;i++)rows[i-from]={${literal}};return rows` }
  },
  plain: names => (columns, from, to) => {
    const rows = new Array<Row>(to - from)
    for (let i = from; i < to; i++) {
      const row: Row = {}
      for (let c = 0; c < names.length; c++) row[names[c]!] = columns[c]![i]
      rows[i - from] = row
    }
    return rows
  }
})

/**
 * The row factory for these column names.
 *
 * @param names unique, and never `__proto__`: the literal would set the prototype
 */
export function rowFactory(names: readonly string[]): RowFactory {
  return factories.for(names)
}
