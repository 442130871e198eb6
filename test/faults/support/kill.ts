import { cpSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import type { StoreKind } from './careless-store.js'
import { brokenIn, journalled } from './check.js'
import { idsFrom } from './rows.js'
import type { Command } from './worker.js'
import { attachStrace, startWorker } from './workers.js'

/** Merges that split into several parts, one that overlaps, a compaction, garbage collection at every commit. */
export const WORKLOAD: Omit<Command, 'dir' | 'journal'> = { partBytes: 32 * 1024, graceMs: 0, compact: true,
  merges: [{ from: 0, count: 900 }, { from: 600, count: 300, step: 2 }] }

/** What is cached before it, and every id that it touches. */
export const TEMPLATE_IDS = idsFrom(0, 300, 3)
export const ALL_IDS = idsFrom(0, 1300)

/** Fill the cache that every run begins with, `<folder>/template`. */
export async function writeTemplateCache(folder: string, store?: StoreKind): Promise<void> {
  const worker = await startWorker()
  await worker.ask({ dir: join(folder, 'template'), store, merges: [{ from: 0, count: 300, step: 3 }] })
  await worker.kill()
}

/**
 * Kill a worker at its n-th call of a kind, and look at what it left; undefined when it did not get that far and all is well.
 *
 * @param onFile count only calls on this file of the cache
 */
export async function killAt(folder: string, { syscall, n, store, onFile }: { syscall: string, n: number, store?: StoreKind, onFile?: string }): Promise<string[] | undefined> {
  const dir = join(folder, `${syscall}-${n}`)
  const journal = `${dir}.journal`
  cpSync(join(folder, 'template'), dir, { recursive: true })
  const worker = await startWorker()
  const strace = await attachStrace(worker, [...(onFile === undefined ? [] : ['-P', join(dir, onFile)]), '-e', `trace=${syscall}`, '-e', `inject=${syscall}:signal=SIGKILL:when=${n}`])
  const answer = await worker.ask({ ...WORKLOAD, dir, journal, store })
  await strace.detach()
  await worker.kill()
  const broken = await brokenIn(dir, { reported: [...TEMPLATE_IDS, ...journalled(journal)], all: ALL_IDS }, { store })
  if (answer?.error !== undefined) broken.push(`the worker failed: ${answer.error}`)
  rmSync(dir, { recursive: true })
  return answer ? (broken.length > 0 ? broken : undefined) : broken
}
