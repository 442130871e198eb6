import { Transform, type TransformCallback } from 'node:stream'

/** What a stage's generator gets beside its source. */
export interface StageContext {
  /** Aborted when the stage is destroyed: by an error, a neighbour's error, an abort signal or a `break`. */
  signal: AbortSignal
}

type StageBody<In, Out> = (source: AsyncIterable<In>, context: StageContext) => AsyncGenerator<Out, void, undefined>

/** Batches wait in a stage's buffers in ones. */
const HIGH_WATER_MARK = 1

/**
 * A real object-mode `Transform` from an async generator between two streams: state is a local variable, "flush" is whatever
 * follows the loop, `finally` runs on every way out.
 *
 * A `yield` resumes when the reader has taken the item and asks for the next, so after the last `yield` the last item was
 * taken. Backpressure is kept on both sides with a high-water mark of 1.
 */
export function stage<In, Out>(name: string, body: StageBody<In, Out>): Transform {
  return new GeneratorTransform<In, Out>(name, body)
}

class GeneratorTransform<In, Out> extends Transform {
  readonly #abort = new AbortController()
  readonly #body: StageBody<In, Out>
  #running: Promise<void> | undefined
  /** The chunk that waits for the generator, and the callback that takes the next one from upstream. */
  #offered: { chunk: In, taken: TransformCallback } | undefined
  #taken: TransformCallback | undefined
  #ended = false
  #wakeGenerator: (() => void) | undefined
  #wakeAfterPush: (() => void) | undefined

  constructor(readonly name: string, body: StageBody<In, Out>) {
    super({ objectMode: true, readableHighWaterMark: HIGH_WATER_MARK, writableHighWaterMark: HIGH_WATER_MARK })
    this.#body = body
  }

  override _transform(chunk: In, _encoding: string, taken: TransformCallback): void {
    this.#offered = { chunk, taken }
    this.#start()
    this.#wakeGenerator?.()
  }

  override _flush(done: TransformCallback): void {
    this.#ended = true
    this.#start()
    this.#wakeGenerator?.()
    this.#running?.then(() => done(), (error: unknown) => done(error as Error))
  }

  override _read(size: number): void {
    this.#wakeAfterPush?.()
    super._read(size)
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    this.#abort.abort(error ?? new Error(`${this.name} was closed early`))
    this.#wakeGenerator?.()
    this.#wakeAfterPush?.()
    if (!this.#running) callback(error)
    else this.#running.then(() => callback(error), () => callback(error))
  }

  #start(): void {
    this.#running ??= this.#run()
  }

  async #run(): Promise<void> {
    try {
      for await (const item of this.#body(this.#source(), { signal: this.#abort.signal })) {
        if (this.#isOver()) break
        const resumed = new Promise<void>(resolve => { this.#wakeAfterPush = resolve })
        if (!this.push(item) && !this.#isOver()) await resumed
        if (this.#isOver()) break
      }
    } catch (error) {
      // while the stage is being destroyed the first error has been reported; this one is its echo
      if (!this.destroyed) this.destroy(error as Error)
      throw error
    }
    // a generator that stopped reading must not stop the streams before it
    while (!this.destroyed && !this.#finishedReading()) await this.#next()
  }

  async * #source(): AsyncGenerator<In, void, undefined> {
    for (;;) {
      const next = await this.#next()
      // an input cut short must not look like one that ended
      if (this.destroyed) throw this.#abort.signal.reason as Error
      if (!next) return
      yield next.chunk
    }
  }

  /** The next chunk. Asking for it is what tells upstream that the one before is done with. */
  async #next(): Promise<{ chunk: In } | undefined> {
    this.#taken?.()
    this.#taken = undefined
    while (!this.#offered && !this.#ended && !this.destroyed) {
      await new Promise<void>(resolve => { this.#wakeGenerator = resolve })
    }
    if (this.destroyed || !this.#offered) return undefined
    const { chunk, taken } = this.#offered
    this.#offered = undefined
    this.#taken = taken
    return { chunk }
  }

  /** A call, so that the compiler does not take one answer for the next. */
  #isOver(): boolean {
    return this.destroyed
  }

  #finishedReading(): boolean {
    return this.#ended && !this.#offered
  }
}
