import { getData, streamData, type Fetcher } from '../../index.js'
import { RowTap } from '../support/delivery.js'
import { COLUMNS, TABLE } from '../support/rows.js'
import type { Engine } from './engine.js'

/** millrace as its README shows it, with its defaults; the fetcher says what is true of it, that it waits for no other call. */
export function millraceEngine(): Engine {
  return {
    name: 'millrace',
    fsync: true,
    open: () => Promise.resolve(),
    async run({ ids, delivery, cacheDir, fetch }) {
      const fetcher: Fetcher = async missing => await fetch(missing as readonly number[]) as unknown as Record<string, unknown>[]
      // it makes rows and waits for none
      const request = { ids, columns: COLUMNS, table: TABLE, cacheDir, fetcher: Object.assign(fetcher, { isLeaf: true }) }
      if (delivery === 'stream') {
        const tap = new RowTap(ids.length)
        for await (const batch of streamData(request)) for (const row of batch) tap.take(row)
        return { tap }
      }
      const table = await getData(request)
      if (delivery === 'objects') return { rows: table.toRows() }
      return { columns: Object.fromEntries(table.columnNames.map(name => [name, table.column(name)])) }
    }
  }
}
