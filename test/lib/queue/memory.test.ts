import { expect } from 'chai'
import { moveJobs } from '../../../lib/queue/move.js'
import { openQueues } from '../../../lib/queue/open-queues.js'
import { queueSuite } from './queue-suite.js'

queueSuite('memory', async () => ({ isShared: false, open: (_, options) => openQueues('memory', options), end: async () => {} }))

describe('moveJobs', () => {
  it('can be aborted between two steps, also where no server lets others have a turn', async () => {
    const [from, to] = [await openQueues('memory', {}), await openQueues('memory', {})]
    await from.incoming.push(Array.from({ length: 1200 }, (_, i) => ({ sql: `SELECT ${i}`, hash: `h${i}` })), { partitionKey: 'k' })
    const stop = new AbortController()
    setImmediate(() => { stop.abort() })
    const error: unknown = await moveJobs(from.incoming, to.incoming, { signal: stop.signal }).catch((thrown: unknown) => thrown)
    expect(error).to.equal(stop.signal.reason)
    const [left, moved] = [await from.incoming.size(), await to.incoming.size()]
    expect([left + moved, left > 0, moved > 0]).to.deep.equal([1200, true, true])
    await from.close()
    await to.close()
  })
})
