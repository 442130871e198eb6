/** Makes a function that runs calls one after the other, in the order they came, whatever became of those before. */
export function turns(): <T>(call: () => Promise<T>) => Promise<T> {
  let last: Promise<unknown> = Promise.resolve()
  return call => {
    const turn = last.then(call)
    last = turn.catch(() => undefined)
    return turn
  }
}
