import { storageValues } from '../batch/cells.js'
import type { DescribedColumn, SourceSnapshot } from '../source/snapshot.js'
import { readNumbered, type CachedQuery } from './cached-query.js'
import { answerOf } from './increment.js'
import type { OrderPlan } from './order-plan.js'
import { keyValues } from './order-values.js'
import { KEY_TEXT, type Statements } from './statements.js'

/** Keys that are held while the cached rows are looked through once. */
const KEYS_AT_ONCE = 262_144

/** Keys that one statement asks about. */
const ASKED_AT_ONCE = 200

/** Rows that are looked up one by one in the source; beyond it everything is read anew. */
const MAX_SUSPECTS = 20_000

/** Dropped rows that a record lists; beyond it the rows after the first of them are written again. */
export const MAX_DROPPED = 4096

/** A cached row below the bound whose key the source has from the bound on. */
interface Suspect {
  row: number
  /** The key as the database's text. */
  key: string
}

/**
 * The numbers of cached rows below `keep` whose rows the source has from the bound on by now: an update gave them another order
 * value. Where the source has such a key below the bound too, keys only tell rows of one order value apart, and nothing has moved.
 *
 * @param bound the order value, as the database's text, below which the first `keep` rows lie
 * @returns ascending; undefined where there are too many to tell
 */
export async function movedRows(cached: CachedQuery, { keep, bound, plan, snapshot, statements }:
{ keep: number, bound: string, plan: OrderPlan, snapshot: SourceSnapshot, statements: Statements }): Promise<number[] | undefined> {
  const key = plan.key!
  const suspects: Suspect[] = []
  let keys = new Map<unknown, string>()
  const look = async (): Promise<void> => {
    if (suspects.length <= MAX_SUSPECTS) suspects.push(...await suspectsAmong(cached, { keep, keys, key }))
    keys = new Map()
  }
  const { text, params } = statements.keys(bound)
  for await (const batch of snapshot.query(text, { params, types: new Map([[key.name, key.type], [KEY_TEXT, 'text']]) })) {
    const values = keyValues(batch.vector(key.name)!, key)
    const texts = storageValues(batch.vector(KEY_TEXT)!)
    values.forEach((value, i) => { if (value !== null) keys.set(value, String(texts[i])) })
    if (keys.size >= KEYS_AT_ONCE) await look()
  }
  await look()
  const asked = [...new Set(suspects.map(suspect => suspect.key))]
  for (let from = 0; from < asked.length; from += ASKED_AT_ONCE) {
    if ((await answerOf(snapshot, statements.keysBelow(bound, asked.slice(from, from + ASKED_AT_ONCE)))).length > 0) return []
  }
  return suspects.length > MAX_SUSPECTS ? undefined : suspects.map(({ row }) => row).sort((a, b) => a - b)
}

/** The cached rows with one of the keys; few more than are looked up. */
async function suspectsAmong(cached: CachedQuery, { keep, keys, key }: { keep: number, keys: ReadonlyMap<unknown, string>, key: DescribedColumn }): Promise<Suspect[]> {
  const found: Suspect[] = []
  if (keys.size === 0) return found
  // most new numbers are beyond all cached ones, and a comparison costs less than a look into the map
  const lowest = [...keys.keys()].reduce<number>((low, value) => typeof value === 'number' && value < low ? value : low, Infinity)
  for await (const { batch, first, offsets } of readNumbered(cached, 0, keep, [key.name])) {
    const values = keyValues(batch.vector(key.name)!, key)
    for (let i = 0; i < values.length && found.length <= MAX_SUSPECTS; i++) {
      const value = values[i]
      if (typeof value === 'number' && value < lowest) continue
      const text = keys.get(value)
      if (text !== undefined) found.push({ row: first + (offsets?.[i] ?? i), key: text })
    }
  }
  return found
}

/** The cached rows without some. */
export function without(cached: CachedQuery, rows: readonly number[]): CachedQuery {
  if (rows.length === 0) return cached
  const dropped = [...cached.record.dropped ?? [], ...rows].sort((a, b) => a - b)
  return { ...cached, record: { ...cached.record, dropped } }
}
