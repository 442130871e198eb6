import type { Command } from 'commander'
import { planData } from '../../pipelines/plan-data.js'
import { withCacheUntilSignal } from '../cache.js'
import { examples } from '../options.js'
import { jsonLine } from '../output/json.js'
import { counted, formatBytes, formatCount } from '../output/text.js'
import { selectionOf, withSelection, type SelectionOptions } from '../selection.js'
import { print, type Session } from '../session.js'

/** `millrace plan`: what `get` would do, from the cache alone. */
export function addPlan(program: Command, session: Session): void {
  const command = withSelection(program.command('plan').summary('say what get would fetch')
    .description('Say what `get` would do with the same arguments: how much is cached, how much would be fetched.\nReads the cache only; no database is needed, none is asked.'))
    .action((options: SelectionOptions) => plan(options, session))
  examples(command, 'Examples', [
    ['millrace plan --table public.flights --columns delay,details.distance --range 1..200000', 'a range'],
    ['psql -Atc "SELECT id FROM flights" | millrace plan --table public.flights --columns delay --ids-file -', 'ids from another program']
  ]).addHelpText('after', '\nNext: run the same arguments with `get` and --pg URL.')
}

async function plan(options: SelectionOptions, session: Session): Promise<void> {
  const selection = selectionOf(options, session)
  const made = await withCacheUntilSignal(options, session, cache => planData({ ...selection, cache }))
  if (options.json) {
    print(session, jsonLine({ table: selection.table, ...made }))
    return
  }
  const { ids, hits, misses, batches, batchSize, columnsToFetch, estimatedBytes } = made
  print(session, `${selection.table}: ${counted(ids, 'id')}, ${formatCount(hits)} cached, ${formatCount(misses)} to fetch`)
  if (misses === 0) {
    print(session, 'nothing would be fetched')
    return
  }
  print(session, `would fetch ${columnsToFetch.join(', ')} in ${counted(batches, 'batch', 'batches')} of ${counted(batchSize, 'id')}` +
    (estimatedBytes > 0 ? `, about ${formatBytes(estimatedBytes)} more in the cache` : ''))
}
