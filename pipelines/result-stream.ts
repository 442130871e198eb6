import type { Field } from '../lib/batch/column-type.js'
import type { RowBatch } from '../lib/batch/row-batch.js'
import type { Row } from '../lib/batch/row-factory.js'
import type { RunReport } from '../lib/report.js'
import { PumpedStream } from './pumped-stream.js'

/** Yields a result's batches; stops when `signal` is aborted. */
export type ResultBody = (signal: AbortSignal) => AsyncGenerator<RowBatch>

/** A query's rows as a stream of batches. Nothing is asked before it is read. */
export class ResultStream<R extends object = Row> extends PumpedStream<R> {
  /** What the run did so far. */
  readonly report: RunReport
  /** The result's columns; none before the first rows came, or, for a result without rows, before its end. */
  readonly columns: () => readonly Field[]
  readonly #body: ResultBody

  constructor(body: ResultBody, { report, columns, signal }: { report: RunReport, columns: () => readonly Field[], signal?: AbortSignal | undefined }) {
    super(signal)
    this.#body = body
    this.report = report
    this.columns = columns
  }

  protected override batches(signal: AbortSignal): AsyncGenerator<RowBatch> {
    return this.#body(signal)
  }
}
