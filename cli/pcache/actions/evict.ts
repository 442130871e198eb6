import { InvalidArgumentError, Option } from 'commander'
import { InvalidArgumentError as InvalidLimits } from '../../../lib/errors.js'
import { EVICTION_ORDERS, type EvictionOrder } from '../../../lib/partition/backend.js'
import type { EvictionReport } from '../../../lib/partition/evict.js'
import { keepEvicting } from '../../../pipelines/keep-evicting.js'
import { EXIT } from '../../failure.js'
import { count, duration } from '../../options.js'
import { jsonLine } from '../../output/json.js'
import { counted, formatBytes } from '../../output/text.js'
import { note, print, type Session } from '../../session.js'
import type { Action } from '../action.js'
import { withPartitionCache } from '../open.js'
import { age, cacheOptions, type CacheOptions } from '../options.js'

interface EvictOptions extends CacheOptions {
  maxEntries?: number
  maxBytes?: number
  maxAge?: number
  maxIdle?: number
  order?: EvictionOrder
  dryRun?: boolean
  every?: number
}

const UNITS: Readonly<Record<string, number>> = { '': 1, b: 1, kb: 1e3, mb: 1e6, gb: 1e9, tb: 1e12 }

/** `500MB`, `1.5GB`, or bytes. */
function size(text: string): number {
  const match = /^(\d+(?:\.\d+)?)\s*([kmgt]?b)?$/i.exec(text)
  if (!match) throw new InvalidArgumentError('Expected a size, such as 500MB or 1.5GB.')
  return Math.round(Number(match[1]) * UNITS[(match[2] ?? '').toLowerCase()]!)
}

/** `pcache-evict`: once, or again and again. */
export const evict: Action = {
  description: 'remove what exceeds the limits',
  options: [
    new Option('--max-entries <count>', 'entries that may stay of a partition key, marks included').argParser(count(0)),
    new Option('--max-bytes <size>', 'bytes that the sets of a partition key may take, such as 500MB').argParser(size),
    new Option('--max-age <duration>', 'since an entry was stored, such as 12h or 30d').argParser(age),
    new Option('--max-idle <duration>', 'since an entry was last used, or stored').argParser(age),
    new Option('--order <order>', 'what goes first when there are too many or they take too much').choices(EVICTION_ORDERS).default('least-recently-used'),
    new Option('--dry-run', 'say what would go, and remove nothing'),
    new Option('--every <duration>', 'stay, and do it again after so long, until a signal comes').argParser(duration),
    ...cacheOptions()
  ],
  examples: [
    ['pcache-evict --max-entries 10000 --dry-run', 'what would go if each partition key might keep 10,000 entries'],
    ['pcache-evict --partition-key region_id --max-bytes 500MB --max-idle 7d', 'one partition key: nothing unused for a week, and at most 500 MB'],
    ['pcache-evict --max-entries 1000 --order largest --json', 'the largest sets first, for a program'],
    ['pcache-evict --max-bytes 2GB --every 10m', 'a worker that sees to it every ten minutes']
  ],
  async run(options: EvictOptions, session) {
    const { maxEntries, maxBytes, maxAge: maxAgeMs, maxIdle: maxIdleMs, order, dryRun, partitionKey, every } = options
    if ((maxEntries ?? maxBytes ?? maxAgeMs ?? maxIdleMs) === undefined) {
      throw new InvalidLimits({ argument: '--max-entries', expected: 'a limit: this one, --max-bytes, --max-age or --max-idle', found: 'none' })
    }
    await withPartitionCache(options, session, async cache => {
      const totals = await keepEvicting({ cache, policy: { maxEntries, maxBytes, maxAgeMs, maxIdleMs, order }, dryRun, partitionKey, signal: session.signal,
        ...every === undefined ? { rounds: 1 } : { everyMs: every },
        onRound({ reports, error }) {
          if (error) note(session, `pcache-evict: ${error.message}`)
          for (const report of reports) tell(report, options, session)
        } })
      if (every === undefined && totals.failed > 0) session.exitCode = EXIT.failure
    })
  }
}

function tell(report: EvictionReport, { json, dryRun }: EvictOptions, session: Session): void {
  const { partitionKey, evicted, evictedBytes, kept } = report
  if (json) return print(session, jsonLine({ ...report, dryRun: dryRun === true }))
  const reasons = (['age', 'idle', 'count', 'size'] as const).filter(reason => evicted[reason] > 0).map(reason => `${evicted[reason]} by ${reason}`)
  print(session, `${partitionKey}: ${dryRun ? 'would remove' : 'removed'} ${counted(evicted.total, 'entry', 'entries')} of ${formatBytes(evictedBytes)}${reasons.length > 0 ? ` (${reasons.join(', ')})` : ''}, ` +
    `${counted(kept.entries, 'entry stays', 'entries stay')} of ${formatBytes(kept.bytes)}`)
}
