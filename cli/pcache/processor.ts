import { InvalidArgumentError as InvalidOption, Option } from 'commander'
import { InvalidArgumentError } from '../../lib/errors.js'
import { backendOptionsFromEnv, cacheTypeFromEnv, cronUrlFromEnv } from '../../lib/partition/env.js'
import { openProcessor, type Processor } from '../../lib/partition/processor/processor.js'
import { postgresPool } from '../../lib/source/postgres.js'
import { baseProgram } from '../base-program.js'
import type { Program } from '../main.js'
import { count, duration, jsonOption } from '../options.js'
import { settleWithin } from '../settle.js'
import type { Session } from '../session.js'
import { environmentHelp, EXIT_CODES } from './action.js'
import { environmentOf, useEnvironment } from './environment.js'
import { age, cacheOptions, environmentOptions, postgresqlOptions } from './options.js'
import { COMMANDS, type ProcessorOptions } from './processor-commands.js'

const CLOSE_MS = 2000

/** A number of seconds, such as 0.5. */
function seconds(text: string): number {
  const value = Number(text)
  if (text.trim() === '' || !Number.isFinite(value)) throw new InvalidOption('Expected a number of seconds.')
  return value
}

function onOff(text: string): boolean {
  if (text !== 'on' && text !== 'off') throw new InvalidOption('Expected on or off.')
  return text === 'on'
}

const SETTINGS = [
  new Option('--frequency <seconds>', 'how often an empty queue is looked at').argParser(seconds),
  new Option('--max-parallel-jobs <count>', 'workers at once, from 1 to 32').argParser(count(1)),
  new Option('--timeout <duration>', 'longest run of a fragment, such as 30s').argParser(duration),
  new Option('--result-limit <count>', 'keys of a set at most').argParser(count(1)),
  new Option('--max-attempts <count>', 'tries before a job goes to the dead letters').argParser(count(1)),
  new Option('--retry-delay <duration>', 'wait after the first failure; doubled with each').argParser(duration),
  new Option('--ttl <duration>', 'life of the sets; 0 is for ever').argParser(age),
  new Option('--fragment-path <schemas>', 'the search_path that fragments are run with'),
  new Option('--registered-only <on|off>', 'whether the queue takes registered queries only').argParser(onOff),
  new Option('--evict-every <minutes>', 'how often to evict; 0 is never').argParser(count(0))
]

const EXAMPLES: readonly (readonly [string, string])[] = [
  ['pcache-processor setup', 'tables, functions and a procedure in the database of cache and queues; safe to repeat'],
  ['pcache-processor --frequency 1 --max-parallel-jobs 3 enable', 'let pg_cron work the queue off, with three workers'],
  ['pcache-processor run-once', 'without pg_cron: work the queue off from here, until it is empty'],
  ['pcache-processor status', 'settings, queue, jobs in the works, the last hour'],
  ['pcache-processor logs --status failed -n 50', 'the last failures'],
  ['pcache-processor config --timeout 30s --result-limit 100000', 'change settings; without any it shows them'],
  ["pcache-processor register parks-by-type --partition-key region_id 'SELECT * FROM poi p WHERE p.type = $1'", 'a query that producers may ask for'],
  [`pcache-processor enqueue parks-by-type '["park"]'`, 'ask for it, with values'],
  ['pcache-processor roles --reader web --producer app --worker cache_worker --source-table public.poi | psql', 'rights for roles that exist, and no more of them than needed'],
  ['pcache-processor evict-policy region_id --max-entries 10000', 'what to evict inside the database; * is for every other partition key']
]

/** `pcache-processor`: options, then what to do, in any order. */
export const processor: Program = {
  name: 'pcache-processor',
  programOf(session, { json }) {
    const program = baseProgram('pcache-processor', session, { json })
      .description('Work off the fragment queue inside PostgreSQL: by pg_cron where it is installed, by a plain call where it is not.')
      .showHelpAfterError(json ? false : '(--help shows commands, options and examples)')
      .argument('<command>', Object.keys(COMMANDS).join(', '))
      .argument('[word]', 'what the command is about')
      .argument('[value]', 'its SQL, or its values')
    program.optionsGroup('Settings (setup, enable, config):')
    for (const option of SETTINGS) program.addOption(option)
    program.optionsGroup('Options:')
    for (const option of [
      new Option('--name <name>', 'start of the names of its tables and functions').default('partitioncache'),
      new Option('--schema <schema>', 'where they are (default: the current one)'),
      new Option('--queue-prefix <prefix>', 'start of the queue tables\' names (default: $PG_QUEUE_TABLE_PREFIX, else partitioncache_queue)'),
      new Option('--cron-database <name>', 'the database that pg_cron is in (default: $PG_CRON_DATABASE, else the same)'),
      new Option('--role <role>', 'enable: the role that pg_cron runs workers as (default: yours)'),
      new Option('-n, --limit <count>', 'logs: lines; run-once: jobs').argParser(count(1)),
      new Option('--status <status>', 'logs: only these').choices(['success', 'failed', 'timeout', 'skipped']),
      new Option('--priority <number>', 'enqueue: larger first').argParser(Number),
      new Option('--dry-run', 'evict: remove nothing'),
      new Option('--max-entries <count>', 'evict-policy').argParser(count(0)), new Option('--max-bytes <count>', 'evict-policy').argParser(count(0)),
      new Option('--max-age <duration>', 'evict-policy').argParser(age), new Option('--max-idle <duration>', 'evict-policy').argParser(age),
      new Option('--order <order>', 'evict-policy').choices(['least-recently-used', 'oldest', 'largest']),
      ...(['reader', 'store', 'producer', 'worker', 'external-worker'].map(role => new Option(`--${role} <role>`, 'roles: who does that'))),
      new Option('--source-table <table...>', 'roles: tables that workers may read, as SQL writes them'),
      new Option('--partition-datatype <type>', 'register: the type of a new partition key').choices(['integer', 'float', 'text', 'timestamp']),
      ...cacheOptions('postgresql_bit, postgresql_array'), ...postgresqlOptions(), ...environmentOptions(), jsonOption()
    ]) program.addOption(option)
    const commands = Object.entries(COMMANDS).map(([name, { words, description }]) => `  ${`${name} ${words}`.trim().padEnd(34)}${description}`).join('\n')
    return program
      .addHelpText('after', `\nCommands:\n${commands}\n\nExamples:\n${EXAMPLES.map(([line, purpose]) => `  # ${purpose}\n  ${line}`).join('\n')}\n${environmentHelp(program.options)}` +
        `  PG_CRON_HOST PG_CRON_PORT PG_CRON_USER PG_CRON_PASSWORD PG_CRON_DATABASE\n${EXIT_CODES}`)
      .action(async (name: string, first: string | undefined, second: string | undefined, options: ProcessorOptions) => {
        const words = [first, second].filter(word => word !== undefined)
        const command = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined
        if (!command) throw new InvalidArgumentError({ argument: 'command', expected: Object.keys(COMMANDS).join(', '), found: name })
        const most = command.words.split(' ').filter(Boolean).length
        if (words.length > most) throw new InvalidArgumentError({ argument: name, expected: command.words === '' ? 'nothing more' : command.words, found: words.join(' ') })
        useEnvironment(options, session)
        await withProcessor(options, session, processor => command.run({ processor, words, options, session }))
      })
  }
}

/** Opens the processor of the database that holds both queues and cache. */
async function withProcessor(options: ProcessorOptions, session: Session, work: (processor: Processor) => Promise<void>): Promise<void> {
  const env = environmentOf(options, session)
  const type = cacheTypeFromEnv(env)
  if (type !== 'postgresql_bit' && type !== 'postgresql_array') throw new InvalidArgumentError({ argument: '--cache-backend', expected: 'postgresql_bit or postgresql_array: it works inside PostgreSQL', found: type })
  const { connectionString, tablePrefix } = backendOptionsFromEnv(type, env)
  const [queueDatabase, queuePrefix] = [env['PG_QUEUE_DB'], env['PG_QUEUE_TABLE_PREFIX']]
  if (queueDatabase !== undefined && `/${encodeURIComponent(queueDatabase)}` !== new URL(connectionString!).pathname) {
    throw new InvalidArgumentError({ argument: 'PG_QUEUE_DB', expected: 'queues in the database of the cache, as the processor works in one', found: queueDatabase })
  }
  const cronUrl = cronUrlFromEnv(env)
  const pools = [postgresPool({ connectionString: connectionString!, max: 3 }), ...cronUrl === undefined ? [] : [postgresPool({ connectionString: cronUrl, max: 2 })]]
  for (const pool of pools) pool.on?.('error', () => {})
  try {
    const { name, schema } = options
    await work(await openProcessor({ pool: pools[0] as never, cronPool: pools[1] as never, name, schema, family: type === 'postgresql_bit' ? 'bit' : 'array', tablePrefix, queuePrefix }))
  } finally {
    await settleWithin(CLOSE_MS, Promise.all(pools.map(pool => pool.end())))
  }
}
