import type { Command } from 'commander'
import { InvalidArgumentError } from '../../lib/errors.js'
import { withCacheUntilSignal } from '../cache.js'
import { idsFrom } from '../ids.js'
import { cacheDirOption, examples, jsonOption, repeatable, splitColumns, withNamespace, type CacheOptions, type NamespaceOptions } from '../options.js'
import { jsonLine } from '../output/json.js'
import { print, type Session } from '../session.js'

interface InvalidateOptions extends CacheOptions, NamespaceOptions {
  ids?: string[]
  idsFile?: string[]
  range?: string[]
  columns?: string[]
  before?: string
  all?: boolean
}

/** `millrace cache invalidate`: have rows fetched again. */
export function addInvalidate(parent: Command, session: Session): void {
  const command = withNamespace(parent.command('invalidate').summary('have rows fetched again')
    .description('Make rows or columns invalid: they are fetched again when they are asked for.\nSeveral conditions hold together: these ids and these columns and older than that.')
    .argument('<table>', 'schema.table'))
    .addOption(repeatable('--ids <list>', 'these ids, separated by commas'))
    .addOption(repeatable('--ids-file <file>', 'ids from a file; - is stdin'))
    .addOption(repeatable('--range <first..last>', 'all ids of a range'))
    .addOption(repeatable('--columns <names>', 'these columns only, separated by commas'))
    .option('--before <time>', 'what was fetched before this time, such as 2024-05-01 or 2024-05-01T12:00:00Z')
    .option('--all', 'every row of the table')
    .addOption(cacheDirOption()).addOption(jsonOption())
    .action((table: string, options: InvalidateOptions) => invalidate(table, options, session))
  examples(command, 'Examples', [
    ['millrace cache invalidate public.users --ids 17,18', 'two rows'],
    ['millrace cache invalidate public.users --columns email --before 2024-05-01', 'old values of one column']
  ])
}

async function invalidate(table: string, options: InvalidateOptions, session: Session): Promise<void> {
  const { namespace, idColumn, before, all } = options
  const columns = options.columns && splitColumns(options.columns)
  const hasIds = [options.ids, options.idsFile, options.range].some(given => given !== undefined)
  if (!hasIds && columns === undefined && before === undefined && all !== true) {
    throw new InvalidArgumentError({ argument: 'invalidate', expected: '--ids, --ids-file, --range, --columns, --before or --all', found: 'none of them' })
  }
  await withCacheUntilSignal(options, session, async cache => {
    if (!(await cache.store.table(table, { namespace, idColumn }).manifest()).parts.length) {
      throw new InvalidArgumentError({ argument: 'table', expected: 'a cached table (see `millrace cache ls`)', found: table })
    }
    await cache.invalidate({ table, namespace, idColumn, columns, before, ...(hasIds ? { ids: idsFrom(options, session.stdin) } : {}) })
    print(session, options.json ? jsonLine({ table, invalidated: true }) : `${table}: invalid from now on, and fetched again when asked for`)
  })
}
