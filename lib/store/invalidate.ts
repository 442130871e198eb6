import { randomUUID } from 'node:crypto'
import { collectIds, type IdsInput } from '../batch/id-set.js'
import { InvalidArgumentError } from '../errors.js'
import type { Tombstone } from './catalog.js'
import { sha256Of } from './checksums.js'
import { IdIndexBuilder, serializeIndex } from './id-index.js'
import type { TableStore } from './table-store.js'

/** What becomes invalid: everything, or only these ids, these columns, what was fetched before a time; all given ones together. */
export interface Invalidation {
  ids?: IdsInput | undefined
  columns?: readonly string[] | undefined
  /** A time, or ms since 1970. A compacted part counts as old as its oldest row. */
  before?: Date | number | string | undefined
}

/** Write a list of ids as a blob of the table. */
async function writeIdList(store: TableStore, ids: IdsInput): Promise<NonNullable<Tombstone['ids']>> {
  const set = await collectIds(ids)
  const builder = new IdIndexBuilder()
  for (const window of set.windows()) builder.add(window)
  const bytes = serializeIndex(builder.finish())
  const name = `ids-${randomUUID()}.bin`
  const blob = await store.settings.blobs.create(store.key.folder)
  try {
    await blob.write(bytes)
    await blob.commit(name)
  } catch (error) {
    await blob.abort()
    throw error
  }
  return { name, bytes: bytes.length, sha256: sha256Of(bytes), count: set.size }
}

function timeOf(before: Date | number | string): number {
  const ms = before instanceof Date ? before.getTime() : typeof before === 'string' ? Date.parse(before) : before
  if (!Number.isFinite(ms)) throw new InvalidArgumentError({ argument: 'before', expected: 'a Date, a date text or ms since 1970', found: String(before) })
  return ms
}

/**
 * Make rows or columns invalid: they are misses from now on, also where a fetch that is under way began before. The next
 * compaction drops them from disk.
 */
export async function invalidateTable(store: TableStore, { ids, columns, before }: Invalidation): Promise<void> {
  if (columns !== undefined && (!Array.isArray(columns) || columns.length === 0 || !columns.every(name => typeof name === 'string'))) {
    throw new InvalidArgumentError({ argument: 'columns', expected: 'at least one column name' })
  }
  const beforeMs = before === undefined ? undefined : timeOf(before)
  const list = ids === undefined ? null : await writeIdList(store, ids)
  if (list?.count === 0) return
  await store.commit({ tombstones: [{ ids: list, columns: columns ?? null, ...(beforeMs === undefined ? {} : { beforeMs }) }] })
}

/** Forget a table's rows, at once: the files go too. A fetch that is under way will not bring them back. */
export async function clearTable(store: TableStore): Promise<void> {
  const manifest = await store.manifest()
  const names = [...manifest.parts.map(part => part.name)]
  await store.commit({ remove: names, tombstones: [{ ids: null, columns: null }], dropTombstones: manifest.tombstones.map(({ seq }) => seq) })
  const { blobs, reader } = store.settings
  for (const { name } of await blobs.list(store.key.folder)) {
    if (!/^(data|ids|corrupt)-/.test(name)) continue
    reader.forget(store.key.folder, name)
    await blobs.delete(store.key.folder, name)
  }
}
