import { randomUUID } from 'node:crypto'
import { constants, type BigIntStats, type Stats } from 'node:fs'
import { link, lstat, open, readdir, rename, unlink, type FileHandle } from 'node:fs/promises'
import { join } from 'node:path'
import { CacheCorruptionError } from '../errors.js'
import type { BlobInfo, BlobReader, BlobStore, BlobWriter } from './blob-store.js'
import { ensureFolder, errnoOf, FilePool, syncFolder, writeFully } from './local-files.js'

/** `commit`: fsync before anything is reported; `none`: the system writes when it likes (a power cut may lose commits). */
export type Durability = 'commit' | 'none'

/** A file being written, and the process that does. */
const TEMPORARY_NAME = /^tmp-([1-9]\d*)-/

/**
 * Files in folders below `dir`: 0600 in 0700, created exclusively, never through a link. A file is written under a temporary
 * name that carries the writer's process id, and keeps that name as a second one until it is released, so that others can
 * tell what a sleeping writer still needs from what a killed one left.
 */
export function localBlobStore({ dir, durability = 'commit' }: { dir: string, durability?: Durability }): BlobStore {
  const files = new FilePool()
  const pathOf = (folder: string, name: string): string => join(dir, folder, name)

  async function create(folder: string): Promise<BlobWriter> {
    await ensureFolder(join(dir, folder), durability === 'commit')
    const temporary = pathOf(folder, `tmp-${process.pid}-${randomUUID()}`)
    const handle = await open(temporary, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW, 0o600)
    return new LocalBlobWriter(handle, temporary, join(dir, folder), durability)
  }

  async function openBlob(folder: string, name: string): Promise<BlobReader> {
    const path = pathOf(folder, name)
    // what stands under the path now decides, not what the pool opened earlier
    const now = await lstat(path, { bigint: true }).catch((cause: unknown) => {
      if (errnoOf(cause) !== 'ENOENT') throw cause
      throw new CacheCorruptionError({ file: path, reason: 'the file is gone', cause })
    })
    const identity = identityOf(now)
    if (await files.with(path, (_, stats) => Promise.resolve(identityOf(stats) !== identity))) await files.forget(path)
    return {
      bytes: Number(now.size),
      identity: `${path}:${identity}`,
      read: (offset, length, into) => files.with(path, (handle, stats) => {
        if (identityOf(stats) !== identity) throw new CacheCorruptionError({ file: path, reason: 'was replaced while it was read' })
        return readFully(handle, path, offset, length, into)
      }),
      close: () => files.forget(path)
    }
  }

  async function head(folder: string, name: string): Promise<BlobInfo | undefined> {
    const stats = await statsOf(folder, name)
    return stats && { name, bytes: stats.size, modifiedMs: stats.mtimeMs }
  }

  async function statsOf(folder: string, name: string): Promise<Stats | undefined> {
    try {
      return await lstat(pathOf(folder, name))
    } catch (error) {
      if (errnoOf(error) === 'ENOENT') return undefined
      throw error
    }
  }

  async function list(folder: string): Promise<BlobInfo[]> {
    let names: string[]
    try {
      names = await readdir(join(dir, folder))
    } catch (error) {
      if (errnoOf(error) === 'ENOENT') return []
      throw error
    }
    const found = (await Promise.all(names.map(async name => ({ name, stats: await statsOf(folder, name) }))))
    const held = new Set(found.flatMap(({ name, stats }) => stats && isAlive(TEMPORARY_NAME.exec(name)?.[1]) ? [stats.ino] : []))
    return found.flatMap(({ name, stats }) => stats ? [{ name, bytes: stats.size, modifiedMs: stats.mtimeMs, inUse: held.has(stats.ino) }] : [])
  }

  async function remove(folder: string, name: string): Promise<void> {
    await files.forget(pathOf(folder, name))
    await unlink(pathOf(folder, name)).catch((error: unknown) => {
      if (errnoOf(error) !== 'ENOENT') throw error
    })
  }

  async function quarantine(folder: string, name: string): Promise<string> {
    const aside = `corrupt-${randomUUID().slice(0, 8)}-${name}`
    await files.forget(pathOf(folder, name))
    await rename(pathOf(folder, name), pathOf(folder, aside)).catch((error: unknown) => {
      if (errnoOf(error) !== 'ENOENT') throw error
    })
    return aside
  }

  return { create, open: openBlob, head, list, delete: remove, quarantine, pathOf, close: () => files.closeAll() }
}

/** Whether a process of this machine runs. */
function isAlive(pid: string | undefined): boolean {
  if (pid === undefined) return false
  try {
    process.kill(Number(pid), 0)
    return true
  } catch (error) {
    return errnoOf(error) === 'EPERM'
  }
}

/** Changes whenever the file does. */
function identityOf({ dev, ino, size, mtimeNs }: BigIntStats): string {
  return `${dev}:${ino}:${size}:${mtimeNs}`
}

async function readFully(handle: FileHandle, path: string, offset: number, length: number, into?: Uint8Array): Promise<Uint8Array> {
  // not from the shared pool: the buffer starts aligned and its memory goes when the last view goes
  // (and a plain Uint8Array: a Buffer's slice() is no copy)
  const bytes = into?.subarray(0, length) ?? new Uint8Array(Buffer.allocUnsafeSlow(length).buffer)
  let done = 0
  while (done < length) {
    const { bytesRead } = await handle.read(bytes, done, length - done, offset + done)
    if (bytesRead === 0) throw new CacheCorruptionError({ file: path, reason: `ends before byte ${offset + length}` })
    done += bytesRead
  }
  return bytes
}

class LocalBlobWriter implements BlobWriter {
  readonly #handle: FileHandle
  readonly #temporary: string
  readonly #folder: string
  readonly #durability: Durability
  #open = true
  #written = 0
  #name: string | undefined

  constructor(handle: FileHandle, temporary: string, folder: string, durability: Durability) {
    this.#handle = handle
    this.#temporary = temporary
    this.#folder = folder
    this.#durability = durability
  }

  async write(chunks: readonly Uint8Array[]): Promise<void> {
    await writeFully(this.#handle, chunks, this.#written)
    for (const { length } of chunks) this.#written += length
  }

  async commit(name: string): Promise<void> {
    if (this.#durability === 'commit') await this.#handle.sync()
    this.#open = false
    await this.#handle.close()
    await link(this.#temporary, join(this.#folder, name))
    this.#name = name
    if (this.#durability === 'commit') await syncFolder(this.#folder)
  }

  async release(): Promise<void> {
    await unlink(this.#temporary).catch(() => undefined)
  }

  async abort(): Promise<void> {
    // best effort: a leftover is garbage, and collected after the grace time
    if (this.#name !== undefined) await unlink(join(this.#folder, this.#name)).catch(() => undefined)
    if (this.#open) {
      this.#open = false
      await this.#handle.close().catch(() => undefined)
    }
    await unlink(this.#temporary).catch(() => undefined)
  }
}
