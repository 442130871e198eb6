import type { Command } from 'commander'
import { baseProgram } from './base-program.js'
import { addCache } from './commands/cache.js'
import { addGet } from './commands/get.js'
import { addPlan } from './commands/plan.js'
import { addQuery } from './commands/query.js'
import { EXIT_CODES_HELP } from './failure.js'
import type { Session } from './session.js'

/** The command line. A new command is a file in `commands/` and a line here. */
export function programOf(session: Session, { json }: { json: boolean }): Command {
  const program = baseProgram('millrace', session, { json })
    .description('Rows by id out of a database, cached in Parquet: what is cached is not asked for again.')
    .showHelpAfterError(json ? false : '(--help after a command shows its options and examples)')
  for (const add of [addGet, addPlan, addQuery, addCache]) add(program, session)
  return program.addHelpText('afterAll', EXIT_CODES_HELP).addHelpText('after', `
Start here:
  # what would be fetched, and then the rows
  millrace plan --table public.users --columns name,meta.city --ids 1,2,3
  millrace get  --table public.users --columns name,meta.city --ids 1,2,3 --pg postgres://me@localhost/shop
`)
}
