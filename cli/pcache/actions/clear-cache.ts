import { jsonLine } from '../../output/json.js'
import { counted } from '../../output/text.js'
import { print } from '../../session.js'
import type { Action } from '../action.js'
import { isConfirmed } from '../../confirm.js'
import { withPartitionCache } from '../open.js'
import { cacheOptions, yesOption, type CacheOptions } from '../options.js'

interface ClearOptions extends CacheOptions {
  yes?: boolean
}

/** `pcache-manage --clear-cache`. */
export const clearCache: Action = {
  flags: '--clear-cache',
  description: 'forget all partition keys with their sets and types, or one',
  options: [...cacheOptions(), yesOption()],
  examples: [['pcache-manage --clear-cache --partition-key user_id --yes', 'forget one partition key, unasked']],
  async run(options: ClearOptions, session) {
    await withPartitionCache(options, session, async cache => {
      const names = (await cache.getPartitionKeys()).map(([name]) => name).filter(name => options.partitionKey === undefined || name === options.partitionKey)
      if (names.length > 0 && !await isConfirmed(options, `Forget ${names.join(', ')} in ${cache.type}?`, session)) return
      for (const name of names) await cache.deletePartitionKey(name)
      print(session, options.json ? jsonLine({ cleared: names }) : `${counted(names.length, 'partition key')} cleared`)
    })
  }
}
