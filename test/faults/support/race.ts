import { join } from 'node:path'
import type { StoreKind } from './careless-store.js'
import { brokenIn, journalled } from './check.js'
import { idsFrom } from './rows.js'
import type { Answer, Merge } from './worker.js'
import { startWorker } from './workers.js'

/** What one of several writers merges: its own ids, and ids that its neighbours merge too. */
function mergesOf(writer: number, count: number, writers: number): Merge[] {
  return Array.from({ length: count }, (_, i) => ({ from: (i * writers + writer) * 25, count: 60 }))
}

/** What workers had to complain about, in words. */
export function problemsOf(answers: readonly (Answer | undefined)[]): string[] {
  return answers.flatMap((answer, w) => answer === undefined ? [`writer ${w} died`]
    : [answer.error, answer.wrong, ...answer.warnings.map(({ message }) => message)].filter(text => text !== undefined).map(text => `writer ${w}: ${text}`))
}

/** Let processes merge overlapping ids into one table with small parts, the first one compacting; then look at it. */
export async function raceWriters(folder: string, { writers, merges, graceMs, store }: { writers: number, merges: number, graceMs?: number | undefined, store?: StoreKind }):
Promise<{ broken: string[], reported: number[] }> {
  const dir = join(folder, 'cache')
  const journal = join(folder, 'journal')
  const workers = await Promise.all(Array.from({ length: writers }, () => startWorker()))
  const answers = await Promise.all(workers.map((worker, w) =>
    worker.ask({ dir, store, journal: `${journal}${w}`, partBytes: 16 * 1024, graceMs, merges: mergesOf(w, merges, writers), compact: w === 0 })))
  await Promise.all(workers.map(worker => worker.kill()))
  const reported = [...new Set(workers.flatMap((_, w) => journalled(`${journal}${w}`)))]
  return { reported, broken: [...problemsOf(answers), ...await brokenIn(dir, { reported, all: idsFrom(0, writers * merges * 25 + 35) }, { store })] }
}
