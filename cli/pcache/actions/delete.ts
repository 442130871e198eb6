import { EXIT } from '../../failure.js'
import { jsonLine } from '../../output/json.js'
import { note, print } from '../../session.js'
import type { Action } from '../action.js'
import { partitionKeyOf, withPartitionCache } from '../open.js'
import { cacheOptions, type CacheOptions } from '../options.js'

interface DeleteOptions extends CacheOptions {
  delete: string
}

/** `pcache-manage --delete`. */
export const deleteEntry: Action = {
  flags: '--delete <hash>',
  description: 'forget one entry: set or mark, query text, status',
  options: cacheOptions(),
  examples: [['pcache-manage --delete abc123 --partition-key user_id', 'forget one set; exit code 3 where there is none']],
  async run({ delete: hash, ...options }: DeleteOptions, session) {
    partitionKeyOf(options)
    const deleted = await withPartitionCache(options, session, async cache => {
      const isThere = await cache.getEntry(hash) !== undefined
      if (isThere) await cache.delete(hash)
      return isThere
    })
    if (!deleted) {
      note(session, `pcache-manage: no entry ${hash}`)
      session.exitCode = EXIT.incomplete
    } else print(session, options.json ? jsonLine({ deleted: hash }) : `${hash} deleted`)
  }
}
