import { createReadStream } from 'node:fs'
import { createInterface } from 'node:readline'
import { InvalidArgumentError, messageOf } from '../../../lib/errors.js'
import { parseEntry, putEntry } from '../../../lib/partition/portable.js'
import { jsonLine } from '../../output/json.js'
import { counted } from '../../output/text.js'
import { print } from '../../session.js'
import type { Action } from '../action.js'
import { withPartitionCache } from '../open.js'
import { cacheOptions, type CacheOptions } from '../options.js'

interface ImportOptions extends CacheOptions {
  import: string
}

/** `pcache-manage --import`. Entries before a faulty line are kept. */
export const importCache: Action = {
  flags: '--import <file>',
  description: 'read entries that --export wrote; - is stdin; same hashes are replaced',
  options: cacheOptions(),
  examples: [['pcache-manage --import cache.ndjson --cache-backend redis_set', 'into another backend']],
  async run({ import: file, ...options }: ImportOptions, session) {
    let [line, entries] = [0, 0]
    await withPartitionCache(options, session, async cache => {
      const input = file === '-' ? session.stdin : createReadStream(file)
      const failed = new Promise<never>((_, reject) => input.once('error', (cause: unknown) => {
        reject(new InvalidArgumentError({ argument: '--import', expected: 'a readable file', found: messageOf(cause) }))
      }))
      const read = async (): Promise<void> => {
        for await (const text of createInterface({ input, crlfDelay: Infinity })) {
          session.signal.throwIfAborted()
          line++
          if (text.trim() === '') continue
          const entry = parseEntry(text, `${file}:${line}`)
          if (options.partitionKey !== undefined && entry.partitionKey !== options.partitionKey) continue
          await putEntry(cache, entry)
          entries++
        }
      }
      await Promise.race([read(), failed])
    })
    print(session, options.json ? jsonLine({ file, entries }) : `${counted(entries, 'entry', 'entries')} read from ${file}`)
  }
}
