import type { Command } from 'commander'
import { withCache } from '../cache.js'
import { cacheDirOption, examples, jsonOption, type CacheOptions } from '../options.js'
import { jsonLine } from '../output/json.js'
import { alignedTable, formatBytes, formatCount } from '../output/text.js'
import { print, type Session } from '../session.js'

/** `millrace cache ls`: the cached tables. */
export function addLs(parent: Command, session: Session): void {
  const command = parent.command('ls').summary('the cached tables').description('List the cached tables: rows, size, ids and columns.')
    .addOption(cacheDirOption()).addOption(jsonOption())
    .action((options: CacheOptions) => list(options, session))
  examples(command, 'Examples', [
    ['millrace cache ls', 'all tables'],
    ['millrace cache ls --json | jq -r ".[].table"', 'their names']
  ]).addHelpText('after', '\nNext: `millrace cache inspect TABLE` shows one table in detail.')
}

async function list(options: CacheOptions, session: Session): Promise<void> {
  await withCache(options, session, async cache => {
    const tables = await cache.tables()
    if (options.json) print(session, jsonLine(tables))
    else if (tables.length === 0) print(session, `nothing is cached in ${cache.dir}`)
    else {
      const rows = tables.map(({ table, namespace, idColumn, rows: count, bytes, parts, idMin, idMax, columns, query }) => [
        query ? `${table.slice(0, 14)}… ${shortSql(query.sql)}` : `${table}${namespace === '' ? '' : ` [${namespace}]`}${idColumn === 'id' ? '' : ` by ${idColumn}`}`,
        formatCount(count), String(parts), formatBytes(bytes), query ? query.watermark === null ? '' : `up to ${query.watermark}` : `${idMin}..${idMax}`, columns.join(', ')])
      print(session, alignedTable(['table', 'rows', 'parts', 'size', 'ids', 'columns'], rows, ['rows', 'parts', 'size']))
    }
  })
}

/** The beginning of a statement, on one line. */
function shortSql(sql: string | null): string {
  const line = (sql ?? '(text not stored)').replaceAll(/\s+/g, ' ').trim()
  return line.length > 60 ? `${line.slice(0, 59)}…` : line
}
