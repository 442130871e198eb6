/** Which sets of tables are worth a fragment: bit masks over the tables of a query. */

/** How many bits are set. */
export function sizeOf(mask: number): number {
  let count = 0
  for (let rest = mask; rest !== 0; rest &= rest - 1) count++
  return count
}

/** The positions of the bits that are set, ascending. */
export function membersOf(mask: number): number[] {
  const members: number[] = []
  for (let i = 0; i < 31; i++) if (mask & (1 << i)) members.push(i)
  return members
}

export interface ComponentOptions {
  /** Tables of which every component has one. */
  readonly keyed: number
  /** Masks of the conditions over several tables: the edges, also those of three and more. */
  readonly edges: readonly number[]
  readonly tables: number
  readonly minSize: number
  readonly maxSize: number
  /** Whether a component's tables must hang together by edges. */
  readonly followGraph: boolean
  /** At most so many, small ones first. */
  readonly limit: number
}

function bySize(a: number, b: number): number {
  return sizeOf(a) - sizeOf(b) || a - b
}

/** Every set of tables that hangs together by conditions within it, smallest first. */
export function components({ keyed, edges, tables, minSize, maxSize, followGraph, limit }: ComponentOptions): number[] {
  const singles = Array.from({ length: tables }, (_, i) => 1 << i)
  const steps = followGraph ? edges : singles
  const found = new Set(singles)
  // breadth first, so that the limit keeps the small ones
  let layer = singles
  while (layer.length > 0 && found.size < limit * 8) {
    const next: number[] = []
    for (const mask of layer) {
      for (const step of steps) {
        const grown = mask | step
        if (grown === mask || (followGraph && (mask & step) === 0) || sizeOf(grown) > maxSize || found.has(grown)) continue
        found.add(grown)
        next.push(grown)
      }
    }
    layer = next
  }
  return [...found].filter(mask => (mask & keyed) !== 0 && sizeOf(mask) >= minSize && sizeOf(mask) <= maxSize).sort(bySize).slice(0, limit)
}
