import { formatTimestamp, parseTimestamp } from '../batch/temporal.js'
import { InvalidArgumentError } from '../errors.js'
import type { EntryState, EntryStatus } from './backend.js'
import type { Entry, PartitionCache } from './cache.js'
import { checkDatatype, type Datatype, type PartitionKeyValue } from './key-types.js'

/** One entry as a line of JSON holds it: integers beyond 2^53 as digits, timestamps and odd floats as text. */
export interface PortableEntry {
  readonly partitionKey: string
  readonly datatype: Datatype
  readonly hash: string
  readonly state: EntryState
  readonly keys?: readonly (number | string)[] | undefined
  readonly query?: string | undefined
  readonly status?: EntryStatus | undefined
  readonly tables?: readonly string[] | undefined
  readonly storedAt?: number | undefined
  readonly expiresAt?: number | undefined
}

/** ISO, which other programs read too; before year 1 and after 9999, where ISO has a sign that nobody reads back, PostgreSQL's text. */
function portableTime(time: Date): string {
  const iso = time.toISOString()
  return parseTimestamp(iso) === undefined ? formatTimestamp(BigInt(time.getTime()) * 1000n) : iso
}

function portableKey(key: PartitionKeyValue): number | string {
  if (key instanceof Date) return portableTime(key)
  return typeof key === 'bigint' || (typeof key === 'number' && !Number.isFinite(key)) ? String(key) : key
}

function cacheKey(key: unknown, datatype: Datatype): PartitionKeyValue {
  if (datatype === 'integer' && typeof key === 'string' && /^-?\d+$/.test(key)) return BigInt(key)
  if (datatype === 'float' && typeof key === 'string') return Number(key)
  return key as PartitionKeyValue
}

/** An entry of a cache in portable form. */
export function portableEntry(partitionKey: string, datatype: Datatype, { keys, ...entry }: Entry): PortableEntry {
  return { partitionKey, datatype, ...entry, ...(keys ? { keys: Array.from(keys, portableKey) } : {}) }
}

/** A line of an export, checked. @throws {InvalidArgumentError} it is none */
export function parseEntry(line: string, argument: string): PortableEntry {
  const refuse = (found: string): never => { throw new InvalidArgumentError({ argument, expected: 'an entry of a partition cache, as JSON', found }) }
  let value: unknown
  try {
    value = JSON.parse(line)
  } catch {
    return refuse(JSON.stringify(line.slice(0, 60)))
  }
  const entry = value as Partial<PortableEntry> | null
  if (typeof entry !== 'object' || entry === null || typeof entry.partitionKey !== 'string' || typeof entry.hash !== 'string') return refuse('an object without partitionKey and hash')
  checkDatatype(entry.datatype)
  if (entry.state !== 'set' && entry.state !== 'null' && entry.state !== 'none') return refuse(`the state ${String(entry.state)}`)
  if ((entry.state === 'set') !== Array.isArray(entry.keys)) return refuse(`the state ${entry.state} with${entry.keys === undefined ? 'out' : ''} keys`)
  return entry as PortableEntry
}

/** Puts a portable entry into a cache, in place of what was there. */
export async function putEntry(cache: PartitionCache, { partitionKey, datatype, hash, state, keys, query, status, tables, storedAt, expiresAt }: PortableEntry): Promise<void> {
  // an entry of unknown age stays one that any age limit removes
  const asOf = new Date(storedAt ?? 0)
  const options = { partitionKey, datatype, query, tables, asOf, ttlMs: expiresAt === undefined ? 0 : Math.max(expiresAt - asOf.getTime(), 1) }
  if (keys) await cache.setSet(hash, keys.map(key => cacheKey(key, datatype)), options)
  else if (state === 'null') await cache.setNull(hash, { ...options, status })
  else if (query !== undefined) await cache.setQuery(hash, query, { partitionKey, tables, datatype, asOf })
  if (status !== undefined && (status !== 'ok' || state !== 'set')) await cache.setStatus(hash, status, { partitionKey, datatype, asOf })
}

/** Every entry of a cache, or of some of its partition keys. One set at a time is in memory. */
export async function * portableEntries(cache: PartitionCache, partitionKeys?: readonly string[]): AsyncGenerator<PortableEntry> {
  for (const [partitionKey, datatype] of await cache.getPartitionKeys()) {
    if (partitionKeys && !partitionKeys.includes(partitionKey)) continue
    for await (const { hash } of cache.entries({ partitionKey })) {
      const entry = await cache.getEntry(hash, { partitionKey })
      if (entry) yield portableEntry(partitionKey, datatype, entry)
    }
  }
}
