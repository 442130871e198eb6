import { randomUUID } from 'node:crypto'
import { constants } from 'node:fs'
import { open, rename, unlink } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import type { Field } from '../batch/column-type.js'
import { collectIds, WINDOW_ROWS } from '../batch/id-set.js'
import type { Id } from '../batch/ids.js'
import { InvalidArgumentError } from '../errors.js'
import { makeFolders } from '../make-folders.js'
import type { PlacedRowGroup } from '../parquet/column-chunk.js'
import { encodeFooter, FILE_HEADER } from '../parquet/footer.js'
import { encodeRowGroup } from '../parquet/row-group.js'
import { idsOf, mergedFields, readWindow } from './compaction.js'
import { syncFolder, writeFully } from './local-files.js'
import { UnusablePartError } from './snapshot.js'
import type { TableStore } from './table-store.js'

/** What was exported. */
export interface ExportResult {
  file: string
  rows: number
  bytes: number
}

/**
 * Write a table's rows, sorted by id, newest values, as one plain Parquet file. A column that is not cached for some id is
 * null there. The file appears whole or not at all.
 *
 * @throws {InvalidArgumentError} the table holds nothing, or not such a column
 */
export async function exportTable(store: TableStore, { file, columns }: { file: string, columns?: readonly string[] | undefined }): Promise<ExportResult> {
  const manifest = await store.manifest()
  if (manifest.parts.length === 0) throw new InvalidArgumentError({ argument: 'table', expected: 'a cached table (see `millrace cache ls`)', found: store.name })
  const snapshot = store.snapshotOf(manifest)
  const all = mergedFields(store, manifest, manifest.parts)
  const wanted = (columns ?? all.slice(1).map(field => field.name)).map((name): Field => {
    const field = all.find(known => known.name === name)
    if (!field) throw new InvalidArgumentError({ argument: 'columns', expected: `columns of ${store.name} (${all.map(known => known.name).join(', ')})`, found: name })
    return { ...field, nullable: true }
  })
  const fields = [{ ...all[0]!, nullable: false }, ...wanted.filter(field => field.name !== store.key.idColumn)]
  const target = resolve(file)
  await makeFolders(dirname(target))
  const temporary = `${target}.tmp-${randomUUID()}`
  const handle = await open(temporary, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW, 0o600)
  try {
    const ids = await collectIds(idsOf(snapshot, manifest.parts))
    const groups: PlacedRowGroup[] = []
    let offset = 0
    let rows = 0
    const write = async (...chunks: readonly Uint8Array[]): Promise<void> => {
      await writeFully(handle, chunks, offset)
      for (const { length } of chunks) offset += length
    }
    await write(FILE_HEADER)
    const dropped = new Set<Id>(manifest.query?.dropped)
    for (const window of ids.windows(WINDOW_ROWS)) {
      const { batch } = await readWindow(snapshot, dropped.size === 0 ? window : (window as Float64Array).filter(id => !dropped.has(id)), fields, { byColumns: fields.length > 1 })
      if (batch.length === 0) continue
      const { chunks, ...group } = encodeRowGroup(fields, batch.vectors, { codec: store.settings.codec })
      groups.push({ ...group, offset })
      await write(...chunks)
      rows += batch.length
    }
    const footer = encodeFooter({ fields, rowGroups: groups })
    await write(footer)
    await handle.sync()
    await handle.close()
    await rename(temporary, target)
    await syncFolder(dirname(target))
    return { file: target, rows, bytes: offset }
  } catch (error) {
    await handle.close().catch(() => undefined)
    await unlink(temporary).catch(() => undefined)
    if (!(error instanceof UnusablePartError)) throw error
    // a compaction may have replaced the part meanwhile, and its file may be gone
    const { parts } = await store.manifest()
    if (parts.some(({ name }) => name === error.part.name)) throw error.cause
    return await exportTable(store, { file, columns })
  }
}
