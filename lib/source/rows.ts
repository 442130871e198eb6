import { idFromSource, invalidId, type Id } from '../batch/ids.js'
import type { Row } from '../batch/row-factory.js'
import { InvalidArgumentError, UnsupportedQueryError } from '../errors.js'
import type { FetchRequest, Source } from './fetcher.js'

/** How `rowsSource` finds its ids. */
export interface RowsSourceOptions {
  /** The key of each row's id (default `'id'`). */
  idColumn?: string
}

function pick(row: Readonly<Row>, names: readonly string[]): Row {
  const picked: Row = {}
  for (const name of names) if (Object.hasOwn(row, name) && name !== '__proto__') picked[name] = row[name]
  return picked
}

/**
 * Rows in memory as a source: for tests, examples and small look-up tables. Answers any table name; a fetch hands out copies of
 * the asked rows with the asked columns, in the order of the ids. Values are not copied.
 *
 * @param rows each id once; later changes to the list are not seen
 * @throws {InvalidArgumentError} a row without a usable id, or an id twice
 */
export function rowsSource(rows: Iterable<Readonly<Row>>, { idColumn = 'id' }: RowsSourceOptions = {}): Source {
  const byId = new Map<Id, Readonly<Row>>()
  let position = 0
  for (const row of rows) {
    const value = (row as Readonly<Row> | null)?.[idColumn]
    const id = idFromSource(value)
    if (id === undefined) throw invalidId(`rows[${position}].${idColumn}`, value)
    if (byId.has(id)) {
      throw new InvalidArgumentError({ argument: `rows[${position}].${idColumn}`, expected: 'each id once', found: `${id} again` })
    }
    byId.set(id, row)
    position++
  }

  function * fetch(ids: readonly Id[], _table: string, request: FetchRequest): Generator<Row> {
    const names = [request.idColumn, ...request.columns]
    for (const id of ids) {
      request.signal.throwIfAborted()
      const row = byId.get(id)
      if (row) yield pick(row, names)
    }
  }

  const unsupported = (): never => {
    throw new UnsupportedQueryError({ construct: 'SQL', reason: 'rowsSource holds rows in memory and has no query language' })
  }
  return {
    fetch: Object.assign(fetch, { maxConcurrency: 1, isLeaf: true }),
    query: () => ({ [Symbol.asyncIterator]: () => ({ next: () => Promise.resolve().then(unsupported) }) }),
    execute: () => Promise.resolve().then(unsupported),
    close: () => Promise.resolve(),
    maxConcurrency: 1,
    identity: undefined,
  }
}
