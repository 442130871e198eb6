import { createHash } from 'node:crypto'
import { CacheCorruptionError, messageOf } from '../errors.js'
import type { BlobStore } from './blob-store.js'
import type { CacheStore } from './cache.js'
import type { PartEntry } from './catalog.js'
import { readIdList } from './snapshot.js'
import type { TableStore } from './table-store.js'

/** Something that is not as it was written. */
export interface Problem {
  table: string
  file: string
  /** `part`: a data file; `tombstone`: a list of invalid ids; `manifest`; `unreadable`: the system refuses to read it. */
  kind: 'part' | 'tombstone' | 'manifest' | 'unreadable'
  detail: string
}

export interface VerifyResult {
  ok: boolean
  /** Files that were checked. */
  checked: number
  problems: Problem[]
}

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
  part?: PartEntry
  corruption?: CacheCorruptionError
  tombstone?: number
}

async function examine(store: TableStore): Promise<{ checked: number, findings: Finding[] }> {
  const { blobs } = store.settings
  const { folder } = store.key
  const findings: Finding[] = []
  let checked = 1
  const table = store.name
  const manifest = await store.manifest(({ file = '', message }) => findings.push({ problem: { table, file, kind: 'manifest', detail: message } }))
  const attempt = async (name: string, kind: 'part' | 'tombstone', check: () => Promise<unknown>, about: Partial<Finding>): Promise<void> => {
    checked++
    try {
      await check()
    } catch (error) {
      const corruption = error instanceof CacheCorruptionError ? error : undefined
      findings.push({ ...about, ...(corruption ? { corruption } : {}),
        problem: { table, file: blobs.pathOf(folder, name), kind: corruption ? kind : 'unreadable', detail: messageOf(error) } })
    }
  }
  for (const part of manifest.parts) await attempt(part.name, 'part', () => checkFile(blobs, folder, part), { part })
  for (const { seq, ids } of manifest.tombstones) {
    if (ids) await attempt(ids.name, 'tombstone', () => readIdList(blobs, folder, ids), { tombstone: seq })
  }
  return { checked, findings }
}

/** Check every file of every table, whole: nothing is changed. */
export async function verifyCache(cache: CacheStore): Promise<VerifyResult> {
  const problems: Problem[] = []
  let checked = 0
  for (const store of await cache.tables()) {
    const examined = await examine(store)
    checked += examined.checked
    problems.push(...examined.findings.map(({ problem }) => problem))
  }
  return { ok: problems.length === 0, checked, problems }
}

/**
 * Check everything and drop what is bad, so that it becomes misses: damaged parts are set aside; a damaged list of invalid
 * ids takes the parts it hides with it. What the system merely refuses to read stays.
 */
export async function repairCache(cache: CacheStore): Promise<RepairResult> {
  const problems: Problem[] = []
  const quarantined: string[] = []
  let checked = 0
  for (const store of await cache.tables()) {
    const { blobs } = store.settings
    const { folder } = store.key
    const examined = await examine(store)
    checked += examined.checked
    problems.push(...examined.findings.map(({ problem }) => problem))
    const manifest = await store.manifest()
    for (const { part, corruption, tombstone } of examined.findings) {
      if (part && corruption) {
        await store.dropDamaged(part, corruption)
        for (const { name } of await blobs.list(folder)) if (name.startsWith('corrupt-') && name.endsWith(part.name)) quarantined.push(blobs.pathOf(folder, name))
      }
      if (tombstone !== undefined && corruption) {
        const hidden = manifest.parts.filter(other => other.since < tombstone)
        await store.commit({ remove: hidden.map(other => other.name), dropTombstones: [tombstone] })
      }
    }
    // a damaged manifest is covered by a new one
    if (examined.findings.some(({ problem }) => problem.kind === 'manifest')) await store.touch()
  }
  return { ok: problems.length === 0, checked, problems, quarantined }
}
