import { existsSync, renameSync } from 'node:fs'
import { join } from 'node:path'
import { RowTap } from '../support/delivery.js'
import { COLUMNS, type DeliveredRow } from '../support/rows.js'
import { batchSizeOf, type Engine } from './engine.js'

/** What one writes first: hyparquet's row objects in a Map, hyparquet-writer's defaults for the whole file. */
export function hyparquetEngine(): Engine {
  let read: typeof import('hyparquet')
  let write: typeof import('hyparquet-writer')
  return {
    name: 'hyparquet',
    fsync: false,
    async open() {
      read = await import('hyparquet')
      write = await import('hyparquet-writer')
    },
    async run({ ids, delivery, cacheDir, fetch }) {
      const path = join(cacheDir, 'cache.parquet')
      const byId = new Map<number, DeliveredRow>()
      if (existsSync(path)) {
        const file = await read.asyncBufferFromFile(path)
        for (const row of await read.parquetReadObjects({ file })) {
          row['id'] = Number(row['id'])
          byId.set(row['id'] as number, row)
        }
      }
      const missing = [...new Set(ids)].filter(id => !byId.has(id)).sort((a, b) => a - b)
      if (missing.length > 0) {
        const size = batchSizeOf(missing.length)
        for (let at = 0; at < missing.length; at += size) {
          for (const { id, name, age, amount, profile } of await fetch(missing.slice(at, at + size))) {
            byId.set(id, { id, name, age, amount, 'profile.address.city': profile.address.city })
          }
        }
        const all = [...byId.values()].sort((a, b) => (a['id'] as number) - (b['id'] as number))
        write.parquetWriteFile({ filename: `${path}.tmp`, columnData: [
          { name: 'id', data: all.map(row => BigInt(row['id'] as number)), type: 'INT64' },
          { name: 'name', data: all.map(row => row['name']) as string[], type: 'STRING' },
          { name: 'age', data: all.map(row => row['age']) as number[], type: 'INT32' },
          { name: 'amount', data: all.map(row => row['amount']) as number[], type: 'DOUBLE' },
          { name: 'profile.address.city', data: all.map(row => row['profile.address.city']) as string[], type: 'STRING' }
        ] })
        renameSync(`${path}.tmp`, path)
      }
      const sorted = ids.slice().sort()
      if (delivery === 'stream') {
        const tap = new RowTap(sorted.length)
        for (const id of sorted) tap.take(byId.get(id)!)
        return { tap }
      }
      const rows = Array.from(sorted, id => byId.get(id)!)
      if (delivery === 'objects') return { rows }
      return { columns: Object.fromEntries(['id', ...COLUMNS].map(name => [name, rows.map(row => row[name])])) }
    }
  }
}
