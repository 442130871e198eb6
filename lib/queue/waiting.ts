/** Calls that wait for a queue to get work, on one subscription. It begins with the first wait and lasts until the queues are closed. */
export class Waiting {
  /** Wakes so far: whoever saw fewer has something to look at. */
  wakes = 0
  readonly #listen: (wake: () => void) => Promise<() => Promise<void>>
  readonly #closed: AbortSignal
  readonly #sleepers = new Set<() => void>()
  #started: Promise<unknown> | undefined

  constructor(listen: (wake: () => void) => Promise<() => Promise<void>>, closed: AbortSignal) {
    this.#listen = listen
    this.#closed = closed
    closed.addEventListener('abort', () => { this.#wake() }, { once: true })
  }

  /** Resolves once pushes wake, or nothing can be done about that: then waits only poll. */
  async start(): Promise<void> {
    this.#started ??= this.#listen(() => { this.#wake() }).then(stop => {
      if (this.#closed.aborted) void stop()
      else this.#closed.addEventListener('abort', () => { void stop() }, { once: true })
    })
    await this.#started
  }

  /** Until a wake after the `seen`-th, `ms`, or the queues' end. @throws the reason of `signal` */
  async wait(seen: number, ms: number, signal: AbortSignal | undefined): Promise<void> {
    if (this.wakes !== seen || this.#closed.aborted) return
    signal?.throwIfAborted()
    await new Promise<void>((resolve, reject) => {
      const end = (): void => {
        clearTimeout(timer)
        this.#sleepers.delete(end)
        signal?.removeEventListener('abort', end)
        if (signal?.aborted) reject(signal.reason as Error)
        else resolve()
      }
      const timer = setTimeout(end, ms)
      this.#sleepers.add(end)
      signal?.addEventListener('abort', end, { once: true })
    })
  }

  #wake(): void {
    this.wakes++
    for (const end of [...this.#sleepers]) end()
  }
}
