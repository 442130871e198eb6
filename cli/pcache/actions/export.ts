import { createWriteStream } from 'node:fs'
import { rename, rm } from 'node:fs/promises'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { portableEntries } from '../../../lib/partition/portable.js'
import { jsonLine } from '../../output/json.js'
import { counted } from '../../output/text.js'
import { note, print } from '../../session.js'
import type { Action } from '../action.js'
import { withPartitionCache } from '../open.js'
import { cacheOptions, type CacheOptions } from '../options.js'

interface ExportOptions extends CacheOptions {
  export: string
}

/** `pcache-manage --export`. The file is there when it is whole. */
export const exportCache: Action = {
  flags: '--export <file>',
  description: 'write every entry as a line of JSON; - is stdout',
  options: cacheOptions(),
  examples: [['pcache-manage --export cache.ndjson --partition-key user_id', 'one partition key, to a file']],
  async run({ export: file, ...options }: ExportOptions, session) {
    let entries = 0
    await withPartitionCache(options, session, async cache => {
      const lines = Readable.from((async function * () {
        for await (const entry of portableEntries(cache, options.partitionKey === undefined ? undefined : [options.partitionKey])) {
          entries++
          yield `${JSON.stringify(entry)}\n`
        }
      })(), { highWaterMark: 1 })
      if (file === '-') {
        await pipeline(lines, session.stdout, { signal: session.signal, end: false })
        return
      }
      const part = `${file}.${process.pid}.part`
      try {
        await pipeline(lines, createWriteStream(part), { signal: session.signal })
        await rename(part, file)
      } catch (error) {
        await rm(part, { force: true })
        throw error
      }
    })
    if (file === '-') note(session, `${counted(entries, 'entry', 'entries')} written`)
    else print(session, options.json ? jsonLine({ file, entries }) : `${counted(entries, 'entry', 'entries')} written to ${file}`)
  }
}
