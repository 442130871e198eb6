import type { Command } from 'commander'
import { withCache } from '../cache.js'
import { isConfirmed } from '../confirm.js'
import { cacheDirOption, examples, jsonOption, type CacheOptions } from '../options.js'
import { jsonLine } from '../output/json.js'
import { counted, formatBytes } from '../output/text.js'
import { print, type Session } from '../session.js'

interface ClearOptions extends CacheOptions {
  yes?: boolean
}

/** `millrace cache clear`: forget tables. */
export function addClear(parent: Command, session: Session): void {
  const command = parent.command('clear').summary('forget tables').description('Forget all tables, or those whose name contains PATTERN. Their files are deleted at once.\nOn a terminal it asks first; elsewhere it does not.')
    .argument('[pattern]', "part of the tables' names; all tables when not given")
    .option('--yes', 'do not ask')
    .addOption(cacheDirOption()).addOption(jsonOption())
    .action((pattern: string | undefined, options: ClearOptions) => clear(pattern, options, session))
  examples(command, 'Examples', [
    ['millrace cache clear flights', 'every table with flights in its name'],
    ['millrace cache clear --yes', 'everything, unasked']
  ])
}

async function clear(pattern: string | undefined, options: ClearOptions, session: Session): Promise<void> {
  await withCache(options, session, async cache => {
    const tables = (await cache.tables()).filter(({ table }) => pattern === undefined || table.includes(pattern))
    const question = `Forget ${tables.map(({ table, bytes }) => `${table} (${formatBytes(bytes)})`).join(', ')}?`
    if (tables.length > 0 && !await isConfirmed(options, question, session)) return
    const cleared = await cache.clear(pattern)
    print(session, options.json ? jsonLine({ cleared }) : `${counted(cleared, 'table')} cleared`)
  })
}
