import type { Command } from 'commander'
import { withCacheUntilSignal } from '../cache.js'
import { cacheDirOption, examples, jsonOption, type CacheOptions } from '../options.js'
import { jsonLine } from '../output/json.js'
import { counted, formatBytes } from '../output/text.js'
import { print, type Session } from '../session.js'

/** `millrace cache compact`: few large files instead of many small ones. */
export function addCompact(parent: Command, session: Session): void {
  const command = parent.command('compact').summary('few large files instead of many small ones')
    .description('Rewrite small and overlapping files as few large ones, drop invalid rows, delete what no reader needs.\nHappens by itself in small steps; this does all of it now.')
    .argument('[table]', 'schema.table; all tables when not given')
    .addOption(cacheDirOption()).addOption(jsonOption())
    .action((table: string | undefined, options: CacheOptions) => compact(table, options, session))
  examples(command, 'Examples', [
    ['millrace cache compact', 'everything'],
    ['millrace cache compact public.flights', 'one table']
  ])
}

async function compact(table: string | undefined, options: CacheOptions, session: Session): Promise<void> {
  await withCacheUntilSignal(options, session, async cache => {
    const results = await cache.compact(table)
    if (options.json) {
      print(session, jsonLine(results))
      return
    }
    for (const { table: name, partsBefore, partsAfter, bytesBefore, bytesAfter } of results) {
      print(session, `${name}: ${counted(partsBefore, 'file')} of ${formatBytes(bytesBefore)} → ${counted(partsAfter, 'file')} of ${formatBytes(bytesAfter)}`)
    }
    if (results.length === 0) print(session, 'nothing to compact')
  })
}
