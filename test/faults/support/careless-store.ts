import { mkdir, open, readdir, readFile, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { crc32 } from 'node:zlib'
import type { BlobReader, BlobStore } from '../../../lib/store/blob-store.js'
import type { CacheOptions } from '../../../lib/store/cache.js'
import type { Catalog, Manifest } from '../../../lib/store/catalog.js'
import { BLOCK_BYTES, sha256Of } from '../../../lib/store/checksums.js'
import { localBlobStore } from '../../../lib/store/local-blob-store.js'

/** Which store a worker uses: the real one, or the one below, which the harness must find out. */
export type StoreKind = 'real' | 'careless'

/** The options that open a cache on such a store. */
export function storeOptions(kind: StoreKind | undefined, dir: string): Pick<CacheOptions, 'blobs' | 'catalog'> {
  return kind === 'careless' ? carelessStore(dir) : {}
}

/**
 * The store that millrace must not be, to check the harness by: one manifest, written in place and read as it is; no
 * compare-and-swap; no checksums (whatever stands on disk counts as right: the sums are computed from it).
 */
function carelessStore(dir: string): { blobs: BlobStore, catalog: Catalog } {
  const local = localBlobStore({ dir, durability: 'none' })
  /** Where each part's tail begins. */
  const tails = new Map<string, number>()
  const manifestOf = (folder: string): string => join(dir, folder, 'manifest.json')

  const blobs: BlobStore = { ...local, async open(folder, name): Promise<BlobReader> {
    const blob = await local.open(folder, name)
    return { ...blob, bytes: blob.bytes, identity: blob.identity, close: () => blob.close(),
      async read(offset, length, into) {
        const tail = tails.get(name)
        if (tail === undefined || offset + length <= tail) return await blob.read(offset, length, into)
        return believed(await readFile(join(dir, folder, name)), tail).subarray(offset, offset + length)
      } }
  } }

  /** The manifest with the sums of what is on disk now. */
  async function trusting(folder: string, manifest: Manifest): Promise<Manifest> {
    const parts = await Promise.all(manifest.parts.map(async part => {
      const bytes = await bytesOf(join(dir, folder, part.name))
      if (!bytes) return part
      tails.set(part.name, part.tail.offset)
      const tail = believed(bytes, part.tail.offset).subarray(part.tail.offset)
      return { ...part, bytes: bytes.length, sha256: sha256Of(bytes), tail: { ...part.tail, sha256: sha256Of(new Uint8Array(tail)) } }
    }))
    const tombstones = await Promise.all(manifest.tombstones.map(async tombstone => {
      const bytes = tombstone.ids && await bytesOf(join(dir, folder, tombstone.ids.name))
      return bytes && tombstone.ids ? { ...tombstone, ids: { ...tombstone.ids, bytes: bytes.length, sha256: sha256Of(bytes) } } : tombstone
    }))
    return { ...manifest, parts, tombstones }
  }

  const catalog: Catalog = {
    list: async () => (await readdir(dir)).sort(),
    async read({ folder }) {
      // an unreadable file is an empty cache, as it is to many a program
      const manifest = parsed((await bytesOf(manifestOf(folder)))?.toString() ?? '')
      return { latest: manifest?.version ?? 0, manifest: manifest && await trusting(folder, manifest), damaged: [] }
    },
    async commit({ folder }, _expected, manifest) {
      await mkdir(join(dir, folder), { recursive: true })
      const handle = await open(manifestOf(folder), 'w')
      try {
        await handle.write(Buffer.from(JSON.stringify(manifest)), 0, null, 0)
      } finally {
        await handle.close()
      }
      return true
    },
    drop: ({ folder }) => rm(join(dir, folder), { recursive: true, force: true }),
    inspect: async ({ folder }) => ({ checked: await stat(manifestOf(folder)).then(() => 1, () => 0), damaged: [] }),
    forgetOld: () => Promise.resolve([]),
    forgetAll: () => Promise.resolve([])
  }
  return { blobs, catalog }
}

/** What a regular file holds: even the careless store does not wait for a FIFO. */
async function bytesOf(path: string): Promise<Buffer | undefined> {
  return await stat(path).then(stats => stats.isFile() ? readFile(path) : undefined, () => undefined)
}

function parsed(text: string): Manifest | undefined {
  try {
    return JSON.parse(text) as Manifest
  } catch {
    return undefined
  }
}

/** A part's bytes with block checksums that hold, whatever the blocks are. */
function believed(bytes: Buffer, tailOffset: number): Uint8Array {
  const copy = new Uint8Array(bytes)
  const tail = Buffer.from(copy.buffer, Math.min(tailOffset, copy.length))
  let header: { index: number, presence: { bytes: number }[], blocks: number }
  let at: number
  try {
    at = 4 + tail.readUInt32LE(0)
    header = JSON.parse(tail.toString('utf8', 4, at)) as typeof header
    at += header.index + header.presence.reduce((sum, { bytes: length }) => sum + length, 0)
    for (let block = 0; block < header.blocks; block++) {
      tail.writeUInt32LE(crc32(copy.subarray(block * BLOCK_BYTES, Math.min(tailOffset, (block + 1) * BLOCK_BYTES))), at + 4 * block)
    }
  } catch {
    // not even that much of it is left
  }
  return copy
}
