import { Option } from 'commander'
import { queueOptionsFromEnv, queueProviderFromEnv } from '../../lib/partition/env.js'
import { openQueues } from '../../lib/queue/open-queues.js'
import type { Queue, Queues } from '../../lib/queue/queue.js'
import { isQueueProvider } from '../../lib/queue/registry.js'
import { InvalidArgumentError } from '../../lib/errors.js'
import { settleWithin } from '../settle.js'
import type { Session } from '../session.js'
import { environmentOf } from './environment.js'
import type { CommonOptions } from './options.js'

/** Options that say which queues. */
export interface QueueOptions extends CommonOptions {
  queueProvider?: string
}

/** Options that say which of the two. */
export interface WhichQueueOptions extends QueueOptions {
  which?: 'incoming' | 'outgoing'
}

const CLOSE_MS = 2000

/** `--queue-provider`. */
export function queueOptions(): Option[] {
  return [new Option('--queue-provider <name>', 'where the queues are (default: $QUERY_QUEUE_PROVIDER, else postgresql)').choices(['postgresql', 'redis'])]
}

/** `--which`. */
export function whichOption(): Option {
  return new Option('--which <queue>', 'only the queue of whole queries (incoming) or of fragments (outgoing); default both').choices(['incoming', 'outgoing'])
}

/** `--priority`. */
export function priorityOption(): Option {
  return new Option('--priority <number>', 'larger first; a job that is queued already takes the higher one (default 1)').argParser(Number)
}

/** Opens the queues that the options and the environment name (or those of `provider`), for as long as `work` takes. */
export async function withOpenQueues<T>(options: QueueOptions, session: Session, work: (queues: Queues) => Promise<T>, provider?: string): Promise<T> {
  const env = environmentOf(options, session)
  const name = provider ?? queueProviderFromEnv(env)
  if (!isQueueProvider(name) || name === 'memory') throw new InvalidArgumentError({ argument: '--queue-provider', expected: 'postgresql or redis, which outlive this process', found: name })
  const queues = await openQueues(name, queueOptionsFromEnv(name, env) as never)
  try {
    return await work(queues)
  } finally {
    await settleWithin(CLOSE_MS, queues.close())
  }
}

/** The queues meant. */
export function chosenQueues({ incoming, outgoing }: Queues, { which }: WhichQueueOptions): Queue[] {
  return which === 'incoming' ? [incoming] : which === 'outgoing' ? [outgoing] : [incoming, outgoing]
}
