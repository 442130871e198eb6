/**
 * `model-runs.ts FOLDER RUNS SEED`: random runs against the model in a process (and a time zone) of its own; prints where the caches are
 * and what is in them, as base64 of v8's serialisation. `model-runs.ts verify FILE`: reads such a file and checks every cache in it.
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { deserialize, serialize } from 'node:v8'
import { runModel, type Remains } from '../model.js'
import { ask, nobody, same, testCache } from '../support.js'

async function verify(remains: readonly Remains[]): Promise<number> {
  let checked = 0
  for (const [i, { dir, requests, columnTypes }] of remains.entries()) {
    const to = await testCache(dir)
    for (const phase of ['read', 'compacted', 'reopened']) {
      for (const { ids, columns, rows } of requests) {
        same((await ask(to, { ids, columns, columnTypes, fetcher: nobody })).toRows(), rows, phase)
        checked++
      }
      if (phase === 'read') await to.cache.compact()
      if (phase === 'compacted') await to.reopen()
      // the second look costs as much as the first: take it at a third of the caches
      if (i % 3 > 0) break
    }
    await to.cache.close()
  }
  return checked
}

const [first, second, third] = process.argv.slice(2) as [string, string, string?]
const zone = new Date(2024, 6, 1).getTimezoneOffset()
if (first === 'verify') {
  const checked = await verify(deserialize(Buffer.from(readFileSync(second, 'utf8'), 'base64')) as Remains[])
  process.stdout.write(JSON.stringify({ zone, checked }))
} else {
  const remains = await runModel({ runs: Number(second), seed: Number(third), folderOf: run => join(first, `run-${run}`) })
  process.stdout.write(serialize({ zone, runs: remains.length, remains: remains.filter(({ requests }) => requests.length > 0).slice(-24) }).toString('base64'))
}
