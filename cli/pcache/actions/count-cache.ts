import type { PartitionCache } from '../../../lib/partition/cache.js'
import type { Datatype } from '../../../lib/partition/key-types.js'
import { jsonLine } from '../../output/json.js'
import { alignedTable, formatCount } from '../../output/text.js'
import { print } from '../../session.js'
import type { Action } from '../action.js'
import { withPartitionCache } from '../open.js'
import { cacheOptions, type CacheOptions } from '../options.js'

interface Counted {
  partitionKey: string
  datatype: Datatype
  /** Sets, empty ones included. */
  sets: number
  /** Fragments marked as unusable. */
  unusable: number
  /** Entries with neither: a query text, a status. */
  others: number
}

/** `pcache-manage --count-cache`. */
export const countCache: Action = {
  flags: '--count-cache',
  description: 'count the entries, of all partition keys or of one',
  options: cacheOptions(),
  examples: [['pcache-manage --count-cache --partition-key user_id', 'how many sets there are']],
  async run(options: CacheOptions, session) {
    const counts = await withPartitionCache(options, session, cache => countOf(cache, options.partitionKey))
    if (options.json) {
      print(session, jsonLine({ partitionKeys: counts, sets: counts.reduce((sum, { sets }) => sum + sets, 0) }))
      return
    }
    const rows = counts.map(({ partitionKey, datatype, sets, unusable, others }) => [partitionKey, datatype, formatCount(sets), formatCount(unusable), formatCount(others)])
    print(session, counts.length === 0 ? 'nothing is cached' : alignedTable(['partition key', 'type', 'sets', 'unusable', 'others'], rows, ['sets', 'unusable', 'others']))
  }
}

async function countOf(cache: PartitionCache, only: string | undefined): Promise<Counted[]> {
  const counts: Counted[] = []
  for (const [partitionKey, datatype] of await cache.getPartitionKeys()) {
    if (only !== undefined && only !== partitionKey) continue
    const count = { partitionKey, datatype, sets: 0, unusable: 0, others: 0 }
    for await (const { state } of cache.entries({ partitionKey })) count[state === 'set' ? 'sets' : state === 'null' ? 'unusable' : 'others']++
    counts.push(count)
  }
  return counts
}
