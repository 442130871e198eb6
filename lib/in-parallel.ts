/**
 * The results of `work` on every item, in the items' order; at most `limit` at a time. After a failure nothing more is begun, and when all
 * that was has ended, the failure of the first item is thrown.
 */
export async function inParallel<In, Out>(items: readonly In[], limit: number, work: (item: In) => Promise<Out>): Promise<Out[]> {
  const results = new Array<PromiseSettledResult<Out>>(items.length)
  let next = 0
  let failed = false
  const runner = async (): Promise<void> => {
    while (next < items.length && !failed) {
      const at = next++
      try {
        results[at] = { status: 'fulfilled', value: await work(items[at]!) }
      } catch (reason) {
        results[at] = { status: 'rejected', reason }
        failed = true
      }
    }
  }
  await Promise.all(Array.from({ length: Math.min(limit, items.length) }, runner))
  return results.map(result => {
    if (result.status === 'rejected') throw result.reason
    return result.value
  })
}
