import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { openCache, type Cache } from '../../../lib/store/open-cache.js'
import type { CacheOptions } from '../../../lib/store/cache.js'
import { getData } from '../../../pipelines/get-data.js'
import { storeOptions, type StoreKind } from './careless-store.js'
import { COLUMNS, idsFrom, source, wrongRow } from './rows.js'

/** What must hold of a cache after a fault. */
export interface Expectation {
  /** Ids that were reported as cached: none of them may be fetched again. */
  reported: readonly number[]
  /** Every id that any run may have touched. */
  all: readonly number[]
  /** Warnings are part of the fault's answer (damage), or a fault of their own (a crash leaves nothing to warn of). */
  allowWarnings?: boolean
  /** The process that failed is alive and may have been kept from deleting its files. */
  allowLeftovers?: boolean
  /** Which versions of a row are right (default: 1). */
  isRight?: Parameters<typeof wrongRow>[2]
}

/** The ids of a journal's lines. */
export function journalled(file: string): number[] {
  if (!existsSync(file)) return []
  return readFileSync(file, 'utf8').split('\n').filter(Boolean).flatMap(line => {
    const { from, count, step } = JSON.parse(line) as { from: number, count: number, step?: number }
    return idsFrom(from, count, step)
  })
}

/**
 * The three invariants, on a cache as a new process finds it: nothing wrong, nothing lost, a clear end. Then leftovers must go.
 * Returns what is broken, in words; empty when all holds.
 */
export async function brokenIn(dir: string, { reported, all, allowWarnings = false, allowLeftovers = false, isRight }: Expectation, { store, ...options }: CacheOptions & { store?: StoreKind | undefined } = {}): Promise<string[]> {
  const broken: string[] = []
  const cache = await openCache({ dir, graceMs: 0, durability: 'none', ...storeOptions(store, dir), ...options })
  try {
    const verified = await cache.verify()
    if (!verified.ok && !allowWarnings) broken.push(`verify: ${JSON.stringify(verified.problems[0])}`)
    const { fetcher, asked } = source()
    const table = await getData({ cache, ids: all, columns: COLUMNS, table: 'public.t', fetcher })
    const wrong = wrongRow(table, all, isRight)
    if (wrong !== undefined) broken.push(`wrong: ${wrong}`)
    const lost = reported.filter(id => asked.has(id))
    if (lost.length > 0) broken.push(`lost: ${lost.length} reported ids were fetched again, ${lost[0]} first`)
    if (table.report.warnings.length > 0 && !allowWarnings) broken.push(`warned: ${table.report.warnings[0]!.message}`)
    if (!allowLeftovers) broken.push(...await leftoversIn(cache))
  } finally {
    await cache.close()
  }
  return broken
}

/** Files that nobody names, after the grace time (here: none) and another commit. */
async function leftoversIn(cache: Cache): Promise<string[]> {
  const [table] = await cache.store.tables()
  if (!table) return []
  await cache.compact()
  await table.commit({ tombstones: [{ ids: null, columns: ['nobody has it'] }] })
  const { parts } = await table.manifest()
  const named = new Set(parts.map(part => part.name))
  return readdirSync(join(cache.dir, table.key.folder))
    .filter(name => /^(tmp|data)-/.test(name) && !named.has(name)).map(name => `left over: ${name}`)
}
