import type { Command } from 'commander'
import { InvalidArgumentError } from '../../lib/errors.js'
import { inspectTable } from '../../lib/store/inspect.js'
import type { TableStore } from '../../lib/store/table-store.js'
import { withCache } from '../cache.js'
import { cacheDirOption, examples, jsonOption, withNamespace, type CacheOptions, type NamespaceOptions } from '../options.js'
import { jsonLine } from '../output/json.js'
import { alignedTable, counted, formatBytes, formatCount } from '../output/text.js'
import { print, type Session } from '../session.js'

type InspectOptions = CacheOptions & NamespaceOptions

/** `millrace cache inspect`: one table in detail. */
export function addInspect(parent: Command, session: Session): void {
  const command = withNamespace(parent.command('inspect').summary('one table in detail')
    .description('Show one cached table: columns and their types, the Parquet files, what was made invalid.')
    .argument('<table>', 'schema.table'))
    .addOption(cacheDirOption()).addOption(jsonOption())
    .action((table: string, options: InspectOptions) => inspect(table, options, session))
  examples(command, 'Examples', [
    ['millrace cache inspect public.flights', 'for reading'],
    ['millrace cache inspect public.flights --json | jq -r ".files[].file"', "the files, which DuckDB, Polars and pandas read as they are"]
  ])
}

/** What is printed of a table. */
async function describe(store: TableStore): Promise<{ facts: object, lines: string[] }> {
  const info = await inspectTable(store)
  if (!info) throw new InvalidArgumentError({ argument: 'table', expected: 'a cached table (see `millrace cache ls`)', found: store.name })
  const { version, columns, parts, tombstones } = await store.manifest()
  const files = parts.map(part => ({ file: store.settings.blobs.pathOf(store.key.folder, part.name), rows: part.rows, bytes: part.bytes, idMin: part.idMin, idMax: part.idMax,
    columns: part.columns.map(({ name }) => name), created: new Date(part.createdMs) }))
  const schema = columns.filter(({ name }) => name === info.idColumn || info.columns.includes(name)).map(({ name, type }) => ({ name, type }))
  const invalidations = tombstones.map(({ columns: names, ids, beforeMs }) =>
    ({ ids: ids?.count ?? null, columns: names, before: beforeMs === undefined ? null : new Date(beforeMs) }))
  const lines = [
    `${info.table}${info.namespace === '' ? '' : ` [${info.namespace}]`}: ${counted(info.rows, 'row')}, ids ${info.idMin}..${info.idMax}, ${formatBytes(info.bytes)}, version ${version}`,
    `source: ${info.source ?? 'a function'}`, '',
    alignedTable(['column', 'type'], schema.map(({ name, type }) => [name, type])), '',
    alignedTable(['file', 'rows', 'size', 'ids', 'columns', 'written'], files.map(part => [part.file.split(/[\\/]/).at(-1)!, formatCount(part.rows), formatBytes(part.bytes),
      `${part.idMin}..${part.idMax}`, String(part.columns.length), part.created.toISOString()]), ['rows', 'size', 'columns']),
    ...invalidations.length > 0 ? ['', `${counted(invalidations.length, 'invalidation')} until the next compaction`] : []
  ]
  return { facts: { ...info, version, schema, files, invalidations }, lines }
}

async function inspect(table: string, { namespace, idColumn, ...options }: InspectOptions, session: Session): Promise<void> {
  await withCache(options, session, async cache => {
    const { facts, lines } = await describe(cache.store.table(table, { namespace, idColumn }))
    print(session, options.json ? jsonLine(facts) : lines.join('\n'))
  })
}
