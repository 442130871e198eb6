import { openQueues } from './open-queues.js'
import type { Queues } from './queue.js'

/** How long queues stay open after their last use. */
const IDLE_MS = 500

let shared: Promise<Queues> | undefined
let users = 0
let closing: NodeJS.Timeout | undefined

/**
 * Runs `work` with the queues that were passed in, else with those of the environment: opened once for all calls of a process, and
 * closed when none has used them for half a second, so that neither a burst of calls opens many connections nor a process is kept from
 * ending.
 */
export async function withQueues<T>(given: Queues | undefined, work: (queues: Queues) => Promise<T>): Promise<T> {
  if (given) return work(given)
  clearTimeout(closing)
  users++
  const opening = shared ??= openQueues()
  try {
    return await work(await opening)
  } catch (error) {
    // what could not be opened, or lost its server, is opened anew by the next call
    if (shared === opening) shared = undefined
    void opening.then(queues => queues.close(), () => {})
    throw error
  } finally {
    users--
    if (users === 0 && shared) closing = setTimeout(() => { void close() }, IDLE_MS)
  }
}

async function close(): Promise<void> {
  const open = shared
  shared = undefined
  await (await open)?.close()
}
