/** A row as the benchmarks' fetchers deliver it: the JSON column as a nested object, as pg hands over jsonb. */
export interface SourceRow {
  id: number
  name: string | null
  age: number | null
  amount: number | null
  profile: { address: { city: string | null } }
}

/** A row as every engine must deliver it. */
export type DeliveredRow = Record<string, unknown>

export const TABLE = 'public.users'
export const COLUMNS = ['name', 'age', 'amount', 'profile.address.city'] as const

/** Which ids the table has: all, every second, or a random 30 %. */
export type IdPattern = 'dense' | 'every2' | 'random30'

// each column has its own 5 % of nulls; every fifth name has characters of 2, 3 and 4 bytes
export const nameOf = (id: number): string | null => id % 20 === 3 ? null
  : (id % 5 === 0 ? 'üs€🜁' : 'user_') + String(10_000_000 + id).slice(-7)
export const ageOf = (id: number): number | null => id % 20 === 7 ? null : 18 + 7919 * id % 60
export const amountOf = (id: number): number | null => id % 20 === 13 ? null : 104729 * id % 1_000_000 / 100
export const cityOf = (id: number): string | null => id % 20 === 11 ? null : `city_${31 * id % 1000}`

export function sourceRow(id: number): SourceRow {
  return { id, name: nameOf(id), age: ageOf(id), amount: amountOf(id), profile: { address: { city: cityOf(id) } } }
}

export function deliveredRow(id: number): DeliveredRow {
  return { id, name: nameOf(id), age: ageOf(id), amount: amountOf(id), 'profile.address.city': cityOf(id) }
}

/** Seeded random numbers in [0, 1). see: mulberry32 */
export function randomNumbers(seed: number): () => number {
  let state = seed
  return () => {
    state = state + 0x6d2b79f5 | 0
    let mixed = Math.imul(state ^ state >>> 15, 1 | state)
    mixed = mixed + Math.imul(mixed ^ mixed >>> 7, 61 | mixed) ^ mixed
    return ((mixed ^ mixed >>> 14) >>> 0) / 4294967296
  }
}

/** The table's ids, ascending. */
export function tableIds(rows: number, pattern: IdPattern): Int32Array {
  const ids = new Int32Array(rows)
  const random = randomNumbers(7)
  let id = 0
  for (let i = 0; i < rows; i++) {
    if (pattern === 'every2') id += 2
    else {
      id++
      if (pattern === 'random30') while (random() >= 0.3) id++
    }
    ids[i] = id
  }
  return ids
}

/** The same ids in a fixed random order. */
export function shuffled(ids: Int32Array, seed = 1): Int32Array {
  const mixed = ids.slice()
  const random = randomNumbers(seed)
  for (let i = mixed.length - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1))
    const id = mixed[i]!
    mixed[i] = mixed[j]!
    mixed[j] = id
  }
  return mixed
}

/** `count` distinct ids in random order. */
export function sample(ids: Int32Array, count: number, seed = 2): Int32Array {
  const random = randomNumbers(seed)
  const chosen = new Set<number>()
  while (chosen.size < count) chosen.add(ids[Math.floor(random() * ids.length)]!)
  return Int32Array.from(chosen)
}
