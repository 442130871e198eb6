import { invalidateTable, type Invalidation } from '../../lib/store/invalidate.js'
import type { TestCache } from './cache.js'

/** Make rows of a table invalid, all of them unless told otherwise. */
export async function invalidateRows({ store }: TestCache, table: string, what: Invalidation = {}): Promise<void> {
  await invalidateTable(store.table(table), what)
}
