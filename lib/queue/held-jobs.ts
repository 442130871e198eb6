import { setTimeout as delay } from 'node:timers/promises'
import { timerMs } from '../timers.js'
import { emit } from './metrics.js'
import { QueueError } from './queue-store.js'
import type { Lease, NackOptions } from './queue.js'

/** A job that a worker holds. Its lease is kept by heartbeats until it is settled, lost or given back. */
export interface Job {
  readonly lease: Lease
  /** Aborted when the job is lost, or the worker stops without waiting: the work is for nobody. */
  readonly signal: AbortSignal
  /** Whether the lease is still held, and now is for its whole length again. */
  isHeld(): Promise<boolean>
  /** False where it was no longer held. Trouble with the queue's server is waited out as long as the lease may last. */
  ack(): Promise<boolean>
  nack(options: NackOptions): Promise<boolean>
}

/** How jobs are held. */
export interface HeldJobsOptions {
  readonly leaseMs: number
  /** Jobs at once. */
  readonly maxHeld: number
}

/** Heartbeats within one lease. */
const BEATS = 3
const RETRY_MS = 100

/** The reason of a signal of a job that is somebody else's now. */
export class LeaseLostError extends Error {}

/** The jobs of one worker: how many there are, and that their leases last. */
export class HeldJobs {
  readonly #jobs = new Map<Lease, AbortController>()
  readonly #maxHeld: number
  readonly #leaseMs: number
  readonly #timer: NodeJS.Timeout
  #roomFor: (() => void)[] = []
  #isBeating = false
  #isClosed = false

  constructor({ leaseMs, maxHeld }: HeldJobsOptions) {
    this.#maxHeld = maxHeld
    this.#leaseMs = leaseMs
    this.#timer = setInterval(() => { void this.#beat() }, timerMs(Math.max(1, leaseMs / BEATS)))
  }

  get size(): number {
    return this.#jobs.size
  }

  /** Jobs that may be added; waits until it is at least one, or the jobs are closed (0). */
  async room(): Promise<number> {
    while (!this.#isClosed && this.#jobs.size >= this.#maxHeld) await new Promise<void>(resolve => { this.#roomFor.push(resolve) })
    return this.#isClosed ? 0 : this.#maxHeld - this.#jobs.size
  }

  hold(lease: Lease): Job {
    const abort = new AbortController()
    this.#jobs.set(lease, abort)
    const settle = async (how: () => Promise<boolean>): Promise<boolean> => {
      const isDone = this.#jobs.has(lease) && await this.#persistently(lease, how)
      this.#drop(lease)
      return isDone
    }
    return {
      lease, signal: abort.signal,
      isHeld: async () => {
        const isHeld = this.#jobs.has(lease) && await this.#persistently(lease, () => lease.heartbeat())
        if (!isHeld) this.#lost(lease)
        return isHeld
      },
      ack: () => settle(() => lease.ack()),
      nack: options => settle(() => lease.nack(options))
    }
  }

  /** Stop the work on everything that is held. */
  cancel(reason: unknown): void {
    for (const abort of this.#jobs.values()) abort.abort(reason)
  }

  /** Give back what is still held, without blame. Never fails: what cannot be given back returns when its lease runs out. */
  async close(): Promise<void> {
    this.#isClosed = true
    clearInterval(this.#timer)
    for (const wake of this.#roomFor.splice(0)) wake()
    const leases = [...this.#jobs.keys()]
    this.cancel(new LeaseLostError('the worker stopped'))
    this.#jobs.clear()
    for (const result of await Promise.allSettled(leases.map(lease => lease.nack({ counts: false })))) {
      if (result.status === 'rejected') emit('millrace:queue:trouble', { where: 'giving back', error: result.reason })
    }
  }

  #lost(lease: Lease): void {
    this.#jobs.get(lease)?.abort(new LeaseLostError('the lease ran out: somebody else has the job'))
    this.#drop(lease)
  }

  #drop(lease: Lease): void {
    this.#jobs.delete(lease)
    for (const wake of this.#roomFor.splice(0)) wake()
  }

  /** Tries again while the queue's server is away and the lease may last. */
  async #persistently(lease: Lease, call: () => Promise<boolean>): Promise<boolean> {
    for (;;) {
      try {
        return await call()
      } catch (error) {
        emit('millrace:queue:trouble', { where: 'settling a job', error })
        if (!(error instanceof QueueError && error.isTransient)) throw error
        if (Date.now() > lease.expiresAt || this.#isClosed) return false
        await delay(RETRY_MS)
      }
    }
  }

  async #beat(): Promise<void> {
    if (this.#isBeating) return
    this.#isBeating = true
    await Promise.all([...this.#jobs.keys()].map(async lease => {
      const isHeld = await lease.heartbeat(this.#leaseMs).catch((error: unknown) => {
        emit('millrace:queue:trouble', { where: 'heartbeat', error })
        // unknown: it may be ours as long as its time has not run out
        return Date.now() <= lease.expiresAt
      })
      if (!isHeld) this.#lost(lease)
    }))
    this.#isBeating = false
  }
}
