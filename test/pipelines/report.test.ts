import { expect } from 'chai'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import { finished } from 'node:stream/promises'
import { inspect } from 'node:util'
import { getData } from '../../pipelines/get-data.js'
import { streamData } from '../../pipelines/stream-data.js'
import type { BatchFailedError, MillraceError } from '../../lib/errors.js'
import type { RunReport } from '../../lib/report.js'
import type { ProgressEvent, ProgressReporter } from '../../lib/run.js'
import { fromRows } from '../../lib/batch/from-rows.js'
import { filesBelow, freshCache, freshFolder, withReopened } from '../support/cache.js'
import { collect, rejection } from '../support/collect.js'
import { holding, madeFrom, range, sampleRow } from '../support/fetchers.js'
import { invalidateRows } from '../support/invalidate.js'
import { fiveStages } from '../support/stages.js'
import { parquetSink } from '../../streams/parquet-sink.js'
import { progressMeter } from '../../streams/progress-meter.js'

const table = 'public.things'
const columns = ['name', 'meta.city']

describe('a report', () => {
  const cache = freshCache()
  const request = (ids: readonly number[]) => ({ ids, columns, table, cache: cache() })

  it('counts what a cold, a half warm and a warm run did', async () => {
    const { fetcher } = madeFrom(sampleRow)
    const cold = (await getData({ ...request(range(0, 250)), fetcher })).report
    expect(cold).to.include({ rows: 250, hits: 0, misses: 250, fetched: 250, batches: 3, retries: 0, bytesRead: 0 })
    expect(cold.bytesWritten).to.be.greaterThan(1000)
    const half = (await getData({ ...request(range(200, 300)), fetcher })).report
    expect(half).to.include({ rows: 100, hits: 50, misses: 50, fetched: 50, batches: 1 })
    expect(half.bytesRead).to.be.greaterThan(0)
    const warm = (await getData({ ...request(range(0, 300)), fetcher })).report
    expect(warm).to.include({ rows: 300, hits: 300, misses: 0, fetched: 0, batches: 0, bytesWritten: 0 })
    expect(warm.bytesRead).to.be.greaterThan(0)
    for (const { ms, warnings, failures } of [cold, half, warm]) {
      expect(ms).to.be.at.least(0)
      expect([warnings, failures]).to.deep.equal([[], []])
    }
  })

  it('counts bytes read per run, whoever else reads at the same time', async () => {
    await getData({ ...request(range(0, 5000)), fetcher: madeFrom(sampleRow).fetcher })
    const alone = await withReopened(cache(), async other => (await getData({ ...request(range(0, 5000)), cache: other, fetcher: madeFrom(sampleRow).fetcher })).report.bytesRead)
    const together = await withReopened(cache(), async other => await Promise.all(range(0, 4).map(async () =>
      (await getData({ ...request(range(0, 5000)), cache: other, fetcher: madeFrom(sampleRow).fetcher })).report.bytesRead)))
    expect(alone).to.be.greaterThan(10_000)
    for (const bytes of together) expect(bytes).to.be.greaterThan(0).and.at.most(alone)
  })

  it('counts the bytes that were written to parts', async () => {
    const { report } = await getData({ ...request(range(0, 1000)), fetcher: madeFrom(sampleRow).fetcher })
    const { parts } = await cache().store.table(table).manifest()
    expect(report.bytesWritten).to.equal(parts.reduce((sum, { bytes }) => sum + bytes, 0))
    expect(filesBelow(cache().store.dir, '.parquet')).to.have.length(parts.length)
  })

  it('counts hits and misses of a hand-made pipeline as well', async () => {
    const run = async (ids: readonly number[]): Promise<RunReport> => {
      const windows: { run: { report: RunReport } }[] = []
      const stages = fiveStages({ cache: cache(), fetcher: madeFrom(sampleRow).fetcher, columns, table, batchSize: 100 })
      stages[3].on('data', (window: { run: { report: RunReport } }) => windows.push(window))
      await collect(ids, ...stages)
      return windows[0]!.run.report
    }
    expect(await run(range(0, 250))).to.include({ rows: 250, hits: 0, misses: 250, fetched: 250, batches: 3 })
    expect(await run(range(200, 300))).to.include({ rows: 100, hits: 50, misses: 50, fetched: 50, batches: 1 })
  })

  it('grows while a stream is read', async () => {
    const stream = streamData({ ...request(range(0, 100_000)), fetcher: madeFrom(id => ({ id, name: 'n', meta: '{}' })).fetcher })
    expect(stream.report).to.equal(undefined)
    const rows: (number | undefined)[] = []
    for await (const batch of stream) {
      expect(batch.length).to.be.greaterThan(0)
      rows.push(stream.report?.rows)
    }
    expect(rows.at(0)).to.be.lessThan(100_000)
    expect(stream.report?.rows).to.equal(100_000)
  })

  it('lists the ids of rows that failed, by batch and cause, beside the batches that failed', async () => {
    const rows = range(0, 250).map(id => ({ ...sampleRow(id), ...([3, 5, 120].includes(id) ? { meta: '{' } : {}) }))
    const error = await rejection<MillraceError>(getData({ ...request(range(0, 250)), fetcher: holding(rows).fetcher }))
    expect(error).to.include({ code: 'ERR_JSON_PARSE', id: 3 })
    const { failures } = error.report as RunReport
    expect(failures.map(({ batch, ids, cause }) => [batch, ids, (cause as MillraceError).code])).to.deep.equal([[0, [3, 5], 'ERR_JSON_PARSE'], [1, [120], 'ERR_JSON_PARSE']])
    const contract = await rejection<MillraceError>(getData({ ...request([1000, 1001]), fetcher: (async () => 'rows') as never }))
    expect((contract.report as RunReport).failures.map(({ ids }) => ids)).to.deep.equal([[1000, 1001]])
  })

  it('is on the error that ends a run, and not printed with it', async () => {
    const fetcher = (): Promise<never> => Promise.reject(new Error('no connection'))
    const error = await rejection<BatchFailedError>(getData({ ...request(range(0, 5000)), fetcher, retries: 0 }))
    expect([error.failures.length, (error.report as RunReport).failures.length, error.failures[49]!.ids.length]).to.deep.equal([50, 50, 100])
    expect(inspect(error).split('\n').length).to.be.below(40)
    expect(inspect(error)).to.match(/50 batches \(5000 ids\).*no connection/)
  })

  it('keeps one error of a million bad rows', async () => {
    const error = await rejection<MillraceError>(getData({ ...request(range(0, 2000)), batchSize: 1000, fetcher: async ids => ids.map(id => ({ id, name: 'n', meta: 'no json' })) }))
    expect((error.report as RunReport).failures.map(({ ids }) => ids.length)).to.deep.equal([1000, 1000])
  })
})

describe('every error of a run carries its report', () => {
  const cache = freshCache()
  const folder = freshFolder()
  const base = () => ({ ids: [1, 2], columns, table, cache: cache(), retries: 0 })

  it('when ids are missing, a column is, a fetch failed or the answer was unusable', async () => {
    for (const fetcher of [async () => [], async () => [{ id: 1 }, { id: 2 }], async () => { throw new Error('down') }, async () => null as never]) {
      const error = await rejection<MillraceError>(getData({ ...base(), fetcher }))
      expect(error.report, error.code).to.include({ misses: 2, rows: 0 })
    }
  })

  it('when the source is another one than the cache was filled from', async () => {
    const from = (identity: string) => Object.assign(madeFrom(sampleRow).fetcher, { identity })
    await getData({ ...base(), fetcher: from('postgres://a/db') })
    const error = await rejection<MillraceError>(getData({ ...base(), ids: [1], fetcher: from('postgres://b/db') }))
    expect(error).to.include({ code: 'ERR_SOURCE_MISMATCH', cached: 'postgres://a/db', seen: 'postgres://b/db' })
    expect(error.report).to.include({ fetched: 0 })
  })

  it('when cached rows have another type', async () => {
    await getData({ ...base(), columns: ['name'], fetcher: madeFrom(sampleRow).fetcher })
    const error = await rejection<MillraceError>(getData({ ...base(), ids: [3], columns: ['name'], fetcher: async () => [{ id: 3, name: 5 }] }))
    expect(error).to.include({ code: 'ERR_SCHEMA_CONFLICT', column: 'name', cached: 'text', seen: 'int64' })
    expect(error.report).to.include({ fetched: 1, rows: 0 })
  })

  it('when the cache folder is no folder and its trouble counts', async () => {
    const file = join(folder(), 'file')
    writeFileSync(file, '')
    let asked = 0
    const fetcher = async () => {
      asked++
      return [sampleRow(1), sampleRow(2)]
    }
    const strict = await rejection<MillraceError>(getData({ ids: [1, 2], columns, table, cacheDir: file, cacheErrors: 'throw', fetcher }))
    expect(strict).to.have.property('code', 'ERR_CACHE_UNUSABLE')
    expect(asked).to.equal(0)
    const lenient = await getData({ ids: [1, 2], columns, table, cacheDir: file, fetcher })
    expect(lenient.length).to.equal(2)
    expect(lenient.report.warnings.map(({ code }) => code)).to.include('CACHE_UNUSABLE')
  })
})

describe('progress', () => {
  const cache = freshCache()

  function noting(): ProgressReporter & { said: unknown[] } {
    const said: unknown[] = []
    return { said, start: total => said.push(['start', total]), stop: () => said.push('stop'),
      update: ({ batch, batches, batchSize, done, total }) => said.push([batch, batches, batchSize, done, total]) }
  }
  const request = (fetcher = madeFrom(sampleRow).fetcher) => ({ ids: range(0, 250), columns, table, cache: cache(), fetcher, retries: 0 })
  const story = [['start', { misses: 250, batches: 3, hits: 0 }], [1, 3, 100, 100, 250], [2, 3, 100, 200, 250], [3, 3, 50, 250, 250], 'stop']

  it('is told after every batch, with true totals, and stopped at the end', async () => {
    const reporter = noting()
    await getData({ ...request(), progress: reporter })
    expect(reporter.said).to.deep.equal(story)
  })

  it('is stopped once when the run fails, is aborted or left', async () => {
    const failed = noting()
    await rejection(getData({ ...request(async () => { throw new Error('down') }), progress: failed }))
    expect(failed.said.at(-1)).to.equal('stop')
    const aborted = noting()
    const abort = new AbortController()
    await rejection(getData({ ...request(async () => { abort.abort(); return [] }), progress: aborted, signal: abort.signal }))
    expect(aborted.said.filter(item => item === 'stop')).to.have.length(1)
    const left = noting()
    const stream = streamData({ ...request(), ids: range(0, 100_000), progress: left })
    for await (const batch of stream) {
      expect(batch.length).to.be.greaterThan(0)
      break
    }
    await finished(stream as Readable).catch(() => undefined)
    expect(left.said.filter(item => item === 'stop')).to.have.length(1)
  })

  it('goes to onProgress and to a reporter at the same time', async () => {
    const reporter = noting()
    const events: ProgressEvent[] = []
    await getData({ ...request(), progress: reporter, onProgress: event => events.push(event) })
    expect(reporter.said).to.deep.equal(story)
    expect(events.map(({ done }) => done)).to.deep.equal([100, 200, 250])
    for (const { rate, etaMs, ms } of events) expect([rate > 0, etaMs! >= 0, ms >= 0]).to.deep.equal([true, true, true])
    expect(events.at(-1)?.etaMs).to.equal(0)
  })

  for (const part of ['start', 'update', 'stop'] as const) {
    it(`that throws in ${part} is a warning; the rows come all the same, and it is still stopped`, async () => {
      const reporter = noting()
      const broken = { ...reporter, [part]: () => {
        reporter.said.push(part)
        throw new Error('broken bar')
      } }
      const { length, report } = await getData({ ...request(), progress: broken })
      expect(length).to.equal(250)
      expect(report.warnings).to.deep.equal([{ code: 'PROGRESS_FAILED', message: 'the progress reporter threw: broken bar' }])
      expect(reporter.said.filter(item => item === part)).to.have.length(1)
      expect(reporter.said.at(-1)).to.equal('stop')
    })
  }

  it('of a hand-made pipeline is told behind the fetcher, without knowing how many batches there will be', async () => {
    const reporter = noting()
    const stages = fiveStages({ cache: cache(), fetcher: madeFrom(id => ({ id, name: 'n', meta: '{}' })).fetcher, columns, table, batchSize: 60_000 })
    await collect(range(0, 150_000), ...stages.slice(0, 3), progressMeter({ reporter }), ...stages.slice(3))
    expect(reporter.said[0]).to.deep.equal(['start', { misses: undefined, batches: undefined, hits: undefined }])
    expect(reporter.said.at(-2)).to.deep.equal([3, undefined, 30_000, 150_000, undefined])
    expect(reporter.said.at(-1)).to.equal('stop')
  })

  it('of a hand-made pipeline of one window is not lost', async () => {
    const reporter = noting()
    const stages = fiveStages({ cache: cache(), fetcher: madeFrom(sampleRow).fetcher, columns, table, batchSize: 100 })
    await collect(range(0, 250), ...stages.slice(0, 3), progressMeter({ reporter }), ...stages.slice(3))
    expect(reporter.said.slice(1)).to.deep.equal([[3, undefined, 50, 250, undefined], 'stop'])
  })
})

describe('the parquet sink, fed with RowBatches', () => {
  const cache = freshCache()

  it('caches their rows, whatever their order, the last of equal ids', async () => {
    await collect([fromRows([{ id: 3, v: 'c' }, { id: 1, v: 'a' }]), fromRows([{ id: 2, v: 'old' }, { id: 2, v: 'b' }])], parquetSink({ cache: cache(), table, forward: true }))
    const result = await getData({ ids: [1, 2, 3], columns: ['v'], table, cache: cache(), fetcher: madeFrom(() => undefined).fetcher })
    expect(result.column('v')).to.deep.equal(['a', 'b', 'c'])
  })

  it('caches them after an invalidation, too', async () => {
    const put = async (v: string) => await collect([fromRows([{ id: 1, v }])], parquetSink({ cache: cache(), table, forward: true }))
    await put('old')
    await invalidateRows(cache(), table)
    await put('new')
    const result = await getData({ ids: [1], columns: ['v'], table, cache: cache(), fetcher: madeFrom(() => undefined).fetcher })
    expect(result.column('v')).to.deep.equal(['new'])
  })

  it('refuses a batch whose first column is not the id', async () => {
    const batch = fromRows([{ key: 1, v: 'x' }], { idColumn: 'key' })
    expect(await rejection(collect([batch], parquetSink({ cache: cache(), table, forward: true })))).to.include({ code: 'ERR_INVALID_ARGUMENT', argument: 'batch' })
  })
})
