import { InvalidArgumentError } from '../errors.js'
import type { EntryInfo } from './backend.js'

/** `public.users` → its schema and its name; a quoted part keeps its dots and its case. @throws {InvalidArgumentError} it is no table's name */
export function partsOf(table: string): { schema: string | undefined, name: string } {
  const parts = table.match(/"(?:[^"]|"")*"|[^."]+/g)
  if (!parts || parts.length > 3) throw new InvalidArgumentError({ argument: 'table', expected: 'a table name such as public.users', found: JSON.stringify(table) })
  const [name, schema] = parts.map(part => part.startsWith('"') ? part.slice(1, -1).replaceAll('""', '"') : part).reverse()
  return { schema, name: name! }
}

/** Whether two table names can mean one table: a name without a schema can be in any. */
export function isSameTable(a: string, b: string): boolean {
  const [left, right] = [partsOf(a), partsOf(b)]
  return left.name === right.name && (left.schema === undefined || right.schema === undefined || left.schema === right.schema)
}

/** What `invalidate` asks of an entry. Where nobody said when, or from what, it was computed, it counts as affected. */
export function affectedBy({ before, table }: { before: number | undefined, table: string | undefined }): (entry: EntryInfo) => boolean {
  if (table !== undefined) partsOf(table)
  return ({ storedAt, tables }) =>
    (before === undefined || storedAt === undefined || storedAt < before) &&
    (table === undefined || tables === undefined || tables.some(one => isSameTable(one, table)))
}
