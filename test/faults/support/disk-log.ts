import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { idsFrom } from './rows.js'

/** The system calls that a log must hold. */
export const LOGGED = 'openat,pwrite64,pwritev,fsync,link,rename,unlink,mkdir,close,access'

/** The worker's mark for a merge that was reported (see worker.ts, which must not be loaded here: it listens). */
const REPORTED = '/millrace-reported/'

/** One system call that matters, in order. */
export type DiskCall =
  | { kind: 'open', path: string, flags: string, mode: string | undefined, fd: number, creates: boolean }
  | { kind: 'write', fd: number, bytes: Buffer, offset: number }
  | { kind: 'fsync' | 'close', fd: number }
  | { kind: 'link' | 'rename', from: string, to: string }
  | { kind: 'unlink', path: string }
  | { kind: 'mkdir', path: string, mode: string }
  | { kind: 'reported', ids: number[] }

const CALL = /^(\w+)\((.*)\)\s+= (-?\d+)(?: .*)?$/
const decode = (hex: string): Buffer => Buffer.from(hex.replaceAll('\\x', ''), 'hex')

/** Read a log of strace (`-xx`, one thread). Calls that failed are left out, but for marks, which always do. */
export function readDiskLog(file: string): DiskCall[] {
  return readFileSync(file, 'latin1').split('\n').flatMap((line): DiskCall[] => {
    const match = CALL.exec(line)
    if (!match) return []
    const [, name, args, result] = match as unknown as [string, string, string, string]
    const texts = [...args.matchAll(/"((?:\\x[0-9a-f]{2})*)"/g)].map(([, hex]) => decode(hex!))
    const path = texts[0]?.toString() ?? ''
    if (name === 'access' && path.startsWith(REPORTED)) {
      const [from, count, step] = path.slice(REPORTED.length).split('-').map(Number)
      return [{ kind: 'reported', ids: idsFrom(from!, count!, step) }]
    }
    if (Number(result) < 0) return []
    const numbers = args.split(', ').map(Number)
    switch (name) {
      case 'openat': {
        const [, , flags = '', mode] = args.split(', ')
        return [{ kind: 'open', path, flags, mode, fd: Number(result), creates: flags.includes('O_CREAT') }]
      }
      case 'pwrite64': case 'pwritev': return [{ kind: 'write', fd: numbers[0]!, bytes: Buffer.concat(texts).subarray(0, Number(result)), offset: numbers.at(-1)! }]
      case 'fsync': case 'close': return [{ kind: name, fd: Number(args) }]
      case 'link': case 'rename': return [{ kind: name, from: path, to: texts[1]!.toString() }]
      case 'unlink': return [{ kind: 'unlink', path }]
      case 'mkdir': return [{ kind: 'mkdir', path, mode: args.split(', ')[1]! }]
      default: return []
    }
  })
}

/** A file, whatever its names. Written from its start to its end. */
interface Inode {
  /** What it holds now, and how much of that is on disk for sure. */
  bytes: Buffer
  synced: number
}

/** A change of a folder's entries; `to` undefined takes the name away. */
interface Entry {
  name: string
  to: Inode | 'folder' | undefined
}

/** A folder's entries: those on disk for sure, and changes that may or may not be, in order. */
interface Folder {
  synced: Map<string, Inode | 'folder'>
  pending: Entry[]
}

/** Decides, for one state after a power cut, what of the unflushed has reached the disk. */
export interface Loss {
  /** Whether a folder's change has. */
  keepsEntry(): boolean
  /** How many of a file's unflushed bytes have; the length of the file may have grown by all of them all the same. */
  keptBytes(unflushed: number): { bytes: number, zeroFilled: boolean }
}

/** What the disk may hold while a log goes on. */
export class DiskModel {
  readonly #folders = new Map<string, Folder>()
  readonly #open = new Map<number, Inode | string>()
  /** Ids that were reported so far. */
  readonly reported: number[] = []

  /** @param root exists, with its place on disk */
  constructor(readonly root: string) {
    this.#folders.set(root, { synced: new Map(), pending: [] })
  }

  /** What a name in a folder means now. */
  find(path: string): Inode | 'folder' | undefined {
    const folder = this.#folders.get(dirname(path))
    const last = folder?.pending.findLast(({ name }) => name === basename(path))
    return last ? last.to : folder?.synced.get(basename(path))
  }

  /** Whether a name, and those of the folders above it, are on disk for sure. */
  isPlaced(path: string): boolean {
    if (path === this.root) return true
    const folder = this.#folders.get(dirname(path))
    return folder !== undefined && folder.synced.has(basename(path)) && !folder.pending.some(({ name }) => name === basename(path)) && this.isPlaced(dirname(path))
  }

  /** Names in a folder now. */
  namesIn(path: string): string[] {
    const folder = this.#folders.get(path)
    const names = new Set([...folder?.synced.keys() ?? [], ...folder?.pending.map(({ name }) => name) ?? []])
    return [...names].filter(name => this.find(join(path, name)) !== undefined).sort()
  }

  apply(call: DiskCall): void {
    switch (call.kind) {
      case 'open':
        if (call.creates) this.#enter(call.path, { bytes: Buffer.alloc(0), synced: 0 })
        this.#open.set(call.fd, this.#folders.has(call.path) ? call.path : this.find(call.path) as Inode)
        break
      case 'write': {
        const file = this.#open.get(call.fd)
        if (typeof file !== 'object') break
        const bytes = Buffer.alloc(Math.max(file.bytes.length, call.offset + call.bytes.length))
        file.bytes.copy(bytes)
        call.bytes.copy(bytes, call.offset)
        file.bytes = bytes
        file.synced = Math.min(file.synced, call.offset)
        break
      }
      case 'fsync': {
        const file = this.#open.get(call.fd)
        if (typeof file === 'object') file.synced = file.bytes.length
        else if (file !== undefined) this.#flush(this.#folders.get(file)!)
        break
      }
      case 'close': this.#open.delete(call.fd); break
      case 'link': case 'rename': {
        const inode = this.find(call.from)
        this.#enter(call.to, inode)
        if (call.kind === 'rename') this.#enter(call.from, undefined)
        break
      }
      case 'unlink': this.#enter(call.path, undefined); break
      case 'mkdir':
        this.#enter(call.path, 'folder')
        if (this.#folders.has(dirname(call.path))) this.#folders.set(call.path, { synced: new Map(), pending: [] })
        break
      case 'reported': this.reported.push(...call.ids)
    }
  }

  /** Write what a power cut leaves below `root`; returns a text that is the same for the same state. */
  cut({ keepsEntry, keptBytes }: Loss): { files: Map<string, Buffer>, folders: string[], identity: string } {
    const contents = new Map<Inode, Buffer>()
    const files = new Map<string, Buffer>()
    const folders: string[] = []
    const visit = (path: string): void => {
      const { synced, pending } = this.#folders.get(path)!
      const entries = new Map(synced)
      for (const { name, to } of pending) {
        if (!keepsEntry()) continue
        if (to === undefined) entries.delete(name)
        else entries.set(name, to)
      }
      for (const [name, to] of entries) {
        const at = join(path, name)
        if (to === 'folder') {
          folders.push(at)
          visit(at)
          continue
        }
        const known = contents.get(to) ?? leftOf(to, keptBytes(to.bytes.length - to.synced))
        contents.set(to, known)
        files.set(at, known)
      }
    }
    visit(this.root)
    return { files, folders, identity: JSON.stringify([[...files].map(([path, bytes]) => [path, bytes.length, bytes.toString('latin1')]), folders, this.reported.length]) }
  }

  #enter(path: string, to: Inode | 'folder' | undefined): void {
    this.#folders.get(dirname(path))?.pending.push({ name: basename(path), to })
  }

  #flush(folder: Folder): void {
    for (const { name, to } of folder.pending) {
      if (to === undefined) folder.synced.delete(name)
      else folder.synced.set(name, to)
    }
    folder.pending = []
  }
}

function leftOf({ bytes, synced }: Inode, { bytes: kept, zeroFilled }: { bytes: number, zeroFilled: boolean }): Buffer {
  const left = Buffer.from(bytes.subarray(0, synced + kept))
  return zeroFilled ? Buffer.concat([left, Buffer.alloc(bytes.length - left.length)]) : left
}

/** Put a state on disk, its root at another place. */
export function materialise({ files, folders }: { files: ReadonlyMap<string, Buffer>, folders: readonly string[] }, root: string, place: string): void {
  const moved = (path: string): string => join(place, path.slice(root.length))
  mkdirSync(place, { recursive: true })
  for (const folder of folders) mkdirSync(moved(folder), { recursive: true })
  for (const [path, bytes] of files) writeFileSync(moved(path), bytes)
}
