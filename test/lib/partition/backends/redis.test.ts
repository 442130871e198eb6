// needs: redis
import { expect } from 'chai'
import { Redis } from 'ioredis'
import { createClient } from 'redis'
import { redisBitBackend } from '../../../../lib/partition/backends/redis-bit.js'
import { redisSetBackend } from '../../../../lib/partition/backends/redis-set.js'
import { partitionCache, type PartitionCache } from '../../../../lib/partition/cache.js'
import { clientOf } from '../../../support/redis-clients.js'
import { startRedis, startRedisCluster, type TestRedis } from '../../../support/redis.js'
import { partitionBackendSuite, type BackendStore } from './backend-suite.js'

type Open = typeof redisSetBackend

async function store(open: Open, kind: string, server: TestRedis, driver: 'redis' | 'ioredis'): Promise<BackendStore> {
  const { client, command, end } = await clientOf(server, driver)
  const keyOf = (partitionKey: string, hash: string): string => `{partitioncache:${kind}:${encodeURIComponent(partitionKey)}}:v:${hash}`
  return {
    open: () => open({ client }),
    async evict(partitionKey, hash) { expect(await command(keyOf(partitionKey, hash), 'DEL', keyOf(partitionKey, hash))).to.equal(1) },
    async damage(partitionKey, hash) {
      const key = keyOf(partitionKey, hash)
      await command(key, 'DEL', key)
      await command(key, 'LPUSH', key, 'of nobody\'s making')
    },
    async end() {
      await end()
      await server.stop()
    }
  }
}

for (const driver of ['redis', 'ioredis'] as const) {
  for (const [where, start] of [['', startRedis], [' on a cluster', startRedisCluster]] as const) {
    partitionBackendSuite(`redis_set by ${driver}${where}`, async () => store(redisSetBackend, 'set', await start(), driver), ['persist', 'evict', 'damage'])
    partitionBackendSuite(`redis_bit by ${driver}${where}`, async () => store(redisBitBackend, 'bit', await start(), driver), ['persist', 'evict', 'damage'])
  }
}

describe('Redis backends in trouble', function () {
  this.timeout(20_000)
  const backends: [string, Open][] = [['redis_set', redisSetBackend], ['redis_bit', redisBitBackend]]
  const errorOf = async (promise: Promise<unknown>): Promise<Error & { code?: string, isTransient?: boolean }> => {
    const error: unknown = await promise.then(() => undefined, (thrown: unknown) => thrown)
    expect(error).to.be.instanceOf(Error)
    return error as Error
  }

  const toStop: (() => Promise<unknown> | void)[] = []
  const serverFor = async (settings?: readonly string[]): Promise<TestRedis> => {
    const server = await startRedis(settings)
    toStop.push(() => server.stop())
    return server
  }
  const cacheOf = async (open: Open, options: Parameters<Open>[0], datatype?: 'integer'): Promise<PartitionCache> => {
    const cache = await partitionCache({ backend: await open(options), partitionKey: 'k', datatype })
    toStop.push(() => cache.close().catch(() => {}))
    return cache
  }
  afterEach(async () => {
    for (const stop of toStop.splice(0).reverse()) await stop()
  })

  for (const [name, open] of backends) {
    it(`${name}: a server that is down is a typed error, at once and at opening`, async () => {
      const server = await serverFor()
      const cache = await cacheOf(open, { url: server.url }, 'integer')
      await cache.setSet('h', [1])
      await server.stop()
      for (const call of [() => cache.get('h'), () => cache.setSet('h', [2]), () => cache.exists('h')]) {
        expect(await errorOf(call())).to.include({ code: 'ERR_PARTITION_BACKEND', isTransient: true })
      }
      expect(await errorOf(open({ url: server.url }))).to.include({ code: 'ERR_PARTITION_BACKEND', isTransient: true })
    })

    it(`${name}: a client that waits for its server for ever is given up after timeoutMs`, async () => {
      const server = await serverFor()
      const client = new Redis(server.url, { maxRetriesPerRequest: null })
      client.on('error', () => {})
      toStop.push(() => { client.disconnect() })
      const cache = await cacheOf(open, { client, timeoutMs: 200 }, 'integer')
      await server.stop()
      expect(await errorOf(cache.get('h'))).to.include({ code: 'ERR_PARTITION_BACKEND', isTransient: true })
    })

    it(`${name}: a read-only replica reads, and refuses to write by name`, async () => {
      const server = await serverFor()
      const replica = await serverFor()
      const cache = await cacheOf(open, { url: server.url }, 'integer')
      await cache.setSet('a', [1, 2, 900])
      await cache.setSet('b', [2, 900, 5])
      const client = await createClient({ url: replica.url }).connect()
      toStop.push(() => client.close())
      await client.sendCommand(['REPLICAOF', '127.0.0.1', String(server.ports[0])])
      while (!(await client.sendCommand<string>(['INFO', 'replication'])).includes('master_link_status:up')) await new Promise(resolve => setTimeout(resolve, 50))
      const reader = await cacheOf(open, { client })
      expect(await reader.intersect(['a', 'b', 'c'])).to.deep.equal(new Set([2, 900]))
      const error = await errorOf(reader.setSet('c', [1]))
      expect(error).to.include({ code: 'ERR_PARTITION_BACKEND', isTransient: true })
      expect(error.message).to.match(/READONLY/)
    })

    it(`${name}: under eviction every set is whole or a miss, and a full server refuses by name`, async () => {
      const server = await serverFor(['--maxmemory', '6mb', '--maxmemory-policy', 'allkeys-lru'])
      const cache = await cacheOf(open, { url: server.url }, 'integer')
      const keys = (i: number): Set<number> => new Set(Array.from({ length: 20_000 }, (_, k) => k * 70 + i))
      let refused = 0
      for (let i = 0; i < 60; i++) await cache.setSet(`h${i}`, keys(i)).catch(() => { refused++ })
      let whole = 0
      for (let i = 0; i < 60; i++) {
        const found = await cache.get(`h${i}`)
        if (found === undefined) continue
        expect(found).to.deep.equal(keys(i))
        whole++
      }
      expect(whole, 'some stay').to.be.greaterThan(0)
      expect(whole + refused, 'some were evicted').to.be.lessThan(60)
      const admin = await createClient({ url: server.url }).connect()
      toStop.push(() => admin.close())
      await admin.sendCommand(['CONFIG', 'SET', 'maxmemory-policy', 'noeviction', 'maxmemory', '1mb'])
      expect((await errorOf(cache.setSet('full', keys(1)))).message).to.match(/OOM/)
      expect(await cache.get('full')).to.equal(undefined)
      const [any] = await cache.getAllKeys()
      expect((await cache.intersect([any!, any!]))?.size, 'reading goes on').to.equal(20_000)
    })
  }
})
