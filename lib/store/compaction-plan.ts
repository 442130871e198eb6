import type { Manifest, PartEntry } from './catalog.js'
import { fitsTable } from './change.js'
import { rangesOverlap } from './manifest.js'

/** More small segments than this are folded after a commit. */
export const MAX_SEGMENTS = 8

/** Parts that a compaction replaces by new ones. */
export interface CompactionPlan {
  parts: readonly PartEntry[]
  /** Tombstones, by seq, that nothing needs any more once the plan is done. */
  tombstones: readonly number[]
}

/**
 * Which parts to fold, or undefined when reads are fine as they are. Tiered: the newest small segments, as long as each next
 * one is not much larger than all taken so far, so that a row is rewritten a logarithmic number of times.
 *
 * @param all fold everything that is not already the best layout
 */
export function planCompaction(manifest: Manifest, partBytes: number, all = false): CompactionPlan | undefined {
  const { parts, tombstones } = manifest
  const isBase = (part: PartEntry): boolean => part.bytes >= partBytes / 2 && part.bytes <= partBytes * 1.5 &&
    parts.every(other => other === part || !rangesOverlap(part, other)) && !hidden(part)
  const hidden = (part: PartEntry): boolean => tombstones.some(tombstone => part.since < tombstone.seq)
  const small = parts.filter(part => !isBase(part)).sort((a, b) => b.seq - a.seq)
  if (all) {
    const worthwhile = small.length > 1 || tombstones.length > 0 || small.some(part => part.bytes > partBytes * 1.5)
    return worthwhile ? { parts: small, tombstones: tombstones.map(({ seq }) => seq) } : undefined
  }
  if (small.length <= MAX_SEGMENTS) return undefined
  let bytes = 0
  const taken = new Set<PartEntry>()
  for (const part of small) {
    if (taken.size > MAX_SEGMENTS / 2 && part.bytes > 2 * bytes) break
    taken.add(part)
    bytes += part.bytes
  }
  const outdated = (part: PartEntry): boolean => part.columns.some(field => {
    const column = manifest.columns.find(({ name }) => name === field.name)
    return column !== undefined && !fitsTable(field, column)
  })
  const closed = closeOver(parts, taken, outdated)
  // parts side by side that would only come out as as many parts are fine as they are
  const total = closed.reduce((sum, part) => sum + part.bytes, 0)
  const overlap = closed.some((part, i) => closed.some((other, j) => i < j && rangesOverlap(part, other)))
  return overlap || Math.ceil(total / partBytes) < closed.length / 2 ? { parts: closed, tombstones: [] } : undefined
}

/**
 * The output counts as new as its newest input, so a part between two inputs that overlaps the older one would wrongly lose
 * against it: such parts join. So do older parts below one with values of a type that no longer counts: those vanish, and what is
 * older must not come back.
 */
function closeOver(parts: readonly PartEntry[], taken: Set<PartEntry>, outdated: (part: PartEntry) => boolean): PartEntry[] {
  for (let grew = true; grew;) {
    const newest = Math.max(...[...taken].map(part => part.seq))
    const joining = parts.filter(part => !taken.has(part) && part.seq < newest &&
      [...taken].some(other => (other.seq < part.seq || outdated(other)) && rangesOverlap(other, part)))
    grew = joining.length > 0
    joining.forEach(part => taken.add(part))
  }
  return [...taken]
}
