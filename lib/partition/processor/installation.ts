import { createQueueSql } from '../../queue/postgresql-schema.js'
import { quoteText } from '../../sql/quote.js'
import { collectSql } from './collect-sql.js'
import { evictionSql } from './eviction-sql.js'
import { jobSql } from './job-sql.js'
import type { ProcessorNames } from './names.js'
import { registeredSql, unregisteredSql } from './registered-sql.js'
import { tablesSql } from './tables.js'
import { workSql } from './work-sql.js'

/** Who may call a routine, beside its owner. */
export type RoutineUser = 'worker' | 'producer' | 'store'

/** Every function and procedure with its arguments, as GRANT and DROP name them. Kinds: what a role may call. */
export const ROUTINES: readonly (readonly [kind: 'FUNCTION' | 'PROCEDURE', name: string, args: string, who: readonly RoutineUser[]])[] = [
  ['PROCEDURE', 'work', 'double precision, text', ['worker']],
  ['PROCEDURE', 'watch', 'double precision', ['worker']],
  ['FUNCTION', 'process_one', 'text', ['worker']],
  ['FUNCTION', 'run_job', 'bigint, bigint, text, boolean', ['worker']],
  ['FUNCTION', 'collect', 'text, text, integer, bigint, text', ['worker']],
  ['FUNCTION', 'take_job', 'integer, text', ['worker']],
  ['FUNCTION', 'settings', '', ['worker']],
  ['FUNCTION', 'job', 'bigint, bigint', ['worker']],
  ['FUNCTION', 'hold', 'bigint', ['worker']],
  ['FUNCTION', 'is_late', 'bigint', ['worker']],
  ['FUNCTION', 'overdue', '', ['worker']],
  ['FUNCTION', 'give_back', 'bigint, bigint', ['worker']],
  ['FUNCTION', 'finish_job', 'bigint, bigint, text, text, boolean, timestamptz, numeric, text, text, integer, bit varying, integer, bigint[], double precision[], text[], timestamp[], bigint', ['worker']],
  ['FUNCTION', 'evict', 'boolean', ['store', 'worker']],
  ['FUNCTION', 'enqueue', 'text, jsonb, integer', ['producer']],
  ['FUNCTION', 'check_registered', '', []],
]

/** `schema.name(args)` of a routine. */
export function routine({ fn }: ProcessorNames, name: string, args: string): string {
  return `${fn(name)}(${args})`
}

function revokeSql(names: ProcessorNames): string {
  return ROUTINES.map(([kind, name, args]) => `REVOKE ALL ON ${kind} ${routine(names, name, args)} FROM PUBLIC;`).join('\n') +
    `\nREVOKE ALL ON FUNCTION ${names.at('partitioncache_process_queue')}(text) FROM PUBLIC;`
}

/**
 * Everything as one simple query, and so one transaction: queues and the processor's tables where absent, functions anew. May run
 * again at any time, beside others of itself. The cache's tables must be there.
 */
export function setupSql(names: ProcessorNames): string {
  return `SELECT pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtextextended(${quoteText(names.config)}, 0));
${createQueueSql(names.incoming)};
${createQueueSql(names.outgoing)};
${tablesSql(names)}
${collectSql(names)}
${jobSql(names)}
${workSql(names)}
${evictionSql(names)}
${registeredSql(names)}
${revokeSql(names)}`
}

/** Takes back what `setupSql` made, but for the queues and what is in them; the log and the registered queries go. */
export function removeSql(names: ProcessorNames): string {
  const tables = [names.config, names.log, names.active, names.registered, names.evictionConfig, names.evictionLog]
  // the function that is called by any processor's name goes with the last of them
  return `DO $$ BEGIN IF pg_catalog.to_regclass(${quoteText(names.incoming.table)}) IS NOT NULL THEN ${unregisteredSql(names)} END IF; END $$;
${ROUTINES.map(([kind, name, args]) => `DROP ${kind} IF EXISTS ${routine(names, name, args)};`).join('\n')}
DROP TABLE IF EXISTS ${tables.join(', ')} CASCADE;
DO $$ BEGIN
  IF NOT EXISTS (SELECT FROM pg_catalog.pg_proc WHERE pronamespace = (SELECT oid FROM pg_catalog.pg_namespace WHERE nspname = ${quoteText(names.schema)}) AND proname LIKE '%\\_process\\_one') THEN
    DROP FUNCTION IF EXISTS ${names.at('partitioncache_process_queue')}(text);
  END IF;
END $$;`
}
