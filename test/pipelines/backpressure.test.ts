import { expect } from 'chai'
import { Readable } from 'node:stream'
import { finished } from 'node:stream/promises'
import type { Window } from '../../lib/batch/window.js'
import type { RowBatch } from '../../lib/batch/row-batch.js'
import { streamData } from '../../pipelines/stream-data.js'
import { freshCache } from '../support/cache.js'
import { joined, settledCount, turns } from '../support/collect.js'
import { range, recording } from '../support/fetchers.js'
import { fiveStages } from '../support/stages.js'

const table = 'public.things'
const columns = ['n']
const WINDOW = 65_536

/** Answers at once, and counts the rows it was asked for. */
function counting() {
  let fetched = 0
  const own = recording(async ids => {
    fetched += ids.length
    return ids.map(id => ({ id, n: id }))
  })
  return { ...own, fetched: () => fetched }
}

describe('a consumer that stops reading', () => {
  const cache = freshCache()
  const million = Int32Array.from({ length: 1_000_000 }, (_, i) => i)

  for (const { concurrency, batchSize } of [{ concurrency: 1, batchSize: undefined }, { concurrency: 4, batchSize: 10_000 }, { concurrency: 2, batchSize: 70_000 }]) {
    const size = batchSize ?? 10_000
    const most = Math.max((concurrency + 2) * size, 3 * WINDOW)

    it(`stops the fetching of streamData: never more than ${most} rows ahead, ${concurrency} calls of ${size} at a time`, async () => {
      const source = counting()
      const stream = streamData({ ids: million, columns, table, cache: cache(), fetcher: source.fetcher, concurrency, batchSize })
      let delivered = 0
      for await (const batch of stream) {
        delivered += batch.length
        expect(await settledCount(source.fetched, 30) - delivered).to.be.at.most(most)
        if (delivered > 300_000) break
      }
      const seen = source.fetched()
      await turns(20)
      expect(source.fetched()).to.equal(seen)
      expect(seen).to.be.lessThan(1_000_000)
    })
  }

  it('stops the fetching of a hand-made pipeline: never more than 3 windows of rows ahead', async () => {
    const source = counting()
    const out = joined(Readable.from([range(0, 1_000_000)]), ...fiveStages({ cache: cache(), fetcher: source.fetcher, columns, table, batchSize: 10_000 }))
    let delivered = 0
    for await (const batch of out as AsyncIterable<RowBatch>) {
      delivered += batch.length
      expect(await settledCount(source.fetched, 30) - delivered).to.be.at.most(3 * WINDOW)
      if (delivered > 300_000) break
    }
    expect(source.fetched()).to.be.lessThan(1_000_000)
  })

  it('holds a pipeline without a sink back as well', async () => {
    const source = counting()
    const stages = fiveStages({ cache: cache(), fetcher: source.fetcher, columns, table, batchSize: 10_000 }).slice(0, 4)
    const out = joined(Readable.from([range(0, 1_000_000)]), ...stages)
    let delivered = 0
    for await (const { ids } of out as AsyncIterable<Window>) {
      // windows wait in the stages behind the fetcher: nobody counts for it what of them is delivered
      expect(await settledCount(source.fetched, 30) - delivered).to.be.at.most(3 * WINDOW + 4 * WINDOW)
      delivered += ids.length
      if (delivered > 200_000) break
    }
    expect(source.fetched()).to.be.lessThan(1_000_000)
  })

  it('is not needed for the fetching to begin: the first read plans and fetches, nothing before it', async () => {
    const source = counting()
    const stream = streamData({ ids: million, columns, table, cache: cache(), fetcher: source.fetcher })
    await turns()
    expect(source.calls).to.have.length(0)
    stream.destroy()
    await finished(stream as Readable).catch(() => undefined)
  })
})

describe('a consumer that leaves', () => {
  const cache = freshCache()

  for (const how of ['break', 'throw', 'return', 'destroy'] as const) {
    it(`by ${how} aborts request.signal of the fetch that is under way`, async () => {
      const signals: AbortSignal[] = []
      const fetcher = async (ids: readonly (number | bigint)[], _table: string, { signal, batch }: { signal: AbortSignal, batch: { index: number } }) => {
        signals.push(signal)
        // the second batch waits until it is told to stop
        if (batch.index >= 1) await new Promise((_, reject) => { signal.addEventListener('abort', () => reject(signal.reason as Error)) })
        return ids.map(id => ({ id, n: 1 }))
      }
      const stream = streamData({ ids: range(0, 200_000), columns, table, cache: cache(), fetcher, batchSize: 70_000 })
      const read = async (): Promise<void> => {
        for await (const batch of stream) {
          expect(batch.length).to.equal(WINDOW)
          if (how === 'break') break
          if (how === 'throw') throw new Error('mine')
          if (how === 'return') return
          stream.destroy()
        }
      }
      await read().catch((error: unknown) => { if (how !== 'throw' && how !== 'destroy') throw error })
      await finished(stream as Readable).catch(() => undefined)
      expect(signals.length).to.equal(2)
      for (const { aborted } of signals) expect(aborted).to.equal(true)
    })
  }
})
