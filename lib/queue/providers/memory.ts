import type { HeldJob, NewItem, QueueProvider, QueueStore } from '../queue-store.js'
import { RERUNS } from '../push-items.js'

interface Job {
  readonly id: number
  item: NewItem
  attempts: number
  /** By the clock of `performance`. */
  availableAt: number
  /** Where it stands among jobs of one priority. */
  place: number
  lease: string | undefined
  isPushedAgain: boolean
  error: string | undefined
  diedAt: number | undefined
}

/** One queue in this process's memory: for tests, and for programs that fill their cache themselves. Gone with the process. */
function memoryStore(): QueueStore {
  const jobs = new Map<string, Job>()
  const byId = new Map<string, Job>()
  const listeners = new Set<() => void>()
  let [ids, places, leases] = [0, 0, 0]
  const now = (): number => performance.now()
  const keyOf = ({ hash, partitionKey }: NewItem): string => `${hash}\0${partitionKey}`
  const alive = (): Job[] => [...jobs.values()].filter(({ diedAt }) => diedAt === undefined)
  const wake = (): void => { for (const listener of [...listeners]) queueMicrotask(listener) }
  const held = ({ id, lease }: HeldJob): Job | undefined => {
    const job = byId.get(id)
    return job && job.lease === lease && job.diedAt === undefined && job.availableAt > now() ? job : undefined
  }
  const remove = (job: Job): void => {
    jobs.delete(keyOf(job.item))
    byId.delete(String(job.id))
  }
  const make = (job: Job, delayMs: number): void => {
    Object.assign(job, { lease: undefined, isPushedAgain: false, availableAt: now() + delayMs, place: ++places })
  }
  function merge(job: Job, item: NewItem): void {
    job.item = {
      ...job.item, priority: Math.max(job.item.priority, item.priority),
      rerun: RERUNS[Math.max(RERUNS.indexOf(job.item.rerun), RERUNS.indexOf(item.rerun))]
    }
    job.isPushedAgain = job.lease !== undefined
    if (job.lease === undefined && job.attempts === 0) job.availableAt = Math.min(job.availableAt, now() + item.delayMs)
  }

  return {
    async push(items) {
      let [inserted, merged] = [0, 0]
      for (const item of items) {
        const job = jobs.get(keyOf(item))
        if (!job) {
          const fresh: Job = { id: ++ids, item, attempts: 0, availableAt: now() + item.delayMs, place: ++places, lease: undefined, isPushedAgain: false, error: undefined, diedAt: undefined }
          jobs.set(keyOf(item), fresh)
          byId.set(String(fresh.id), fresh)
          inserted++
        } else if (job.diedAt === undefined) {
          merge(job, item)
          merged++
        }
      }
      if (inserted + merged > 0) wake()
      return { inserted, merged }
    },
    async take(count, { leaseMs, maxAttempts }) {
      const at = now()
      const due = alive().filter(({ availableAt }) => availableAt <= at)
        .sort((a, b) => b.item.priority - a.item.priority || a.place - b.place).slice(0, count)
      const spent = due.filter(({ attempts }) => attempts >= maxAttempts)
      for (const job of spent) Object.assign(job, { diedAt: Date.now(), lease: undefined, error: job.error ?? `its lease ran out ${job.attempts} times` })
      const taken = due.filter(job => !spent.includes(job))
      for (const job of taken) {
        make(job, leaseMs)
        job.attempts++
        job.lease = String(++leases)
      }
      const next = due.length > 0 ? undefined : alive().reduce<number | undefined>((least, { availableAt }) => Math.min(least ?? Infinity, availableAt), undefined)
      return { died: spent.length, waitMs: next === undefined ? undefined : next - at,
        jobs: taken.map(({ id, item, attempts, lease }) => ({ id: String(id), lease: lease!, attempt: attempts, item: storedItem(item) })) }
    },
    async ack(given) {
      return given.flatMap(one => {
        const job = held(one)
        if (!job) return []
        if (job.isPushedAgain) {
          make(job, 0)
          Object.assign(job, { attempts: 0, error: undefined })
          wake()
        } else remove(job)
        return [one.id]
      })
    },
    async nack(given, { maxAttempts }) {
      return given.flatMap(({ delayMs, error, counts, isDead, ...one }) => {
        const job = held(one)
        if (!job) return []
        const dies = isDead || (counts && job.attempts >= maxAttempts)
        make(job, delayMs)
        Object.assign(job, { error: error ?? job.error, attempts: job.attempts - (counts || dies ? 0 : 1), diedAt: dies ? Date.now() : undefined })
        if (!dies) wake()
        return [{ id: one.id, isDead: dies }]
      })
    },
    async extend(given, { leaseMs }) {
      return given.flatMap(one => {
        const job = held(one)
        if (job) job.availableAt = now() + leaseMs
        return job ? [one.id] : []
      })
    },
    async counts() {
      const all = alive()
      const later = all.filter(({ availableAt }) => availableAt > now())
      const leased = later.filter(({ lease }) => lease !== undefined).length
      return { waiting: all.length - later.length, delayed: later.length - leased, leased, dead: jobs.size - all.length }
    },
    async clear({ dead }) {
      const cleared = dead ? [...jobs.values()] : alive()
      cleared.forEach(remove)
      return cleared.length
    },
    async dead(limit, after = '0') {
      return [...jobs.values()].filter(({ id, diedAt }) => diedAt !== undefined && id > Number(after)).sort((a, b) => a.id - b.id).slice(0, limit)
        .map(({ id, item, attempts, error, diedAt }) => ({ ...storedItem(item), id: String(id), attempts, error, diedAt: diedAt! }))
    },
    async retry(hashes) {
      const revived = [...jobs.values()].filter(({ diedAt, item }) => diedAt !== undefined && (hashes?.includes(item.hash) ?? true))
      for (const job of revived) {
        make(job, 0)
        Object.assign(job, { attempts: 0, error: undefined, diedAt: undefined, item: { ...job.item, rerun: job.item.rerun ?? 'unusable' } })
      }
      if (revived.length > 0) wake()
      return revived.length
    },
    async listen(listener) {
      listeners.add(listener)
      return async () => { listeners.delete(listener) }
    }
  }
}

function storedItem({ delayMs: _, ...item }: NewItem): Omit<NewItem, 'delayMs'> {
  return item
}

/** Both queues in this process's memory. */
export async function memoryQueues(): Promise<QueueProvider> {
  return { name: 'memory', incoming: memoryStore(), outgoing: memoryStore(), close: async () => {} }
}
