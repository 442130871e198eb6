import type { BlobStore } from './blob-store.js'
import type { Manifest } from './catalog.js'

/** How old something is; a clock that was set back makes it young, never old. */
function ageMs(sinceMs: number, nowMs: number): number {
  return Math.max(0, nowMs - sinceMs)
}

/**
 * Delete what no reader can need: files that left the table more than the grace time ago, and leftovers of writers that
 * never committed (files nobody names, last written before the grace time). Files of the newest manifests stay.
 *
 * @returns the names that were deleted
 */
export async function collectGarbage({ blobs, folder, graceMs }: { blobs: BlobStore, folder: string, graceMs: number },
  manifest: Manifest, nowMs = Date.now()): Promise<string[]> {
  const live = new Set([...manifest.parts.map(part => part.name), ...manifest.tombstones.flatMap(({ ids }) => ids ? [ids.name] : [])])
  const resting = new Set(manifest.removed.filter(({ atMs }) => ageMs(atMs, nowMs) <= graceMs).map(({ name }) => name))
  const deleted: string[] = []
  for (const { name, modifiedMs } of await blobs.list(folder)) {
    if (live.has(name) || resting.has(name) || !/^(data|ids|tmp|corrupt)-/.test(name)) continue
    const left = manifest.removed.some(file => file.name === name)
    if (!left && ageMs(modifiedMs, nowMs) <= graceMs) continue
    // what was set aside as damaged is evidence: the user removes it
    if (name.startsWith('corrupt-')) continue
    await blobs.delete(folder, name)
    deleted.push(name)
  }
  return deleted
}
