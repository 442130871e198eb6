import { addAbortSignal, Readable } from 'node:stream'
import type { Field } from '../lib/batch/column-type.js'
import type { RowBatch } from '../lib/batch/row-batch.js'
import type { Row } from '../lib/batch/row-factory.js'
import type { RunReport } from '../lib/report.js'

/** Yields a result's batches; stops when `signal` is aborted. */
export type ResultBody = (signal: AbortSignal) => AsyncGenerator<RowBatch>

/**
 * A query's rows as a stream of batches. Nothing happens before it is read; a reader that stops reading stops the query, and one
 * that leaves (`break`, `destroy`) releases everything.
 */
export class ResultStream<R extends object = Row> extends Readable {
  /** What the run did so far. */
  readonly report: RunReport
  /** The result's columns; none before the first rows came, or, for a result without rows, before its end. */
  readonly columns: () => readonly Field[]
  readonly #body: ResultBody
  readonly #abort = new AbortController()
  #pump: Promise<void> | undefined
  #resume: (() => void) | undefined

  constructor(body: ResultBody, { report, columns, signal }: { report: RunReport, columns: () => readonly Field[], signal?: AbortSignal | undefined }) {
    super({ objectMode: true, highWaterMark: 1 })
    this.#body = body
    this.report = report
    this.columns = columns
    if (signal) addAbortSignal(signal, this)
  }

  override _read(): void {
    this.#pump ??= this.#run()
    this.#resume?.()
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    this.#abort.abort(error ?? new Error('the stream was closed early'))
    this.#resume?.()
    if (this.#pump) void this.#pump.then(() => callback(error))
    else callback(error)
  }

  override [Symbol.asyncIterator](): NodeJS.AsyncIterator<RowBatch<R>> {
    return super[Symbol.asyncIterator]() as NodeJS.AsyncIterator<RowBatch<R>>
  }

  /** Never rejects: whatever happens ends the stream or destroys it. */
  async #run(): Promise<void> {
    try {
      for await (const batch of this.#body(this.#abort.signal)) {
        if (this.destroyed) break
        const resumed = new Promise<void>(resolve => { this.#resume = resolve })
        if (!this.push(batch)) await resumed
      }
      if (!this.destroyed) this.push(null)
    } catch (error) {
      if (!this.destroyed) this.destroy(error as Error)
    }
  }
}
