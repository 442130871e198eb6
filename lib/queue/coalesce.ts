/**
 * Calls made in one turn of the event loop's microtasks as one call: `flush` gets their inputs and answers one output each, in order.
 * When it fails, each of them does.
 */
export function coalesce<In, Out>(flush: (inputs: readonly In[]) => Promise<readonly Out[]>): (input: In) => Promise<Out> {
  let waiting: { input: In, resolve: (output: Out) => void, reject: (error: unknown) => void }[] = []
  async function run(): Promise<void> {
    const calls = waiting
    waiting = []
    try {
      const outputs = await flush(calls.map(({ input }) => input))
      for (const [i, { resolve }] of calls.entries()) resolve(outputs[i]!)
    } catch (error) {
      for (const { reject } of calls) reject(error)
    }
  }
  return input => new Promise((resolve, reject) => {
    waiting.push({ input, resolve, reject })
    if (waiting.length === 1) queueMicrotask(() => { void run() })
  })
}
