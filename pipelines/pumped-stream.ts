import { setMaxListeners } from 'node:events'
import { addAbortSignal, Readable } from 'node:stream'
import type { RowBatch } from '../lib/batch/row-batch.js'
import type { Row } from '../lib/batch/row-factory.js'
import { MillraceError } from '../lib/errors.js'
import type { RunReport } from '../lib/report.js'
import { closed } from './request.js'

/**
 * A stream of batches that an async generator makes. Nothing happens before it is read; a reader that stops reading stops the
 * generator, and one that leaves (`break`, `destroy`) ends it and waits for its clean-up.
 */
export abstract class PumpedStream<R extends object = Row> extends Readable {
  readonly #abort = new AbortController()
  #pump: Promise<void> | undefined
  #resume: (() => void) | undefined

  constructor(signal: AbortSignal | undefined) {
    // whoever makes the batches keeps the next one ready; another one here would count as delivered
    super({ objectMode: true, highWaterMark: 0 })
    if (!signal) return
    // one signal for any number of calls is no leak: each takes its listener back. (Node 20 does not tell whether its limit was set.)
    if (signal instanceof EventTarget) setMaxListeners(0, signal)
    addAbortSignal(signal, this)
  }

  /** What the run did so far, which every error of it carries; undefined before it was planned. */
  abstract readonly report: RunReport | undefined

  /** The batches. Called once, when the first is asked for; `signal` is aborted when nobody wants more. */
  protected abstract batches(signal: AbortSignal): AsyncGenerator<RowBatch>

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

  /** Batch by batch. Whoever leaves early (`break`) goes on when everything is released, and what had come is kept. */
  override async * [Symbol.asyncIterator](): AsyncGenerator<RowBatch<R>, undefined, undefined> {
    try {
      yield * super[Symbol.asyncIterator]() as AsyncIterable<RowBatch<R>>
    } finally {
      await closed(this)
    }
    return undefined
  }

  /** Never rejects: whatever happens ends the stream or destroys it. */
  async #run(): Promise<void> {
    try {
      for await (const batch of this.batches(this.#abort.signal)) {
        if (this.#isOver()) break
        const resumed = new Promise<void>(resolve => { this.#resume = resolve })
        if (!this.push(batch) && !this.#isOver()) await resumed
        if (this.#isOver()) break
      }
      if (!this.#isOver()) this.push(null)
    } catch (error) {
      if (error instanceof MillraceError) error.report ??= this.report
      if (!this.#isOver()) this.destroy(error as Error)
    }
  }

  /** A call, so that the compiler does not take one answer for the next. */
  #isOver(): boolean {
    return this.destroyed
  }
}
