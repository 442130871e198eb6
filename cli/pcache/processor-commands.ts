import { InvalidArgumentError } from '../../lib/errors.js'
import type { EvictionOrder } from '../../lib/partition/backend.js'
import { checkDatatype } from '../../lib/partition/key-types.js'
import type { CronState } from '../../lib/partition/processor/cron.js'
import type { LogLine, Processor } from '../../lib/partition/processor/processor.js'
import type { ProcessorChange } from '../../lib/partition/processor/settings.js'
import { EXIT } from '../failure.js'
import { jsonLine } from '../output/json.js'
import { alignedTable, counted, formatBytes, formatMs } from '../output/text.js'
import { print, type Session } from '../session.js'
import type { CacheOptions, DatabaseOptions } from './options.js'

/** Options of `pcache-processor`. */
export interface ProcessorOptions extends CacheOptions, DatabaseOptions {
  name: string
  schema?: string
  queuePrefix?: string
  cronDatabase?: string
  role?: string
  limit?: number
  status?: LogLine['status']
  priority?: number
  dryRun?: boolean
  partitionDatatype?: string
  frequency?: number
  maxParallelJobs?: number
  timeout?: number
  resultLimit?: number
  maxAttempts?: number
  retryDelay?: number
  ttl?: number
  fragmentPath?: string
  registeredOnly?: boolean
  evictEvery?: number
  maxEntries?: number
  maxBytes?: number
  maxAge?: number
  maxIdle?: number
  order?: EvictionOrder
  reader?: string
  store?: string
  producer?: string
  worker?: string
  externalWorker?: string
  sourceTable?: string[]
}

interface Call {
  processor: Processor
  words: readonly string[]
  options: ProcessorOptions
  session: Session
}

/** One thing to do. */
export interface ProcessorCommand {
  /** The words it takes, for the help. */
  readonly words: string
  readonly description: string
  run(call: Call): Promise<void>
}

/** The settings among the options; a life or an interval of 0 is none. */
function changeIn({ frequency, maxParallelJobs, timeout, resultLimit, maxAttempts, retryDelay, ttl, fragmentPath, registeredOnly, evictEvery }: ProcessorOptions): ProcessorChange {
  const given = { frequencySeconds: frequency, maxParallelJobs, timeoutMs: timeout, resultLimit, maxAttempts, retryDelayMs: retryDelay, fragmentPath, registeredOnly }
  return { ...Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)),
    ...ttl === undefined ? {} : { ttlMs: ttl || undefined }, ...evictEvery === undefined ? {} : { evictEveryMinutes: evictEvery || undefined } }
}

async function configure({ processor, options }: Call): Promise<void> {
  const change = changeIn(options)
  if (Object.keys(change).length > 0) await processor.configure(change)
}

/** The result as one line of JSON, or as text. */
function show({ options, session }: Call, facts: object, text: string): void {
  print(session, options.json ? jsonLine(facts) : text)
}

function driver(cron: CronState | undefined): string {
  if (!cron) return 'pg_cron is not installed there: call `pcache-processor run-once`, or SELECT partitioncache_process_queue(…)'
  return cron.jobs.length === 0 ? `pg_cron ${cron.version}, nothing scheduled`
    : `pg_cron ${cron.version}\n${alignedTable(['job', 'schedule', 'as', 'last run'], cron.jobs.map(job => [job.jobname, job.schedule, job.role, `${job.lastStatus ?? '-'} ${job.lastStatus === 'failed' ? job.lastMessage ?? '' : ''}`]))}`
}

function word({ words }: Call, place: number, what: string): string {
  const given = words[place]
  if (given !== undefined) return given
  throw new InvalidArgumentError({ argument: what, expected: 'it after the command (--help shows examples)', found: 'nothing' })
}

/** Every command by its name. */
export const COMMANDS: Readonly<Record<string, ProcessorCommand>> = {
  setup: { words: '', description: 'make tables, functions and a procedure, or bring them up to date', async run(call) {
    const report = await call.processor.setup()
    await configure(call)
    show(call, report, `set up, version ${report.schemaVersion}${report.before === undefined ? '' : ` (was ${report.before})`}`)
  } },
  remove: { words: '', description: 'remove them again, and the log; queues and cache stay', async run(call) {
    await call.processor.remove()
    show(call, { removed: true }, 'removed')
  } },
  enable: { words: '', description: 'let it work', async run(call) {
    await configure(call)
    const cron = await call.processor.enable({ role: call.options.role })
    show(call, { enabled: true, cron: cron ?? null }, `enabled\n${driver(cron)}`)
  } },
  disable: { words: '', description: 'let it rest; jobs wait', async run(call) {
    await call.processor.disable()
    show(call, { enabled: false }, 'disabled')
  } },
  config: { words: '', description: 'show the settings, or change those that are given', async run(call) {
    await configure(call)
    const config = await call.processor.config()
    show(call, config, Object.entries(config).map(([name, value]) => `${name.padEnd(20)}${value ?? 'none'}`).join('\n'))
  } },
  status: { words: '', description: 'settings, queue, jobs in the works, the last hour', async run(call) {
    const status = await call.processor.status()
    const { config, queue, active, lastHour, cron } = status
    show(call, status, [
      `${config.enabled ? 'enabled' : 'disabled'}, ${counted(config.maxParallelJobs, 'job')} at once, timeout ${formatMs(config.timeoutMs)}, version ${status.schemaVersion}`,
      `queue: ${queue.waiting} waiting, ${queue.delayed} delayed, ${queue.leased} in the works, ${queue.dead} dead`,
      ...active.map(job => `  slot ${job.slot}: ${job.hash} of ${job.partitionKey}, for ${formatMs(job.ms)}, process ${job.pid}`),
      `last hour: ${lastHour.success} stored, ${lastHour.skipped} known before, ${lastHour.failed} failed, ${lastHour.timeout} timed out` +
        (lastHour.averageMs === undefined ? '' : `; ${formatMs(lastHour.averageMs)} on average, ${formatMs(lastHour.maxMs ?? 0)} at most`),
      driver(cron)].join('\n'))
  } },
  logs: { words: '', description: 'the last lines of its log, newest first', async run(call) {
    const { limit, status, json } = call.options
    const lines = await call.processor.logs({ limit, status })
    if (json) for (const line of lines) print(call.session, jsonLine(line))
    else print(call.session, alignedTable(['at', 'status', 'partition key', 'hash', 'keys', 'ms', 'try', 'error'], lines.map(line => [line.at.toISOString(), line.isDead ? `${line.status}, dead` : line.status,
      line.partitionKey ?? '', line.hash?.slice(0, 12) ?? '', String(line.keys ?? ''), String(line.ms ?? ''), String(line.attempt ?? ''), line.error ?? '']), ['keys', 'ms', 'try']))
  } },
  'run-once': { words: '', description: 'work from here until there is nothing to do, enabled or not', async run(call) {
    const report = await call.processor.runOnce({ maxJobs: call.options.limit, signal: call.session.signal })
    show(call, report, `${counted(report.done, 'job')}: ${report.success} stored, ${report.skipped} known before, ${report.failed} failed, ${report.timeout} timed out`)
    if (report.failed + report.timeout > 0) call.session.exitCode = EXIT.incomplete
  } },
  evict: { words: '', description: 'evict now, by the policies', async run(call) {
    const reports = await call.processor.evict({ dryRun: call.options.dryRun })
    show(call, { partitionKeys: reports }, reports.map(one => `${one.partitionKey}: ${counted(one.evicted, 'entry', 'entries')} of ${formatBytes(one.evictedBytes)}, ${one.expired} expired`).join('\n') || 'no partition keys')
  } },
  'evict-policy': { words: '[partition-key]', description: 'show the policies, set one by the limits given, or remove it where none is', async run(call) {
    const { maxEntries, maxBytes, maxAge: maxAgeMs, maxIdle: maxIdleMs, order } = call.options
    const limits = Object.fromEntries(Object.entries({ maxEntries, maxBytes, maxAgeMs, maxIdleMs, order }).filter(([, value]) => value !== undefined))
    if (call.words.length > 0) await call.processor.setPolicy(word(call, 0, 'partition-key'), Object.keys(limits).length === 0 ? undefined : limits)
    const policies = await call.processor.policies()
    show(call, policies, Object.entries(policies).map(([key, policy]) => `${key}: ${Object.entries(policy).map(([limit, value]) => `${limit} ${value}`).join(', ')}`).join('\n') || 'no policies')
  } },
  register: { words: '<id> <sql>', description: 'a query that producers may ask for by its id', async run(call) {
    const { partitionKey, partitionDatatype } = call.options
    if (partitionKey === undefined) throw new InvalidArgumentError({ argument: '--partition-key', expected: '--partition-key COLUMN', found: 'nothing' })
    const query = await call.processor.register(word(call, 0, 'id'), word(call, 1, 'sql'), { partitionKey, ...partitionDatatype === undefined ? {} : { datatype: checkDatatype(partitionDatatype) } })
    show(call, query, `registered ${query.id}, with ${counted(query.parameters, 'parameter')}`)
  } },
  unregister: { words: '<id>', description: 'forget a registered query', async run(call) {
    const wasThere = await call.processor.unregister(word(call, 0, 'id'))
    show(call, { unregistered: wasThere }, wasThere ? 'unregistered' : 'there was none')
    if (!wasThere) call.session.exitCode = EXIT.incomplete
  } },
  registered: { words: '', description: 'every registered query', async run(call) {
    const queries = await call.processor.registered()
    show(call, { queries }, queries.map(({ id, partitionKey, sql }) => `${id} (${partitionKey}): ${sql}`).join('\n') || 'no registered queries')
  } },
  enqueue: { words: '<id> [parameters]', description: 'ask for a registered query, with a JSON list of values', async run(call) {
    const became = await call.processor.enqueue(word(call, 0, 'id'), parametersOf(call.words[1]), { priority: call.options.priority })
    show(call, { became }, became)
  } },
  roles: { words: '', description: 'print GRANT statements for the roles given', async run(call) {
    const { reader, store, producer, worker, externalWorker, sourceTable } = call.options
    print(call.session, call.processor.rolesSql({ reader, store, producer, worker, externalWorker }, { sourceTables: sourceTable }))
  } }
}

function parametersOf(text = '[]'): unknown[] {
  try {
    const values: unknown = JSON.parse(text)
    if (Array.isArray(values)) return values
  } catch {
    // said below
  }
  throw new InvalidArgumentError({ argument: 'parameters', expected: 'a JSON list, such as \'["park", 5]\'', found: text })
}
