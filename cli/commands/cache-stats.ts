import type { Command } from 'commander'
import { withCache } from '../cache.js'
import { cacheDirOption, examples, jsonOption, type CacheOptions } from '../options.js'
import { jsonLine } from '../output/json.js'
import { counted } from '../output/text.js'
import { print, type Session } from '../session.js'

/** `millrace cache stats`: files, size and rows. */
export function addStats(parent: Command, session: Session): void {
  const command = parent.command('stats').summary('files, size and rows').description('Count files, megabytes and rows, of the whole cache or of one table.')
    .argument('[table]', 'schema.table; all tables when not given')
    .addOption(cacheDirOption()).addOption(jsonOption())
    .action((table: string | undefined, options: CacheOptions) => stats(table, options, session))
  examples(command, 'Examples', [
    ['millrace cache stats', 'everything'],
    ['millrace cache stats public.flights --json', 'one table, for a program']
  ])
}

async function stats(table: string | undefined, options: CacheOptions, session: Session): Promise<void> {
  await withCache(options, session, async cache => {
    const found = await cache.stats(table)
    if (options.json) print(session, jsonLine(found))
    else print(session, `${cache.dir}: ${counted(found.tables.length, 'table')}, ${counted(found.totalFiles, 'file')}, ${found.totalSizeMb} MB, ${counted(found.totalRecords, 'row')}`)
  })
}
