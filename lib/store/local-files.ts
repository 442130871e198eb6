import { constants, type BigIntStats } from 'node:fs'
import { lstat, open, type FileHandle } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import { CacheCorruptionError, CacheUnusableError } from '../errors.js'
import { makeFolders } from '../make-folders.js'

/** Files held open at once by one store. */
export const MAX_OPEN_FILES = 16

interface OpenFile {
  path: string
  handle: FileHandle
  stats: BigIntStats
  users: number
  /** Closed as soon as nobody uses it. */
  doomed?: boolean
}

/** The system error code of anything thrown, such as `ENOSPC`. */
export function errnoOf(error: unknown): string | undefined {
  const code = (error as { code?: unknown } | null | undefined)?.code
  return typeof code === 'string' && /^E[A-Z0-9]+$/.test(code) && !code.startsWith('ERR_') ? code : undefined
}

/**
 * Open an existing regular file for reading. Links are not followed, and what is no regular file (a FIFO would block for
 * ever) is refused.
 *
 * @throws {CacheCorruptionError} not a regular file, a link, or gone
 */
export async function openRegularFile(path: string): Promise<{ handle: FileHandle, stats: BigIntStats }> {
  let handle: FileHandle
  try {
    handle = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK)
  } catch (cause) {
    const errno = errnoOf(cause)
    if (errno === 'ENOENT') throw new CacheCorruptionError({ file: path, reason: 'the file is gone', cause })
    if (errno === 'ELOOP' || errno === 'ENXIO' || errno === 'EISDIR') {
      throw new CacheCorruptionError({ file: path, reason: 'not a regular file', cause })
    }
    throw cause
  }
  try {
    const stats = await handle.stat({ bigint: true })
    if (!stats.isFile()) throw new CacheCorruptionError({ file: path, reason: 'not a regular file' })
    return { handle, stats }
  } catch (error) {
    await handle.close()
    throw error
  }
}

/**
 * Open files, shared by their readers: at most 16 at a time, the least recently used idle one is closed first, and whoever
 * finds all of them busy waits.
 */
export class FilePool {
  readonly #files = new Map<string, OpenFile>()
  readonly #waiting: (() => void)[] = []
  #opening = 0
  /** Files that are forgotten and not closed yet. */
  #leaving = 0
  readonly #maxOpen: number

  constructor(maxOpen = MAX_OPEN_FILES) {
    this.#maxOpen = maxOpen
  }

  /** Run `use` with the file open. */
  async with<T>(path: string, use: (handle: FileHandle, stats: BigIntStats) => Promise<T>): Promise<T> {
    const file = await this.#take(path)
    try {
      return await use(file.handle, file.stats)
    } finally {
      file.users--
      if (file.doomed && file.users === 0) await this.#close(file)
      else this.#waiting.shift()?.()
    }
  }

  /** Close a file, at once or when its last user is done; the next one to ask opens the path anew. */
  async forget(path: string): Promise<void> {
    const file = this.#files.get(path)
    if (!file) return
    this.#files.delete(path)
    this.#leaving++
    if (file.users === 0) await this.#close(file)
    else file.doomed = true
  }

  async #close(file: OpenFile): Promise<void> {
    try {
      await file.handle.close()
    } finally {
      this.#leaving--
      this.#waiting.shift()?.()
    }
  }

  async closeAll(): Promise<void> {
    await Promise.all([...this.#files.keys()].map(path => this.forget(path)))
  }

  async #take(path: string): Promise<OpenFile> {
    for (;;) {
      const known = this.#files.get(path)
      if (known) {
        known.users++
        // to the end of the map: most recently used
        this.#files.delete(path)
        this.#files.set(path, known)
        return known
      }
      if (this.#files.size + this.#opening + this.#leaving < this.#maxOpen) {
        try {
          return await this.#open(path)
        } catch (error) {
          // the system allows fewer than we do: make room among our own, as long as there is any
          const errno = errnoOf(error)
          if ((errno !== 'EMFILE' && errno !== 'ENFILE') || !await this.#closeIdle()) throw error
        }
      } else if (!await this.#closeIdle()) await new Promise<void>(resolve => this.#waiting.push(resolve))
    }
  }

  /** Close the idle file that was used longest ago; false when all are busy. */
  async #closeIdle(): Promise<boolean> {
    const idle = [...this.#files.values()].find(file => file.users === 0)
    if (idle) await this.forget(idle.path)
    return idle !== undefined
  }

  async #open(path: string): Promise<OpenFile> {
    this.#opening++
    try {
      const { handle, stats } = await openRegularFile(path)
      const twin = this.#files.get(path)
      if (twin) {
        twin.users++
        await handle.close()
        return twin
      }
      const file = { path, handle, stats, users: 1 }
      this.#files.set(path, file)
      return file
    } finally {
      this.#opening--
      this.#waiting.shift()?.()
    }
  }
}

/** Folders whose places this process has flushed. */
const placed = new Set<string>()

/**
 * Create a folder and those above it, 0700. With `durable` their places are on disk when this resolves: a table whose folder
 * is lost by a power cut is lost with all its commits.
 */
export async function ensureFolder(path: string, durable: boolean): Promise<void> {
  const folder = resolve(path)
  const first = await makeFolders(folder, 0o700)
  if (!durable || (first === undefined && placed.has(folder))) return
  // one that was there may have been made a moment ago, by a process that was killed, or has yet to flush it
  await syncPlaces(folder, first ?? dirname(folder))
  placed.add(folder)
}

/** Flush the places of a folder and of those above it, up to that of `top`, which is one of them. */
export async function syncPlaces(folder: string, top: string): Promise<void> {
  const last = resolve(top)
  for (let made = resolve(folder); ; made = dirname(made)) {
    await syncFolder(dirname(made)).catch((error: unknown) => {
      // a folder above ours that we may enter but not list
      if (errnoOf(error) !== 'EACCES') throw error
    })
    if (made === last || dirname(made) === made) return
  }
}

/**
 * Refuse what stands in the place of a table's folder and is none of ours: a link, a file, a folder that belongs to another
 * user (anybody may plant one in a shared place). Root's folders are as good as one's own; a missing one is fine.
 *
 * @throws {CacheUnusableError}
 */
export async function checkFolder(path: string): Promise<void> {
  const stats = await lstat(path).catch((error: unknown) => {
    if (errnoOf(error) === 'ENOENT') return undefined
    throw error
  })
  if (!stats) return
  if (!stats.isDirectory()) throw new CacheUnusableError({ file: path, reason: 'is not a folder' })
  const uid = process.geteuid?.()
  if (uid !== undefined && uid !== 0 && stats.uid !== uid && stats.uid !== 0) {
    throw new CacheUnusableError({ file: path, reason: `belongs to another user (uid ${stats.uid})` })
  }
}

/** Flush a folder's entries to disk. */
export async function syncFolder(path: string): Promise<void> {
  const handle = await open(path, constants.O_RDONLY)
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

/**
 * Write all of `chunks` one after the other from `position` of the file on, in one call where the system takes all: between calls
 * the event loop must turn, and a loop that is busy would hold the disk up.
 */
export async function writeFully(handle: FileHandle, chunks: readonly Uint8Array[], position: number): Promise<void> {
  let left = chunks.filter(({ length }) => length > 0)
  while (left.length > 0) {
    const { bytesWritten } = left.length === 1 ? await handle.write(left[0]!, 0, left[0]!.length, position) : await handle.writev(left, position)
    if (bytesWritten === 0) throw Object.assign(new Error('the system wrote nothing'), { code: 'EIO' })
    position += bytesWritten
    left = without(left, bytesWritten)
  }
}

/** The chunks behind the first `count` bytes. */
function without(chunks: readonly Uint8Array[], count: number): Uint8Array[] {
  let skip = count
  return chunks.flatMap(chunk => {
    const from = Math.min(skip, chunk.length)
    skip -= from
    return from < chunk.length ? [chunk.subarray(from)] : []
  })
}
