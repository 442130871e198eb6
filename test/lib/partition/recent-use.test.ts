import { expect } from 'chai'
import type { PartitionBackend } from '../../../lib/partition/backend.js'
import { memoryBackend } from '../../../lib/partition/backends/memory.js'
import { partitionCache } from '../../../lib/partition/cache.js'
import { useTracker } from '../../../lib/partition/recent-use.js'

const partition = { name: 'k', datatype: 'integer' as const }

/** A real backend that counts what it is told. */
function counted(): { backend: PartitionBackend, told: string[][] } {
  const memory = memoryBackend()
  const told: string[][] = []
  return { told, backend: { ...memory, touch: async (name, uses) => {
    told.push([...uses.keys()])
    await memory.touch!(name, uses)
  } } }
}

describe('useTracker', () => {
  it('writes once for any number of reads, and when it is closed', async () => {
    const { backend, told } = counted()
    const cache = await partitionCache({ backend, partitionKey: 'k', datatype: 'integer' })
    for (const hash of ['a', 'b', 'c']) await cache.setSet(hash, [1])
    for (let i = 0; i < 500; i++) await cache.intersect(['a', 'b', 'unknown'])
    expect(told).to.deep.equal([])
    await cache.close()
    expect(told).to.deep.equal([['a', 'b']])
  })

  it('writes when its time is up or its notes are many, one write at a time', async () => {
    const { backend, told } = counted()
    const tracker = useTracker(backend, { mostNotes: 2 })
    tracker.note(partition, ['a'])
    expect(told).to.have.length(0)
    tracker.note(partition, ['a', 'b', 'c'])
    tracker.note(partition, ['d'])
    await tracker.flush()
    expect(told).to.deep.equal([['a', 'b', 'c'], ['d']])
    const prompt = useTracker(backend, { everyMs: 0 })
    prompt.note(partition, ['x'])
    await prompt.flush()
    expect(told.at(-1)).to.deep.equal(['x'])
  })

  it('resolves no flush before its notes are written, however many wait for one write', async () => {
    const { backend, told } = counted()
    const tracker = useTracker({ ...backend, touch: async (name, uses) => {
      // a write that takes turns of the event loop, as one to a server does
      await new Promise(resolve => setImmediate(resolve))
      await backend.touch!(name, uses)
    } })
    tracker.note(partition, ['a'])
    const first = tracker.flush()
    tracker.note(partition, ['b'])
    const both = [tracker.flush(), tracker.flush()].map(async flushed => {
      await flushed
      return told.flat()
    })
    await first
    expect(await Promise.all(both)).to.deep.equal([['a', 'b'], ['a', 'b']])
  })

  it('does not fail a reader whose backend refuses to write', async () => {
    const { backend } = counted()
    const cache = await partitionCache({ backend: { ...backend, touch: () => Promise.reject(new Error('read-only')) }, partitionKey: 'k', datatype: 'integer' })
    await cache.setSet('a', [1])
    expect(await cache.get('a')).to.deep.equal(new Set([1]))
    await cache.close()
  })

  it('asks nothing of a backend that cannot note uses, and can be switched off', async () => {
    const { backend, told } = counted()
    const { touch: _, ...without } = backend
    await useTracker(without).flush()
    useTracker(without).note(partition, ['a'])
    const cache = await partitionCache({ backend, partitionKey: 'k', datatype: 'integer', trackUse: false })
    await cache.setSet('a', [1])
    await cache.get('a')
    await cache.close()
    expect(told).to.deep.equal([])
  })

  it('says which backend cannot be evicted from, and in which order', async () => {
    const { backend } = counted()
    const { usage: _, ...without } = backend
    const errorOf = async (other: PartitionBackend, order?: 'largest'): Promise<unknown> => {
      const cache = await partitionCache({ backend: other, partitionKey: 'k', datatype: 'integer' })
      return cache.evict({ maxEntries: 1, order }).catch((error: unknown) => error)
    }
    expect(await errorOf(without)).to.include({ code: 'ERR_INVALID_ARGUMENT', argument: 'cache' })
    expect(await errorOf({ ...backend, supports: { ...backend.supports, evictsBy: ['oldest'] } }, 'largest')).to.include({ code: 'ERR_INVALID_ARGUMENT', argument: 'order' })
  })
})
