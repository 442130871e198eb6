/**
 * Runs `work` on the items of `source`, up to `limit` at once, and yields the results as they come. An item is asked for only when it
 * can be worked on. The first failure ends it; what still runs then is not waited for.
 */
export async function * concurrently<In, Out>(source: AsyncIterable<In>, limit: number, work: (item: In) => Promise<Out>): AsyncGenerator<Out, void, undefined> {
  type Event = { of: 'item', result: IteratorResult<In, unknown> } | { of: 'work', promise: Promise<Event>, output: Out }
  const iterator = source[Symbol.asyncIterator]()
  const running = new Set<Promise<Event>>()
  let next: Promise<Event> | undefined
  let ended = false
  for (;;) {
    if (!ended && !next && running.size < limit) next = iterator.next().then((result): Event => ({ of: 'item', result }))
    if (!next && running.size === 0) return
    const event = await Promise.race(next ? [next, ...running] : running)
    if (event.of === 'work') {
      running.delete(event.promise)
      yield event.output
      continue
    }
    next = undefined
    if (event.result.done === true) {
      ended = true
      continue
    }
    const promise: Promise<Event> = work(event.result.value).then((output): Event => ({ of: 'work', promise, output }))
    // a failure is met at the next race, or after the first one, when nobody looks any more
    promise.catch(() => {})
    running.add(promise)
  }
}
