/**
 * One of several processes that use a cache at once: writes whole sets of its own under shared hashes, and checks every set it
 * reads. `partition-worker.ts TYPE URL NUMBER ROUNDS`; prints how many sets it read.
 */
import { createCache } from '../../../../lib/partition/create-cache.js'
import { postgresPool } from '../../../../lib/source/postgres.js'

const KEYS = 3000
const HASHES = ['a', 'b', 'c']

const [type, url, number, rounds] = process.argv.slice(2) as [string, string, string, string]
const options = type.startsWith('redis') ? { url } : { pool: postgresPool({ connectionString: url }), ownsPool: true }
const cache = await createCache(type as 'redis_set', 'key', 'integer', options as { url: string })
let reads = 0

/** Every writer's sets are the keys of one remainder by 8: whole sets are told from mixed and from cut ones. */
function setOf(writer: number): Set<number> {
  return new Set(Array.from({ length: KEYS }, (_, i) => 8 * i + writer))
}

for (let round = 0; round < Number(rounds); round++) {
  const hash = HASHES[round % HASHES.length]!
  if (round % 7 === 6) await cache.delete(hash)
  else await cache.setSet(hash, setOf(Number(number)), { query: `SELECT ${number}` })
  for (const one of HASHES) {
    const keys = await cache.get(one)
    if (keys === undefined) continue
    const remainders = new Set([...keys].map(key => Number(key) % 8))
    if (keys.size !== KEYS || remainders.size !== 1) throw new Error(`process ${number} read ${keys.size} keys of ${remainders.size} writers`)
    reads++
  }
}
await cache.close()
console.log(reads)
