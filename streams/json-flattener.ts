import type { Transform } from 'node:stream'
import { checkColumnTypes } from '../lib/batch/column-type.js'
import type { Window } from '../lib/batch/window.js'
import { flattenBatch } from '../lib/fetch/flatten.js'
import { requestColumns } from '../lib/fetch/request-columns.js'
import { stage } from './stage.js'

/** Options of `jsonFlattener`. */
export interface JsonFlattenerOptions {
  /** Requested columns, dotted ones included. */
  columns: readonly string[]
  idColumn?: string | undefined
  /** Declared types by column name, instead of inference. */
  columnTypes?: Readonly<Record<string, string>> | undefined
}

/**
 * Window → Window. Turns fetched documents into the requested `'a.b.c'` columns, and gives every fetched column its type.
 * A row whose JSON cannot be parsed, or that lacks a column, fails alone; the error comes at the end of the run.
 */
export function jsonFlattener({ columns, idColumn = 'id', columnTypes }: JsonFlattenerOptions): Transform {
  const request = requestColumns(columns, idColumn)
  const types = checkColumnTypes(columnTypes)
  return stage<Window, Window>('json-flattener', async function * (source) {
    for await (const window of source) {
      window.run.columns ??= request.names
      if (types.size > 0) window.run.declare(types.keys())
      for (const { batch } of window.fetched ?? []) {
        // a batch may span windows: the first one flattens it for all
        if (batch.rows) continue
        const { rows, mistakes } = flattenBatch(batch, { columns: request, idColumn, types, table: window.run.table })
        for (const mistake of mistakes) window.run.mistake(mistake)
        batch.rows = rows
        batch.raw = undefined
      }
      yield window
    }
  })
}
