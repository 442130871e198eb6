import { expect } from 'chai'
import { InvalidArgumentError } from '../../../lib/errors.js'
import { moveJobs } from '../../../lib/queue/move.js'
import type { Lease, Queue, Queues } from '../../../lib/queue/queue.js'

/** A place where queues are kept, made for one test file. */
export interface QueueHome {
  /** Opens the queues of the name `prefix`; twice for two views of the same ones, unless they live in this process. */
  open(prefix: string, options?: { maxAttempts?: number, pollMs?: number }): Promise<Queues>
  /** Two openings see the same jobs. */
  readonly isShared: boolean
  end(): Promise<void>
}

/** Long enough for anything that comes; what tests wait for comes much sooner. */
const SOON = { timeoutMs: 20_000 }

let counter = 0

async function errorOf(promise: Promise<unknown>): Promise<Error & { argument?: string, code?: string }> {
  const error: unknown = await promise.then(() => undefined, (thrown: unknown) => thrown)
  expect(error, 'should have been refused').to.be.instanceOf(Error)
  return error as Error
}

/** Takes one job, which must be there. */
async function taken(queue: Queue, options: { leaseMs?: number, timeoutMs?: number } = {}): Promise<Lease> {
  const lease = await queue.lease(options)
  expect(lease, 'a job').to.not.equal(undefined)
  return lease!
}

/** What every provider must hold. The whole test of a provider's queue. */
export function queueSuite(name: string, start: () => Promise<QueueHome>): void {
  describe(`queue provider ${name}`, function () {
    this.timeout(60_000)
    let home: QueueHome
    let queues: Queues
    let other: Queues
    let queue: Queue
    const push = (hash: string, more: object = {}): Promise<unknown> => queue.push({ sql: `SELECT ${hash}`, hash, partitionKey: 'city_id', ...more })
    const hashes = (leases: readonly Lease[]): string[] => leases.map(({ item }) => item.hash)

    before(async () => { home = await start() })
    after(async () => { await home.end() })
    beforeEach(async () => {
      const prefix = `q${++counter}`
      queues = await home.open(prefix, { maxAttempts: 3 })
      other = home.isShared ? await home.open(prefix, { maxAttempts: 3 }) : queues
      queue = queues.outgoing
    })
    afterEach(async () => {
      await queues.close()
      await other.close()
    })

    it('gives back an item as it was pushed, awkward texts and values among it', async () => {
      const params = [1, -0, 1.5, NaN, 12345678901234567890n, 'ü"\\\'🜁', true, null, new Date(5), new Uint8Array([0, 255]), [1, [2n]], undefined]
      const item = { sql: 'SELECT \'"\\\' -- ü🜁\n {}', hash: 'h "1"', partitionKey: 'Zeit\\"', datatype: 'timestamp' as const, tables: ['a.b', '"x,y"', '{}'], params, rerun: 'all' as const }
      await queues.incoming.push({ ...item, priority: 7 })
      const lease = await taken(other.incoming)
      expect(lease.item).to.deep.equal(item)
      expect([lease.priority, lease.attempt]).to.deep.equal([7, 1])
    })

    it('leaves out what was not said', async () => {
      await queue.push({ sql: 'SELECT 1' }, { partitionKey: 'k' })
      const { item } = await taken(queue)
      expect(item.hash).to.match(/^[0-9a-f]{64}$/)
      expect({ ...item, hash: '' }).to.deep.equal({ sql: 'SELECT 1', hash: '', partitionKey: 'k' })
    })

    it('keeps the two queues apart', async () => {
      await push('a')
      expect([await queues.incoming.size(), await queues.outgoing.size()]).to.deep.equal([0, 1])
      expect(await queues.incoming.lease()).to.equal(undefined)
    })

    it('hands out by priority, then in order of pushing', async () => {
      await queue.push(['c', 'a', 'b'].map(hash => ({ sql: 'x', hash, partitionKey: 'k' })))
      await push('d', { priority: 5 })
      await push('e', { priority: -5 })
      await push('f')
      expect(hashes(await queue.lease({ count: 10 }))).to.deep.equal(['d', 'c', 'a', 'b', 'f', 'e'])
    })

    it('queues the same hash and partition key once, and the higher priority wins whenever it comes', async () => {
      expect(await push('a')).to.deep.equal({ queued: 1, merged: 0, dead: 0 })
      await push('b', { priority: 3 })
      expect(await push('a', { priority: 9, rerun: 'unusable' })).to.deep.equal({ queued: 0, merged: 1, dead: 0 })
      await push('a', { priority: 2 })
      await push('a', { partitionKey: 'other' })
      const leases = await queue.lease({ count: 10 })
      expect(leases.map(({ item, priority }) => [item.hash, item.partitionKey, priority, item.rerun])).to.deep.equal([
        ['a', 'city_id', 9, 'unusable'], ['b', 'city_id', 3, undefined], ['a', 'other', 1, undefined]])
    })

    it('merges duplicates within one push', async () => {
      const report = await queue.push([{ sql: 'x', hash: 'a' }, { sql: 'x', hash: 'a', priority: 4 }, { sql: 'x', hash: 'b' }], { partitionKey: 'k' })
      expect(report).to.deep.equal({ queued: 2, merged: 0, dead: 0 })
      expect((await queue.lease({ count: 5 })).map(({ item, priority }) => [item.hash, priority])).to.deep.equal([['a', 4], ['b', 1]])
    })

    it('takes a thousand in one push, and no more than asked for in one take', async () => {
      await queue.push(Array.from({ length: 1000 }, (_, i) => ({ sql: 'x', hash: `h${i}` })), { partitionKey: 'k' })
      expect(await queue.size()).to.equal(1000)
      expect(hashes(await queue.lease({ count: 400 }))).to.deep.equal(Array.from({ length: 400 }, (_, i) => `h${i}`))
      expect(await queue.counts()).to.deep.equal({ waiting: 600, delayed: 0, leased: 400, dead: 0 })
      expect(await queue.lease({ count: 10_000 })).to.have.length(600)
    })

    it('counts leased and delayed jobs as being there', async () => {
      await push('a')
      await push('b', { delayMs: 3_600_000 })
      await push('c')
      await taken(queue)
      expect(await other.outgoing.counts()).to.deep.equal({ waiting: 1, delayed: 1, leased: 1, dead: 0 })
      expect(await queue.size()).to.equal(3)
    })

    it('removes what is acked, once', async () => {
      await push('a')
      const lease = await taken(queue)
      expect([await lease.ack(), await lease.ack(), await lease.nack(), await lease.heartbeat()]).to.deep.equal([true, false, false, false])
      expect(await queue.size()).to.equal(0)
      expect(await push('a')).to.deep.include({ queued: 1 })
    })

    it('hands a job to nobody else while its lease lasts', async () => {
      await push('a')
      await taken(queue)
      expect(await other.outgoing.lease()).to.equal(undefined)
      expect(await other.outgoing.lease({ timeoutMs: 50 })).to.equal(undefined)
    })

    it('hands each job to one of many takers', async () => {
      await queue.push(Array.from({ length: 200 }, (_, i) => ({ sql: 'x', hash: `h${i}` })), { partitionKey: 'k' })
      const all = await Promise.all(Array.from({ length: 20 }, (_, i) => (i % 2 ? queue : other.outgoing).lease({ count: 10 })))
      expect(new Set(all.flatMap(hashes)).size).to.equal(200)
    })

    it('gives a job to the next taker when its lease runs out, and fences off who had it', async () => {
      await push('a')
      const slow = await taken(queue, { leaseMs: 20 })
      const next = await taken(other.outgoing, SOON)
      expect([next.item.hash, next.attempt]).to.deep.equal(['a', 2])
      expect(next.token).to.be.greaterThan(slow.token)
      expect([await slow.heartbeat(), await slow.nack({ dead: true }), await slow.ack()]).to.deep.equal([false, false, false])
      expect(await next.ack()).to.equal(true)
      expect(await queue.counts()).to.deep.equal({ waiting: 0, delayed: 0, leased: 0, dead: 0 })
    })

    it('lets nobody ack past the end of a lease, though nobody else came', async () => {
      await push('a')
      const slow = await taken(queue, { leaseMs: 1 })
      while ((await queue.counts()).leased > 0);
      expect([await slow.ack(), await slow.heartbeat()]).to.deep.equal([false, false])
      expect((await queue.counts()).waiting).to.equal(1)
    })

    it('fences off a lease whose job was done, and pushed again since', async () => {
      await push('a')
      const slow = await taken(queue, { leaseMs: 20 })
      expect(await (await taken(queue, SOON)).ack()).to.equal(true)
      await push('a')
      const next = await taken(queue)
      expect([next.attempt, await slow.ack()]).to.deep.equal([1, false])
      expect(await next.ack()).to.equal(true)
    })

    it('keeps a lease by heartbeats', async () => {
      await push('a')
      const lease = await taken(queue, { leaseMs: 200 })
      const { expiresAt } = lease
      expect(await lease.heartbeat(3_600_000)).to.equal(true)
      expect(lease.expiresAt).to.be.greaterThan(expiresAt)
      expect(await other.outgoing.lease({ timeoutMs: 300 })).to.equal(undefined)
      expect(await lease.ack()).to.equal(true)
    })

    it('hands out again what is given back, behind the others of its priority, with the reason', async () => {
      await push('a')
      await push('b')
      const lease = await taken(queue)
      expect(await lease.nack({ error: new Error('lost the server') })).to.equal(true)
      const [first, second] = await queue.lease({ count: 2 })
      expect([first!.item.hash, second!.item.hash, second!.attempt]).to.deep.equal(['b', 'a', 2])
    })

    it('holds back what is given back or pushed with a delay', async () => {
      await push('a', { delayMs: 30 })
      expect(await queue.lease()).to.equal(undefined)
      const lease = await taken(queue, SOON)
      await lease.nack({ delayMs: 30 })
      expect(await queue.lease()).to.equal(undefined)
      expect((await taken(queue, SOON)).attempt).to.equal(2)
    })

    it('does not count an attempt that was not the job\'s fault', async () => {
      await push('a')
      for (let i = 0; i < 5; i++) expect(await (await taken(queue)).nack({ counts: false })).to.equal(true)
      expect((await taken(queue)).attempt).to.equal(1)
    })

    it('puts a job to the dead letters when its attempts are used up, and goes on', async () => {
      await push('poison', { priority: 9 })
      await push('good')
      for (let i = 1; i <= 3; i++) {
        const lease = await taken(queue)
        expect([lease.item.hash, lease.attempt]).to.deep.equal(['poison', i])
        await lease.nack({ error: new Error(`attempt ${i}`) })
      }
      expect(hashes(await queue.lease({ count: 5 }))).to.deep.equal(['good'])
      const [dead, ...rest] = await other.outgoing.dead()
      expect(rest).to.deep.equal([])
      expect(dead).to.include({ hash: 'poison', sql: 'SELECT poison', attempts: 3, error: 'attempt 3', priority: 9 })
      expect(Math.abs(dead!.diedAt.getTime() - Date.now())).to.be.lessThan(600_000)
    })

    it('puts a job whose workers die to the dead letters', async () => {
      await push('killer')
      for (let i = 1; i <= 3; i++) expect((await taken(queue, { leaseMs: 1, ...SOON })).attempt).to.equal(i)
      await push('good')
      while ((await queue.counts()).leased > 0);
      expect(hashes(await queue.lease({ count: 5 }))).to.deep.equal(['good'])
      expect((await queue.dead()).map(({ hash, error }) => [hash, error])).to.deep.equal([['killer', 'its lease ran out 3 times']])
    })

    it('leaves dead jobs dead until they are retried, and then runs them with fresh attempts', async () => {
      for (const hash of ['a', 'b', 'c']) {
        await push(hash)
        await (await taken(queue)).nack({ dead: true, error: 'unusable\0text' })
      }
      expect(await push('a')).to.deep.equal({ queued: 0, merged: 0, dead: 1 })
      expect(await queue.lease()).to.equal(undefined)
      expect((await queue.dead({ limit: 2 })).map(({ hash, error }) => [hash, error])).to.deep.equal([['a', 'unusabletext'], ['b', 'unusabletext']])
      const [, second] = await queue.dead()
      expect((await queue.dead({ after: second!.id })).map(({ hash }) => hash)).to.deep.equal(['c'])
      expect(await queue.retryDead(['b', 'nonsense'])).to.equal(1)
      const lease = await taken(queue)
      expect([lease.item.hash, lease.attempt, lease.item.rerun]).to.deep.equal(['b', 1, 'unusable'])
      expect([await queue.retryDead([]), await queue.retryDead(), await queue.retryDead()]).to.deep.equal([0, 2, 0])
      expect(await queue.counts()).to.include({ waiting: 2, dead: 0 })
    })

    it('runs a job once more when it is pushed while somebody works on it', async () => {
      await push('a')
      const lease = await taken(queue)
      expect(await push('a', { priority: 3 })).to.deep.equal({ queued: 0, merged: 1, dead: 0 })
      expect(await queue.lease()).to.equal(undefined)
      expect(await lease.ack()).to.equal(true)
      const again = await taken(queue)
      expect([again.attempt, again.priority, await again.ack()]).to.deep.equal([1, 3, true])
      expect(await queue.size()).to.equal(0)
    })

    it('wakes a call that waits as soon as something is pushed', async () => {
      const patient = await home.open(`q${++counter}`, { pollMs: 3_600_000 })
      const pusher = home.isShared ? await home.open(`q${counter}`) : patient
      try {
        const waits = patient.incoming.lease(SOON)
        // it listens before it looks, so a push that it did not see wakes it
        await pusher.incoming.push({ sql: 'SELECT 1', partitionKey: 'k' })
        expect((await waits)?.item.sql).to.equal('SELECT 1')
        const more = Promise.all([patient.incoming.lease(SOON), patient.incoming.lease(SOON)])
        await pusher.incoming.push([{ sql: 'SELECT 2' }, { sql: 'SELECT 3' }], { partitionKey: 'k' })
        expect((await more).map(lease => lease?.item.sql).sort()).to.deep.equal(['SELECT 2', 'SELECT 3'])
      } finally {
        await patient.close()
        await pusher.close()
      }
    })

    it('ends a wait at its timeout, on abort with the reason, and when the queues are closed', async () => {
      expect(await queue.lease({ timeoutMs: 30 })).to.equal(undefined)
      expect(await queue.lease({ timeoutMs: 30, count: 3 })).to.deep.equal([])
      const abort = new AbortController()
      const aborted = errorOf(queue.lease({ ...SOON, signal: abort.signal }))
      const reason = new Error('enough')
      abort.abort(reason)
      expect(await aborted).to.equal(reason)
      expect(await errorOf(queue.lease({ signal: abort.signal }))).to.equal(reason)
      const closed = queue.lease(SOON)
      await queue.counts()
      await queues.close()
      // closed while it waited, or before it looked
      expect(await closed.catch((error: unknown) => (error as { code?: string }).code)).to.be.oneOf([undefined, 'ERR_QUEUE'])
      expect((await errorOf(queue.size())).code).to.equal('ERR_QUEUE')
      expect((await errorOf(push('a'))).code).to.equal('ERR_QUEUE')
    })

    it('clears jobs, and dead letters only when told so', async () => {
      for (const hash of ['a', 'b', 'c', 'd']) await push(hash)
      await (await taken(queue)).nack({ dead: true })
      const lease = await taken(queue)
      await push('later', { delayMs: 60_000 })
      expect(await queue.clear()).to.equal(4)
      expect(await lease.ack()).to.equal(false)
      expect(await queue.counts()).to.deep.equal({ waiting: 0, delayed: 0, leased: 0, dead: 1 })
      expect(await push('b')).to.include({ queued: 1 })
      expect(await queue.clear({ dead: true })).to.equal(2)
      expect(await push('a')).to.include({ queued: 1 })
    })

    it('settles many at once, each with its own answer', async () => {
      await queue.push(['a', 'b', 'c', 'd'].map(hash => ({ sql: 'x', hash })), { partitionKey: 'k' })
      const leases = await queue.lease({ count: 4 })
      await leases[1]!.ack()
      expect(await Promise.all(leases.map(lease => lease.heartbeat()))).to.deep.equal([true, false, true, true])
      expect(await Promise.all(leases.map((lease, i) => i < 2 ? lease.ack() : lease.nack()))).to.deep.equal([true, false, true, true])
      expect((await queue.counts()).waiting).to.equal(2)
    })

    it('pushes, takes and settles the same jobs from many sides without a deadlock', async () => {
      const side = async (one: Queue, seed: number): Promise<void> => {
        for (let i = 0; i < 15; i++) {
          const some = Array.from({ length: 30 }, (_, j) => ({ sql: 'x', hash: `h${(j * (seed + 7) + i) % 60}`, priority: j % 3 }))
          await one.push(some, { partitionKey: 'k' })
          const leases = await one.lease({ count: 10 })
          await Promise.all(leases.map((lease, j) => j % 3 === 0 ? lease.nack({ counts: false }) : lease.ack()))
        }
      }
      await Promise.all([0, 1, 2, 3].map(seed => side(seed % 2 ? queue : other.outgoing, seed)))
      expect((await queue.counts()).leased).to.equal(0)
    })

    it('moves its jobs to another queue, best first, and leaves what somebody works on', async () => {
      const target = await home.open(`q${++counter}`)
      try {
        await push('mine')
        const lease = await taken(queue)
        await push('a', { tables: ['t'] })
        await push('b', { priority: 4 })
        await push('later', { delayMs: 60_000 })
        await target.outgoing.push({ sql: 'SELECT a', hash: 'a', partitionKey: 'city_id' })
        expect(await moveJobs(queue, target.outgoing)).to.deep.equal({ moved: 2, merged: 1 })
        expect(hashes(await target.outgoing.lease({ count: 5 }))).to.deep.equal(['b', 'a'])
        expect(await queue.counts()).to.deep.equal({ waiting: 0, delayed: 1, leased: 1, dead: 0 })
        expect(await lease.ack()).to.equal(true)
      } finally {
        await target.close()
      }
    })

    it('refuses to be moved into itself', async () => {
      expect(await errorOf(moveJobs(queue, queue))).to.include({ code: 'ERR_INVALID_ARGUMENT', argument: 'to' })
    })

    it('gives jobs back to the source when the target takes none', async () => {
      const target = await home.open(`q${++counter}`)
      await target.close()
      await push('a')
      expect((await errorOf(moveJobs(queue, target.outgoing))).code).to.equal('ERR_QUEUE')
      expect((await taken(queue)).attempt).to.equal(1)
    })

    it('refuses what it cannot keep, names it, and queues nothing of that push', async () => {
      const good = { sql: 'SELECT 1', hash: 'g', partitionKey: 'k' }
      const refusals: [object, string][] = [
        [{ ...good, sql: '' }, 'items[1].sql'], [{ ...good, sql: 'a\0b' }, 'items[1].sql'], [{ ...good, sql: '\ud800' }, 'items[1].sql'], [{ ...good, sql: 5 }, 'items[1].sql'],
        [{ ...good, hash: '' }, 'items[1].hash'], [{ ...good, hash: 'x'.repeat(1001) }, 'items[1].hash'], [{ ...good, partitionKey: undefined }, 'partitionKey'],
        [{ ...good, priority: 1.5 }, 'priority'], [{ ...good, priority: 2 ** 31 }, 'priority'], [{ ...good, delayMs: -1 }, 'delayMs'], [{ ...good, delayMs: Infinity }, 'delayMs'],
        [{ ...good, datatype: 'blob' }, 'datatype'], [{ ...good, rerun: 'sometimes' }, 'rerun'], [{ ...good, tables: [1] }, 'items[1].tables[0]'],
        [{ ...good, params: 'x' }, 'items[1].params'], [{ ...good, params: [{}] }, 'params[0]'], [{ ...good, params: [[new Date(NaN)]] }, 'params[0][0]']]
      for (const [bad, argument] of refusals) {
        const error = await errorOf(queue.push([good, bad as typeof good]))
        expect(error, argument).to.be.instanceOf(InvalidArgumentError)
        expect(error.argument).to.equal(argument)
      }
      expect((await errorOf(queue.push([undefined as unknown as typeof good]))).argument).to.equal('items[0]')
      expect(await queue.push([])).to.deep.equal({ queued: 0, merged: 0, dead: 0 })
      expect(await queue.size()).to.equal(0)
      for (const [options, argument] of [[{ count: 0 }, 'count'], [{ leaseMs: 0 }, 'leaseMs'], [{ timeoutMs: -1 }, 'timeoutMs'], [{ timeoutMs: NaN }, 'timeoutMs']] as [object, string][]) {
        expect((await errorOf(queue.lease(options))).argument).to.equal(argument)
      }
      await push('a')
      const lease = await taken(queue)
      expect((await errorOf(lease.heartbeat(0))).argument).to.equal('leaseMs')
      expect((await errorOf(lease.nack({ delayMs: -1 }))).argument).to.equal('delayMs')
      expect((await errorOf(queue.dead({ limit: 0 }))).argument).to.equal('limit')
      expect((await errorOf(queue.retryDead('all' as unknown as string[]))).argument).to.equal('hashes')
    })
  })
}
