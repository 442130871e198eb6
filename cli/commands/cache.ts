import type { Command } from 'commander'
import { addClear } from './cache-clear.js'
import { addCompact } from './cache-compact.js'
import { addExport } from './cache-export.js'
import { addInspect } from './cache-inspect.js'
import { addInvalidate } from './cache-invalidate.js'
import { addLs } from './cache-ls.js'
import { addRepair } from './cache-repair.js'
import { addStats } from './cache-stats.js'
import { addVerify } from './cache-verify.js'
import type { Session } from '../session.js'

/** `millrace cache …`. A new verb is a file and a line here. */
export function addCache(program: Command, session: Session): void {
  const cache = program.command('cache').summary('look after the cache')
    .description('Look after the cache. Nothing here needs a database.')
    .addHelpText('after', '\nStart with `millrace cache ls`. `millrace cache <command> --help` has examples.')
  for (const add of [addLs, addStats, addInspect, addVerify, addRepair, addCompact, addInvalidate, addClear, addExport]) add(cache, session)
}
