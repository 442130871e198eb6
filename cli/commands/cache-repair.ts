import type { Command } from 'commander'
import { withCacheUntilSignal } from '../cache.js'
import { cacheDirOption, examples, jsonOption, type CacheOptions } from '../options.js'
import { jsonLine } from '../output/json.js'
import { counted } from '../output/text.js'
import { print, type Session } from '../session.js'

/** `millrace cache repair`: drop what is damaged. */
export function addRepair(parent: Command, session: Session): void {
  const command = parent.command('repair').summary('drop what is damaged').description('Check every file and set damaged ones aside. Their rows become misses and are fetched again when they are asked for.')
    .addOption(cacheDirOption()).addOption(jsonOption())
    .action((options: CacheOptions) => repair(options, session))
  examples(command, 'Examples', [['millrace cache repair --json | jq .quarantined', 'which files were set aside']])
}

async function repair(options: CacheOptions, session: Session): Promise<void> {
  await withCacheUntilSignal(options, session, async cache => {
    const result = await cache.repair()
    if (options.json) print(session, jsonLine(result))
    else {
      for (const { table, kind, detail } of result.problems) print(session, `${table}: ${kind}: ${detail}`)
      for (const file of result.quarantined) print(session, `set aside: ${file}`)
      print(session, `${counted(result.checked, 'file')} checked, ${result.ok ? 'nothing to repair' : counted(result.problems.length, 'problem')}`)
    }
  })
}
