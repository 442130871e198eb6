import { expect } from 'chai'
import * as streams from 'node:stream'
import { Readable, Transform, type Duplex } from 'node:stream'
import { finished, pipeline } from 'node:stream/promises'
import { RowBatch } from '../../lib/batch/row-batch.js'
import type { Row } from '../../lib/batch/row-factory.js'
import type { Window } from '../../lib/batch/window.js'
import { progressMeter } from '../../streams/progress-meter.js'
import { rowBatcher } from '../../streams/row-batcher.js'
import { rowUnbatcher } from '../../streams/row-unbatcher.js'
import { freshCache } from '../support/cache.js'
import { collect, gather, joined, refuseUnhandledRejections, rejection, turns } from '../support/collect.js'
import { madeFrom, range, type RecordingFetcher } from '../support/fetchers.js'
import { fiveStages } from '../support/stages.js'

// in Node since 16.9, and not in its types
const { compose } = streams as unknown as { compose: (...all: Duplex[]) => Duplex }

const table = 'public.things'
const columns = ['n', 'meta.deep']
const rowOf = (id: number | bigint): Row => ({ id, n: id, meta: { deep: `d${id}` } })
const NAMES = ['id-partitioner', 'cache-splitter', 'batch-fetcher', 'json-flattener', 'parquet-sink'] as const
const silent = { start() { /* nothing to show */ }, update() { /* nothing to show */ }, stop() { /* nothing to show */ } }

describe('every stage', () => {
  const cache = freshCache()

  it('is an object-mode Transform with a high-water mark of 1 on both sides', () => {
    const stages = [...fiveStages({ cache: cache(), fetcher: madeFrom(rowOf).fetcher, columns, table }),
      progressMeter({ reporter: silent }), rowBatcher(), rowUnbatcher()]
    for (const stage of stages) {
      expect(stage).to.be.instanceOf(Transform)
      expect([stage.readableObjectMode, stage.writableObjectMode]).to.deep.equal([true, true])
      expect([stage.readableHighWaterMark, stage.writableHighWaterMark]).to.deep.equal([1, 1])
    }
  })
})

// each situation with the pipeline cut after the first, second … fifth stage, so that each stage is once the last one
NAMES.forEach((name, last) => {
  describe(`${name}, at the end of a pipeline`, () => {
    const cache = freshCache()
    refuseUnhandledRejections()
    let source: RecordingFetcher
    const stages = (): Transform[] => {
      source = madeFrom(rowOf)
      return fiveStages({ cache: cache(), fetcher: source.fetcher, columns, table, batchSize: 30_000 }).slice(0, last + 1)
    }
    const idsOf = (items: readonly unknown[]): number[] => items.flatMap(item => Array.from((item as Window | RowBatch).ids as Float64Array))
    // never resolves for a stage that stays open
    const closed = async (all: readonly Transform[]): Promise<void> => {
      for (const stage of all) await finished(stage).catch(() => undefined)
      expect(all.map(stage => [stage.destroyed, stage.closed])).to.deep.equal(all.map(() => [true, true]))
    }

    it('passes nothing on when nothing comes', async () => {
      expect(await collect([], ...stages())).to.deep.equal([])
    })

    it('passes one id on', async () => {
      expect(idsOf(await collect([7], ...stages()))).to.deep.equal([7])
    })

    it('passes many ids on, in windows of at most 65,536, in order', async () => {
      const items = await collect<Window | RowBatch>([range(0, 150_000).reverse()], ...stages())
      const sizes = items.map(({ ids }) => ids.length)
      // the sink passes fetched batches on as they came, cut where a window ends
      if (last < 4) expect(sizes).to.deep.equal([65_536, 65_536, 18_928])
      else expect(Math.max(...sizes)).to.be.at.most(65_536)
      expect(idsOf(items)).to.deep.equal(range(0, 150_000))
      if (last === 4) expect(items.every(item => item instanceof RowBatch)).to.equal(true)
    })

    it('never holds more than one item on each side for a slow reader', async () => {
      const all = stages()
      const out = joined(Readable.from([range(0, 200_000)]), ...all)
      const seen: unknown[] = []
      for (let item = out.read() as unknown; !out.readableEnded; item = out.read()) {
        if (item !== null) seen.push(item)
        for (const stage of all) expect(stage.readableLength + stage.writableLength).to.be.at.most(2)
        await turns(3)
      }
      expect(idsOf(seen)).to.deep.equal(range(0, 200_000))
    })

    it('closes, and all before it, when its reader leaves early', async () => {
      const all = stages()
      const ids = Readable.from([range(0, 200_000)])
      const out = joined(ids, ...all)
      for await (const item of out) {
        expect((item as Window).ids[0]).to.equal(0)
        break
      }
      await closed(all)
      expect(ids.destroyed).to.equal(true)
      for (const { request } of source.calls) expect(request.signal.aborted).to.equal(true)
    })

    it('hands on an error of its input, and closes', async () => {
      const all = stages()
      const failing = async function * () {
        yield range(0, 100)
        throw new RangeError('no more ids')
      }
      expect(await rejection(pipeline([Readable.from(failing()), ...all, gather([])]))).to.include({ name: 'RangeError', message: 'no more ids' })
      await closed(all)
    })

    it('closes when its reader fails in the middle, and the reader\'s error is the one that is told', async () => {
      const all = stages()
      const reader = new Transform({ objectMode: true, highWaterMark: 1, transform: (_item, _encoding, done) => { done(new Error('disk full')) } })
      expect(await rejection(pipeline([Readable.from([range(0, 200_000)]), ...all, reader]))).to.have.property('message', 'disk full')
      await closed(all)
    })

    it('refuses to start when the signal has fired already, without a fetch', async () => {
      const all = stages()
      const error = await rejection(pipeline([Readable.from([1, 2]), ...all, gather([])], { signal: AbortSignal.abort(new Error('changed my mind')) }))
      expect(error).to.have.property('name', 'AbortError')
      expect(error.cause).to.have.property('message', 'changed my mind')
      await closed(all)
      expect(source.calls).to.have.length(0)
    })

    it('stops in the middle when the signal fires', async () => {
      const all = stages()
      const abort = new AbortController()
      const reader = new Transform({ objectMode: true, highWaterMark: 1, transform: () => { abort.abort(new Error('enough')) } })
      const error = await rejection(pipeline([Readable.from([range(0, 200_000)]), ...all, reader], { signal: abort.signal }))
      expect(error).to.have.property('name', 'AbortError')
      await closed(all)
      for (const { request } of source.calls) expect(request.signal.aborted).to.equal(true)
    })

    it('has no opinion about a signal that fires after the end', async () => {
      const abort = new AbortController()
      const items: unknown[] = []
      await pipeline([Readable.from([1, 2, 3]), ...stages(), gather(items)], { signal: abort.signal })
      abort.abort()
      await turns()
      expect(idsOf(items)).to.deep.equal([1, 2, 3])
    })

    it('works inside stream.compose', async () => {
      const composed = compose(...stages())
      const items: unknown[] = []
      await pipeline(Readable.from([3, 1, 2]), composed, gather(items))
      expect(idsOf(items)).to.deep.equal([1, 2, 3])
    })

    it('works in for await', async () => {
      const items: unknown[] = []
      for await (const item of joined(Readable.from([3n, 1, 2]), ...stages())) items.push(item)
      expect(idsOf(items)).to.deep.equal([1, 2, 3])
    })
  })
})

describe('a stage that gets what is no id', () => {
  const cache = freshCache()

  it('names its position and closes the pipeline before anything is fetched', async () => {
    const { fetcher, calls } = madeFrom(rowOf)
    const error = await rejection(collect([1, 2, 'three'], ...fiveStages({ cache: cache(), fetcher, columns, table })))
    expect(error).to.include({ code: 'ERR_INVALID_ARGUMENT', argument: 'ids[2]' })
    expect(calls).to.have.length(0)
  })
})
