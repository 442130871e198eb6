import { Option } from 'commander'
import type { EntryStatus } from '../../../lib/partition/backend.js'
import { required } from '../../options.js'
import { jsonLine } from '../../output/json.js'
import { print } from '../../session.js'
import type { Action } from '../action.js'
import { partitionKeyOf, withPartitionCache } from '../open.js'
import { cacheOptions, type CacheOptions } from '../options.js'

interface StatusOptions extends CacheOptions {
  setStatus: string
  queryHash?: string
}

/** `pcache-manage --set-status`. */
export const setStatus: Action = {
  flags: '--set-status <status>',
  description: 'set the status of one entry: ok, timeout or failed; failed ones are not run again until asked',
  options: [new Option('--query-hash <hash>', 'the entry'), ...cacheOptions()],
  examples: [['pcache-manage --set-status failed --query-hash abc123 --partition-key user_id', 'keep a fragment from being run']],
  async run({ setStatus: status, queryHash, ...options }: StatusOptions, session) {
    partitionKeyOf(options)
    const hash = required('--query-hash HASH', queryHash)
    await withPartitionCache(options, session, cache => cache.setStatus(hash, status as EntryStatus))
    print(session, options.json ? jsonLine({ hash, status }) : `${hash}: ${status}`)
  }
}
