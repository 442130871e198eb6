import { constants } from 'node:fs'
import { access } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join, resolve } from 'node:path'
import { checkNumber } from '../check-number.js'
import { CacheUnusableError, InvalidArgumentError, messageOf } from '../errors.js'
import { makeFolders } from '../make-folders.js'
import { isCodec, type Codec } from '../parquet/codec.js'
import type { BlobStore } from './blob-store.js'
import type { Catalog, TableKey } from './catalog.js'
import { localBlobStore, type Durability } from './local-blob-store.js'
import { localCatalog } from './local-catalog.js'
import { errnoOf, syncPlaces } from './local-files.js'
import { PartReader } from './part-reader.js'
import { isQueryTable, ROW_NUMBER } from './query-record.js'
import { formatTableName, parseTableName, tableFolder } from './table-name.js'
import type { StoreSettings } from './store-settings.js'
import { TableStore } from './table-store.js'

/** Settings of a cache. */
export interface CacheOptions {
  /** The cache's folder (default `~/data/cached_data`). */
  dir?: string | undefined
  /** Size at which parts are split, in bytes (default 100 MB). */
  partBytes?: number | undefined
  /** Compression of new parts (default UNCOMPRESSED: disk costs less than time). */
  codec?: Codec | undefined
  /** `commit` (default): on disk before it is reported; `none`: when the system likes. */
  durability?: Durability | undefined
  /** How long files that left a table stay for running readers, in ms (default 15 minutes). */
  graceMs?: number | undefined
  /** Where files and manifests live, instead of the local folder. */
  blobs?: BlobStore | undefined
  catalog?: Catalog | undefined
}

/** Where a table's cache stands among others: `namespace` separates caches of one table name. */
export interface TableOptions {
  namespace?: string | undefined
  idColumn?: string | undefined
}

/** A folder in the place of a table's. */
export interface UnusableFolder {
  folder: string
  file: string
  reason: string
  /** None of its manifests can be read. */
  damaged?: boolean
}

/**
 * The cache folder when none is named, as the seed system had it.
 *
 * @throws {InvalidArgumentError} the system knows no home folder (a user without an entry, as in many a container)
 */
export function defaultCacheDir(): string {
  try {
    return join(homedir(), 'data', 'cached_data')
  } catch (cause) {
    throw new InvalidArgumentError({ argument: 'cacheDir', expected: 'a folder, for there is no home folder to make one in', found: 'undefined', cause })
  }
}

/**
 * An open cache: where its tables live, and what was read of them. Opening reads and creates nothing; the folder comes into
 * being with the first commit.
 */
export class CacheStore {
  readonly dir: string
  readonly settings: StoreSettings
  readonly #tables = new Map<string, TableStore>()
  readonly #durability: Durability

  constructor({ dir, partBytes = 100 * 1024 * 1024, codec = 'UNCOMPRESSED', durability = 'commit', graceMs = 15 * 60_000, blobs, catalog }: CacheOptions = {}) {
    checkFolder('dir', dir)
    checkNumber('partBytes', partBytes, 1024)
    checkNumber('graceMs', graceMs, 0)
    if (!isCodec(codec)) throw new InvalidArgumentError({ argument: 'codec', expected: 'UNCOMPRESSED, SNAPPY or GZIP', found: String(codec) })
    if (!['commit', 'none'].includes(durability)) {
      throw new InvalidArgumentError({ argument: 'durability', expected: "'commit' or 'none'", found: durability })
    }
    this.dir = resolve(dir ?? defaultCacheDir())
    this.#durability = durability
    const store = blobs ?? localBlobStore({ dir: this.dir, durability })
    this.settings = { blobs: store, catalog: catalog ?? localCatalog({ dir: this.dir, durability }), reader: new PartReader(store), codec, partBytes, graceMs }
  }

  /** One table of the cache. */
  table(table: string, { namespace = '', idColumn = 'id' }: TableOptions = {}): TableStore {
    const name = parseTableName(table)
    // a cached query's rows go by their number, and nobody has to know
    const key = isQueryTable(name) ? ROW_NUMBER : idColumn
    return this.#store({ table: name, namespace, idColumn: key, folder: tableFolder(name, namespace, key) })
  }

  /**
   * Every table somebody committed to. Folders of others, and such as cannot be used, are passed over.
   *
   * @throws {CacheUnusableError} the cache's folder cannot be read
   */
  async tables(): Promise<TableStore[]> {
    return (await this.survey()).tables
  }

  /** As `tables`, and the folders that look like a table's and are none that can be used, with the reason. */
  async survey(): Promise<{ tables: TableStore[], unusable: UnusableFolder[] }> {
    const tables: TableStore[] = []
    const unusable: UnusableFolder[] = []
    for (const folder of await this.#folders()) {
      try {
        const { manifest, damaged, newerFormat } = await this.settings.catalog.read({ folder })
        if (newerFormat) unusable.push({ folder, file: newerFormat.file, reason: `written by a newer millrace (format ${newerFormat.format})` })
        else if (!manifest) damaged.forEach(about => unusable.push({ folder, ...about, damaged: true }))
        else tables.push(this.#store({ folder, table: manifest.table, namespace: manifest.namespace, idColumn: manifest.idColumn }))
      } catch (error) {
        unusable.push({ folder, file: this.settings.blobs.pathOf(folder, ''), reason: messageOf(error) })
      }
    }
    return { tables: tables.sort((a, b) => a.name < b.name ? -1 : a.name > b.name ? 1 : 0), unusable }
  }

  async #folders(): Promise<string[]> {
    try {
      return await this.settings.catalog.list()
    } catch (cause) {
      // what the system says is trouble with the folder; a catalog of another kind has errors of its own
      throw errnoOf(cause) === undefined ? cause : this.#unusable(cause)
    }
  }

  /**
   * See to it that the folder exists and can be read; one that cannot be written serves hits.
   *
   * @throws {CacheUnusableError} it cannot be created or read, or is no folder
   */
  async prepare(): Promise<void> {
    await this.#check(constants.R_OK | constants.X_OK)
  }

  /**
   * As `prepare`, and that commits can be written.
   *
   * @param folder the folder of a table, which may have rights of its own
   * @throws {CacheUnusableError}
   */
  async checkWritable(folder?: string): Promise<void> {
    const mode = constants.R_OK | constants.W_OK | constants.X_OK
    await this.#check(mode)
    if (folder === undefined) return
    await access(join(this.dir, folder), mode).catch((cause: unknown) => {
      if (errnoOf(cause) !== 'ENOENT') throw this.#unusable(cause)
    })
  }

  async #check(mode: number): Promise<void> {
    try {
      const first = await makeFolders(this.dir, 0o700)
      if (first !== undefined && this.#durability === 'commit') await syncPlaces(this.dir, first)
      await access(this.dir, mode)
    } catch (cause) {
      throw this.#unusable(cause)
    }
  }

  #unusable(cause: unknown): CacheUnusableError {
    const errno = errnoOf(cause)
    return new CacheUnusableError({ file: this.dir, cause, reason: `cannot be used as a cache folder: ${messageOf(cause)}`, ...(errno ? { errno } : {}) })
  }

  /** Close what is open. The object stays usable: files are opened again on demand. */
  async close(): Promise<void> {
    await Promise.all([...this.#tables.values()].map(table => table.settled()))
    await this.settings.blobs.close()
  }

  #store(key: TableKey): TableStore {
    const known = this.#tables.get(key.folder)
    if (known && formatTableName(known.key.table) === formatTableName(key.table)) return known
    const store = new TableStore(key, this.settings)
    this.#tables.set(key.folder, store)
    return store
  }
}

function checkFolder(argument: string, dir: unknown): void {
  if (dir === undefined || (typeof dir === 'string' && dir !== '' && !dir.includes('\0'))) return
  throw new InvalidArgumentError({ argument, expected: 'a folder', found: typeof dir === 'string' ? JSON.stringify(dir) : String(dir) })
}

const opened = new Map<string, CacheStore>()

/** The cache a process shares for a folder: what one request verified and parsed, the next does not do again. */
export function sharedCache(dir: string | undefined): CacheStore {
  checkFolder('cacheDir', dir)
  const path = resolve(dir ?? defaultCacheDir())
  let cache = opened.get(path)
  if (!cache) {
    cache = new CacheStore({ dir: path })
    opened.set(path, cache)
  }
  return cache
}
