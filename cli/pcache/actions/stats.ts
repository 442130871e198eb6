import type { PartitionCache } from '../../../lib/partition/cache.js'
import type { Datatype } from '../../../lib/partition/key-types.js'
import { jsonLine } from '../../output/json.js'
import { alignedTable, formatBytes, formatCount } from '../../output/text.js'
import { print, type Session } from '../../session.js'
import type { Action } from '../action.js'
import { withPartitionCache } from '../open.js'
import { cacheOptions, type CacheOptions } from '../options.js'

interface Stats {
  partitionKey: string
  datatype: Datatype
  sets: number
  /** Fragments marked as unusable, by timeout, by failure or by size. */
  unusable: number
  timeouts: number
  failures: number
  bytes: number
  /** When the sets were true, ms since 1970. */
  oldest: number | undefined
  newest: number | undefined
  expiring: number
}

/** `pcache-manage --stats`. */
export const stats: Action = {
  flags: '--stats',
  description: 'sets, their bytes and ages, and what failed, by partition key',
  options: cacheOptions(),
  examples: [['pcache-manage --stats --json', 'for a monitor']],
  async run(options: CacheOptions, session) {
    const all = await withPartitionCache(options, session, async cache => {
      const found: Stats[] = []
      for (const [partitionKey, datatype] of await cache.getPartitionKeys()) {
        if (options.partitionKey === undefined || options.partitionKey === partitionKey) found.push(await statsOf(cache, partitionKey, datatype, session))
      }
      return { backend: cache.type, partitionKeys: found }
    })
    if (options.json) {
      print(session, jsonLine(all))
      return
    }
    const time = (at: number | undefined): string => at === undefined ? '' : new Date(at).toISOString().slice(0, 16)
    const rows = all.partitionKeys.map(one => [one.partitionKey, one.datatype, formatCount(one.sets), formatBytes(one.bytes), formatCount(one.unusable),
      formatCount(one.timeouts), formatCount(one.failures), time(one.oldest), time(one.newest)])
    print(session, rows.length === 0 ? 'nothing is cached'
      : alignedTable(['partition key', 'type', 'sets', 'size', 'unusable', 'timeouts', 'failures', 'oldest', 'newest'], rows, ['sets', 'size', 'unusable', 'timeouts', 'failures']))
  }
}

async function statsOf(cache: PartitionCache, partitionKey: string, datatype: Datatype, { signal }: Session): Promise<Stats> {
  const found: Stats = { partitionKey, datatype, sets: 0, unusable: 0, timeouts: 0, failures: 0, bytes: 0, oldest: undefined, newest: undefined, expiring: 0 }
  for await (const { hash, state, status, storedAt, expiresAt } of cache.entries({ partitionKey })) {
    signal.throwIfAborted()
    if (status === 'timeout') found.timeouts++
    if (status === 'failed') found.failures++
    if (state === 'null') found.unusable++
    if (state !== 'set') continue
    found.sets++
    found.bytes += await cache.bytes(hash, { partitionKey }) ?? 0
    if (expiresAt !== undefined) found.expiring++
    if (storedAt === undefined) continue
    found.oldest = Math.min(found.oldest ?? storedAt, storedAt)
    found.newest = Math.max(found.newest ?? storedAt, storedAt)
  }
  return found
}
