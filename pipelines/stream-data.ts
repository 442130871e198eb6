import { addAbortSignal, pipeline, type Transform } from 'node:stream'
import type { RowBatch } from '../lib/batch/row-batch.js'
import type { Row } from '../lib/batch/row-factory.js'
import { Flights } from '../lib/fetch/flights.js'
import { reporterFor } from '../lib/progress/reporter.js'
import type { RunReport } from '../lib/report.js'
import { cacheOf } from '../lib/store/cache-reference.js'
import { batchFetcher } from '../streams/batch-fetcher.js'
import { cacheSplitter } from '../streams/cache-splitter.js'
import { idPartitioner } from '../streams/id-partitioner.js'
import { jsonFlattener } from '../streams/json-flattener.js'
import { parquetSink } from '../streams/parquet-sink.js'
import { progressMeter } from '../streams/progress-meter.js'
import { PumpedStream } from './pumped-stream.js'
import { checkRequest, closed, noInput, planRequest, type CheckedRequest, type DataRequest, type RowOf } from './request.js'

/**
 * A request's rows as a stream of batches, sorted by id. Nothing happens before it is read; a reader that stops reading
 * stops the fetching, and one that leaves (`break`, `destroy`) releases everything.
 */
export class DataStream<R extends object = Row> extends PumpedStream<R> {
  readonly #checked: CheckedRequest
  #report: RunReport | undefined

  constructor(checked: CheckedRequest) {
    super(checked.request.signal)
    this.#checked = checked
  }

  /** What the run did so far; undefined before it was planned. */
  get report(): RunReport | undefined {
    return this.#report
  }

  protected override async * batches(signal: AbortSignal): AsyncGenerator<RowBatch> {
    let stages: readonly Transform[] = []
    // from before the plan: what others finish fetching meanwhile is not in it
    const flights = flightsOf(this.#checked)
    const planning = planRequest(this.#checked, signal)
    const planned = planning.then(() => undefined, () => undefined)
    try {
      const { plan, storing } = await Promise.race([planning, aborted(signal)])
      this.#report = plan.run.report
      stages = stagesOf(this.#checked, { plan, storing }, flights)
      // the last stage hands on the first error of any
      const last = pipeline([noInput(), ...stages], () => undefined) as Transform
      addAbortSignal(signal, last)
      for await (const batch of last) yield batch as RowBatch
    } finally {
      // what it has opened is to be closed by whoever closes the cache
      await planned
      await Promise.all(stages.map(closed))
      flights.end()
    }
  }
}

function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true })
  })
}

function flightsOf({ request, columns, idColumn, store, types }: CheckedRequest): Flights {
  return new Flights({ fetcher: request.fetcher, fresh: request.refresh,
    kind: JSON.stringify([cacheOf(request).dir, store.key.folder, request.table, idColumn, columns.names, [...types]]) })
}

function stagesOf({ request, idColumn }: CheckedRequest, { plan, storing }: Awaited<ReturnType<typeof planRequest>>, flights: Flights): Transform[] {
  const { table, columns, fetcher, cache, cacheDir, namespace } = request
  const reference = { table, cache, cacheDir, namespace, idColumn }
  const reporter = reporterFor(request.progress, request.onProgress, table)
  return [
    idPartitioner({ table, plan }),
    cacheSplitter({ ...reference, columns, plan }),
    batchFetcher({ fetcher, table, columns, idColumn, columnTypes: request.columnTypes, plan, concurrency: request.concurrency, retries: request.retries,
      fetchTimeoutMs: request.fetchTimeoutMs, flights }),
    jsonFlattener({ columns, idColumn, columnTypes: request.columnTypes }),
    ...(reporter ? [progressMeter({ reporter, run: plan.run })] : []),
    parquetSink({ ...reference, columns, forward: true, onMissing: request.onMissing, cacheErrors: request.cacheErrors,
      source: fetcher.identity, store: storing })
  ]
}

/**
 * Rows for ids and columns, from the cache where it has them and from the fetcher where it does not, as batches sorted by
 * id. Memory does not grow with the request, but for at most 12 bytes per id.
 *
 * @throws {InvalidArgumentError} at once, for anything but the ids
 */
export function streamData<R extends object = never, const C extends readonly string[] = readonly string[], const I extends string = 'id'>(
  request: DataRequest & { columns: C, idColumn?: I | undefined }): DataStream<[R] extends [never] ? RowOf<C, I> : R> {
  return new DataStream(checkRequest(request))
}
