import { Option } from 'commander'
import { InvalidArgumentError } from '../../../lib/errors.js'
import { moveJobs } from '../../../lib/queue/move.js'
import { isConfirmed } from '../../confirm.js'
import { count, required } from '../../options.js'
import { jsonLine } from '../../output/json.js'
import { alignedTable, counted, formatCount } from '../../output/text.js'
import { print } from '../../session.js'
import type { Action } from '../action.js'
import { yesOption } from '../options.js'
import { chosenQueues, queueOptions, whichOption, withOpenQueues, type QueueOptions, type WhichQueueOptions } from '../queues.js'

/** `pcache-manage --count-queue`. */
export const countQueue: Action = {
  flags: '--count-queue',
  description: 'count the jobs of both queues, by state',
  options: queueOptions(),
  examples: [['pcache-manage --count-queue', 'how much is waiting']],
  async run(options: QueueOptions, session) {
    const counts = await withOpenQueues(options, session, async ({ incoming, outgoing }) => ({ incoming: await incoming.counts(), outgoing: await outgoing.counts() }))
    if (options.json) return print(session, jsonLine(counts))
    const states = ['waiting', 'delayed', 'leased', 'dead'] as const
    print(session, alignedTable(['queue', ...states], Object.entries(counts).map(([name, of]) => [name, ...states.map(state => formatCount(of[state]))]), [...states]))
  }
}

/** `pcache-manage --clear-queue`. */
export const clearQueue: Action = {
  flags: '--clear-queue',
  description: 'remove the jobs of both queues, or of one; dead letters with --with-dead',
  options: [...queueOptions(), whichOption(), new Option('--with-dead', 'the dead letters too'), yesOption()],
  examples: [['pcache-manage --clear-queue --which outgoing --yes', 'forget all queued fragments, unasked']],
  async run(options: WhichQueueOptions & { withDead?: boolean, yes?: boolean }, session) {
    if (!await isConfirmed(options, `Remove all jobs of ${options.which ?? 'both queues'}?`, session)) return
    const cleared = await withOpenQueues(options, session, async queues => {
      let sum = 0
      for (const queue of chosenQueues(queues, options)) sum += await queue.clear({ dead: options.withDead })
      return sum
    })
    print(session, options.json ? jsonLine({ cleared }) : `${counted(cleared, 'job')} removed`)
  }
}

/** `pcache-manage --dead`. */
export const dead: Action = {
  flags: '--dead',
  description: 'list the dead letters: jobs that were given up, and why',
  options: [...queueOptions(), whichOption(), new Option('--limit <count>', 'of each queue at most (default 100)').argParser(count(1))],
  examples: [['pcache-manage --dead --json', 'what could not be run, as data']],
  async run(options: WhichQueueOptions & { limit?: number }, session) {
    const jobs = await withOpenQueues(options, session, async queues =>
      (await Promise.all(chosenQueues(queues, options).map(async queue => (await queue.dead({ limit: options.limit ?? 100 })).map(job => ({ queue: queue.name, ...job }))))).flat())
    if (options.json) return print(session, jsonLine({ dead: jobs }))
    const rows = jobs.map(({ queue, hash, attempts, error = '', sql }) => [queue, hash.slice(0, 12), String(attempts), error.replaceAll(/\s+/g, ' ').slice(0, 60), sql.replaceAll(/\s+/g, ' ').slice(0, 60)])
    print(session, jobs.length === 0 ? 'no dead letters' : alignedTable(['queue', 'hash', 'attempts', 'error', 'query'], rows, ['attempts']))
  }
}

/** `pcache-manage --retry-dead`. */
export const retryDead: Action = {
  flags: '--retry-dead',
  description: 'put dead letters back into their queues with fresh attempts, all of them or those of --hash',
  options: [...queueOptions(), whichOption(), new Option('--hash <hash...>', 'only these')],
  examples: [['pcache-manage --retry-dead --which outgoing', 'try all fragments again that were given up']],
  async run(options: WhichQueueOptions & { hash?: string[] }, session) {
    const retried = await withOpenQueues(options, session, async queues => {
      let sum = 0
      for (const queue of chosenQueues(queues, options)) sum += await queue.retryDead(options.hash)
      return sum
    })
    print(session, options.json ? jsonLine({ retried }) : `${counted(retried, 'job')} back in the queue`)
  }
}

/** `pcache-manage --drain-queue`. */
export const drainQueue: Action = {
  flags: '--drain-queue',
  description: 'move the jobs of one provider into another',
  options: [new Option('--from <provider>', 'where the jobs are').choices(['postgresql', 'redis']), new Option('--to <provider>', 'where they shall be').choices(['postgresql', 'redis'])],
  examples: [['pcache-manage --drain-queue --from redis --to postgresql', 'change the provider without losing a job']],
  async run(options: QueueOptions & { from?: string, to?: string }, session) {
    const [from, to] = [required('--from PROVIDER', options.from), required('--to PROVIDER', options.to)]
    if (from === to) throw new InvalidArgumentError({ argument: '--to', expected: 'another provider than --from', found: to })
    const report = await withOpenQueues(options, session, source => withOpenQueues(options, session, async target => ({
      incoming: await moveJobs(source.incoming, target.incoming, { signal: session.signal }),
      outgoing: await moveJobs(source.outgoing, target.outgoing, { signal: session.signal })
    }), to), from)
    print(session, options.json ? jsonLine(report) : `${report.incoming.moved} queries and ${report.outgoing.moved} fragments moved from ${from} to ${to}`)
  }
}
