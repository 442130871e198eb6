/** Items between two looks at timers and I/O: a source that never waits must not keep an abort or a time limit from firing. */
const ITEMS_PER_TURN = 4096

/** Reads an async iterable one item at a time. */
export interface AbortableReader<T> {
  /** The next item; rejects with the signal's reason as soon as it fires, whatever the source is waiting for. */
  next(): Promise<IteratorResult<T, unknown>>
  /** Let a source go that was not read to its end. Never waits for it, never throws. */
  close(): void
}

/**
 * A reader of `source` that an abort frees at once, even in the middle of an item that never comes.
 *
 * One promise per item and nothing that outlives it: `Promise.race` against one long-lived promise would keep every item
 * until that promise settles.
 */
export function abortableReader<T>(source: AsyncIterable<T>, signal: AbortSignal | undefined): AbortableReader<T> {
  const iterator = source[Symbol.asyncIterator]()
  let items = 0
  let ended = false
  let fail: ((reason: unknown) => void) | undefined
  const stop = (): void => fail?.(signal?.reason)
  signal?.addEventListener('abort', stop, { once: true })
  return {
    async next() {
      if (++items % ITEMS_PER_TURN === 0) await new Promise(resolve => setImmediate(resolve))
      signal?.throwIfAborted()
      const result = await new Promise<IteratorResult<T, unknown>>((resolve, reject) => {
        fail = reject
        Promise.resolve(iterator.next()).then(resolve, reject)
      })
      if (result.done === true) ended = true
      return result
    },
    close() {
      signal?.removeEventListener('abort', stop)
      if (!ended) void letGo(source, iterator)
    }
  }
}

/** A stream is destroyed: its iterator's `return()` would queue behind the item it waits for. */
async function letGo(source: object, iterator: AsyncIterator<unknown>): Promise<void> {
  try {
    const { destroy } = source as { destroy?: () => void }
    if (typeof destroy === 'function') destroy.call(source)
    else await iterator.return?.()
  } catch {
    // it is being left; what it says about that concerns nobody
  }
}
