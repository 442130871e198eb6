import { setImmediate as turn } from 'node:timers/promises'
import { InvalidArgumentError } from '../errors.js'
import type { Queue } from './queue.js'

/** What was moved. */
export interface MoveReport {
  readonly moved: number
  /** Of these, those that the target had already. */
  readonly merged: number
}

const PER_STEP = 500

/**
 * Moves the jobs of one queue that may be taken to another, best first: those delayed or in a worker's hands stay. A job is in the target
 * before it leaves the source, so none is lost however it ends; at worst one is in both.
 *
 * @throws {InvalidArgumentError} `to` is `from`, which would never be empty
 * @throws {QueueError} a server failed; jobs on their way return to the source when their leases run out
 */
export async function moveJobs(from: Queue, to: Queue, { signal }: { signal?: AbortSignal | undefined } = {}): Promise<MoveReport> {
  if (from === to) throw new InvalidArgumentError({ argument: 'to', expected: 'another queue than the one that is moved', found: 'the same' })
  let [moved, merged] = [0, 0]
  for (;;) {
    signal?.throwIfAborted()
    const leases = await from.lease({ count: PER_STEP })
    if (leases.length === 0) return { moved, merged }
    try {
      const report = await to.push(leases.map(({ item, priority }) => ({ ...item, priority })))
      merged += report.merged + report.dead
    } catch (error) {
      await Promise.allSettled(leases.map(lease => lease.nack({ counts: false })))
      throw error
    }
    const acked = await Promise.all(leases.map(lease => lease.ack()))
    moved += acked.filter(Boolean).length
    // a queue in memory answers without one: timers and aborts would wait until all is moved
    await turn()
  }
}
