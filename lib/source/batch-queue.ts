/** Items between one side that must be told when to go on and one that waits for them: at most one is kept beyond the one that is asked for. */
export class BatchQueue<T> implements AsyncIterator<T, undefined> {
  readonly #onWanted: () => void
  readonly #items: T[] = []
  readonly #waiting: { resolve: (result: IteratorResult<T, undefined>) => void, reject: (error: Error) => void }[] = []
  #end: { error: Error | undefined } | undefined

  /** @param onWanted called when there is room for an item */
  constructor(onWanted: () => void) {
    this.#onWanted = onWanted
  }

  /** Whether there is room for another one after it. */
  push(item: T): boolean {
    const first = this.#waiting.shift()
    if (first) first.resolve({ value: item, done: false })
    else this.#items.push(item)
    return this.#items.length === 0
  }

  /** Nothing more comes; what is here is still handed out. With an error it is not, and whoever asks gets the error. */
  end(error?: Error): void {
    this.#end ??= { error }
    if (error) this.#items.length = 0
    for (const { resolve, reject } of this.#waiting.splice(0)) {
      if (error) reject(error)
      else resolve({ value: undefined, done: true })
    }
  }

  next(): Promise<IteratorResult<T, undefined>> {
    const item = this.#items.shift()
    if (item !== undefined) {
      if (!this.#end) this.#onWanted()
      return Promise.resolve({ value: item, done: false })
    }
    if (this.#end) {
      const { error } = this.#end
      // an error is told once, as streams do
      this.#end = { error: undefined }
      return error ? Promise.reject(error) : Promise.resolve({ value: undefined, done: true })
    }
    return new Promise((resolve, reject) => {
      this.#waiting.push({ resolve, reject })
      this.#onWanted()
    })
  }
}
