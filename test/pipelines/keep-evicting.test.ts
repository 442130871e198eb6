import { expect } from 'chai'
import { PartitionBackendError } from '../../lib/partition/backend.js'
import { memoryBackend } from '../../lib/partition/backends/memory.js'
import { partitionCache, type PartitionCache } from '../../lib/partition/cache.js'
import { keepEvicting } from '../../pipelines/keep-evicting.js'
import type { EvictionRound } from '../../streams/partition-evictor.js'

async function cacheOf(sets: number): Promise<PartitionCache> {
  const cache = await partitionCache({ backend: memoryBackend(), partitionKey: 'k', datatype: 'integer' })
  for (let i = 0; i < sets; i++) await cache.setSet(`h${i}`, [i])
  return cache
}

describe('keepEvicting', () => {
  it('keeps a growing cache within its limits, round after round, until it is aborted', async () => {
    const cache = await cacheOf(5)
    const stop = new AbortController()
    const rounds: EvictionRound[] = []
    const totals = await keepEvicting({ cache, policy: { maxEntries: 2 }, everyMs: 1, signal: stop.signal, onRound: round => {
      rounds.push(round)
      void cache.setSet(`more ${round.round}`, [1])
      if (round.round === 3) stop.abort()
    } })
    expect(totals).to.include({ rounds: 3, failed: 0, evicted: 5 })
    expect(rounds.map(({ reports }) => reports[0]?.kept.entries)).to.deep.equal([2, 2, 2])
  })

  it('does nothing when it is aborted before it starts, and ends a wait of any length', async () => {
    const cache = await cacheOf(3)
    expect(await keepEvicting({ cache, policy: { maxEntries: 0 }, signal: AbortSignal.abort() })).to.include({ rounds: 0 })
    const stop = new AbortController()
    const totals = await keepEvicting({ cache, policy: { maxEntries: 0 }, everyMs: 2 ** 31 - 1, signal: stop.signal, onRound: () => { setImmediate(() => stop.abort()) } })
    expect(totals).to.include({ rounds: 1, evicted: 3 })
  })

  it('refuses a pause that would never rest, and rounds that cannot be counted', async () => {
    const cache = await cacheOf(1)
    for (const [options, argument] of [[{ everyMs: NaN }, 'everyMs'], [{ everyMs: -5 }, 'everyMs'], [{ everyMs: 0 }, 'everyMs'], [{ everyMs: Infinity }, 'everyMs'],
      [{ rounds: NaN }, 'rounds'], [{ rounds: 1.5 }, 'rounds'], [{ rounds: -1 }, 'rounds']] as const) {
      const error: unknown = await keepEvicting({ cache, policy: { maxEntries: 0 }, rounds: 2, ...options }).catch((thrown: unknown) => thrown)
      expect(error, JSON.stringify(options)).to.include({ code: 'ERR_INVALID_ARGUMENT', argument })
    }
    expect((await cache.getAllKeys()).length).to.equal(1)
  })

  it('stops between two removals when it is aborted in a round', async () => {
    const cache = await cacheOf(1200)
    const stop = new AbortController()
    const backend = memoryBackend()
    const watched = await partitionCache({ backend: { ...backend, remove: async (partition, hashes) => {
      await backend.remove(partition, hashes)
      stop.abort()
    } }, partitionKey: 'k', datatype: 'integer' })
    for (let i = 0; i < 1200; i++) await watched.setSet(`h${i}`, [i])
    expect(await keepEvicting({ cache: watched, policy: { maxEntries: 0 }, signal: stop.signal })).to.include({ rounds: 0 })
    expect((await watched.getAllKeys()).length).to.equal(700)
    await cache.close()
  })

  it('leaves passing trouble to the next round, and ends with what does not pass', async () => {
    let calls = 0
    const failing = (isTransient: boolean): Pick<PartitionCache, 'evict'> => ({ evict: async () => {
      if (++calls === 1) throw new PartitionBackendError({ backend: 'test', action: 'could not reach it', isTransient })
      return []
    } })
    expect(await keepEvicting({ cache: failing(true), policy: { maxEntries: 1 }, everyMs: 1, rounds: 2 })).to.deep.equal({ rounds: 2, failed: 1, evicted: 0, evictedBytes: 0 })
    calls = 0
    const error: unknown = await keepEvicting({ cache: failing(false), policy: { maxEntries: 1 }, everyMs: 1, rounds: 2 }).catch((thrown: unknown) => thrown)
    expect(error).to.include({ code: 'ERR_PARTITION_BACKEND' })
    expect(await keepEvicting({ cache: failing(false), policy: {} }).catch((thrown: unknown) => thrown)).to.include({ code: 'ERR_INVALID_ARGUMENT' })
  })
})
