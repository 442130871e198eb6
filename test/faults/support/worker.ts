/**
 * A process that uses a cache and may be killed, stopped or failed at any time. Takes commands as JSON lines on stdin, answers
 * with JSON lines on stdout. Its first line tells the id of the one thread that does its file operations.
 */
import { appendFileSync, readdirSync, readFileSync } from 'node:fs'
import { access, writeFile } from 'node:fs/promises'
import { createInterface } from 'node:readline'
import { getData } from '../../../pipelines/get-data.js'
import { openCache, type Cache } from '../../../lib/store/open-cache.js'
import { storeOptions, type StoreKind } from './careless-store.js'
import { useDamaged, type MutationResult } from './mutations.js'
import { COLUMNS, idsFrom, source, wrongRow } from './rows.js'

/** One request: ids, what they are at the source, what to do after it. */
export interface Merge {
  from: number
  count: number
  step?: number
  version?: number
  refresh?: boolean
  /** Rows of any version up to this one are right (others write at the same time). */
  anyVersionUpTo?: number
}

/** What a worker is asked to do. */
export interface Command {
  dir: string
  store?: StoreKind | undefined
  partBytes?: number | undefined
  graceMs?: number | undefined
  durability?: 'commit' | 'none'
  merges?: Merge[]
  compact?: boolean
  /** Damage copies of `template` in ways that these seeds choose, and use each. */
  mutations?: { template: string, from: number, count: number }
  /** A file outside the cache: a line for each merge whose caching was reported. */
  journal?: string
  /** Ask for a path below `REPORTED` after each of them: a mark in a log of system calls. */
  mark?: boolean
  strict?: boolean
}

/** What came of it. */
export interface Answer {
  /** The first wrong row, in words. */
  wrong?: string | undefined
  error?: string
  code?: string
  compactError?: string
  rows: number
  hits: number
  fetched: number
  asked: number
  warnings: { code: string, message: string, errno?: string, file?: string }[]
  mixedVersions: number
  mutations?: MutationResult[]
}

/** Where nothing is. */
export const REPORTED = '/millrace-reported/'

/** Warnings that say that rows were delivered and not cached. */
const NOT_CACHED = new Set(['CACHE_WRITE_FAILED', 'CACHE_UNUSABLE'])

async function mergeOne(cache: Cache, { from, count, step, version, refresh, anyVersionUpTo }: Merge, command: Command, answer: Answer): Promise<void> {
  const ids = idsFrom(from, count, step)
  const { fetcher, asked } = source(version)
  const table = await getData({ cache, ids, columns: COLUMNS, table: 'public.t', fetcher, refresh, ...(command.strict ? { cacheErrors: 'throw' as const } : {}) })
  const report = table.report
  const most = anyVersionUpTo ?? version ?? 1
  const rows = table.toRows()
  answer.wrong ??= wrongRow(rows, ids, row => anyVersionUpTo === undefined ? row['version'] === most : Number(row['version']) <= most)
  answer.rows += table.length
  answer.hits += report.hits
  answer.fetched += report.fetched
  answer.asked += asked.size
  answer.mixedVersions += new Set(rows.map(row => row['version'])).size > 1 ? 1 : 0
  answer.warnings.push(...report.warnings)
  if (report.warnings.some(({ code }) => NOT_CACHED.has(code))) return
  if (command.mark) await access(`${REPORTED}${from}-${count}-${step ?? 1}`).catch(() => undefined)
  if (command.journal) appendFileSync(command.journal, `${JSON.stringify({ from, count, step })}\n`)
}

const NOTHING: Answer = { rows: 0, hits: 0, fetched: 0, asked: 0, warnings: [], mixedVersions: 0 }

async function obey(command: Command): Promise<Answer> {
  if (command.mutations) return { ...NOTHING, mutations: await useDamaged(command.dir, command.mutations, command.store) }
  const answer: Answer = { rows: 0, hits: 0, fetched: 0, asked: 0, warnings: [], mixedVersions: 0 }
  try {
    const { dir, partBytes, graceMs, durability } = command
    const cache = await openCache({ dir, partBytes, graceMs, durability, ...storeOptions(command.store, dir) })
    try {
      for (const merge of command.merges ?? []) await mergeOne(cache, merge, command, answer)
      if (command.compact) await cache.compact().catch((error: unknown) => { answer.compactError = String(error) })
    } finally {
      await cache.close()
    }
  } catch (error) {
    answer.error = String(error)
    answer.code = String((error as { code?: unknown }).code)
  }
  return answer
}

/** Bytes each thread has written so far. */
function written(): Map<string, number> {
  const tasks = process.platform === 'linux' ? readdirSync('/proc/self/task') : []
  return new Map(tasks.map(task => [task, Number(/^wchar: (\d+)/m.exec(readFileSync(`/proc/self/task/${task}/io`, 'utf8'))?.[1])]))
}

// the thread that writes what is written asynchronously
const before = written()
await writeFile('/dev/null', Buffer.alloc(123_456))
const fileThread = [...written()].find(([task, bytes]) => bytes - (before.get(task) ?? 0) >= 123_456)?.[0]
console.log(JSON.stringify({ fileThread: Number(fileThread) }))
for await (const line of createInterface({ input: process.stdin })) console.log(JSON.stringify(await obey(JSON.parse(line) as Command)))
