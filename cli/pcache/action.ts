import { Option, type Command } from 'commander'
import { InvalidArgumentError } from '../../lib/errors.js'
import { baseProgram } from '../base-program.js'
import type { Program } from '../main.js'
import { jsonOption } from '../options.js'
import type { Session } from '../session.js'
import { useEnvironment } from './environment.js'
import { environmentOptions, type CommonOptions } from './options.js'

/** One thing that a `pcache-*` program does: a file in `actions/` and a line in the program's list. */
export interface Action {
  /** What chooses it, such as `--count-cache` or `--delete <hash>`. Left out by the one action of a program that has no other. */
  readonly flags?: string
  readonly description: string
  /** All that it takes beside the options that every action takes; the same ones may stand in several actions. */
  readonly options: readonly Option[]
  /** Command lines for the help, each with what it is for. */
  readonly examples: readonly (readonly [command: string, purpose: string])[]
  /** `options` are those given and the defaults, by their camel-case names; the action's own flag is among them. */
  run(options: CommonOptions, session: Session): Promise<void>
}

/** A `pcache-*` program. */
export interface PcacheProgram {
  readonly name: string
  readonly description: string
  readonly actions: readonly Action[]
}

/** What every program exits with. */
export const EXIT_CODES = `
Exit codes:
  0    done
  1    failed
  2    the command line or the environment is wrong; nothing was done
  3    nothing is cached, or some of the work failed and the rest is kept
  129, 130, 143   stopped by SIGHUP, SIGINT, SIGTERM
`

/**
 * What a program reads from the environment.
 *
 * @param options those it has: some variables stand in for them
 */
export function environmentHelp(options: readonly Option[]): string {
  const elsewhere = options.some(({ long }) => long === '--db-backend') ? `
  PG_DB_HOST PG_DB_PORT PG_DB_USER PG_DB_PASSWORD     where queries run, if not there (each: else DB_…); with --db-backend mysql, sqlite:
  MY_DB_HOST MY_DB_PORT MY_DB_USER MY_DB_PASSWORD MY_DB_NAME   SQLITE_DB_PATH` : ''
  return `
Environment (options win, then variables, then the file of --env):
  DB_HOST DB_PORT DB_USER DB_PASSWORD DB_NAME     the database; else PGURL or DATABASE_URL${elsewhere}
  CACHE_BACKEND (postgresql_array)   PG_ARRAY_CACHE_TABLE_PREFIX, PG_BIT_CACHE_TABLE_PREFIX (partitioncache)
  PG_BIT_CACHE_BITSIZE   REDIS_HOST REDIS_PORT REDIS_USERNAME REDIS_PASSWORD REDIS_SET_* REDIS_BIT_*   ROCKSDB_PATH ROCKSDB_BIT_PATH ROCKSDB_DICT_PATH
  QUERY_QUEUE_PROVIDER (postgresql)   PG_QUEUE_HOST PG_QUEUE_PORT PG_QUEUE_USER PG_QUEUE_PASSWORD PG_QUEUE_DB (each: else DB_…)
  PG_QUEUE_TABLE_PREFIX (partitioncache_queue)   QUERY_QUEUE_REDIS_DB   QUERY_QUEUE_REDIS_QUEUE_KEY (partitioncache_queue)
`
}

function nameOf(flags: string): string {
  return new Option(flags).attributeName()
}

/** Of options with one name the first: actions that share an option share its meaning. */
function unitedOptions(actions: readonly Action[]): Option[] {
  const byName = new Map<string, Option>()
  for (const option of actions.flatMap(({ options }) => options)) if (!byName.has(option.attributeName())) byName.set(option.attributeName(), option)
  return [...byName.values()]
}

function chosenAction({ actions }: PcacheProgram, program: Command): Action {
  const flagged = actions.filter(({ flags }) => flags !== undefined)
  const chosen = flagged.filter(({ flags }) => program.opts()[nameOf(flags!)] !== undefined)
  const all = flagged.map(({ flags }) => flags!.split(' ')[0]).join(', ')
  if (chosen.length > 1) throw new InvalidArgumentError({ argument: chosen[1]!.flags!, expected: `one of ${all} at a time`, found: chosen.map(({ flags }) => flags).join(' and ') })
  const action = chosen[0] ?? actions.find(({ flags }) => flags === undefined)
  if (!action) throw new InvalidArgumentError({ argument: all, expected: `one of ${all} (--help shows examples)`, found: 'none' })
  return action
}

/** An option that the chosen action would ignore is a slip: it is named. */
function refuseStrangers(pcache: PcacheProgram, action: Action, program: Command): void {
  const known = new Set([...action.options, ...commonOptions()].map(option => option.attributeName()))
  for (const option of unitedOptions(pcache.actions)) {
    const name = option.attributeName()
    if (known.has(name) || program.getOptionValueSource(name) !== 'cli') continue
    const owners = pcache.actions.filter(({ options }) => options.some(one => one.attributeName() === name)).map(({ flags }) => flags ?? pcache.name)
    throw new InvalidArgumentError({ argument: option.long!, expected: `it with ${owners.join(' or ')} only`, found: `${option.long} with ${action.flags ?? pcache.name}` })
  }
}

function commonOptions(): Option[] {
  return [...environmentOptions(), jsonOption()]
}

/** Makes a program of its actions: exactly one of them is chosen by its flag, and takes its own options only. */
export function pcacheProgram(pcache: PcacheProgram): Program {
  return {
    name: pcache.name,
    programOf(session, { json }) {
      const program = baseProgram(pcache.name, session, { json }).description(pcache.description)
        .showHelpAfterError(json ? false : '(--help shows options and examples)')
      program.optionsGroup('Actions:')
      for (const { flags, description } of pcache.actions) if (flags !== undefined) program.option(flags, description)
      program.optionsGroup('Options:')
      for (const option of [...unitedOptions(pcache.actions), ...commonOptions()]) program.addOption(option)
      const examples = pcache.actions.flatMap(action => action.examples).map(([line, purpose]) => `  # ${purpose}\n  ${line}`).join('\n')
      return program
        .addHelpText('after', `\nExamples:\n${examples}\n${environmentHelp(unitedOptions(pcache.actions))}${EXIT_CODES}`)
        .action(async (options: CommonOptions) => {
          const action = chosenAction(pcache, program)
          refuseStrangers(pcache, action, program)
          useEnvironment(options, session)
          await action.run(options, session)
        })
    }
  }
}
