import { expect } from 'chai'
import fc from 'fast-check'
import type { EntryUsage } from '../../../lib/partition/backend.js'
import { planEviction, type EvictionPolicy } from '../../../lib/partition/eviction-plan.js'

const NOW = 1_000_000

function entry(hash: string, { bytes = 10, storedAt, usedAt }: { bytes?: number, storedAt?: number, usedAt?: number }): EntryUsage {
  return { hash, state: bytes > 0 ? 'set' : 'null', bytes, storedAt, usedAt }
}

const goes = (entries: EntryUsage[], policy: EvictionPolicy): string[] => planEviction(entries, policy, NOW).evict.map(({ hash, reason }) => `${hash} ${reason}`)

describe('planEviction', () => {
  const entries = [entry('new', { storedAt: 900, bytes: 5 }), entry('used', { storedAt: 100, usedAt: 950 }), entry('old', { storedAt: 200, bytes: 30 }), entry('unknown', {})]

  it('lets go first what nobody can tell the age of, then what was used longest ago', () => {
    expect(goes(entries, { maxEntries: 0 })).to.deep.equal(['unknown count', 'old count', 'new count', 'used count'])
    expect(goes(entries, { maxEntries: 0, order: 'oldest' })).to.deep.equal(['unknown count', 'used count', 'old count', 'new count'])
    expect(goes(entries, { maxEntries: 0, order: 'largest' })).to.deep.equal(['old count', 'unknown count', 'used count', 'new count'])
  })

  it('counts what age and idle time removed before it looks at count and size', () => {
    expect(goes(entries, { maxAgeMs: NOW - 150, maxEntries: 2 })).to.deep.equal(['used age', 'unknown age'])
    expect(goes(entries, { maxIdleMs: NOW - 850, maxBytes: 14 })).to.deep.equal(['old idle', 'unknown idle', 'new size'])
  })

  it('leaves marks alone when only size is exceeded', () => {
    expect(goes([entry('mark', { bytes: 0, storedAt: 1 }), entry('set', { storedAt: 2 })], { maxBytes: 0 })).to.deep.equal(['set size'])
  })

  it('plans the same whatever the order of the entries, keeps to every limit and evicts no more than it must', () => {
    const usage = fc.uniqueArray(fc.record({ hash: fc.string({ minLength: 1, maxLength: 3 }), bytes: fc.nat(50), storedAt: fc.option(fc.nat(2000), { nil: undefined }), usedAt: fc.option(fc.nat(2000), { nil: undefined }) }),
      { selector: one => one.hash, maxLength: 30 }).map(all => all.map(one => ({ ...one, state: 'set' as const })))
    const policy = fc.record({ maxEntries: fc.nat(30), maxBytes: fc.option(fc.nat(600), { nil: undefined }), maxAgeMs: fc.option(fc.nat(2000), { nil: undefined }),
      maxIdleMs: fc.option(fc.nat(2000), { nil: undefined }), order: fc.constantFrom('least-recently-used' as const, 'oldest' as const, 'largest' as const) })
    fc.assert(fc.property(usage, policy, (all, limits) => {
      const now = 2000
      const { evict, kept } = planEviction(all, limits, now)
      expect(planEviction([...all].reverse(), limits, now).kept).to.deep.equal(kept)
      const gone = new Set(evict.map(({ hash }) => hash))
      expect(gone.size).to.equal(evict.length)
      const rest = all.filter(({ hash }) => !gone.has(hash))
      expect(kept).to.deep.equal({ entries: rest.length, bytes: rest.reduce((sum, { bytes }) => sum + bytes, 0) })
      expect(kept.entries).to.be.at.most(limits.maxEntries)
      expect(kept.bytes).to.be.at.most(limits.maxBytes ?? Infinity)
      for (const { storedAt = -Infinity } of rest) expect(now - storedAt).to.be.at.most(limits.maxAgeMs ?? Infinity)
      // the last one to go went because the limits were exceeded with it
      const last = evict.findLast(({ reason }) => reason === 'count' || reason === 'size')
      if (last) expect(kept.entries + 1 > limits.maxEntries || kept.bytes + last.bytes > (limits.maxBytes ?? Infinity)).to.equal(true)
    }), { seed: 3, numRuns: 300 })
  })
})
