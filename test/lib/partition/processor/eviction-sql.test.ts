// needs: postgres
import { expect } from 'chai'
import fc from 'fast-check'
import { planEviction, type EvictionPolicy } from '../../../../lib/partition/eviction-plan.js'
import { processorDatabase, type ProcessorDatabase } from './processor-database.js'

describe('eviction inside PostgreSQL', function () {
  this.timeout(60_000)
  for (const family of ['bit', 'array'] as const) {
    it(`removes what planEviction plans, whatever the entries and the policy, ${family}`, async () => {
      const db: ProcessorDatabase = await processorDatabase(family)
      const { pool, processor, cache } = db
      const { entries, uses } = processor.names
      const entry = fc.record({ size: fc.nat(3000), age: fc.option(fc.integer({ min: 0, max: 20 }), { nil: undefined }), idle: fc.option(fc.integer({ min: 0, max: 20 }), { nil: undefined }), isMark: fc.boolean() })
      // half minutes lie between the ages, so that the time the test takes decides nothing
      const minutes = fc.option(fc.integer({ min: 0, max: 20 }).map(n => (n + 0.5) * 60_000), { nil: undefined })
      const policy = fc.record({ maxEntries: fc.nat(12), maxBytes: fc.option(fc.nat(3000), { nil: undefined }), maxAgeMs: minutes, maxIdleMs: minutes,
        order: fc.constantFrom('least-recently-used' as const, 'oldest' as const, 'largest' as const) })
      await fc.assert(fc.asyncProperty(fc.array(entry, { maxLength: 12 }), policy, async (made, limits: EvictionPolicy) => {
        await cache.deletePartitionKey('region')
        const now = Date.now()
        await cache.setSet('first', [1], { datatype: 'integer', asOf: new Date(now - 5.2 * 60_000) })
        for (const [i, { size, age, idle, isMark }] of made.entries()) {
          if (isMark) await cache.setNull(`h${i}`)
          else await cache.setSet(`h${i}`, Array.from({ length: size }, (_, k) => k * 13))
          await pool.query(`UPDATE ${entries} SET stored_at = $2 WHERE hash = $1`, [`h${i}`, age === undefined ? null : new Date(now - age * 60_000)])
          if (idle !== undefined) await pool.query(`INSERT INTO ${uses} VALUES ('region', $1, $2)`, [`h${i}`, new Date(now - idle * 60_000)])
        }
        const plan = planEviction(await cache.usage(), limits, now)
        await processor.setPolicy('region', limits)
        const expected = { partitionKey: 'region', evicted: plan.evict.length, evictedBytes: plan.evict.reduce((sum, { bytes }) => sum + bytes, 0), expired: 0 }
        const before = (await cache.usage()).map(({ hash }) => hash)
        expect(await processor.evict({ dryRun: true })).to.deep.equal([expected])
        expect((await cache.usage()).length, 'a dry run').to.equal(before.length)
        expect(await processor.evict()).to.deep.equal([expected])
        const gone = new Set(plan.evict.map(({ hash }) => hash))
        expect((await cache.usage()).map(({ hash }) => hash).sort()).to.deep.equal(before.filter(hash => !gone.has(hash)).sort())
      }), { numRuns: process.env['MILLRACE_FAULTS'] === 'long' ? 300 : 25, seed: 11 })
      await db.end()
    })
  }

  it('goes by the policy of each partition key, by * for the others, and removes what has expired', async () => {
    const db = await processorDatabase()
    const { cache, processor } = db
    for (const partitionKey of ['region', 'city', 'day']) for (const hash of ['a', 'b', 'c']) await cache.setSet(hash, [1], { partitionKey, datatype: 'integer' })
    await cache.setSet('old', [1], { asOf: new Date(Date.now() - 10_000), ttlMs: 1 })
    expect((await processor.evict()).map(({ evicted, expired }) => [evicted, expired])).to.deep.equal([[0, 0], [0, 0], [0, 1]])
    await processor.setPolicy('region', { maxEntries: 2 })
    await processor.setPolicy('*', { maxEntries: 1, order: 'oldest' })
    expect(await processor.policies()).to.deep.equal({ '*': { maxEntries: 1, order: 'oldest' }, region: { maxEntries: 2, order: 'least-recently-used' } })
    expect((await processor.evict()).map(({ partitionKey, evicted }) => [partitionKey, evicted])).to.deep.equal([['city', 2], ['day', 2], ['region', 1]])
    expect((await cache.getAllKeys()).length).to.equal(2)
    await processor.setPolicy('*', undefined)
    expect(Object.keys(await processor.policies())).to.deep.equal(['region'])
    expect((await db.pool.query('SELECT partition_key, evicted::integer, expired::integer FROM partitioncache_eviction_log ORDER BY id')).rows).to.deep.equal([
      { partition_key: 'region', evicted: 0, expired: 1 }, { partition_key: 'city', evicted: 2, expired: 0 }, { partition_key: 'day', evicted: 2, expired: 0 }, { partition_key: 'region', evicted: 1, expired: 0 }])
    expect(await processor.setPolicy('region', {}).catch((error: unknown) => error)).to.include({ code: 'ERR_INVALID_ARGUMENT' })
    await db.end()
  })
})
