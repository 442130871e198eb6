import { expect } from 'chai'
import { memoryBackend } from '../../lib/partition/backends/memory.js'
import { partitionCache } from '../../lib/partition/cache.js'
import { openQueues } from '../../lib/queue/open-queues.js'
import { MAX_TIMER_MS, timerMs } from '../../lib/timers.js'
import { keepEvicting } from '../../pipelines/keep-evicting.js'
import { processQueries } from '../../pipelines/process-queries.js'

const DAYS_MS = 86_400_000

/** Names of the warnings that Node gave while `work` ran: it says so where a timer is set to more than it can wait, and fires at once. */
async function warningsOf(work: () => Promise<unknown>): Promise<string[]> {
  const names: string[] = []
  const note = ({ name }: Error): void => { names.push(name) }
  process.on('warning', note)
  try {
    await work()
    // warnings come a tick after what they are about
    await new Promise(resolve => setImmediate(resolve))
  } finally {
    process.off('warning', note)
  }
  return names
}

describe('waits of more than 24 days', () => {
  it('are as long as a timer can wait, not over at once', () => {
    expect([1, 0.5, MAX_TIMER_MS, MAX_TIMER_MS + 1, Infinity].map(timerMs)).to.deep.equal([1, 0.5, MAX_TIMER_MS, MAX_TIMER_MS, MAX_TIMER_MS])
  })

  it('may lie between two rounds of eviction', async () => {
    const cache = await partitionCache({ backend: memoryBackend(), partitionKey: 'k', datatype: 'integer' })
    const stop = new AbortController()
    expect(await warningsOf(() => keepEvicting({ cache, policy: { maxEntries: 0 }, everyMs: 30 * DAYS_MS, signal: stop.signal, onRound: () => { setImmediate(() => stop.abort()) } }))).to.deep.equal([])
  })

  it('may be a worker\'s lease and its grace', async () => {
    const queues = await openQueues('memory', {})
    expect(await warningsOf(() => processQueries({ queues, signal: AbortSignal.abort(), leaseMs: 90 * DAYS_MS, stopGraceMs: 30 * DAYS_MS }))).to.deep.equal([])
    await queues.close()
  })
})
