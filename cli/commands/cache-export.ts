import type { Command } from 'commander'
import { withCacheUntilSignal } from '../cache.js'
import { cacheDirOption, examples, jsonOption, repeatable, required, splitColumns, withNamespace, type CacheOptions, type NamespaceOptions } from '../options.js'
import { jsonLine } from '../output/json.js'
import { counted, formatBytes } from '../output/text.js'
import { print, type Session } from '../session.js'

interface ExportOptions extends CacheOptions, NamespaceOptions {
  out?: string
  columns?: string[]
}

/** `millrace cache export`: a table as one Parquet file. */
export function addExport(parent: Command, session: Session): void {
  const command = withNamespace(parent.command('export').summary('a table as one Parquet file')
    .description('Write all cached rows of a table, sorted by id, as one plain Parquet file.\nWhat is not cached for a row is null there.')
    .argument('<table>', 'schema.table'))
    .option('--out <file>', 'the file to write; it appears when it is complete')
    .addOption(repeatable('--columns <names>', 'columns, separated by commas (default: all)'))
    .addOption(cacheDirOption()).addOption(jsonOption())
    .action((table: string, options: ExportOptions) => exportRows(table, options, session))
  examples(command, 'Examples', [['millrace cache export public.flights --out flights.parquet --columns delay,distance', 'two columns']])
    .addHelpText('after', '\nFor rows by id, in other formats as well: `millrace get`.')
}

async function exportRows(table: string, { namespace, idColumn, out, columns, ...options }: ExportOptions, session: Session): Promise<void> {
  await withCacheUntilSignal(options, session, async cache => {
    const result = await cache.export({ table, namespace, idColumn, file: required('--out FILE', out), columns: columns && splitColumns(columns) })
    print(session, options.json ? jsonLine(result) : `${table}: ${counted(result.rows, 'row')}, ${formatBytes(result.bytes)} → ${result.file}`)
  })
}
