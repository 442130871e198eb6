import { createHash } from 'node:crypto'
import type { Id } from '../batch/ids.js'
import { CacheCorruptionError } from '../errors.js'
import { MANIFEST_FORMAT, type Manifest, type PartEntry } from './catalog.js'

// The text is {"sha256":"…","manifest":{…}} with the hash over the exact bytes of the inner object, so that no parser
// touches a byte that was not checked. Newer formats keep this envelope: how else would a reader know one from damage?
const HEAD = '{"sha256":"'
const MIDDLE = '","manifest":'
const BODY_START = HEAD.length + 64 + MIDDLE.length

type JsonId = number | string

const idToJson = (id: Id): JsonId => typeof id === 'bigint' ? id.toString() : id
const idFromJson = (id: JsonId): Id => typeof id === 'string' ? BigInt(id) : id

/** The bytes of a manifest file. Readable JSON; ids beyond ±2^53 are digits in text. */
export function serializeManifest(manifest: Manifest): Buffer {
  const body = JSON.stringify({ ...manifest,
    parts: manifest.parts.map(part => ({ ...part, idMin: idToJson(part.idMin), idMax: idToJson(part.idMax) })),
    tombstones: manifest.tombstones.map(tombstone => tombstone.range
      ? { ...tombstone, range: { idMin: idToJson(tombstone.range.idMin), idMax: idToJson(tombstone.range.idMax) } } : tombstone) })
  const sha256 = createHash('sha256').update(body).digest('hex')
  return Buffer.from(`${HEAD}${sha256}${MIDDLE}${body}}\n`)
}

/** What a manifest file turned out to be. */
export type ParsedManifest = { manifest: Manifest } | { newerFormat: number }

/**
 * Check and parse the bytes of a manifest file.
 *
 * @throws {CacheCorruptionError} not exactly what was written
 */
export function parseManifest(bytes: Buffer, file: string): ParsedManifest {
  const corrupt = (reason: string): CacheCorruptionError => new CacheCorruptionError({ file, reason })
  const head = bytes.toString('latin1', 0, BODY_START)
  if (!head.startsWith(HEAD) || !head.endsWith(MIDDLE) || head.length < BODY_START || bytes.toString('latin1', bytes.length - 2) !== '}\n') {
    throw corrupt('not a manifest')
  }
  const body = bytes.subarray(BODY_START, -2)
  if (createHash('sha256').update(body).digest('hex') !== head.slice(HEAD.length, HEAD.length + 64)) {
    throw corrupt('checksum mismatch')
  }
  const parsed = JSON.parse(body.toString('utf8')) as Manifest
  if (parsed.format > MANIFEST_FORMAT) return { newerFormat: parsed.format }
  const parts = parsed.parts.map(part => ({ ...part,
    idMin: idFromJson(part.idMin as JsonId), idMax: idFromJson(part.idMax as JsonId) }))
  const tombstones = parsed.tombstones.map(tombstone => tombstone.range ? { ...tombstone,
    range: { idMin: idFromJson(tombstone.range.idMin as JsonId), idMax: idFromJson(tombstone.range.idMax as JsonId) } } : tombstone)
  return { manifest: { ...parsed, parts, tombstones } }
}

/** The names of the files that a manifest's parts and tombstones live in. */
export function filesOf({ parts, tombstones }: Pick<Manifest, 'parts' | 'tombstones'>): Set<string> {
  return new Set([...parts.map(({ name }) => name), ...tombstones.flatMap(({ ids }) => ids ? [ids.name] : [])])
}

/** Whether two parts' id ranges share any id. */
export function rangesOverlap(a: Pick<PartEntry, 'idMin' | 'idMax'>, b: Pick<PartEntry, 'idMin' | 'idMax'>): boolean {
  return a.idMin <= b.idMax && b.idMin <= a.idMax
}
