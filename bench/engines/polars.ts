import { existsSync, renameSync } from 'node:fs'
import { join } from 'node:path'
import { RowTap, type DeliveryForm, type Delivered } from '../support/delivery.js'
import { COLUMNS, type DeliveredRow, type SourceRow } from '../support/rows.js'
import { batchSizeOf, type Engine } from './engine.js'

/** What is used of nodejs-polars, which only bench/ installs. */
interface Polars {
  readParquet(path: string): Frame
  DataFrame(columns: Record<string, Series>): Frame
  Series(name: string, values: unknown, type?: unknown): Series
  concat(frames: readonly Frame[]): Frame
  Int64: unknown
  Int32: unknown
  Float64: unknown
  Utf8: unknown
}
interface Frame {
  join(other: Frame, options: { on: string, how: string }): Frame
  sort(column: string): Frame
  getColumn(name: string): Series
  writeParquet(path: string, options: { compression: string }): void
  toRecords(): DeliveredRow[]
  height: number
}
interface Series {
  toArray(): unknown[]
  toTypedArray(): ArrayLike<unknown>
  nullCount(): number
  cast(type: unknown): Series
}

const PACKAGE: string = 'nodejs-polars'

async function openPolars(): Promise<Polars> {
  return (await import(PACKAGE) as { default: Polars }).default
}

function frameOf(pl: Polars, rows: readonly SourceRow[]): Frame {
  return pl.DataFrame({
    id: pl.Series('id', Float64Array.from(rows, row => row.id), pl.Float64).cast(pl.Int64),
    name: pl.Series('name', rows.map(row => row.name), pl.Utf8),
    age: pl.Series('age', rows.map(row => row.age), pl.Int32),
    amount: pl.Series('amount', rows.map(row => row.amount), pl.Float64),
    'profile.address.city': pl.Series('profile.address.city', rows.map(row => row.profile.address.city), pl.Utf8)
  })
}

/** The cache with fetched frames in it: written anew under another name, then renamed. */
function rewritten(pl: Polars, file: string, cache: Frame | undefined, frames: readonly Frame[]): Frame {
  const fresh = pl.concat(frames)
  const all = (cache ? pl.concat([cache.join(fresh, { on: 'id', how: 'anti' }), fresh]) : fresh).sort('id')
  all.writeParquet(`${file}.tmp`, { compression: 'snappy' })
  renameSync(`${file}.tmp`, file)
  return all
}

/** Put rows into an empty cache. */
export async function cacheByPolars(cacheDir: string, batches: AsyncIterable<readonly SourceRow[]>): Promise<void> {
  const pl = await openPolars()
  const frames: Frame[] = []
  for await (const rows of batches) frames.push(frameOf(pl, rows))
  rewritten(pl, join(cacheDir, 'cache.parquet'), undefined, frames)
}

/** nodejs-polars over one snappy Parquet file: anti join, concat, sort, rewrite, rename; semi join and sort for the answer. */
export function polarsEngine(): Engine {
  let pl: Polars

  return {
    name: 'polars',
    fsync: false,
    async open() {
      pl = await openPolars()
    },
    async run({ ids, delivery, cacheDir, fetch }) {
      const file = join(cacheDir, 'cache.parquet')
      let cache = existsSync(file) ? pl.readParquet(file) : undefined
      const want = pl.DataFrame({ id: pl.Series('id', Float64Array.from(ids), pl.Float64).cast(pl.Int64) })
      const missingFrame = (cache ? want.join(cache, { on: 'id', how: 'anti' }) : want).sort('id')
      const missing = Float64Array.from(missingFrame.getColumn('id').cast(pl.Float64).toTypedArray() as ArrayLike<number>)
      if (missing.length > 0) {
        const size = batchSizeOf(missing.length)
        const frames: Frame[] = []
        for (let at = 0; at < missing.length; at += size) frames.push(frameOf(pl, await fetch(missing.subarray(at, at + size))))
        cache = rewritten(pl, file, cache, frames)
      }
      return deliver(cache!.join(want, { on: 'id', how: 'semi' }).sort('id'), delivery)
    }
  }

  function deliver(frame: Frame, delivery: DeliveryForm): Delivered {
    if (delivery === 'objects') return { rows: frame.toRecords() }
    const columns = Object.fromEntries(['id', ...COLUMNS].map(name => {
      const column = name === 'id' ? frame.getColumn(name).cast(pl.Float64) : frame.getColumn(name)
      const typed = ['id', 'age', 'amount'].includes(name) && column.nullCount() === 0
      return [name, typed ? column.toTypedArray() : column.toArray()]
    }))
    if (delivery === 'columns') return { columns }
    const tap = new RowTap(frame.height)
    const [id, name, age, amount, city] = Object.values(columns)
    for (let i = 0; i < frame.height; i++) {
      tap.take({ id: id![i], name: name![i], age: age![i], amount: amount![i], 'profile.address.city': city![i] })
    }
    return { tap }
  }
}
