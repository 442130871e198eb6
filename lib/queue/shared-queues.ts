import { emit } from './metrics.js'
import { openQueues } from './open-queues.js'
import { QueueError } from './queue-store.js'
import type { Queues } from './queue.js'

/** How long queues stay open after their last use. */
const IDLE_MS = 500

/** Queues that were opened once for the calls of this process. */
interface Opened {
  readonly opening: Promise<Queues>
  /** Calls that have them in their hands. */
  users: number
  closing?: NodeJS.Timeout
}

/** What the next call gets; others may still be in use by calls that began before trouble with them. */
let shared: Opened | undefined

/**
 * Runs `work` with the queues that were passed in, else with those of the environment: opened once for all calls of a process, and
 * closed when none has used them for half a second, so that neither a burst of calls opens many connections nor a process is kept from
 * ending. A call that fails takes them from nobody: after trouble with the queues the next call opens others, and these are closed when
 * the last of their users is done.
 */
export async function withQueues<T>(given: Queues | undefined, work: (queues: Queues) => Promise<T>): Promise<T> {
  if (given) return work(given)
  const opened = shared ??= { opening: openQueues(), users: 0 }
  clearTimeout(opened.closing)
  opened.users++
  let isOpen = false
  try {
    const queues = await opened.opening
    isOpen = true
    return await work(queues)
  } catch (error) {
    // an argument that was refused says nothing about the queues
    if (!isOpen || error instanceof QueueError) drop(opened)
    throw error
  } finally {
    opened.users--
    if (opened.users === 0) {
      if (shared !== opened) void close(opened)
      else opened.closing = setTimeout(() => { void close(opened) }, IDLE_MS)
    }
  }
}

function drop(opened: Opened): void {
  if (shared === opened) shared = undefined
}

async function close(opened: Opened): Promise<void> {
  drop(opened)
  // what could not be opened was told to its callers
  const queues = await opened.opening.catch(() => undefined)
  // nobody waits for this any more
  await queues?.close().catch((error: unknown) => { emit('millrace:queue:trouble', { where: 'closing the queues', error }) })
}
