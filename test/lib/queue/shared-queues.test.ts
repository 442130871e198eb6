import { expect } from 'chai'
import { pushToOriginalQueryQueue } from '../../../lib/queue/push-queries.js'
import { QueueError } from '../../../lib/queue/queue-store.js'
import type { Queues } from '../../../lib/queue/queue.js'
import { withQueues } from '../../../lib/queue/shared-queues.js'

const SOON = { timeoutMs: 20_000 }

async function errorOf(promise: Promise<unknown>): Promise<{ code?: string, message?: string }> {
  return promise.then(() => ({}), (error: unknown) => error as Error)
}

/** The queues of the environment, without staying their user. */
async function current(): Promise<Queues> {
  return withQueues(undefined, queues => Promise.resolve(queues))
}

describe('the queues that calls of a process share', () => {
  const outside = process.env['QUERY_QUEUE_PROVIDER']

  beforeEach(() => { process.env['QUERY_QUEUE_PROVIDER'] = 'memory' })
  afterEach(async () => {
    // what the next test gets is opened anew
    await errorOf(withQueues(undefined, () => Promise.reject(new QueueError({ provider: 'memory', action: 'the test is over' }))))
    if (outside === undefined) delete process.env['QUERY_QUEUE_PROVIDER']
    else process.env['QUERY_QUEUE_PROVIDER'] = outside
  })

  it('stay open under those who use them when another call is refused', async () => {
    const worker = withQueues(undefined, ({ incoming }) => incoming.lease(SOON))
    expect(await errorOf(pushToOriginalQueryQueue('', { partitionKey: 'k' }))).to.include({ code: 'ERR_INVALID_ARGUMENT' })
    await pushToOriginalQueryQueue('SELECT 1', { partitionKey: 'k' })
    expect((await worker)?.item.sql).to.equal('SELECT 1')
  })

  it('serve a good call beside a bad one', async () => {
    const [good, bad] = await Promise.allSettled([pushToOriginalQueryQueue('SELECT 1', { partitionKey: 'k' }), pushToOriginalQueryQueue('', { partitionKey: 'k' })])
    expect([good, bad.status]).to.deep.equal([{ status: 'fulfilled', value: { queued: 1, merged: 0, dead: 0 } }, 'rejected'])
  })

  it('are opened anew after trouble with them, and those in trouble are closed when their last user is done', async () => {
    let release!: () => void
    const released = new Promise<void>(resolve => { release = resolve })
    let first!: Queues
    const user = withQueues(undefined, async queues => {
      first = queues
      await released
      return queues.incoming.size()
    })
    expect(await errorOf(withQueues(undefined, () => Promise.reject(new QueueError({ provider: 'memory', action: 'away' }))))).to.include({ code: 'ERR_QUEUE' })
    expect(await current()).to.not.equal(first)
    release()
    expect(await user).to.equal(0)
    // closing begins with the user's end
    await new Promise(resolve => setImmediate(resolve))
    expect((await errorOf(first.incoming.size())).message).to.match(/the queues are closed/)
    expect(await (await current()).incoming.size()).to.equal(0)
  })

  it('are opened anew when they could not be opened', async () => {
    process.env['QUERY_QUEUE_PROVIDER'] = 'carrier pigeon'
    expect(await errorOf(current())).to.include({ code: 'ERR_INVALID_ARGUMENT' })
    process.env['QUERY_QUEUE_PROVIDER'] = 'memory'
    expect(await (await current()).incoming.size()).to.equal(0)
  })
})
