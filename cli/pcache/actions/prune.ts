import { Option } from 'commander'
import { InvalidArgumentError } from '../../../lib/errors.js'
import { count } from '../../options.js'
import { jsonLine } from '../../output/json.js'
import { counted } from '../../output/text.js'
import { print } from '../../session.js'
import { isConfirmed } from '../../confirm.js'
import type { Action } from '../action.js'
import { withPartitionCache } from '../open.js'
import { age, cacheOptions, yesOption, type CacheOptions } from '../options.js'

interface PruneOptions extends CacheOptions {
  olderThan?: number
  days?: number
  table?: string
  yes?: boolean
}

const DAY_MS = 86_400_000

/** `pcache-manage --prune`. */
export const prune: Action = {
  flags: '--prune',
  description: 'forget the entries that are older than some age, or were computed from a table; sets that are being computed meanwhile are not kept either',
  options: [
    new Option('--older-than <age>', 'entries from before this long, such as 30d or 12h').argParser(age),
    new Option('--days <count>', 'the same in days').argParser(count(0)),
    new Option('--table <name>', 'entries computed from this table, such as public.poi, and those of which nobody said from what'),
    ...cacheOptions(), yesOption()
  ],
  examples: [['pcache-manage --prune --days 30', 'what is older than 30 days'], ['pcache-manage --prune --table public.poi', 'after its rows changed']],
  async run({ olderThan, days, table, ...options }: PruneOptions, session) {
    const limit = olderThan ?? (days === undefined ? undefined : days * DAY_MS)
    if (limit === undefined && table === undefined) throw new InvalidArgumentError({ argument: '--prune', expected: '--older-than, --days or --table', found: 'none of them' })
    if (olderThan !== undefined && days !== undefined) throw new InvalidArgumentError({ argument: '--days', expected: '--older-than or --days', found: 'both' })
    await withPartitionCache(options, session, async cache => {
      if (!await isConfirmed(options, `Forget old entries in ${cache.type}?`, session)) return
      const removed = await cache.invalidate({ olderThan: limit, table, partitionKey: options.partitionKey })
      print(session, options.json ? jsonLine({ removed }) : `${counted(removed, 'entry', 'entries')} removed`)
    })
  }
}
