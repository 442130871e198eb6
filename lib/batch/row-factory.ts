import type { Column } from './cells.js'
import { GeneratedFunctions } from './generated.js'

/** A row as callers see it: a plain object, one own property per column. */
export type Row = Record<string, unknown>

/** Makes the first `count` rows of columns given in the order of the factory's names, and puts them into `rows` from `at` on. */
export type RowFactory = (columns: readonly Column[], count: number, rows: Row[], at: number) => void

/** An object literal with fixed keys is the fastest way V8 makes objects. */
const factories = new GeneratedFunctions<readonly string[], RowFactory>({
  code: names => {
    const columns = names.map((_, c) => `c${c}=columns[${c}]`).join(',')
    // the array form of a computed key is not needed: JSON text is a valid literal key, line separators included since ES2019
    const literal = names.map((name, c) => `${JSON.stringify(name)}:c${c}[i]`).join(',')
    return { parameters: ['columns', 'count', 'rows', 'at'], body: `const ${columns || 'none=0'};for(let i=0;i<count;i++)rows[at+i]={${literal}}` }
  },
  plain: names => (columns, count, rows, at) => {
    for (let i = 0; i < count; i++) {
      const row: Row = {}
      for (let c = 0; c < names.length; c++) row[names[c]!] = columns[c]![i]
      rows[at + i] = row
    }
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
