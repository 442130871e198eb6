import { randomUUID } from 'node:crypto'
import { CacheCorruptionError } from '../errors.js'
import type { BlobStore } from './blob-store.js'
import type { Tombstone } from './catalog.js'
import { sha256Of } from './checksums.js'
import { parseIndex, serializeIndex, type IdIndex } from './id-index.js'

/** A list of ids as a blob: what a tombstone points at. */
export type IdList = NonNullable<Tombstone['ids']>

/** A written list and the way to settle its fate: `release` once a manifest names it, `abort` when none will. */
export interface WrittenIdList {
  list: IdList
  release(): Promise<void>
  abort(): Promise<void>
}

/** Write a list of ids as a blob of the table. */
export async function writeIdList(blobs: BlobStore, folder: string, ids: IdIndex): Promise<WrittenIdList> {
  const bytes = serializeIndex(ids)
  const name = `ids-${randomUUID()}.bin`
  const blob = await blobs.create(folder)
  try {
    await blob.write([bytes])
    await blob.commit(name)
  } catch (error) {
    await blob.abort()
    throw error
  }
  return { list: { name, bytes: bytes.length, sha256: sha256Of(bytes), count: ids.rows }, release: () => blob.release(), abort: () => blob.abort() }
}

/**
 * The ids in a list.
 *
 * @throws {CacheCorruptionError} the checksum does not hold
 */
export async function readIdList(blobs: BlobStore, folder: string, ids: IdList): Promise<IdIndex> {
  const file = blobs.pathOf(folder, ids.name)
  const blob = await blobs.open(folder, ids.name)
  if (blob.bytes !== ids.bytes) throw new CacheCorruptionError({ file, reason: `has ${blob.bytes} bytes, the manifest says ${ids.bytes}` })
  const bytes = await blob.read(0, ids.bytes)
  if (sha256Of(bytes) !== ids.sha256) throw new CacheCorruptionError({ file, reason: 'its checksum does not hold' })
  return parseIndex(bytes)
}
