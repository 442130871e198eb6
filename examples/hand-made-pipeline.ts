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

/** One run: ids in, rows on stdout. The second one finds everything in the cache. */
async function run(): Promise<void> {
  await pipeline(
    Readable.from([3, 1, 2, 1]),
    idPartitioner({ table }),
    cacheSplitter({ cache, table, columns }),
    batchFetcher({ table, columns, fetcher: (ids, name, request) => {
      asked += ids.length
      return source(ids, name, request)
    } }),
    jsonFlattener({ columns }),
    parquetSink({ cache, table, columns, forward: true }),
    async function (batches: AsyncIterable<RowBatch>) {
      for await (const batch of batches) for (const row of batch) console.log(JSON.stringify(row))
    }
  )
  console.log(`ids asked of the source so far: ${asked}`)
}

await run()
await run()
await cache.close()
await rm(dir, { recursive: true })
