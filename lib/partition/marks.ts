/**
 * How a set that is computed while its tables change is kept out.
 *
 * Whoever computes one begins by reading a partition key's number; every invalidation raises it, and remembers the new number
 * under what it was about (its scopes). A write goes through while the number is still the one that was begun with. Where it is
 * another, the scopes that matter to the set say whether the change was one of its own: then the set is not kept. Numbers are
 * microseconds since 1970 when they begin, so that a count that was lost and began again is higher than any before.
 */
import type { EntryChange, Marks, Partition, PartitionBackend } from './backend.js'
import { partsOf } from './invalidation.js'

/** Of every invalidation, whatever it is about. */
const ANY = '*'
/** Of those that name no table. */
const ALL = ''

function scopeOf(schema: string | undefined, name: string): string {
  return JSON.stringify(schema === undefined ? [name] : [schema, name])
}

function anySchema(name: string): string {
  return `${ANY}.${JSON.stringify(name)}`
}

/** What an invalidation is remembered under. */
export function scopesOfInvalidation(table: string | undefined): string[] {
  if (table === undefined) return [ANY, ALL]
  const { schema, name } = partsOf(table)
  return schema === undefined ? [ANY, scopeOf(undefined, name)] : [ANY, scopeOf(schema, name), anySchema(name)]
}

/** What the invalidations that reach a set are remembered under: all of them where nobody said what it was computed from. */
export function scopesOfSet(tables: readonly string[] | undefined): string[] {
  if (!tables) return [ANY]
  return [ALL, ...tables.flatMap(table => {
    const { schema, name } = partsOf(table)
    // a name without a schema is one in any schema, on either side
    return [scopeOf(undefined, name), ...(schema === undefined ? [anySchema(name)] : [scopeOf(schema, name)])]
  })]
}

/** The number that a count begins with. */
export function firstNumber(): number {
  return Date.now() * 1000
}

/** A count in memory: for backends of one process, which change it in turn. */
export interface MarkCount {
  /** The number it began with. */
  readonly born: number
  readonly scopes: Readonly<Record<string, number>>
}

/** The count after another invalidation. */
export function marked(count: MarkCount, scopes: readonly string[]): MarkCount {
  const number = latest(count) + 1
  return { born: count.born, scopes: { ...count.scopes, ...Object.fromEntries(scopes.map(scope => [scope, number])) } }
}

/** The number of the last invalidation. */
export function latest({ born, scopes }: MarkCount): number {
  return scopes[ANY] ?? born
}

/** The last number, and the highest of some scopes. */
export function marksOf(count: MarkCount, scopes: readonly string[]): Marks {
  return { number: latest(count), marked: Math.max(count.born, ...scopes.map(scope => count.scopes[scope] ?? 0)) }
}

/** Invalidations of other tables that may come between one attempt to write and the next. */
const ATTEMPTS = 100

/** Writes an entry unless an invalidation that reaches it came since `number`; whether it was written. */
export async function writeUnlessMarked(backend: PartitionBackend, partition: Partition, hash: string, change: EntryChange, number: number): Promise<boolean> {
  let expected = number
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    if (await backend.write(partition, hash, change, expected)) return true
    const marks = await backend.marks(partition.name, scopesOfSet(change.tables))
    if (marks.marked > number) return false
    expected = marks.number
  }
  return false
}
