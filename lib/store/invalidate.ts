import { collectIds, type IdsInput } from '../batch/id-set.js'
import { parseTimestamp } from '../batch/temporal.js'
import { InvalidArgumentError } from '../errors.js'
import { IdIndexBuilder } from './id-index.js'
import { writeIdList, type WrittenIdList } from './id-list.js'
import { filesOf } from './manifest.js'
import type { TableStore } from './table-store.js'

/** What becomes invalid: everything, or only these ids, these columns, what was fetched before a time; all given ones together. */
export interface Invalidation {
  ids?: IdsInput | undefined
  columns?: readonly string[] | undefined
  /** A time, or ms since 1970. A compacted part counts as old as its oldest row. */
  before?: Date | number | string | undefined
}

async function listOf(store: TableStore, ids: IdsInput): Promise<WrittenIdList | undefined> {
  const builder = new IdIndexBuilder()
  for (const window of (await collectIds(ids)).windows()) builder.add(window)
  return builder.rows === 0 ? undefined : await writeIdList(store.settings.blobs, store.key.folder, builder.finish())
}

function timeOf(before: Date | number | string): number {
  const ms = before instanceof Date ? before.getTime() : typeof before === 'string' ? timeOfText(before) : before
  if (!Number.isFinite(ms)) {
    throw new InvalidArgumentError({ argument: 'before', expected: 'a Date, ms since 1970, or a text such as 2024-05-01 or 2024-05-01T12:00:00Z', found: String(before) })
  }
  return ms
}

/** A text without a zone is UTC, as everywhere: `Date.parse` would take it for local time. */
function timeOfText(text: string): number {
  const micros = parseTimestamp(/^\d{4}-\d\d-\d\d$/.test(text) ? `${text} 00:00:00` : text)
  return micros === undefined ? NaN : Number(micros / 1000n)
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
  const written = ids === undefined ? undefined : await listOf(store, ids)
  if (ids !== undefined && !written) return
  await store.commitBlobs(written ? [written] : [], { tombstones: [{ ids: written?.list ?? null, columns: columns ?? null, ...(beforeMs === undefined ? {} : { beforeMs }) }] })
}

/** Forget a table's rows, at once: the files go too. A fetch that is under way will not bring them back. */
export async function clearTable(store: TableStore): Promise<void> {
  const manifest = await store.manifest()
  const names = [...manifest.parts.map(part => part.name)]
  await store.commit({ remove: names, tombstones: [{ ids: null, columns: null }], dropTombstones: manifest.tombstones.map(({ seq }) => seq), query: { record: null } })
  const { blobs, reader } = store.settings
  // listed before the manifest is read: what is committed after the list is not in it
  const files = await blobs.list(store.key.folder)
  const live = filesOf(await store.manifest())
  for (const { name, inUse } of files) {
    if (!/^(data|ids|corrupt)-/.test(name) || live.has(name) || inUse === true) continue
    reader.forget(store.key.folder, name)
    await blobs.delete(store.key.folder, name)
  }
}
