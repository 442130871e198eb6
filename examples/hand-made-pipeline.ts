// The five stages, put together by hand: what getData and streamData do, open for stages of your own.
//   node --import=tsx examples/hand-made-pipeline.ts
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { batchFetcher, cacheSplitter, idPartitioner, jsonFlattener, openCache, parquetSink, rowsSource, type RowBatch } from '../index.js'

const USERS = [
  { id: 1, name: 'Alice', metadata: { city: 'NYC' } },
  { id: 2, name: 'Bob', metadata: { city: 'LA' } },
  { id: 3, name: 'Zoë', metadata: null }
]

const table = 'public.users'
const columns = ['name', 'metadata.city']
const dir = await mkdtemp(join(tmpdir(), 'millrace-example-'))
const cache = await openCache({ dir })
let asked = 0
const source = rowsSource(USERS).fetch

/** The end of the line: rows on stdout. */
async function print(batches: AsyncIterable<RowBatch>): Promise<void> {
  for await (const batch of batches) for (const row of batch) console.log(JSON.stringify(row))
}

/** One run. The second one finds everything in the cache. */
async function run(): Promise<void> {
  const rows = parquetSink({ cache, table, columns, forward: true }) // without `forward` the pipeline ends here
  await Promise.all([
    pipeline(
      Readable.from([3, 1, 2, 1]),
      idPartitioner({ cache, table }),
      cacheSplitter({ cache, table, columns }),
      batchFetcher({ table, columns, fetcher: (ids, name, request) => {
        asked += ids.length
        return source(ids, name, request)
      } }),
      jsonFlattener({ columns }),
      rows
    ),
    print(rows)
  ])
  console.log(`ids asked of the source so far: ${asked}`)
}

await run()
await run()
await cache.close()
await rm(dir, { recursive: true })
