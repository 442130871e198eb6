import { expect } from 'chai'
import { copyCache } from '../../../lib/partition/copy.js'
import { createCache } from '../../../lib/partition/create-cache.js'
import { backendOptionsFromEnv, cacheTypeFromEnv, databaseUrlFromEnv, tablePrefixFromEnv } from '../../../lib/partition/env.js'
import { recommendCacheType } from '../../../lib/partition/recommend.js'
import { listCacheTypes } from '../../../lib/partition/registry.js'
import { databaseFolder } from '../../support/kv.js'

async function errorOf(promise: Promise<unknown>): Promise<Error> {
  const error: unknown = await promise.then(() => undefined, (thrown: unknown) => thrown)
  expect(error).to.be.instanceOf(Error)
  return error as Error
}

describe('listCacheTypes', () => {
  it("is the seed's matrix and the memory backend", () => {
    expect(listCacheTypes()).to.deep.equal({
      memory: ['integer', 'float', 'text', 'timestamp'], postgresql_array: ['integer', 'float', 'text', 'timestamp'], postgresql_bit: ['integer'],
      redis_set: ['integer', 'text'], redis_bit: ['integer'], rocksdb_set: ['integer', 'text'], rocksdb_bit: ['integer'], rocksdict: ['integer', 'float', 'text', 'timestamp'] })
  })
})

describe('recommendCacheType', () => {
  const typeFor = (use: Parameters<typeof recommendCacheType>[0]): string => recommendCacheType(use).type
  it("advises as the seed's use cases do", () => {
    expect(typeFor({ datatype: 'integer' })).to.equal('postgresql_bit')
    expect(typeFor({})).to.equal('postgresql_array')
    expect(typeFor({ datatype: 'timestamp' })).to.equal('postgresql_array')
    expect(typeFor({ embedded: true })).to.equal('rocksdict')
    expect(typeFor({ datatype: 'integer', embedded: true })).to.equal('rocksdb_bit')
    expect(recommendCacheType({ datatype: 'integer', shared: true }).alternatives).to.deep.equal(['postgresql_array', 'redis_bit', 'redis_set'])
    expect(recommendCacheType({ datatype: 'text', shared: true, embedded: true })).to.deep.include({ type: 'postgresql_array' })
    expect(recommendCacheType({ datatype: 'text', shared: true, embedded: true }).reason).to.match(/one process/)
  })
})

describe('the environment of a partition cache', () => {
  it('names the backend, postgresql_array where it does not', () => {
    expect([cacheTypeFromEnv({}), cacheTypeFromEnv({ CACHE_BACKEND: 'redis_bit' }), cacheTypeFromEnv({ CACHE_BACKEND: 'rocksdb' })]).to.deep.equal(['postgresql_array', 'redis_bit', 'rocksdb_set'])
    expect(() => cacheTypeFromEnv({ CACHE_BACKEND: 'toString' })).to.throw(/CACHE_BACKEND/)
  })

  it('gives table prefixes, partitioncache_ where it does not', () => {
    expect(tablePrefixFromEnv('postgresql_array', { PG_ARRAY_CACHE_TABLE_PREFIX: 'myapp_cache' })).to.equal('myapp_cache_')
    expect(tablePrefixFromEnv('postgresql_bit', { PG_ARRAY_CACHE_TABLE_PREFIX: 'myapp_cache' })).to.equal('partitioncache_')
    expect(tablePrefixFromEnv('redis_set', {})).to.equal('partitioncache_')
  })

  it('gives the database, and says which variable is missing', () => {
    const env = { DB_HOST: 'db', DB_USER: 'app user', DB_PASSWORD: 'p@ss/word', DB_NAME: 'app' }
    expect(databaseUrlFromEnv(env)).to.equal('postgres://app%20user:p%40ss%2Fword@db:5432/app')
    expect(() => databaseUrlFromEnv({ ...env, DB_NAME: '' })).to.throw(/DB_NAME/)
    expect(backendOptionsFromEnv('postgresql_bit', { ...env, PG_BIT_CACHE_BITSIZE: '1000' })).to.include({ bitsize: 1000, tablePrefix: 'partitioncache_' })
    expect(() => backendOptionsFromEnv('postgresql_bit', { ...env, PG_BIT_CACHE_BITSIZE: 'many' })).to.throw(/PG_BIT_CACHE_BITSIZE/)
  })

  it('gives Redis by backend first, then for all, and folders', () => {
    expect(backendOptionsFromEnv('redis_bit', { REDIS_HOST: 'a', REDIS_BIT_HOST: 'b', REDIS_PORT: '7', REDIS_BIT_DB: '3', REDIS_BIT_BITSIZE: '9' })).to.deep.equal({ bitsize: 9, host: 'b', port: 7, database: 3 })
    expect(backendOptionsFromEnv('redis_set', { REDIS_HOST: 'a', REDIS_CACHE_DB: '1', REDIS_PASSWORD: 'x' })).to.deep.equal({ host: 'a', database: 1, password: 'x' })
    expect(backendOptionsFromEnv('rocksdict', { ROCKSDB_DICT_PATH: '/a' })).to.deep.equal({ path: '/a' })
    expect(() => backendOptionsFromEnv('rocksdb_set', {})).to.throw(/ROCKSDB_PATH/)
  })
})

describe('createCache', () => {
  it('refuses unknown backends and types that a backend does not store, before it connects', async () => {
    expect(await errorOf(createCache('toString' as 'memory', 'k'))).to.include({ code: 'ERR_INVALID_ARGUMENT', argument: 'type' })
    expect(await errorOf(createCache('postgresql_bit', 'k', 'text', { connectionString: 'postgres://127.0.0.1:1/x' }))).to.include({ code: 'ERR_KEY_TYPE', keyType: 'text' })
    expect(await errorOf(createCache('postgresql_bit', 'k', 'integer', {} as { connectionString: string }))).to.include({ code: 'ERR_INVALID_ARGUMENT', argument: 'pool' })
    expect(await errorOf(createCache('postgresql_bit', 'k', 'integer', { connectionString: 'postgres://127.0.0.1:1/x' }))).to.include({ code: 'ERR_PARTITION_BACKEND', isTransient: true })
  })

  it('opens a folder and gives it back when it cannot go on', async () => {
    const { path, remove } = databaseFolder()
    const cache = await createCache('rocksdict', 'city', 'text', { path, ttlMs: 60_000 })
    await cache.setSet('h', ['a'])
    expect((await cache.getEntry('h'))?.expiresAt).to.be.a('number')
    await cache.close()
    expect(await errorOf(createCache('rocksdict', 'city', 'integer', { path }))).to.include({ code: 'ERR_KEY_TYPE' })
    const again = await createCache('rocksdict', 'city', undefined, { path })
    expect(await again.get('h')).to.deep.equal(new Set(['a']))
    await again.close()
    remove()
  })
})

describe('copyCache', () => {
  it('copies everything that is known, between backends', async () => {
    const { path, remove } = databaseFolder()
    const from = await createCache('memory', 'city', 'integer', {})
    const to = await createCache('rocksdict', 'city', 'integer', { path })
    const asOf = new Date(Date.now() - 1000)
    await from.setSet('a', [1, 2n ** 60n], { query: 'SELECT 1', tables: ['t'], asOf, ttlMs: 100_000 })
    await from.setSet('empty', [], {})
    await from.setNull('n', { status: 'timeout', query: 'SELECT 2' })
    await from.setStatus('s', 'failed')
    await from.setSet('t', [new Date(0)], { partitionKey: 'day' })
    await from.setNull('n', { partitionKey: 'only null', datatype: 'text' })
    await to.setSet('stays', [5])
    expect(await copyCache(from, to)).to.deep.equal({ partitionKeys: 3, sets: 3, others: 3 })
    for (const [partitionKey] of await from.getPartitionKeys()) {
      for await (const { hash } of from.entries({ partitionKey })) {
        expect(await to.getEntry(hash, { partitionKey }), hash).to.deep.equal(await from.getEntry(hash, { partitionKey }))
      }
    }
    expect((await to.getAllKeys()).sort()).to.deep.equal(['a', 'empty', 'n', 'stays'])
    expect(await to.getPartitionKeys()).to.deep.equal(await from.getPartitionKeys())
    await to.close()
    remove()
  })

  it('copies timestamps of any year', async () => {
    const [from, to] = [await createCache('memory', 'day', 'timestamp'), await createCache('memory', 'day', 'timestamp')]
    const days = ['+010000-01-01T00:00:00.001Z', '+275760-09-13T00:00:00.000Z', '9999-12-31T23:59:59.999Z', '1969-12-31T23:59:59.999Z', '0001-01-01T00:00:00.000Z',
      '0000-12-31T23:59:59.999Z', '-000043-03-15T12:00:00.000Z', '-004712-01-01T00:00:00.000Z'].map(text => new Date(text))
    await from.setSet('h', [...days, 'infinity', '2024-01-01 00:00:00.000001'])
    await copyCache(from, to)
    expect((await to.get('h'))?.size).to.equal(10)
    expect(await to.get('h')).to.deep.equal(await from.get('h'))
  })
})
