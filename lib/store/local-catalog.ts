import { randomUUID } from 'node:crypto'
import { constants } from 'node:fs'
import { link, lstat, open, readdir, rename, rm, unlink } from 'node:fs/promises'
import { join } from 'node:path'
import { CacheCorruptionError, messageOf } from '../errors.js'
import type { Catalog, CatalogHealth, CatalogState, Manifest } from './catalog.js'
import type { Durability } from './local-blob-store.js'
import { checkFolder, ensureFolder, errnoOf, openRegularFile, syncFolder, writeFully } from './local-files.js'
import { formatTableName, tableFolder } from './table-name.js'
import { parseManifest, serializeManifest, type ParsedManifest } from './manifest.js'

/** Manifests kept beside the newest one. */
const KEPT_MANIFESTS = 3

/** Larger files under a manifest's name are none, and are not read. */
const MAX_MANIFEST_BYTES = 512 * 1024 * 1024

/** A listing that every manifest was gone from before it could be read, so often, is no race any more. */
const MAX_LISTINGS = 50

const MANIFEST_NAME = /^manifest-(\d{10,15})\.json$/

/** The file name of a version: digits padded so that names sort. */
export function manifestName(version: number): string {
  return `manifest-${String(version).padStart(10, '0')}.json`
}

async function versionsIn(folder: string): Promise<number[]> {
  let names: string[]
  try {
    names = await readdir(folder)
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return []
    throw error
  }
  return names.flatMap(name => {
    const match = MANIFEST_NAME.exec(name)
    return match ? [Number(match[1])] : []
  }).sort((a, b) => b - a)
}

/**
 * Manifests as numbered files, `manifest-<n>.json`; the newest valid one is the truth. `link()` of a complete, flushed
 * temporary file to the next number is the compare-and-swap: of two writers one gets EEXIST. No locks, so none is left behind.
 */
export function localCatalog({ dir, durability = 'commit' }: { dir: string, durability?: Durability }): Catalog {
  async function read({ folder }: { folder: string }): Promise<CatalogState> {
    await checkFolder(join(dir, folder))
    // a manifest may be pruned between listing and reading: list again, a newer one is there then. Going on to an older one
    // could end at one that a sleeping writer has just put back
    for (let listing = 1; listing <= MAX_LISTINGS; listing++) {
      const state = await readNewest(folder)
      if (state) return state
    }
    throw Object.assign(new Error(`${join(dir, folder)}: manifests vanish faster than they can be read`), { code: 'EAGAIN' })
  }

  /** Undefined when a listed manifest was gone. */
  async function readNewest(folder: string): Promise<CatalogState | undefined> {
    const versions = await versionsIn(join(dir, folder))
    const latest = versions[0] ?? 0
    const damaged: { file: string, reason: string }[] = []
    for (const version of versions) {
      const file = join(dir, folder, manifestName(version))
      try {
        const parsed = await readManifest(folder, version)
        if ('newerFormat' in parsed) return { latest, manifest: undefined, damaged, newerFormat: { file, format: parsed.newerFormat } }
        return { latest, manifest: parsed.manifest, damaged }
      } catch (error) {
        if (errnoOf(error) !== undefined) throw error
        if (error instanceof CacheCorruptionError && errnoOf(error.cause) === 'ENOENT') return undefined
        damaged.push({ file, reason: messageOf(error) })
      }
    }
    return { latest, manifest: undefined, damaged }
  }

  async function inspect({ folder }: { folder: string }): Promise<CatalogHealth> {
    const damaged: { file: string, reason: string }[] = []
    const versions = await versionsIn(join(dir, folder))
    for (const version of versions) {
      const file = join(dir, folder, manifestName(version))
      try {
        await readManifest(folder, version)
      } catch (error) {
        const gone = error instanceof CacheCorruptionError && errnoOf(error.cause) === 'ENOENT'
        if (!gone) damaged.push({ file, reason: messageOf(error) })
      }
    }
    return { checked: versions.length, damaged }
  }

  async function forgetOld({ folder }: { folder: string }, damaged: readonly { file: string }[]): Promise<string[]> {
    const aside: string[] = []
    const [newest, ...old] = await versionsIn(join(dir, folder))
    if (newest === undefined) return []
    await readManifest(folder, newest)
    for (const version of old.reverse()) {
      const file = join(dir, folder, manifestName(version))
      if (damaged.some(other => other.file === file)) aside.push(await setAside(folder, version))
      else await unlink(file)
    }
    return aside
  }

  async function forgetAll({ folder }: { folder: string }): Promise<string[]> {
    const aside: string[] = []
    for (const version of (await versionsIn(join(dir, folder))).reverse()) {
      // somebody may have begun anew meanwhile
      const isReadable = await readManifest(folder, version).then(() => true, () => false)
      if (!isReadable) aside.push(await setAside(folder, version))
    }
    return aside
  }

  async function setAside(folder: string, version: number): Promise<string> {
    const name = join(dir, folder, `corrupt-${randomUUID().slice(0, 8)}-${manifestName(version)}`)
    await rename(join(dir, folder, manifestName(version)), name)
    return name
  }

  /**
   * @throws {CacheCorruptionError} damaged, of another table, no file, or gone (an ENOENT is the cause then)
   */
  async function readManifest(folder: string, version: number): Promise<ParsedManifest> {
    const file = join(dir, folder, manifestName(version))
    const { handle, stats } = await openRegularFile(file)
    let bytes: Buffer
    try {
      if (stats.size > MAX_MANIFEST_BYTES) throw new CacheCorruptionError({ file, reason: `${stats.size} bytes are too many for a manifest` })
      bytes = await handle.readFile()
    } finally {
      await handle.close()
    }
    const parsed = parseManifest(bytes, file)
    if ('newerFormat' in parsed) return parsed
    const { version: held, table, namespace, idColumn } = parsed.manifest
    if (held !== version) throw new CacheCorruptionError({ file, reason: `holds version ${held}` })
    if (tableFolder(table, namespace, idColumn) !== folder) throw new CacheCorruptionError({ file, reason: `holds the cache of ${formatTableName(table)}` })
    return parsed
  }

  async function commit({ folder }: { folder: string }, expected: number, manifest: Manifest): Promise<boolean> {
    const path = join(dir, folder)
    await ensureFolder(path, durability === 'commit')
    const temporary = join(path, `tmp-${process.pid}-${randomUUID()}`)
    const handle = await open(temporary, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW, 0o600)
    try {
      try {
        await writeFully(handle, [serializeManifest(manifest)], 0)
        if (durability === 'commit') await handle.sync()
      } finally {
        await handle.close()
      }
      try {
        await link(temporary, join(path, manifestName(expected + 1)))
      } catch (error) {
        if (errnoOf(error) === 'EEXIST') return false
        throw error
      }
    } finally {
      // a leftover is garbage and collected after the grace time
      await unlink(temporary).catch(() => undefined)
    }
    if (durability === 'commit') await syncFolder(path)
    if (expected > 0 && !await exists(join(path, manifestName(expected)))) {
      // others committed past this number and pruned it: the link above filled a hole below the newest version
      // (or ours counted, and others have built on it meanwhile: the caller finds its token in the newest)
      const versions = await versionsIn(path)
      if (versions[0] !== expected + 1) {
        await unlink(join(path, manifestName(expected + 1))).catch(() => undefined)
        return false
      }
    }
    await prune(path, expected + 1)
    return true
  }

  async function prune(path: string, newest: number): Promise<void> {
    const old = (await versionsIn(path)).filter(version => version < newest - KEPT_MANIFESTS)
    // ascending: a reader or a sleeping writer must never find a gap below a manifest it can still see
    for (const version of old.reverse()) await unlink(join(path, manifestName(version))).catch(() => undefined)
  }

  async function list(): Promise<string[]> {
    try {
      const entries = await readdir(dir, { withFileTypes: true })
      return entries.filter(entry => entry.isDirectory()).map(entry => entry.name).sort()
    } catch (error) {
      if (errnoOf(error) === 'ENOENT') return []
      throw error
    }
  }

  async function drop({ folder }: { folder: string }): Promise<void> {
    await rm(join(dir, folder), { recursive: true, force: true })
  }

  return { list, read, commit, drop, inspect, forgetOld, forgetAll }
}

async function exists(path: string): Promise<boolean> {
  return await lstat(path).then(() => true, (error: unknown) => {
    if (errnoOf(error) === 'ENOENT') return false
    throw error
  })
}
