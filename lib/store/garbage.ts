import type { BlobStore } from './blob-store.js'
import type { Manifest } from './catalog.js'
import { filesOf } from './manifest.js'

/** A live process's files count as leftovers after this long: its number may have passed on to another one. */
const MAX_SLEEP_MS = 24 * 60 * 60_000

/** How old something is; a clock that was set back makes it young, never old. */
function ageMs(sinceMs: number, nowMs: number): number {
  return Math.max(0, nowMs - sinceMs)
}

/**
 * Delete what no reader can need: files that left the table more than the grace time ago, and leftovers of writers that
 * never committed (files nobody names, last written before the grace time, by no process that still runs).
 *
 * @param newest reads the newest manifest
 * @returns the names that were deleted, and those among the removed ones that are gone from disk by now
 */
export async function collectGarbage({ blobs, folder, graceMs }: { blobs: BlobStore, folder: string, graceMs: number },
  newest: () => Promise<Manifest>, nowMs = Date.now()): Promise<{ deleted: string[], forgotten: string[] }> {
  const files = await blobs.list(folder)
  // read after the listing: a file in it that no writer holds any more was committed before, if ever
  const manifest = await newest()
  const live = filesOf(manifest)
  const resting = new Set(manifest.removed.filter(({ atMs }) => ageMs(atMs, nowMs) <= graceMs).map(({ name }) => name))
  const deleted: string[] = []
  const present = new Set(files.map(({ name }) => name))
  for (const { name, modifiedMs, inUse } of files) {
    // what was set aside as damaged is evidence: the user removes it
    if (live.has(name) || resting.has(name) || !/^(data|ids|tmp)-/.test(name)) continue
    const left = manifest.removed.some(file => file.name === name)
    if (!left && ageMs(modifiedMs, nowMs) <= (inUse ? Math.max(graceMs, MAX_SLEEP_MS) : graceMs)) continue
    await blobs.delete(folder, name)
    present.delete(name)
    deleted.push(name)
  }
  return { deleted, forgotten: manifest.removed.map(({ name }) => name).filter(name => !present.has(name) && !live.has(name)) }
}
