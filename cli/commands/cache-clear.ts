import { createInterface } from 'node:readline/promises'
import type { Command } from 'commander'
import { withCache } from '../cache.js'
import { EXIT } from '../failure.js'
import { cacheDirOption, examples, jsonOption, type CacheOptions } from '../options.js'
import { jsonLine } from '../output/json.js'
import { counted, formatBytes } from '../output/text.js'
import { note, print, type Session } from '../session.js'

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
    if (options.yes !== true && tables.length > 0 && session.stdin === process.stdin && process.stdin.isTTY && !await confirmed(session,
      `Forget ${tables.map(({ table, bytes }) => `${table} (${formatBytes(bytes)})`).join(', ')}?`)) {
      note(session, 'nothing was cleared')
      session.exitCode = EXIT.failure
      return
    }
    const cleared = await cache.clear(pattern)
    print(session, options.json ? jsonLine({ cleared }) : `${counted(cleared, 'table')} cleared`)
  })
}

async function confirmed(session: Session, question: string): Promise<boolean> {
  const terminal = createInterface({ input: session.stdin, output: session.stderr })
  try {
    return /^y(es)?$/i.test((await terminal.question(`${question} [y/N] `, { signal: session.signal })).trim())
  } finally {
    terminal.close()
  }
}
