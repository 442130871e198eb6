import { readdir } from 'node:fs/promises'
import { resolve } from 'node:path'
import { CacheUnusableError, InvalidArgumentError, messageOf, MissingDependencyError } from '../../errors.js'
import { makeFolders } from '../../make-folders.js'

/** A database of the abstract-level family, by the methods used; keys are texts, values bytes. */
export interface LevelDb {
  open(): Promise<void>
  close(): Promise<void>
  getMany(keys: string[]): Promise<(Uint8Array | undefined)[]>
  batch(operations: ({ type: 'put', key: string, value: Uint8Array } | { type: 'del', key: string })[]): Promise<void>
  iterator(range: { gt: string, lt: string }): AsyncIterable<[string, Uint8Array]>
}

/** Where an embedded database lies. */
export interface LevelOptions {
  /** A folder of its own. One process at a time. */
  path: string
  /** Default: what wrote the folder; for a new one RocksDB, or LevelDB where RocksDB has no binary. */
  engine?: 'rocksdb' | 'leveldb' | undefined
}

type LevelClass = new (path: string, options: { keyEncoding: 'utf8', valueEncoding: 'buffer', createIfMissing: true }) => LevelDb

async function rocksdb(): Promise<LevelClass> {
  // @ts-expect-error the package has no types
  const driver = await import('@nxtedition/rocksdb') as { RocksLevel: LevelClass }
  return driver.RocksLevel
}

async function leveldb(): Promise<LevelClass> {
  return (await import('classic-level')).ClassicLevel
}

const ENGINES = { rocksdb: { load: rocksdb, package: '@nxtedition/rocksdb' }, leveldb: { load: leveldb, package: 'classic-level' } }
type Engine = keyof typeof ENGINES

/** Only RocksDB keeps its options beside its data. */
async function writtenBy(path: string): Promise<Engine | undefined> {
  const files = await readdir(path)
  if (!files.includes('CURRENT')) return undefined
  return files.some(name => name.startsWith('OPTIONS-')) ? 'rocksdb' : 'leveldb'
}

async function load(type: string, wanted: Engine | undefined): Promise<LevelClass> {
  const failures: unknown[] = []
  for (const engine of wanted ? [wanted] : ['rocksdb', 'leveldb'] as const) {
    try {
      return await ENGINES[engine].load()
    } catch (error) {
      failures.push(error)
    }
  }
  throw new MissingDependencyError({ package: ENGINES[wanted ?? 'rocksdb'].package, purpose: `the backend ${type}`, cause: failures[0] })
}

/**
 * Open the database at `path`, made where absent.
 *
 * @throws {CacheUnusableError} another process, or another opener of this one, has it; no folder; damaged
 * @throws {MissingDependencyError} no engine is installed for this platform
 */
export async function openLevel(type: string, { path, engine }: LevelOptions): Promise<LevelDb> {
  if (typeof path !== 'string' || path === '') throw new InvalidArgumentError({ argument: 'path', expected: 'a folder', found: typeof path })
  if (engine !== undefined && !Object.hasOwn(ENGINES, engine)) throw new InvalidArgumentError({ argument: 'engine', expected: 'rocksdb or leveldb', found: engine })
  const file = resolve(path)
  try {
    await makeFolders(file, 0o700)
    const found = await writtenBy(file)
    if (found && engine && found !== engine) throw new CacheUnusableError({ file, reason: `it was written by ${found}, not by ${engine}` })
    const db = new (await load(type, found ?? engine))(file, { keyEncoding: 'utf8', valueEncoding: 'buffer', createIfMissing: true })
    await db.open()
    return db
  } catch (error) {
    if (error instanceof CacheUnusableError || error instanceof MissingDependencyError) throw error
    const cause = (error as { cause?: unknown }).cause ?? error
    const errno = (cause as { code?: unknown }).code
    const isLocked = errno === 'LEVEL_LOCKED'
    throw new CacheUnusableError({ file, reason: isLocked ? 'it is open elsewhere, and belongs to one process at a time' : messageOf(cause),
      cause: error, ...(typeof errno === 'string' && { errno }) })
  }
}
