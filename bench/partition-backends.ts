/**
 * How long until a caller holds the intersection of 4 sets of 100,000 of the first 200,000 integers, and what do the sets take?
 *
 * `node --import=tsx bench/partition-backends.ts [backend …]` starts its own PostgreSQL and Redis. One JSON line per backend;
 * times are medians of the runs after the first.
 */
import { createCache, type CreateCacheOptions } from '../lib/partition/create-cache.js'
import { listCacheTypes, type CacheType } from '../lib/partition/registry.js'
import { databaseFolder } from '../test/support/kv.js'
import { startPostgres } from '../test/support/postgres.js'
import { mulberry32 } from '../test/support/random.js'
import { startRedis } from '../test/support/redis.js'
import { median } from './support/result.js'

const SETS = 4
const KEYS = 100_000
const OF = 200_000
const RUNS = 15

function samples(): Set<number>[] {
  const random = mulberry32(1)
  return Array.from({ length: SETS }, () => {
    const pool = Uint32Array.from({ length: OF }, (_, i) => i)
    for (let i = 0; i < KEYS; i++) {
      const k = i + Math.floor(random() * (OF - i));
      [pool[i], pool[k]] = [pool[k]!, pool[i]!]
    }
    return new Set(pool.subarray(0, KEYS))
  })
}

async function medianMs(run: () => Promise<unknown>): Promise<number> {
  const times: number[] = []
  for (let i = 0; i <= RUNS; i++) {
    const start = performance.now()
    await run()
    if (i > 0) times.push(performance.now() - start)
  }
  return Math.round(median(times) * 100) / 100
}

async function measure<T extends CacheType>(type: T, options: CreateCacheOptions<T>, sets: readonly Set<number>[], expected: number, label: string = type): Promise<void> {
  const cache = await createCache(type, 'region_id', 'integer', options)
  const hashes = sets.map((_, i) => `hash ${i}`)
  try {
    for (const [i, set] of sets.entries()) await cache.setSet(hashes[i]!, set)
    const found = await cache.intersect(hashes)
    if (found?.size !== expected) throw new Error(`${label}: ${found?.size} keys instead of ${expected}`)
    const line = {
      name: `partition/${label}`, rows: expected, ms: await medianMs(() => cache.intersect(hashes)), getMs: await medianMs(() => cache.get(hashes[0]!)),
      setMs: await medianMs(() => cache.setSet('again', sets[0]!)), bytesPerSet: await cache.bytes(hashes[0]!)
    }
    console.log(JSON.stringify(line))
  } finally {
    await cache.close()
  }
}

// servers that are being stopped do not hold the process by themselves
const alive = setInterval(() => {}, 60_000)
const wanted = process.argv.slice(2)
const isWanted = (type: CacheType): boolean => wanted.length === 0 || wanted.includes(type)
const sets = samples()
const expected = [...sets[0]!].filter(key => sets.every(set => set.has(key))).length
const types = Object.keys(listCacheTypes()) as CacheType[]

if (isWanted('memory')) await measure('memory', {}, sets, expected)
if (types.some(type => type.startsWith('postgresql') && isWanted(type))) {
  const server = await startPostgres()
  for (const type of ['postgresql_array', 'postgresql_bit'] as const) if (isWanted(type)) await measure(type, { connectionString: server.url }, sets, expected)
  await server.stop()
}
if (types.some(type => type.startsWith('redis') && isWanted(type))) {
  const server = await startRedis()
  for (const type of ['redis_set', 'redis_bit'] as const) if (isWanted(type)) await measure(type, { url: server.url }, sets, expected)
  await server.stop()
}
for (const type of ['rocksdb_set', 'rocksdb_bit', 'rocksdict'] as const) {
  if (!isWanted(type)) continue
  for (const engine of ['rocksdb', 'leveldb'] as const) {
    const { path, remove } = databaseFolder()
    await measure(type, { path, engine }, sets, expected, `${type} over ${engine}`)
    remove()
  }
}
clearInterval(alive)
