import { execFileSync } from 'node:child_process'
import { appendFileSync, copyFileSync, cpSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, symlinkSync, truncateSync, unlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Id } from '../../../lib/batch/ids.js'
import { openCache } from '../../../lib/store/open-cache.js'
import { getData } from '../../../pipelines/get-data.js'
import { seeded } from '../../support/random.js'
import { storeOptions, type StoreKind } from './careless-store.js'
import { COLUMNS, idsFrom, rowOf, wrongRow } from './rows.js'

/** What the template's source holds: version 2 of every tenth of the first 500, version 1 of the others. */
export const MUTATION_IDS = idsFrom(0, 750)
const versionOf = (id: Id): number => Number(id) < 500 && Number(id) % 10 === 0 ? 2 : 1

/** Fill a cache with a base part, a newer one over it, a list of invalid ids, and a last part apart. */
export async function writeTemplate(dir: string, store?: StoreKind): Promise<void> {
  const cache = await openCache({ dir, durability: 'none', ...storeOptions(store, dir) })
  const request = { cache, columns: COLUMNS, table: 'public.t' }
  await getData({ ...request, ids: idsFrom(0, 500), fetcher: async ids => ids.map(id => rowOf(id, 1)) })
  await getData({ ...request, ids: idsFrom(0, 50, 10), refresh: true, fetcher: async ids => ids.map(id => rowOf(id, 2)) })
  await cache.invalidate({ table: 'public.t', ids: idsFrom(251, 9) })
  await getData({ ...request, ids: idsFrom(500, 250), fetcher: async ids => ids.map(id => rowOf(id, 1)) })
  await getData({ ...request, table: 'public.other', ids: idsFrom(0, 500), fetcher: async ids => ids.map(id => rowOf(id, 3)) })
  await cache.close()
}

/** What came of one damaged cache. */
export interface MutationResult {
  seed: number
  kind: string
  file: string
  /** What is broken, in words; empty when all holds. */
  broken: string[]
  /** A request said so, and named the file. */
  warned: boolean
  /** Ids that were fetched again. */
  asked: number
}

type Mutate = (file: string, pick: (n: number) => number, others: readonly string[]) => void

function edit(file: string, change: (bytes: Buffer) => void): void {
  const bytes = readFileSync(file)
  change(bytes)
  writeFileSync(file, bytes)
}

/** Kinds of damage; the common ones more often. */
const KINDS: readonly [string, number, Mutate][] = [
  ['bit flip', 40, (file, pick) => edit(file, bytes => { bytes[pick(bytes.length)]! ^= 1 << pick(8) })],
  ['byte', 20, (file, pick) => edit(file, bytes => { bytes[pick(bytes.length)]! ^= 1 + pick(255) })],
  ['near the end', 10, (file, pick) => edit(file, bytes => { bytes[bytes.length - 1 - pick(Math.min(bytes.length, 600))]! ^= 1 + pick(255) })],
  ['zeroed sector', 10, (file, pick) => edit(file, bytes => { bytes.fill(0, pick(bytes.length) & ~511).subarray(0, 0) })],
  ['garbage sector', 8, (file, pick) => edit(file, bytes => { const at = pick(bytes.length) & ~511; for (let i = at; i < Math.min(bytes.length, at + 512); i++) bytes[i] = pick(256) })],
  ['truncated', 10, (file, pick) => truncateSync(file, pick(readFileSync(file).length))],
  ['appended', 6, (file, pick) => appendFileSync(file, Buffer.alloc(1 + pick(5000), pick(256)))],
  ['empty', 2, file => truncateSync(file, 0)],
  ['foreign', 3, (file, pick) => writeFileSync(file, pick(2) === 0 ? '{"hello": "world"}\n' : Buffer.from('PAR1 no such thing PAR1'))],
  ['swapped', 8, (file, pick, others) => {
    const other = others[pick(others.length)]!
    copyFileSync(other, file)
  }],
  ['gone', 3, file => unlinkSync(file)],
  ['folder', 1, file => { unlinkSync(file); mkdirSync(file) }],
  ['fifo', 1, file => { unlinkSync(file); execFileSync('mkfifo', [file]) }],
  ['link', 1, file => { renameSync(file, `${file}.real`); symlinkSync(`${file}.real`, file) }]
]
const WEIGHTS = KINDS.reduce((sum, [, weight]) => sum + weight, 0)

/** Damage one file below `dir`, and say what was done to which. */
function damage(dir: string, seed: number): { kind: string, file: string, path: string } | undefined {
  const pick = seeded(Math.imul(seed + 1, 0x9e3779b9)).below
  const folder = join(dir, 'public.t')
  const names = readdirSync(folder).sort()
  // manifests are small and many; parts are what counts
  const parts = names.filter(name => !name.startsWith('manifest'))
  const file = pick(3) === 0 ? names.filter(name => name.startsWith('manifest'))[pick(names.length - parts.length)]! : parts[pick(parts.length)]!
  const path = join(folder, file)
  let weight = pick(WEIGHTS)
  const [kind, , mutate] = KINDS.find(([, share]) => (weight -= share) < 0)!
  const others = [...names.filter(name => name !== file).map(name => join(folder, name)),
    ...readdirSync(join(dir, 'public.other')).map(name => join(dir, 'public.other', name))]
  const before = readFileSync(path)
  mutate(path, pick, others)
  const isSame = ['folder', 'fifo', 'link', 'gone'].includes(kind) ? false : before.equals(readFileSync(path))
  return isSame ? undefined : { kind, file, path }
}

/** Use a damaged copy of the template for each seed. */
export async function useDamaged(dir: string, { template, from, count }: { template: string, from: number, count: number }, store?: StoreKind): Promise<MutationResult[]> {
  const results: MutationResult[] = []
  for (let seed = from; seed < from + count; seed++) {
    const copy = join(dir, `mutated-${seed}`)
    cpSync(template, copy, { recursive: true })
    const done = damage(copy, seed)
    if (done) results.push({ seed, ...await useOne(copy, done, { examine: seed % 3 === 0, store }) })
    rmSync(copy, { recursive: true, force: true })
  }
  return results
}

async function useOne(dir: string, { kind, file, path }: { kind: string, file: string, path: string },
  { examine, store }: { examine: boolean, store: StoreKind | undefined }): Promise<Omit<MutationResult, 'seed'>> {
  const broken: string[] = []
  let [warned, asked] = [false, 0]
  const cache = await openCache({ dir, durability: 'none', ...storeOptions(store, dir) })
  try {
    const newest = readdirSync(join(dir, 'public.t')).filter(name => name.startsWith('manifest')).sort().at(-1)
    const verified = examine ? await cache.verify() : undefined
    // a manifest that is gone leaves no trace
    if (verified?.ok && !(kind === 'gone' && file.startsWith('manifest'))) broken.push('verify found nothing')
    for (const round of ['damaged', 'again']) {
      let fetched = 0
      const table = await getData({ cache, columns: COLUMNS, table: 'public.t', ids: MUTATION_IDS, fetcher: async ids => {
        fetched += ids.length
        return ids.map(id => rowOf(id, versionOf(id)))
      } })
      const wrong = wrongRow(table, MUTATION_IDS, row => row['version'] === versionOf(row['id'] as Id))
      if (wrong !== undefined) broken.push(`${round}: ${wrong}`)
      const { warnings } = table.report
      if (round === 'damaged') {
        asked = fetched
        warned = warnings.some(warning => warning.code === 'CACHE_CORRUPT' && warning.file === path)
        if (!warned && (file.startsWith('data-') || (file === newest && kind !== 'gone'))) broken.push(`no warning names ${file}: ${JSON.stringify(warnings)}`)
      } else if (file.startsWith('data-') && (fetched > 0 || warnings.length > 0)) broken.push(`not healed: ${fetched} fetched, ${JSON.stringify(warnings)}`)
    }
    const repaired = examine ? await cache.repair() : undefined
    const after = examine ? await cache.verify() : undefined
    if (after?.ok === false) broken.push(`repair left ${JSON.stringify(after.problems)} of ${JSON.stringify(repaired?.problems)}`)
  } catch (error) {
    broken.push(`threw ${String(error)}`)
  } finally {
    await cache.close()
  }
  return { kind, file: file.replace(/-[0-9a-f-]{36}/, ''), broken, warned, asked }
}
