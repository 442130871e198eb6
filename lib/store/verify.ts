import { createHash } from 'node:crypto'
import { CacheCorruptionError, messageOf } from '../errors.js'
import type { BlobStore } from './blob-store.js'
import type { CacheStore } from './cache.js'
import type { PartEntry } from './catalog.js'
import { readIdList } from './id-list.js'
import { filesOf } from './manifest.js'
import type { TableStore } from './table-store.js'

/** Something that is not as it was written. */
export interface Problem {
  table: string
  file: string
  /** `part`: a data file; `tombstone`: a list of invalid ids; `manifest`; `unreadable`: the system refuses to read it. */
  kind: 'part' | 'tombstone' | 'manifest' | 'unreadable'
  detail: string
}

/** What `verify` found. */
export interface VerifyResult {
  ok: boolean
  /** Files that were checked. */
  checked: number
  problems: Problem[]
}

/** What `repair` found, and what became of it. */
export interface RepairResult extends VerifyResult {
  /** Files that were set aside, under their new names. */
  quarantined: string[]
}

const CHUNK_BYTES = 4 * 1024 * 1024

/**
 * Check a whole file against the size and sha256 of its entry.
 *
 * @throws {CacheCorruptionError} it differs
 */
async function checkFile(blobs: BlobStore, folder: string, { name, bytes, sha256 }: Pick<PartEntry, 'name' | 'bytes' | 'sha256'>): Promise<void> {
  const file = blobs.pathOf(folder, name)
  const blob = await blobs.open(folder, name)
  if (blob.bytes !== bytes) throw new CacheCorruptionError({ file, reason: `has ${blob.bytes} bytes, the manifest says ${bytes}` })
  const hash = createHash('sha256')
  for (let at = 0; at < bytes; at += CHUNK_BYTES) hash.update(await blob.read(at, Math.min(CHUNK_BYTES, bytes - at)))
  if (hash.digest('hex') !== sha256) throw new CacheCorruptionError({ file, reason: 'its checksum does not hold' })
}

interface Finding {
  problem: Problem
  /** The file, where a manifest names it. */
  name?: string
  part?: PartEntry
  corruption?: CacheCorruptionError
  tombstone?: number
}

async function examine(store: TableStore): Promise<{ checked: number, findings: Finding[], manifests: { file: string }[] }> {
  const { blobs, catalog } = store.settings
  const { folder } = store.key
  const table = store.name
  const health = await catalog.inspect({ folder })
  const findings: Finding[] = health.damaged.map(({ file, reason }) => ({ problem: { table, file, kind: 'manifest', detail: reason } }))
  let { checked } = health
  const manifest = await store.manifest()
  const attempt = async (name: string, kind: 'part' | 'tombstone', check: () => Promise<unknown>, about: Partial<Finding>): Promise<void> => {
    checked++
    try {
      await check()
    } catch (error) {
      const corruption = error instanceof CacheCorruptionError ? error : undefined
      findings.push({ ...about, name, ...(corruption ? { corruption } : {}),
        problem: { table, file: blobs.pathOf(folder, name), kind: corruption ? kind : 'unreadable', detail: messageOf(error) } })
    }
  }
  for (const part of manifest.parts) await attempt(part.name, 'part', () => checkFile(blobs, folder, part), { part })
  for (const { seq, ids } of manifest.tombstones) {
    if (ids) await attempt(ids.name, 'tombstone', () => readIdList(blobs, folder, ids), { tombstone: seq })
  }
  // what a compaction replaced meanwhile is no loss
  const now = findings.length === 0 ? manifest : await store.manifest()
  const named = filesOf(now)
  return { checked, findings: findings.filter(({ name }) => name === undefined || named.has(name)), manifests: [...health.damaged] }
}

/** Folders in the place of tables, as problems. */
async function surveyed(cache: CacheStore): Promise<{ tables: TableStore[], problems: Problem[], lost: { folder: string, file: string }[] }> {
  const { tables, unusable } = await cache.survey()
  return { tables, lost: unusable.filter(({ damaged }) => damaged),
    problems: unusable.map(({ folder, file, reason, damaged }) => ({ table: folder, file, kind: damaged ? 'manifest' : 'unreadable', detail: reason })) }
}

/** Check every file of every table, whole: nothing is changed. */
export async function verifyCache(cache: CacheStore): Promise<VerifyResult> {
  const { tables, problems } = await surveyed(cache)
  let checked = problems.length
  for (const store of tables) {
    const examined = await examine(store)
    checked += examined.checked
    problems.push(...examined.findings.map(({ problem }) => problem))
  }
  return { ok: problems.length === 0, checked, problems }
}

/**
 * Check everything and drop what is bad, so that it becomes misses: damaged parts and manifests are set aside; a damaged list of
 * invalid ids takes the parts it hides with it; a table without any readable manifest is empty. What the system merely refuses
 * to read, and what a newer millrace wrote, stays.
 */
export async function repairCache(cache: CacheStore): Promise<RepairResult> {
  const { tables, problems, lost } = await surveyed(cache)
  const { blobs, catalog } = cache.settings
  const quarantined: string[] = []
  let checked = problems.length
  for (const folder of new Set(lost.map(table => table.folder))) quarantined.push(...await catalog.forgetAll({ folder }))
  for (const store of tables) {
    const { folder } = store.key
    const examined = await examine(store)
    checked += examined.checked
    problems.push(...examined.findings.map(({ problem }) => problem))
    const manifest = await store.manifest()
    for (const { part, corruption, tombstone } of examined.findings) {
      if (part && corruption) {
        await store.dropDamaged(part, corruption, store.settings.reader.knownIds(folder, part.name))
        for (const { name } of await blobs.list(folder)) if (name.startsWith('corrupt-') && name.endsWith(part.name)) quarantined.push(blobs.pathOf(folder, name))
      }
      if (tombstone !== undefined && corruption) {
        const hidden = manifest.parts.filter(other => other.since < tombstone)
        await store.commit({ remove: hidden.map(other => other.name), dropTombstones: [tombstone] })
      }
    }
    if (examined.manifests.length > 0) quarantined.push(...await store.repairManifests(examined.manifests))
  }
  return { ok: problems.length === 0, checked, problems, quarantined }
}
