import { andBits, bitmapBytes, bitsToSet, hasBit, packBits, MAX_BITS } from '../bitmap.js'
import { DATATYPES, type Datatype, type StoredKey } from '../key-types.js'
import { firstNumber, latest, marked, marksOf, type MarkCount } from '../marks.js'
import { EVICTION_ORDERS, type BackendSupport, type EntryInfo, type EntryStatus, type Intersection, type PartitionBackend } from '../backend.js'

export const memorySupport: BackendSupport = { datatypes: DATATYPES, shared: false, persistent: false, evictsBy: EVICTION_ORDERS }

type MemorySet = { readonly bits: Uint8Array, readonly size: number } | ReadonlySet<StoredKey>

interface MemoryEntry {
  /** null: the mark; undefined: none yet. */
  keys: MemorySet | null | undefined
  query: string | undefined
  status: EntryStatus | undefined
  tables: readonly string[] | undefined
  storedAt: number | undefined
  expiresAt: number | undefined
  usedAt?: number | undefined
}

/** A Set costs about 20 bytes a key here: bits as soon as they are no longer than that. */
const BYTES_PER_SET_KEY = 20

function memorySet(values: readonly StoredKey[]): MemorySet {
  let max = -1
  for (const value of values) {
    if (typeof value !== 'number' || !Number.isInteger(value) || value < 0 || value >= MAX_BITS) return new Set(values)
    if (value > max) max = value
  }
  return bitmapBytes(max) > values.length * BYTES_PER_SET_KEY ? new Set(values) : { bits: packBits(values as number[]), size: values.length }
}

function holds(set: MemorySet, key: StoredKey): boolean {
  if (!('bits' in set)) return set.has(key)
  return typeof key === 'number' && Number.isInteger(key) && hasBit(set.bits, key)
}

function bytesOf(set: MemorySet): number {
  return 'bits' in set ? set.bits.length : set.size * BYTES_PER_SET_KEY
}

function intersectSets(sets: readonly MemorySet[]): Set<StoredKey> {
  const maps = sets.flatMap(set => 'bits' in set ? [set.bits] : [])
  if (maps.length === sets.length) return bitsToSet(andBits(maps))
  const [smallest, ...others] = sets.toSorted((a, b) => a.size - b.size)
  const candidates = 'bits' in smallest! ? bitsToSet(smallest.bits) : smallest!
  const keys = new Set<StoredKey>()
  for (const key of candidates) if (others.every(set => holds(set, key))) keys.add(key)
  return keys
}

/** Sets in this process, gone with it. Integers lie in packed bits where those are smaller than a Set. */
export function memoryBackend(): PartitionBackend {
  const partitions = new Map<string, { datatype: Datatype, entries: Map<string, MemoryEntry> }>()

  const counts = new Map<string, MarkCount>()

  function countOf(name: string): MarkCount {
    const count = counts.get(name) ?? { born: firstNumber(), scopes: {} }
    counts.set(name, count)
    return count
  }
  function entriesOf(name: string): Map<string, MemoryEntry> {
    return partitions.get(name)?.entries ?? new Map<string, MemoryEntry>()
  }
  function live(name: string, hash: string): MemoryEntry | undefined {
    const entries = entriesOf(name)
    const entry = entries.get(hash)
    if (entry?.expiresAt === undefined || entry.expiresAt > Date.now()) return entry
    entries.delete(hash)
    return undefined
  }
  function infoOf(hash: string, { keys, usedAt: _, ...rest }: MemoryEntry): EntryInfo {
    return { hash, state: keys === undefined ? 'none' : keys === null ? 'null' : 'set', ...rest }
  }

  return {
    type: 'memory',
    supports: memorySupport,
    async register(name, datatype) {
      const known = partitions.get(name)
      if (!known) partitions.set(name, { datatype, entries: new Map() })
      return known?.datatype ?? datatype
    },
    partitions: async () => [...partitions].map(([name, { datatype }]) => ({ name, datatype })),
    datatypeOf: async name => partitions.get(name)?.datatype,
    begin: async name => latest(countOf(name)),
    begun: async () => [...counts.keys()],
    async mark(name, scopes) {
      counts.set(name, marked(countOf(name), scopes))
    },
    marks: async (name, scopes) => marksOf(countOf(name), scopes),
    async write({ name }, hash, { keys, expiresAt, ...change }, ifNumber) {
      if (ifNumber !== undefined && latest(countOf(name)) !== ifNumber) return false
      const old = live(name, hash)
      const given = Object.fromEntries(Object.entries(change).filter(([, value]) => value !== undefined))
      entriesOf(name).set(hash, {
        keys: undefined, query: undefined, status: undefined, tables: undefined, storedAt: undefined, expiresAt: undefined, ...old, ...given,
        ...(keys === undefined && old?.storedAt !== undefined ? { storedAt: old.storedAt } : {}),
        ...(keys === undefined ? {} : { keys: keys && memorySet(keys), expiresAt }),
      })
      return true
    },
    async info({ name }, hash) {
      const entry = live(name, hash)
      return entry && infoOf(hash, entry)
    },
    async intersect({ name }, hashes): Promise<Intersection> {
      const sets: MemorySet[] = []
      const used: string[] = []
      for (const hash of hashes) {
        const keys = live(name, hash)?.keys
        if (!keys) continue
        sets.push(keys)
        used.push(hash)
      }
      return { keys: sets.length === 0 ? undefined : intersectSets(sets), used }
    },
    states: async ({ name }, hashes) => hashes.map(hash => {
      const entry = live(name, hash)
      return entry ? infoOf(hash, entry).state : 'none'
    }),
    async * list({ name }) {
      yield [...entriesOf(name).keys()].flatMap(hash => {
        const entry = live(name, hash)
        return entry ? [infoOf(hash, entry)] : []
      })
    },
    async remove({ name }, hashes) {
      for (const hash of hashes) entriesOf(name).delete(hash)
    },
    async forget({ name }) {
      partitions.delete(name)
    },
    async bytes({ name }, hash) {
      const keys = live(name, hash)?.keys
      return keys ? bytesOf(keys) : undefined
    },
    async * usage({ name }) {
      yield [...entriesOf(name).keys()].flatMap(hash => {
        const entry = live(name, hash)
        if (!entry) return []
        const { keys, storedAt, usedAt } = entry
        return [{ hash, state: infoOf(hash, entry).state, bytes: keys ? bytesOf(keys) : 0, storedAt, usedAt }]
      })
    },
    async touch({ name }, uses) {
      for (const [hash, usedAt] of uses) {
        const entry = live(name, hash)
        if (entry) entry.usedAt = Math.max(usedAt, entry.usedAt ?? usedAt)
      }
    },
    async close() {
      counts.clear()
      partitions.clear()
    },
  }
}
