import { Option } from 'commander'
import { metrics, type Metrics } from '../../../lib/queue/metrics.js'
import type { PartitionCache } from '../../../lib/partition/cache.js'
import type { Source } from '../../../lib/source/fetcher.js'
import type { Queues } from '../../../lib/queue/queue.js'
import { timerMs } from '../../../lib/timers.js'
import { processFragments } from '../../../pipelines/process-fragments.js'
import { processQueries } from '../../../pipelines/process-queries.js'
import { EXIT } from '../../failure.js'
import { count, duration } from '../../options.js'
import { jsonLine } from '../../output/json.js'
import { note, print, type Session } from '../../session.js'
import type { Action } from '../action.js'
import { withPartitionCache, withSource } from '../open.js'
import { age, cacheOptions, databaseOptions, type CacheOptions, type DatabaseOptions } from '../options.js'
import { statusLines } from '../monitor-view.js'
import { queueOptions, withOpenQueues, type QueueOptions } from '../queues.js'
import { variantOptions, variantsOf, type VariantOptions } from '../variants.js'

interface MonitorOptions extends CacheOptions, DatabaseOptions, QueueOptions, VariantOptions {
  close?: boolean
  once?: boolean
  watch?: boolean
  interval?: number
  maxProcesses?: number
  timeout?: number
  maxKeys?: number
  ttl?: number
  lease?: number
  grace?: number
  restrict?: boolean
}

const DEFAULT_INTERVAL_MS = 10_000
const WATCH_INTERVAL_MS = 1000
const HOME_AND_CLEAR = '\u001B[H\u001B[J'

/** `pcache-monitor`: the workers of the partition cache. */
export const monitor: Action = {
  description: 'decompose queued queries, run queued fragments, and keep their sets, until it is stopped',
  options: [
    new Option('--close', 'end when both queues are empty'),
    new Option('--once', 'only print how things stand, and end; nothing is run'),
    new Option('--watch', 'a view of the queues that refreshes, instead of a line now and then'),
    new Option('--interval <duration>', 'between two lines or views (default 10s, with --watch 1s)').argParser(duration),
    new Option('--max-processes <count>', 'fragments run at once (default 2)').argParser(count(1)),
    ...queueOptions(), ...cacheOptions(), ...databaseOptions(), ...variantOptions(),
    new Option('--timeout <duration>', 'longest run of one fragment (default 1m; 0 = no limit)').argParser(duration),
    new Option('--max-keys <count>', 'keys of one set at most (default 5,000,000)').argParser(count(1)),
    new Option('--ttl <duration>', 'forget the sets after this long, such as 30d (default: never)').argParser(age),
    new Option('--lease <duration>', 'how long the jobs of a worker that died are held back (default 30s)').argParser(duration),
    new Option('--grace <duration>', 'how long what runs may go on when it is stopped, before it is given back (default 10s)').argParser(duration),
    new Option('--no-restrict', 'run fragments as they are, not narrowed by sets that are cached already')
  ],
  examples: [
    ['pcache-monitor --max-processes 4', 'a worker; start as many as you like, on any machine'],
    ['pcache-monitor --close', 'work until both queues are empty'],
    ['pcache-monitor --once --json', 'depths of the queues, as data']
  ],
  async run(options: MonitorOptions, session) {
    await withOpenQueues(options, session, async queues => {
      if (options.once) return show(options, session, await metrics({ queues }))
      const concurrency = options.maxProcesses ?? 2
      await withPartitionCache(options, session, cache => withSource(options, session, source => workOn(options, session, { queues, cache, source, concurrency }), { concurrency: concurrency + 1 }))
    })
  }
}

function show({ json }: MonitorOptions, session: Session, found: Metrics): void {
  print(session, json ? jsonLine(found) : statusLines(found).join('\n'))
}

async function workOn(options: MonitorOptions, session: Session, { queues, cache, source, concurrency }: { queues: Queues, cache: PartitionCache, source: Source, concurrency: number }): Promise<void> {
  const stop = new AbortController()
  const signal = AbortSignal.any([session.signal, stop.signal])
  const both = { queues, signal, leaseMs: options.lease, stopGraceMs: options.grace }
  const status = setInterval(() => { void report() }, timerMs(options.interval ?? (options.watch ? WATCH_INTERVAL_MS : DEFAULT_INTERVAL_MS)))
  try {
    const queries = processQueries({ ...both, untilEmpty: options.close ?? false, source, ...variantsOf(options) })
    const fragments = processFragments({ ...both, untilEmpty: options.close ? queries : false, source, cache, concurrency,
      timeoutMs: options.timeout, maxKeys: options.maxKeys, ttlMs: options.ttl, restrict: options.restrict, pureFunctions: options.pureFunction })
    // one that fails for good ends the other, which gives back what it holds
    await Promise.all([queries, fragments].map(work => work.catch((error: unknown) => {
      stop.abort(error)
      throw error
    })))
  } finally {
    clearInterval(status)
    stop.abort()
  }
  const found = await metrics({ queues })
  show(options, session, found)
  const { failed, timeout, 'too large': tooLarge } = found.fragments
  if (options.close && failed + timeout + tooLarge + found.queries.failed > 0) session.exitCode = EXIT.incomplete

  async function report(): Promise<void> {
    try {
      const lines = statusLines(await metrics({ queues }))
      if (options.watch) session.stderr.write(session.redact(`${session.stderr.isTTY ? HOME_AND_CLEAR : ''}${lines.join('\n')}\n`))
      else note(session, lines[0]!)
    } catch (error) {
      note(session, `pcache-monitor: ${error instanceof Error ? error.message : String(error)}`)
    }
  }
}
