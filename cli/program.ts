import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { Command } from 'commander'
import { addCache } from './commands/cache.js'
import { addGet } from './commands/get.js'
import { addPlan } from './commands/plan.js'
import { addQuery } from './commands/query.js'
import { EXIT_CODES_HELP } from './failure.js'
import type { Session } from './session.js'

function version(): string {
  const manifest = JSON.parse(readFileSync(fileURLToPath(import.meta.resolve('millrace/package.json')), 'utf8')) as { version: string }
  return manifest.version
}

/** The command line. A new command is a file in `commands/` and a line here. */
export function programOf(session: Session, { json }: { json: boolean }): Command {
  const program = new Command('millrace')
    .description('Rows by id out of a database, cached in Parquet: what is cached is not asked for again.')
    .version(version(), '--version')
    .exitOverride()
    .configureOutput({
      writeOut: text => session.stdout.write(session.redact(text)),
      writeErr: text => session.stderr.write(session.redact(text)),
      // with --json the error is printed as data, by whoever catches it
      outputError: (text, write) => { if (!json) write(text.replace(/^error: /, 'millrace: ')) }
    })
    .showHelpAfterError(json ? false : '(--help after a command shows its options and examples)')
    .showSuggestionAfterError()
    // excess arguments are named below
    .allowExcessArguments()
  for (const add of [addGet, addPlan, addQuery, addCache]) add(program, session)
  program.hook('preAction', (_, command) => {
    const excess = command.args[command.registeredArguments.length]
    if (excess === undefined) return
    command.error(`error: unexpected argument '${excess}'`)
  })
  return program.addHelpText('after', `${EXIT_CODES_HELP}
Start here:
  # what would be fetched, and then the rows
  millrace plan --table public.users --columns name,meta.city --ids 1,2,3
  millrace get  --table public.users --columns name,meta.city --ids 1,2,3 --pg postgres://me@localhost/shop
`)
}
