import { randomUUID } from 'node:crypto'
import { constants } from 'node:fs'
import { link, mkdir, open, readdir, rm, stat, unlink } from 'node:fs/promises'
import { join } from 'node:path'
import { messageOf } from '../errors.js'
import type { Catalog, CatalogState, Manifest } from './catalog.js'
import type { Durability } from './local-blob-store.js'
import { errnoOf, openRegularFile, syncFolder, writeFully } from './local-files.js'
import { parseManifest, serializeManifest } from './manifest.js'

/** Manifests kept beside the newest one. */
const KEPT_MANIFESTS = 3

const MANIFEST_NAME = /^manifest-(\d{10,})\.json$/

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
    const damaged: { file: string, reason: string }[] = []
    // a manifest may be pruned between listing and reading: look again, a newer one is there then
    for (let attempt = 0; ; attempt++) {
      const versions = await versionsIn(join(dir, folder))
      const latest = versions[0] ?? 0
      damaged.length = 0
      for (const version of versions) {
        const file = join(dir, folder, manifestName(version))
        try {
          const { handle } = await openRegularFile(file)
          const bytes = await handle.readFile().finally(() => handle.close())
          const parsed = parseManifest(bytes, file)
          if ('newerFormat' in parsed) return { latest, manifest: undefined, damaged, newerFormat: { file, format: parsed.newerFormat } }
          if (parsed.manifest.version !== version) throw new Error(`holds version ${parsed.manifest.version}`)
          return { latest, manifest: parsed.manifest, damaged }
        } catch (error) {
          if (errnoOf(error) !== undefined) throw error
          damaged.push({ file, reason: messageOf(error) })
        }
      }
      if (versions.length === 0 || attempt === 4) return { latest, manifest: undefined, damaged }
    }
  }

  async function commit({ folder }: { folder: string }, expected: number, manifest: Manifest): Promise<boolean> {
    const path = join(dir, folder)
    await mkdir(path, { recursive: true, mode: 0o700 })
    const temporary = join(path, `tmp-${process.pid}-${randomUUID()}`)
    const handle = await open(temporary, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW, 0o600)
    try {
      try {
        await writeFully(handle, serializeManifest(manifest))
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
      const versions = await versionsIn(path)
      if (versions[0] !== expected + 1) {
        await unlink(join(path, manifestName(expected + 1)))
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

  return { list, read, commit, drop }
}

async function exists(path: string): Promise<boolean> {
  return await stat(path).then(() => true, (error: unknown) => {
    if (errnoOf(error) === 'ENOENT') return false
    throw error
  })
}
