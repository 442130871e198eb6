/** What a user's first program looks like: compiled and run in an empty project that installed the packed package. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DataNotFoundError, getData, type Fetcher } from 'millrace'

const cacheDir = await mkdtemp(join(tmpdir(), 'millrace-consumer-'))
let fetched = 0
const fetcher: Fetcher = async ids => {
  fetched += ids.length
  return ids.filter(id => id < 10).map(id => ({ id, name: `row ${id}` }))
}

function check(holds: boolean, claim: string): void {
  if (!holds) throw new Error(`not so: ${claim}`)
}

try {
  for (const round of ['cold', 'warm']) {
    const table = await getData({ ids: [3, 1, 2], columns: ['name'], table: 'public.items', fetcher, cacheDir })
    check(JSON.stringify(table.toRows()) === '[{"id":1,"name":"row 1"},{"id":2,"name":"row 2"},{"id":3,"name":"row 3"}]',
      `the ${round} rows are those asked for, by id`)
  }
  check(fetched === 3, 'the second request fetched nothing')
  const error: unknown = await getData({ ids: [77], columns: ['name'], table: 'public.items', fetcher, cacheDir })
    .then(() => undefined, (reason: unknown) => reason)
  check(error instanceof DataNotFoundError && error.ids[0] === 77, 'an id the source lacks is named in the error')
} finally {
  await rm(cacheDir, { recursive: true, force: true })
}
