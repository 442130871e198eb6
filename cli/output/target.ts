import { randomUUID } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { open, realpath, rename, rm, stat, unlink, type FileHandle } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { isBrokenPipe, ReaderLeft } from '../failure.js'

/** Where output goes. Nothing is seen of a file before `finish`. */
export interface Target {
  /** Resolves when there is room for more. */
  write(chunk: string | Uint8Array): Promise<void>
  /** A file to write to at will, instead of `write`. */
  file(): Promise<FileHandle>
  /** Everything was written: show it. */
  finish(): Promise<void>
  /** Drop what was written, as far as that can be. Never throws. */
  discard(): Promise<void>
}

/**
 * Wait until a stream took a chunk.
 *
 * @throws {ReaderLeft} nobody reads any more
 */
async function writeTo(stream: NodeJS.WriteStream, chunk: string | Uint8Array): Promise<void> {
  if (stream.destroyed) throw new ReaderLeft()
  await new Promise<void>((resolve, reject) => {
    stream.write(chunk, error => {
      if (!error) resolve()
      else reject(isBrokenPipe(error) ? new ReaderLeft() : error)
    })
  })
}

/** A stream such as stdout, which stays open. */
export function streamTarget(stream: NodeJS.WriteStream): Target {
  let spool: { handle: FileHandle, path: string } | undefined
  const drop = async (): Promise<void> => {
    await spool?.handle.close().catch(() => undefined)
    if (spool) await rm(spool.path, { force: true })
    spool = undefined
  }
  return {
    write: chunk => writeTo(stream, chunk),
    async file() {
      const path = join(tmpdir(), `millrace-${randomUUID()}`)
      spool = { path, handle: await open(path, 'wx+', 0o600) }
      return spool.handle
    },
    async finish() {
      try {
        if (spool) for await (const chunk of createReadStream(spool.path)) await writeTo(stream, chunk as Buffer)
      } finally {
        await drop()
      }
    },
    discard: () => drop().catch(() => undefined)
  }
}

/** A file that appears whole or not at all; devices and pipes are written as they are. */
export async function fileTarget(name: string): Promise<Target & { path: string }> {
  // a link stays a link: what it points to is exchanged
  const path = await realpath(name).catch(() => resolve(name))
  const found = await stat(path).catch(() => undefined)
  const direct = found !== undefined && !found.isFile()
  const temporary = direct ? path : join(dirname(path), `.${path.slice(dirname(path).length).replace(/^[/\\]/, '')}.tmp-${randomUUID()}`)
  const handle = await open(temporary, direct ? 'w' : 'wx+', 0o666)
  let closed = false
  const close = async (): Promise<void> => {
    if (!closed) await handle.close()
    closed = true
  }
  return {
    path,
    write: async chunk => { await handle.writeFile(chunk) },
    file: () => Promise.resolve(handle),
    async finish() {
      if (!direct) await handle.sync()
      await close()
      if (!direct) await rename(temporary, path)
    },
    async discard() {
      await close().catch(() => undefined)
      if (!direct) await unlink(temporary).catch(() => undefined)
    }
  }
}
