import { existsSync, mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Id } from '../../../lib/batch/ids.js'
import type { Row } from '../../../lib/batch/row-factory.js'
import type { Fetcher } from '../../../lib/source/fetcher.js'

/** The columns of every row of the fault tests. */
export const COLUMNS = ['name', 'score', 'note', 'version'] as const

const texts = new Map<number, string>()

/** About 100 characters that no dictionary shortens. */
function textOf(n: number): string {
  let text = texts.get(n)
  if (text === undefined) {
    text = ''
    for (let i = 1; i <= 16; i++) text += ((n + 1) * i * 2654435761 % 4294967296).toString(36)
    texts.set(n, text)
  }
  return text
}

/** A row that any process can compute again: about 150 bytes. */
export function rowOf(id: Id, version = 1): Row {
  const n = Number(id)
  return { id, name: `name ${id} of version ${version}, ${textOf(n)}`,
    score: n / 7, note: n % 3 === 0 ? null : `note ${n}`, version }
}

/** A source that has every id, and remembers what it was asked for. */
export function source(version = 1): { fetcher: Fetcher, asked: Set<Id> } {
  const asked = new Set<Id>()
  const fetcher: Fetcher = async ids => ids.map(id => {
    asked.add(id)
    return rowOf(id, version)
  })
  return { fetcher, asked }
}

/** The first row that is not what the source holds, in words; undefined when all are right. */
export function wrongRow(rows: Iterable<Row>, ids: readonly number[], versionOf: (row: Row) => boolean = row => row['version'] === 1): string | undefined {
  let at = 0
  for (const row of rows) {
    const id = ids[at++]
    if (row['id'] !== id) return `row ${at - 1}: expected id ${id}, found ${String(row['id'])}`
    if (!versionOf(row)) return `id ${id}: version ${String(row['version'])}`
    const right = rowOf(id!, Number(row['version']))
    for (const column of COLUMNS) if (row[column] !== right[column]) return `id ${id}: ${column} is ${String(row[column])}, not ${String(right[column])}`
  }
  return at === ids.length ? undefined : `${at} rows instead of ${ids.length}`
}

/** `count` ids from `from` on, `step` apart. */
export function idsFrom(from: number, count: number, step = 1): number[] {
  return Array.from({ length: count }, (_, i) => from + i * step)
}

/** A new folder in memory where the machine has such a place: faults of processes and files need no disk, and cost it much. */
export function folderInMemory(name: string): string {
  const root = existsSync('/dev/shm') ? '/dev/shm' : tmpdir()
  return mkdtempSync(join(root, `millrace-${name}-`))
}

/** The long form was asked for (`npm run test:faults`). */
export const LONG = process.env['MILLRACE_FAULTS'] === 'long'

/** The number for the short form, or for the long one. */
export function shortOrLong(short: number, long: number): number {
  return LONG ? long : short
}

/** Print a test's counts: what it did belongs to its result. */
export function counts(what: string, numbers: Readonly<Record<string, number | string>>): void {
  console.log(`      ${what}: ${Object.entries(numbers).map(([name, number]) => `${number} ${name}`).join(', ')}`)
}
