import type { Partition, PartitionBackend } from './backend.js'

/** Notes which sets are used, and tells the backend now and then. */
export interface UseTracker {
  /** Costs no round trip. */
  note(partition: Partition, hashes: readonly string[]): void
  /** Tell the backend everything noted so far. Never fails: a lost note makes a set look older than it is. */
  flush(): Promise<void>
}

/** Accuracy of last uses, and the price for it: one write in this time, whatever is read. */
const EVERY_MS = 60_000
/** Notes kept at most, about 1 MB of hashes. */
const MOST_NOTES = 10_000

/**
 * A tracker that writes at most once in `everyMs`, or when `mostNotes` different sets were used since; in the background, one
 * write at a time. Without a backend that can `touch` it does nothing.
 */
export function useTracker(backend: PartitionBackend, { everyMs = EVERY_MS, mostNotes = MOST_NOTES } = {}): UseTracker {
  let notes = new Map<string, { partition: Partition, uses: Map<string, number> }>()
  let count = 0
  let lastFlush = Date.now()
  let running: Promise<void> | undefined

  async function tell(): Promise<void> {
    const told = notes
    notes = new Map()
    count = 0
    lastFlush = Date.now()
    for (const { partition, uses } of told.values()) {
      // a role that may only read, a server that is down: what is cached is as good as before
      await backend.touch!(partition, uses).catch(() => {})
    }
  }
  async function flush(): Promise<void> {
    // of several that wait for one write, the first to wake begins the next; the others' notes are in that
    while (running) await running
    // without a turn of its own, so that the next note meets an empty list
    if (count === 0) return
    running = tell()
    await running
    running = undefined
  }

  if (!backend.touch) return { note: () => {}, flush: () => Promise.resolve() }
  return {
    flush,
    note(partition, hashes) {
      const now = Date.now()
      let noted = notes.get(partition.name)
      if (!noted) notes.set(partition.name, noted = { partition, uses: new Map() })
      const before = noted.uses.size
      for (const hash of hashes) if (count < mostNotes || noted.uses.has(hash)) noted.uses.set(hash, now)
      count += noted.uses.size - before
      if ((now - lastFlush >= everyMs || count >= mostNotes) && !running) void flush()
    },
  }
}
