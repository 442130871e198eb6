import { widenTypes, type Field, type FieldType } from '../batch/column-type.js'
import { parseColumnName } from '../json/column-name.js'
import { SchemaConflictError, SourceMismatchError } from '../errors.js'
import { MANIFEST_FORMAT, type Change, type Manifest, type TableKey } from './catalog.js'
import { changeRecord } from './query-record.js'
import { formatTableName } from './table-name.js'

/** Commits whose tokens a manifest remembers: more than others make while one waits for its disk. */
const KEPT_TOKENS = 64

/** The manifest of a table nobody has written yet. */
export function emptyManifest({ table, namespace, idColumn }: TableKey): Manifest {
  return { format: MANIFEST_FORMAT, version: 0, table, namespace, idColumn, source: null, columns: [], parts: [],
    tombstones: [], floor: 0, removed: [] }
}

/** Whether a requested column name has a path (and so may end as json). */
export function isDotted(name: string): boolean {
  return parseColumnName(name).path !== undefined
}

/** Whether a part's column can be read as the table's type of it: a retyped column's older parts cannot. */
export function fitsTable(field: Field, table: FieldType): boolean {
  return widenTypes(field, table, isDotted(field.name))?.type === table.type
}

/**
 * The table's columns after a part with `seen` joins.
 *
 * @param retype columns that take the new type where the old one does not fit; parts of the old type no longer count for them
 * @throws {SchemaConflictError} a column's types cannot be widened to one
 */
export function widenColumns(known: readonly Field[], seen: readonly Field[], retype: readonly string[] = []): Field[] {
  const columns = known.map(field => ({ ...field }))
  for (const field of seen) {
    const cached = columns.find(column => column.name === field.name)
    if (!cached) {
      columns.push({ name: field.name, type: field.type, nullable: field.nullable,
        ...(field.origin ? { origin: field.origin } : {}), ...(field.wide ? { wide: true } : {}) })
      continue
    }
    const widened = widenTypes(cached, field, isDotted(field.name))
    if (!widened && !retype.includes(field.name)) throw new SchemaConflictError({ column: field.name, cached: cached.type, seen: field.type })
    if (!widened) {
      cached.type = field.type
      delete cached.wide
      delete cached.origin
      if (field.wide) cached.wide = true
      if (field.origin) cached.origin = field.origin
      continue
    }
    cached.type = widened.type
    cached.nullable ||= field.nullable
    if (widened.wide) cached.wide = true
    if (widened.origin) cached.origin = widened.origin
    else delete cached.origin
  }
  return columns
}

/**
 * Refuse a source that is not the one the table was filled from. A source without identity (a plain function) passes.
 *
 * @throws {SourceMismatchError}
 */
export function checkSource(manifest: Manifest, source: string | null | undefined): void {
  if (source && manifest.source && source !== manifest.source && manifest.parts.length > 0) {
    throw new SourceMismatchError({ table: formatTableName(manifest.table), cached: manifest.source, seen: source })
  }
}

/**
 * The manifest with a change applied, as the next version. Pure, so that a commit that lost the race re-applies the same
 * change to the newer manifest. Undefined when nothing is left to change.
 *
 * @throws {SchemaConflictError} the added parts' columns do not fit those that joined meanwhile
 * @throws {SourceMismatchError}
 */
export function applyChange(manifest: Manifest, change: Change, version: number, nowMs: number): Manifest | undefined {
  const { add = [], remove = [], tombstones = [], forget = [] } = change
  checkSource(manifest, change.source)
  const present = new Set(manifest.parts.map(part => part.name))
  const query = change.query && changeRecord(manifest.query, change.query)
  if (query === 'pointless') return undefined
  const removing = change.query?.replacesAll ? [...present] : remove.filter(name => present.has(name))
  if (change.removeAll && removing.length < remove.length) return undefined
  // rows whose fetch began before they were all made invalid, or before an invalidation that nobody remembers, must not come back
  const everything = manifest.tombstones.filter(tombstone => tombstone.ids === null && tombstone.columns === null && !tombstone.range &&
    tombstone.beforeMs === undefined && tombstone.belowSeq === undefined)
  const oldest = everything.reduce((floor, { seq }) => Math.max(floor, seq), manifest.floor)
  // a table that was lost meanwhile counts from 1 again: no fetch began later than the version before this one
  const added = add.filter(part => part.since >= oldest).map(part => ({ ...part, since: Math.min(part.since, version - 1) }))
  // an exchange whose new half cannot join must not lose its old half
  if ((change.removeAll || query) && added.length < add.length) return undefined
  const gone = new Set(removing)
  const staying = manifest.parts.filter(part => !gone.has(part.name))
  // what joined since the tombstone was found to be of no use may need it
  const dropTombstones = change.dropTombstones?.filter(seq => ![...staying, ...added].some(part => part.since < seq)) ?? []
  const changes = added.length + removing.length + tombstones.length + dropTombstones.length + forget.length + (query ? 1 : 0)
  if (changes === 0) return undefined
  const dropped = manifest.tombstones.filter(tombstone => dropTombstones.includes(tombstone.seq))
  const parts = [...staying, ...added.map(part => ({ ...part, seq: change.seq ?? version }))]
  const removedFiles = [...removing, ...dropped.flatMap(tombstone => tombstone.ids ? [tombstone.ids.name] : [])]
  let columns: readonly Field[] = change.query?.replacesAll ? [] : manifest.columns
  for (const part of added) columns = widenColumns(columns, part.columns, change.retype)
  const { query: record = undefined, ...rest } = manifest
  const kept = query ? query.record : record
  return {
    ...rest,
    ...(kept ? { query: kept } : {}),
    version,
    source: change.source ?? manifest.source,
    columns,
    parts: parts.sort((a, b) => a.seq - b.seq),
    tombstones: [...manifest.tombstones.filter(tombstone => !dropTombstones.includes(tombstone.seq)),
      ...tombstones.map(tombstone => ({ ...tombstone, seq: version }))],
    floor: dropped.reduce((floor, tombstone) => Math.max(floor, tombstone.seq), manifest.floor),
    removed: [...manifest.removed.filter(file => !forget.includes(file.name)), ...removedFiles.map(name => ({ name, atMs: nowMs }))],
    ...(change.token === undefined ? {} : { commits: [...manifest.commits ?? [], change.token].slice(-KEPT_TOKENS) })
  }
}
