import type { Command } from 'commander'
import { idsFrom } from './ids.js'
import { cacheDirOption, count, jsonOption, repeatable, required, splitColumns, splitTypes, withNamespace, type CacheOptions, type NamespaceOptions } from './options.js'
import type { Session } from './session.js'
import type { DataRequest } from '../pipelines/request.js'

/** What `get` and `plan` have in common: which rows of which table. */
export interface SelectionOptions extends CacheOptions, NamespaceOptions {
  table?: string
  columns?: string[]
  ids?: string[]
  idsFile?: string[]
  range?: string[]
  batchSize?: number
  refresh?: boolean
  type?: string[]
}

/** Declare them. */
export function withSelection(command: Command): Command {
  command
    .option('--table <schema.table>', 'the table; parts that contain dots in double quotes')
    .addOption(repeatable('--columns <names>', 'columns, separated by commas; meta.city reads into the JSON column meta;\na dot in a real name is written \\. and a comma \\,'))
    .addOption(repeatable('--ids <list>', 'ids, separated by commas'))
    .addOption(repeatable('--ids-file <file>', 'ids from a file, separated by line ends, blanks or commas; - is stdin'))
    .addOption(repeatable('--range <first..last>', 'all ids of a range, both ends included'))
    .addOption(cacheDirOption())
  return withNamespace(command)
    .option('--batch-size <ids>', 'ids per fetch (default: a hundredth of the misses, at least 100)', count(1))
    .option('--refresh', 'fetch everything anew')
    .addOption(repeatable('--type <column=type>', 'declare a type: text, int64, float64, timestamptz, decimal(10,2), json …'))
    .addOption(jsonOption())
}

/** The request they make, without a fetcher. */
export function selectionOf(options: SelectionOptions, session: Session): Omit<DataRequest, 'fetcher'> {
  return {
    table: required('--table SCHEMA.TABLE', options.table),
    columns: splitColumns(required('--columns NAMES', options.columns)),
    ids: idsFrom(options, session.stdin),
    namespace: options.namespace,
    idColumn: options.idColumn,
    batchSize: options.batchSize,
    refresh: options.refresh,
    columnTypes: splitTypes(options.type),
    signal: session.signal
  }
}
