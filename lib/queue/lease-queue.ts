import { checkInteger, checkNumber } from '../check-number.js'
import { InvalidArgumentError, messageOf } from '../errors.js'
import { timerMs } from '../timers.js'
import { coalesce } from './coalesce.js'
import { emit } from './metrics.js'
import { decodeParameters } from './parameters.js'
import { newItems } from './push-items.js'
import type { HeldJob, QueueStore, ReturnedJob, StoredItem, TakenJob } from './queue-store.js'
import { QueueError } from './queue-store.js'
import type { Lease, LeaseOptions, NackOptions, Queue, QueueItem } from './queue.js'
import { Waiting } from './waiting.js'

/** What a queue is made of. */
export interface LeaseQueueOptions {
  readonly name: 'incoming' | 'outgoing'
  readonly provider: string
  readonly store: QueueStore
  /** Takes of a job, before it is given up. */
  readonly maxAttempts: number
  /** Longest time between two looks while waiting, in ms. */
  readonly pollMs: number
  /** Aborted when the queues are closed. */
  readonly closed: AbortSignal
}

const DEFAULT_LEASE_MS = 30_000
const DEFAULT_DEAD_LIMIT = 1000
const MAX_ERROR_LENGTH = 2000

/** What an error leaves behind with its job. */
function errorText(error: unknown): string | undefined {
  return error === undefined ? undefined : messageOf(error).replaceAll('\0', '').toWellFormed().slice(0, MAX_ERROR_LENGTH)
}

/** What was said of an item, and nothing else. */
function itemOf({ sql, hash, partitionKey, datatype, tables, params, rerun }: StoredItem): QueueItem {
  return { sql, hash, partitionKey, ...(datatype && { datatype }), ...(tables && { tables }), ...(params && { params: decodeParameters(params) }), ...(rerun && { rerun }) }
}

/** A queue over a provider's store: validates, waits, and makes leases of what was taken. */
export function leaseQueue({ name, provider, store, maxAttempts, pollMs, closed }: LeaseQueueOptions): Queue {
  const waiting = new Waiting(wake => store.listen(wake), closed)
  const settled = (end: 'ack' | 'nack' | 'dead' | 'lost', hash: string | undefined, error?: unknown): void => {
    emit('millrace:queue:settle', { queue: name, provider, end, hash, ...(error === undefined ? {} : { error }) })
  }
  // what is settled in one go is one statement
  const ack = coalesce<HeldJob, boolean>(async jobs => {
    const held = new Set(await store.ack(jobs))
    return jobs.map(({ id }) => held.has(id))
  })
  const nack = coalesce<ReturnedJob, boolean | undefined>(async jobs => {
    const held = new Map((await store.nack(jobs, { maxAttempts })).map(({ id, isDead }) => [id, isDead]))
    return jobs.map(({ id }) => held.get(id))
  })
  const extensions = new Map<number, (job: HeldJob) => Promise<boolean>>()
  const extend = (job: HeldJob, leaseMs: number): Promise<boolean> => {
    let one = extensions.get(leaseMs)
    if (!one) extensions.set(leaseMs, one = coalesce(async jobs => {
      const held = new Set(await store.extend(jobs, { leaseMs }))
      return jobs.map(({ id }) => held.has(id))
    }))
    return one(job)
  }
  function open(): void {
    if (closed.aborted) throw new QueueError({ provider, action: 'the queues are closed' })
  }

  function leaseOf(job: TakenJob, leaseMs: number, takenAt: number): Lease {
    const held: HeldJob = { id: job.id, lease: job.lease }
    let expiresAt = takenAt + leaseMs
    return {
      item: itemOf(job.item), priority: job.item.priority, attempt: job.attempt, token: Number(job.lease),
      get expiresAt() { return expiresAt },
      async ack() {
        open()
        const isDone = await ack(held)
        settled(isDone ? 'ack' : 'lost', job.item.hash)
        return isDone
      },
      async nack({ error, delayMs = 0, counts = true, dead = false }: NackOptions = {}) {
        open()
        const isDead = await nack({ ...held, delayMs: checkNumber('delayMs', delayMs, 0), error: errorText(error), counts, isDead: dead })
        settled(isDead === undefined ? 'lost' : isDead ? 'dead' : 'nack', job.item.hash, error)
        return isDead !== undefined
      },
      async heartbeat(again = leaseMs) {
        open()
        checkNumber('leaseMs', again, 1)
        const from = Date.now()
        const isHeld = await extend(held, again)
        if (isHeld) expiresAt = from + again
        return isHeld
      }
    }
  }

  async function takeNow(count: number, leaseMs: number): Promise<{ leases: Lease[], waitMs: number | undefined }> {
    for (;;) {
      open()
      const takenAt = Date.now()
      const { jobs, died, waitMs } = await store.take(count, { leaseMs, maxAttempts })
      for (let i = 0; i < died; i++) settled('dead', undefined)
      if (jobs.length > 0) emit('millrace:queue:lease', { queue: name, provider, jobs: jobs.length })
      if (jobs.length > 0 || died === 0) return { leases: jobs.map(job => leaseOf(job, leaseMs, takenAt)), waitMs }
    }
  }

  async function take({ leaseMs = DEFAULT_LEASE_MS, timeoutMs = 0, signal }: LeaseOptions, count: number): Promise<Lease[]> {
    checkInteger('count', count, 1)
    checkNumber('leaseMs', leaseMs, 1)
    checkNumber('timeoutMs', timeoutMs, 0)
    signal?.throwIfAborted()
    const until = performance.now() + timeoutMs
    if (timeoutMs > 0) await waiting.start()
    for (;;) {
      const seen = waiting.wakes
      const { leases, waitMs = pollMs } = await takeNow(count, leaseMs)
      const left = until - performance.now()
      if (leases.length > 0 || left <= 0) return leases
      await waiting.wait(seen, timerMs(Math.min(left, Math.max(1, waitMs), pollMs)), signal)
      if (closed.aborted) return []
    }
  }

  async function lease(options?: LeaseOptions & { count?: undefined }): Promise<Lease | undefined>
  async function lease(options: LeaseOptions & { count: number }): Promise<Lease[]>
  async function lease(options: LeaseOptions = {}): Promise<Lease | Lease[] | undefined> {
    const leases = await take(options, options.count ?? 1)
    return options.count === undefined ? leases[0] : leases
  }

  return {
    name, lease,
    async push(items, options = {}) {
      const pushed = newItems(items, options)
      open()
      if (pushed.length === 0) return { queued: 0, merged: 0, dead: 0 }
      const { inserted, merged } = await store.push(pushed)
      const report = { queued: inserted, merged, dead: pushed.length - inserted - merged }
      emit('millrace:queue:push', { queue: name, provider, ...report })
      return report
    },
    async size() {
      open()
      const { waiting: ready, delayed, leased } = await store.counts()
      return ready + delayed + leased
    },
    async counts() {
      open()
      return store.counts()
    },
    async clear({ dead = false } = {}) {
      open()
      return store.clear({ dead })
    },
    async dead({ limit = DEFAULT_DEAD_LIMIT, after } = {}) {
      open()
      const jobs = await store.dead(checkInteger('limit', limit, 1), after)
      return jobs.map(job => ({ ...itemOf(job), id: job.id, priority: job.priority, attempts: job.attempts, error: job.error, diedAt: new Date(job.diedAt) }))
    },
    async retryDead(hashes) {
      open()
      if (hashes !== undefined && !Array.isArray(hashes)) throw new InvalidArgumentError({ argument: 'hashes', expected: 'an array of hashes', found: typeof hashes })
      return hashes?.length === 0 ? 0 : store.retry(hashes)
    }
  }
}
