import { expect } from 'chai'
import fc from 'fast-check'
import { partitionCache, type PartitionCache } from '../../../../lib/partition/cache.js'
import type { EntryStatus, PartitionBackend } from '../../../../lib/partition/backend.js'
import type { EvictionReport, EvictOptions } from '../../../../lib/partition/evict.js'
import type { EvictionPolicy } from '../../../../lib/partition/eviction-plan.js'
import type { Datatype, PartitionKeyValue } from '../../../../lib/partition/key-types.js'

/** A place where a backend keeps its sets, made for one test file. */
export interface BackendStore {
  /** Opens the place. Backends for several processes are opened twice at once, the others again after close. */
  open(): Promise<PartitionBackend>
  /** Lets the set of an entry vanish behind the backend's back, as eviction does. */
  evict?(partitionKey: string, hash: string): Promise<void>
  /** Writes bytes of nobody's making where the set of an entry is. */
  damage?(partitionKey: string, hash: string): Promise<void>
  /** Runs SQL where lazy intersections can be evaluated. */
  query?(sql: string): Promise<unknown[]>
  end(): Promise<void>
}

type Keys = PartitionKeyValue[]

/** Keys of each type with the awkward ones among them, and a key that is in none of the sets. */
const SAMPLES: Record<Datatype, { all: Keys, some: Keys, other: Keys, absent: PartitionKeyValue }> = {
  integer: { all: [0, 1, 2, 3, 7, 8, 63, 64, 1000, 65_535], some: [0, 3, 64, 65_535], other: [0, 5, 64, 70_000], absent: 4 },
  float: { all: [0, 1.5, -1.5, 0.1, 1e300, 5e-324, Infinity, -Infinity, NaN, 2 ** 53], some: [0.1, 1.5, NaN], other: [0.1, NaN, 3], absent: 0.2 },
  text: { all: ['', ' ', 'a', 'A', "o'neil", 'x"y', 'a\\b', 'a,b', '{}', 'NULL', 'null', '!', 'ünï', '🜁', 'a\nb', '1', 's:1'], some: ['', "o'neil", '🜁'], other: ['', '🜁', 'zz'], absent: 'b' },
  timestamp: {
    all: [new Date(0), new Date('2024-02-29T12:34:56.789Z'), new Date(-1), '2024-01-02 03:04:05.123456', 'infinity', '-infinity', new Date('-000043-03-15T00:00:00Z'), '290000-01-01 00:00:00', new Date('9999-12-31T00:00:00Z')],
    some: [new Date(0), '2024-01-02 03:04:05.123456', 'infinity'], other: [new Date(0), 'infinity', new Date(5)], absent: new Date(1)
  }
}

/** A Set in a form that compares by value. */
function plain(keys: Iterable<PartitionKeyValue> | undefined): string[] | undefined {
  return keys && [...keys].map(key => key instanceof Date ? `Date ${key.toISOString()}` : `${typeof key} ${String(key)}`).sort()
}

async function errorOf(promise: Promise<unknown>): Promise<Error & { code?: string, backend?: string, keyType?: string }> {
  const error: unknown = await promise.then(() => undefined, (thrown: unknown) => thrown)
  expect(error, 'should have been refused').to.be.instanceOf(Error)
  return error as Error
}

let counter = 0

/** What only some backends can show. */
export type Extra = 'persist' | 'evict' | 'damage' | 'lazy'

/**
 * What every backend must hold, whatever lies under it. The whole test of a backend.
 *
 * @param extras what this one can show beside; its `supports` and its store must say the same
 */
export function partitionBackendSuite(name: string, start: () => Promise<BackendStore>, extras: readonly Extra[] = []): void {
  describe(`partition backend ${name}`, function () {
    this.timeout(30_000)
    let store: BackendStore
    let backend: PartitionBackend
    let cache: PartitionCache
    let pk: string

    before(async () => {
      store = await start()
      backend = await store.open()
    })
    after(async () => {
      await backend.close()
      await store.end()
    })
    beforeEach(async () => {
      // names that every kind of quoting has to take
      pk = `key_${++counter} "a'b\\c{d}:*%`
      cache = await partitionCache({ backend, partitionKey: pk, datatype: 'integer' })
    })
    const datatypes = (): readonly Datatype[] => backend.supports.datatypes
    const otherType = (): Datatype | undefined => datatypes().find(type => type !== 'integer')

    it('can do exactly what its suite was told', () => {
      const able: Record<Extra, boolean> = { persist: backend.supports.persistent, evict: store.evict !== undefined, damage: store.damage !== undefined,
        lazy: cache.lazyIntersect !== undefined && store.query !== undefined }
      expect(Object.entries(able).filter(([, can]) => can).map(([extra]) => extra).sort()).to.deep.equal([...extras].sort())
    })

    it('gives back what was set, of every type it names', async () => {
      for (const datatype of datatypes()) {
        const partitionKey = `${pk} ${datatype}`
        const { all } = SAMPLES[datatype]
        await cache.setSet('h', new Set(all), { partitionKey, datatype })
        expect(plain(await cache.get('h', { partitionKey })), datatype).to.deep.equal(plain(all))
        expect(await cache.getDatatype({ partitionKey })).to.equal(datatype)
      }
    })

    it('refuses types it does not name, by name', async () => {
      for (const datatype of (['float', 'text', 'timestamp'] as const).filter(type => !datatypes().includes(type))) {
        const error = await errorOf(cache.setSet('h', new Set(SAMPLES[datatype].some), { partitionKey: `${pk} new`, datatype }))
        expect(error).to.include({ code: 'ERR_KEY_TYPE', keyType: datatype })
        expect(error.backend).to.equal(backend.type)
      }
      expect(await cache.getPartitionKeys()).to.not.deep.include([`${pk} new`, 'text'])
    })

    it('knows nothing as undefined and an empty set as an answer', async () => {
      expect(await cache.get('h')).to.equal(undefined)
      expect(await cache.exists('h')).to.equal(false)
      for (const datatype of datatypes()) {
        const partitionKey = `${pk} ${datatype}`
        await cache.setSet('empty', new Set(), { partitionKey, datatype })
        await cache.setSet('some', new Set(SAMPLES[datatype].some), { partitionKey })
        expect(await cache.get('empty', { partitionKey })).to.deep.equal(new Set())
        expect(await cache.exists('empty', { partitionKey })).to.equal(true)
        expect(await cache.intersect(['empty', 'some'], { partitionKey })).to.deep.equal(new Set())
        expect(await cache.intersect(['empty', 'unknown'], { partitionKey })).to.deep.equal(new Set())
      }
    })

    it('keeps or refuses ids at the ends of the integers, never changes them', async () => {
      const edges: Keys = [0, -1, 2 ** 31 - 1, 2 ** 31, 2 ** 32 - 1, 2 ** 32, 2 ** 53 - 1, -(2 ** 53 - 1), 2n ** 53n, 2n ** 63n - 1n, -(2n ** 63n)]
      const [min, max] = backend.supports.integers ?? [-(2 ** 63), 2 ** 63]
      for (const key of edges) {
        if (key as number >= min && key as number <= max) {
          await cache.setSet('h', new Set([key, 5]))
          expect(plain(await cache.get('h'))).to.deep.equal(plain([key, 5]))
        } else expect(await errorOf(cache.setSet('refused', new Set([key, 5])))).to.include({ code: 'ERR_KEY_TYPE', backend: backend.type })
      }
      expect(await cache.get('refused')).to.equal(undefined)
      await cache.setSet('h', new Set([7n, 7, -0, 0]))
      expect(plain(await cache.get('h'))).to.deep.equal(plain([0, 7]))
      for (const key of [1.5, 2 ** 53, NaN, 2n ** 63n, '1', null, new Date(0)]) {
        expect((await errorOf(cache.setSet('h', [key] as Keys))).code, String(key)).to.equal('ERR_KEY_TYPE')
      }
      expect(plain(await cache.get('h')), 'a refused set changes nothing').to.deep.equal(plain([0, 7]))
    })

    it('replaces on overwrite, growing and shrinking, with other rows present', async () => {
      const limit = backend.supports.integers?.[1] ?? Infinity
      for (const keys of [[1, 2, 3], [9], [5_000_000], [], [1, 100_000], [3]]) {
        await cache.setSet('neighbour', new Set([1, 3]))
        await cache.setSet('h', new Set(keys.filter(key => key <= limit)))
        expect(plain(await cache.get('h'))).to.deep.equal(plain(keys))
        expect(plain(await cache.intersect(['h', 'neighbour']))).to.deep.equal(plain(keys.filter(key => key === 1 || key === 3)))
      }
    })

    it('intersects what it knows of every type and ignores unknown hashes and null marks', async () => {
      for (const datatype of datatypes()) {
        const partitionKey = `${pk} ${datatype}`
        const { all, some, other, absent } = SAMPLES[datatype]
        await cache.setSet('all', all, { partitionKey, datatype })
        await cache.setSet('some', some, { partitionKey })
        await cache.setSet('other', other, { partitionKey })
        await cache.setSet('absent', [absent], { partitionKey })
        await cache.setNull('null', { partitionKey })
        const common = (...sets: Keys[]): string[] => sets.map(set => plain(set)!).reduce((a, b) => a.filter(key => b.includes(key)))
        expect(plain(await cache.intersect(['all', 'some'], { partitionKey })), datatype).to.deep.equal(common(all, some))
        expect(plain(await cache.intersect(['all', 'some', 'other', 'all'], { partitionKey }))).to.deep.equal(common(all, some, other))
        expect(plain(await cache.intersect(['all', 'absent'], { partitionKey }))).to.deep.equal([])
        const { keys, used } = await cache.lookup(['x', 'some', 'null', 'other', 'y'], { partitionKey })
        expect(plain(keys)).to.deep.equal(common(some, other))
        expect([...used].sort()).to.deep.equal(['other', 'some'])
        expect(await cache.lookup(['x', 'null'], { partitionKey })).to.deep.equal({ keys: undefined, used: [] })
        expect(await cache.intersect([], { partitionKey })).to.equal(undefined)
      }
    })

    it('intersects sparse and dense sets with each other', async () => {
      const limit = backend.supports.integers?.[1] ?? Infinity
      const far = [3, 64, 40_000_000].filter(key => key <= limit)
      await cache.setSet('sparse', new Set(far))
      await cache.setSet('dense', Array.from({ length: 1000 }, (_, i) => i))
      await cache.setSet('sparse 2', new Set([64, 3, ...far.slice(-1)]))
      expect(plain(await cache.intersect(['sparse', 'dense']))).to.deep.equal(plain([3, 64]))
      expect(plain(await cache.intersect(['sparse', 'dense', 'sparse 2']))).to.deep.equal(plain([3, 64]))
      expect(plain(await cache.intersect(['sparse 2', 'sparse']))).to.deep.equal(plain(far))
    })

    it('keeps partition keys apart and each to its own type', async () => {
      const other = `${pk} 2`
      await cache.setSet('h', [1, 2])
      await cache.setSet('h', [3], { partitionKey: other })
      expect(plain(await cache.get('h'))).to.deep.equal(plain([1, 2]))
      expect(plain(await cache.get('h', { partitionKey: other }))).to.deep.equal(plain([3]))
      expect(await cache.getPartitionKeys()).to.deep.include.members([[pk, 'integer'], [other, 'integer']])
      await cache.delete('h')
      expect(plain(await cache.get('h', { partitionKey: other }))).to.deep.equal(plain([3]))
      const type = otherType()
      if (type) {
        expect(await errorOf(cache.setSet('t', SAMPLES[type].some, { datatype: type }))).to.include({ code: 'ERR_KEY_TYPE', keyType: type })
        expect(await errorOf(partitionCache({ backend, partitionKey: pk, datatype: type }))).to.include({ code: 'ERR_KEY_TYPE', keyType: type })
      }
      expect((await errorOf(cache.setSet('t', ['1']))).code).to.equal('ERR_KEY_TYPE')
      expect(await cache.exists('t')).to.equal(false)
      expect((await errorOf(cache.setSet('e', [], { partitionKey: `${pk} 3` }))).code, 'no type can be told').to.equal('ERR_INVALID_ARGUMENT')
    })

    it('keeps null marks apart from sets and from nothing', async () => {
      await cache.setNull('n', { status: 'timeout', query: 'SELECT 1', tables: ['t'] })
      expect(await cache.get('n')).to.equal(undefined)
      expect([await cache.isNull('n'), await cache.isNull('unknown'), await cache.exists('n')]).to.deep.equal([true, false, true])
      expect([await cache.getStatus('n'), await cache.getQuery('n')]).to.deep.equal(['timeout', 'SELECT 1'])
      await cache.setSet('n', [4])
      expect([await cache.isNull('n'), plain(await cache.get('n')), await cache.getStatus('n')]).to.deep.equal([false, plain([4]), 'ok'])
      await cache.setNull('n')
      expect([await cache.isNull('n'), await cache.get('n'), await cache.getQuery('n')]).to.deep.equal([true, undefined, 'SELECT 1'])
      await cache.delete('n')
      expect([await cache.isNull('n'), await cache.exists('n'), await cache.getQuery('n'), await cache.getStatus('n')]).to.deep.equal([false, false, undefined, undefined])
    })

    it('keeps query text and status, with a set and without', async () => {
      const text = "SELECT DISTINCT \"x\" FROM t WHERE a | 'b''c' || E'\\n' = '🜁'"
      await cache.setQuery('q', text)
      await cache.setStatus('s', 'failed')
      expect([await cache.getQuery('q'), await cache.getStatus('q'), await cache.exists('q'), await cache.get('q')]).to.deep.equal([text, undefined, false, undefined])
      expect([await cache.getQuery('s'), await cache.getStatus('s'), await cache.exists('s')]).to.deep.equal([undefined, 'failed', false])
      await cache.setSet('q', [1])
      expect([await cache.getQuery('q'), await cache.getStatus('q')]).to.deep.equal([text, 'ok'])
      await cache.setStatus('q', 'timeout')
      expect([plain(await cache.get('q')), await cache.getStatus('q')], 'the older set stays').to.deep.equal([plain([1]), 'timeout'])
      expect(await cache.filterExisting(['s', 'unknown', 'q', 'q'])).to.deep.equal(['q'])
      expect((await errorOf(cache.setStatus('q', 'limit' as EntryStatus))).code).to.equal('ERR_INVALID_ARGUMENT')
    })

    it('lists hashes and entries, many of them', async () => {
      const hashes = Array.from({ length: 1234 }, (_, i) => `hash ${i}`)
      await Promise.all(hashes.map((hash, i) => i % 3 === 0 ? cache.setNull(hash) : cache.setSet(hash, [i])))
      await cache.setQuery('only a query', 'SELECT 2', { tables: ['a', 'b"c'] })
      expect((await cache.getAllKeys()).sort()).to.deep.equal([...hashes].sort())
      expect(await cache.filterExisting(['hash 5', 'x', 'hash 3'])).to.deep.equal(['hash 5', 'hash 3'])
      const entries = new Map<string, unknown>()
      for await (const { hash, state, query, tables } of cache.entries()) entries.set(hash, { state, query, tables })
      expect(entries.size).to.equal(hashes.length + 1)
      expect(entries.get('only a query')).to.deep.equal({ state: 'none', query: 'SELECT 2', tables: ['a', 'b"c'] })
      expect(entries.get('hash 3')).to.deep.equal({ state: 'null', query: undefined, tables: undefined })
      expect(await cache.getAllKeys({ partitionKey: `${pk} unknown` })).to.deep.equal([])
    })

    it('forgets what its time is up for', async () => {
      const asOf = new Date(Date.now() - 60_000)
      await cache.setSet('old', [1], { asOf, ttlMs: 59_000, query: 'SELECT 1' })
      await cache.setSet('young', [2], { asOf, ttlMs: 3_600_000, query: 'SELECT 1' })
      await cache.setNull('old null', { asOf, ttlMs: 1 })
      expect([await cache.get('old'), await cache.exists('old'), await cache.getQuery('old'), await cache.isNull('old null')]).to.deep.equal([undefined, false, undefined, false])
      expect([plain(await cache.get('young')), await cache.getQuery('young')]).to.deep.equal([plain([2]), 'SELECT 1'])
      expect(await cache.getAllKeys()).to.deep.equal(['young'])
      expect(plain(await cache.intersect(['old', 'young']))).to.deep.equal(plain([2]))
      const entry = await cache.getEntry('young')
      expect([entry?.storedAt, entry?.expiresAt]).to.deep.equal([asOf.getTime(), asOf.getTime() + 3_600_000])
      await cache.setStatus('young', 'failed')
      expect((await cache.getEntry('young'))?.expiresAt, 'a status does not lengthen a life').to.equal(asOf.getTime() + 3_600_000)
      await cache.setSet('young', [2])
      expect((await cache.getEntry('young'))?.expiresAt).to.equal(undefined)
      await cache.setStatus('old', 'failed')
      expect([await cache.get('old'), await cache.getQuery('old'), await cache.getStatus('old')]).to.deep.equal([undefined, undefined, 'failed'])
    })

    it('invalidates by table, by age and by partition key', async () => {
      const other = `${pk} 2`
      await cache.setSet('poi', [1], { tables: ['poi'] })
      await cache.setSet('public', [1], { tables: ['public.poi', 'x'] })
      await cache.setSet('elsewhere', [1], { tables: ['app.poi'] })
      await cache.setSet('users', [1], { tables: ['users'] })
      await cache.setSet('unsaid', [1])
      await cache.setSet('users', [1], { tables: ['users'], partitionKey: other })
      expect(await cache.invalidate({ table: 'public.poi', partitionKey: pk })).to.equal(3)
      expect((await cache.getAllKeys()).sort()).to.deep.equal(['elsewhere', 'users'])
      await cache.setSet('old', [1], { asOf: new Date(Date.now() - 100_000) })
      await cache.setStatus('old', 'failed')
      await cache.setStatus('marked just now', 'failed', { partitionKey: pk })
      expect(await cache.invalidate({ olderThan: 50_000, partitionKey: pk })).to.equal(1)
      expect(await cache.invalidate({ olderThan: new Date(Date.now() - 100_000), partitionKey: pk })).to.equal(0)
      await cache.delete('marked just now')
      expect(await cache.invalidate({ table: 'users', partitionKey: pk })).to.equal(1)
      expect(await cache.getAllKeys({ partitionKey: other })).to.deep.equal(['users'])
      expect(await cache.invalidate({ partitionKey: other })).to.equal(1)
      expect(await cache.getPartitionKeys()).to.deep.include([other, 'integer'])
    })

    it('keeps no set that was begun before an invalidation of its tables', async () => {
      const tables = ['public.poi', 'users']
      const keep = async (since: Awaited<ReturnType<typeof cache.begin>>, options: object = { tables }): Promise<boolean> => cache.setSet('h', [1], { since, ...options })
      const reaching: object[] = [{ table: 'poi' }, { table: 'public.poi' }, { table: 'app.users' }, { table: 'users' }, {}, { olderThan: new Date(Date.now() + 600_000) }, { partitionKey: pk }]
      for (const options of reaching) {
        const since = await cache.begin()
        await cache.invalidate(options)
        expect(await keep(since), JSON.stringify(options)).to.equal(false)
        expect(await cache.exists('h')).to.equal(false)
        expect(await keep(await cache.begin()), 'a later one').to.equal(true)
      }
      for (const options of [{ table: 'app.poi' }, { table: 'public' }, { table: 'other' }, { table: 'poi', partitionKey: `${pk} 2` }]) {
        const since = await cache.begin()
        await cache.invalidate(options)
        await cache.invalidate(options)
        expect(await keep(since), JSON.stringify(options)).to.equal(true)
      }
      const since = await cache.begin()
      expect(await keep(since, {})).to.equal(true)
      await cache.invalidate({ table: 'other' })
      expect(await keep(since, {}), 'nobody said what it was computed from').to.equal(false)
    })

    it('stops a set of a partition key that nothing has registered yet, and of one that was dropped', async () => {
      const fresh = `${pk} fresh`
      const options = { partitionKey: fresh }
      let since = await cache.begin(options)
      await cache.invalidate({ table: 'poi' })
      expect(await cache.setSet('h', [1], { ...options, since, tables: ['poi'] })).to.equal(false)
      since = await cache.begin(options)
      expect(await cache.setSet('h', [1], { ...options, since, tables: ['poi'] })).to.equal(true)
      since = await cache.begin(options)
      await cache.deletePartitionKey(fresh)
      expect(await cache.setSet('h', [1], { ...options, since, tables: ['poi'] })).to.equal(false)
    })

    it('leaves no set behind that was begun before an invalidation, however they meet', async () => {
      for (let round = 0; round < 8; round++) {
        const since = await cache.begin()
        const writes = Array.from({ length: 4 }, (_, i) => cache.setSet(`h${i}`, Array.from({ length: 500 }, (_, key) => key), { since, tables: ['poi'] }))
        await Promise.all([...writes.slice(0, round % 4), cache.invalidate({ table: 'poi' }), ...writes.slice(round % 4)])
        expect(await cache.getAllKeys(), `round ${round}`).to.deep.equal([])
      }
    })

    it('drops a partition key whole, after which it may have another type', async () => {
      await cache.setSet('h', [1])
      await cache.deletePartitionKey(pk)
      expect([await cache.get('h'), await cache.getDatatype()]).to.deep.equal([undefined, undefined])
      expect((await cache.getPartitionKeys()).map(([one]) => one)).to.not.include(pk)
      const datatype = otherType() ?? 'integer'
      await cache.setSet('h', SAMPLES[datatype].some, { datatype })
      expect(plain(await cache.get('h'))).to.deep.equal(plain(SAMPLES[datatype].some))
    })

    it('refuses hashes and options it cannot keep', async () => {
      for (const hash of ['', 'a\0b', '\ud800', 5 as unknown as string]) expect((await errorOf(cache.get(hash))).code).to.equal('ERR_INVALID_ARGUMENT')
      for (const ttlMs of [-1, NaN, Infinity]) expect((await errorOf(cache.setSet('h', [1], { ttlMs }))).code).to.equal('ERR_INVALID_ARGUMENT')
      for (const keys of [undefined, 5, 'abc']) expect((await errorOf(cache.setSet('h', keys as unknown as Keys))).code).to.equal('ERR_INVALID_ARGUMENT')
    })

    it('shows readers whole sets only while writers replace them', async () => {
      const [evens, odds] = [0, 1].map(first => new Set(Array.from({ length: 20_000 }, (_, i) => 2 * i + first)))
      await cache.setSet('h', evens!)
      await cache.setSet('fix', Array.from({ length: 40_000 }, (_, i) => i))
      let writing = true
      const writer = (async () => {
        for (let i = 0; i < 20; i++) await cache.setSet('h', i % 2 ? evens! : odds!)
        writing = false
      })()
      let reads = 0
      while (writing) {
        const keys = await cache.intersect(['h', 'fix'])
        expect(keys?.size).to.equal(20_000)
        const parities = new Set([...keys!].map(key => (key as number) % 2))
        expect(parities.size).to.equal(1)
        reads++
      }
      await writer
      expect(reads).to.be.greaterThan(0)
    })

    it('evicts by age, by idle time, by count and by size, in the order asked for', async () => {
      const now = Date.now()
      const limit = backend.supports.integers?.[1] ?? Infinity
      const fill = async (): Promise<void> => {
        await cache.deletePartitionKey(pk)
        const sizes: Record<string, number> = { a: 10, b: 4000, c: 10, d: 10, e: 10 }
        for (const [i, [hash, size]] of Object.entries(sizes).entries()) {
          await cache.setSet(hash, Array.from({ length: size }, (_, k) => 37 * k).filter(key => key <= limit), { datatype: 'integer', asOf: new Date(now - (10 - i) * 60_000) })
        }
        await cache.setNull('mark', { asOf: new Date(now - 60 * 60_000) })
        // the oldest set is the one used last
        expect((await cache.get('a'))?.size).to.equal(10)
      }
      const left = async (): Promise<string[]> => (await cache.getAllKeys()).sort()
      const evict = async (policy: EvictionPolicy, options?: EvictOptions): Promise<EvictionReport> => (await cache.evict(policy, { partitionKey: pk, ...options }))[0]!
      await fill()
      expect(await evict({ maxEntries: 3 }, { dryRun: true })).to.deep.include({ partitionKey: pk, evicted: { age: 0, idle: 0, count: 3, size: 0, total: 3 } })
      expect(await left(), 'a dry run').to.have.length(6)
      const report = await evict({ maxEntries: 3 })
      expect([report.evicted.count, report.kept.entries, await left()]).to.deep.equal([3, 3, ['a', 'd', 'e']])
      expect((await evict({ maxEntries: 3 })).evicted.total, 'nothing is left to do').to.equal(0)
      await fill()
      expect([(await evict({ maxEntries: 3, order: 'oldest' })).evicted.count, await left()]).to.deep.equal([3, ['c', 'd', 'e']])
      await fill()
      const { bytes: large } = (await cache.usage()).find(({ hash }) => hash === 'b')!
      const bySize = await evict({ maxBytes: large - 1, order: 'largest' })
      expect([bySize.evicted.size, bySize.evictedBytes, await left()]).to.deep.equal([1, large, ['a', 'c', 'd', 'e', 'mark']])
      await fill()
      expect([(await evict({ maxBytes: 0 })).evicted.size, await left()], 'a mark has no size').to.deep.equal([5, ['mark']])
      await fill()
      expect([(await evict({ maxAgeMs: 8.5 * 60_000 })).evicted.age, await left()]).to.deep.equal([3, ['c', 'd', 'e']])
      await fill()
      expect([(await evict({ maxIdleMs: 8.5 * 60_000, maxEntries: 3 })).evicted, await left()]).to.deep.equal([{ age: 0, idle: 2, count: 1, size: 0, total: 3 }, ['a', 'd', 'e']])
    })

    it('evicts each partition key by itself, and nothing of what is named otherwise', async () => {
      const other = `${pk} 2`
      for (const partitionKey of [pk, other]) for (const hash of ['a', 'b', 'c']) await cache.setSet(hash, [1], { partitionKey, datatype: 'integer' })
      expect((await cache.evict({ maxEntries: 1 }, { partitionKey: other })).map(({ partitionKey, kept }) => [partitionKey, kept.entries])).to.deep.equal([[other, 1]])
      expect(await cache.getAllKeys()).to.have.length(3)
      const reports = await cache.evict({ maxEntries: 2 })
      expect(reports.find(({ partitionKey }) => partitionKey === pk)?.evicted.total).to.equal(1)
      expect(reports.find(({ partitionKey }) => partitionKey === other)?.evicted.total).to.equal(0)
      expect(await cache.evict({ maxEntries: 2 }, { partitionKey: `${pk} unknown` })).to.deep.equal([])
      for (const policy of [{}, { maxEntries: -1 }, { maxEntries: 1.5 }, { maxAgeMs: NaN }, { maxEntries: 1, order: 'newest' as never }]) {
        expect((await errorOf(cache.evict(policy))).code).to.equal('ERR_INVALID_ARGUMENT')
      }
    })

    it('keeps the later of two uses, makes nothing of what is gone, and forgets uses with the entry', async () => {
      const partition = { name: pk, datatype: 'integer' as const }
      await cache.setSet('h', [1])
      const usedAt = async (): Promise<number | undefined> => (await cache.usage())[0]?.usedAt
      for (const at of [5000, 3000]) await backend.touch!(partition, new Map([['h', at], ['gone', at]]))
      expect([await usedAt(), (await cache.usage()).length]).to.deep.equal([5000, 1])
      await cache.delete('h')
      await cache.setSet('h', [1])
      expect(await usedAt()).to.equal(undefined)
    })

    it('shows readers whole sets or misses while entries are evicted and stored again', async () => {
      const keys = Array.from({ length: 5000 }, (_, i) => 3 * i)
      const hashes = ['a', 'b', 'c', 'd']
      const store = async (): Promise<void> => { for (const hash of hashes) await cache.setSet(hash, keys) }
      await store()
      let evicting = true
      const evictor = (async () => {
        for (let i = 0; i < 8; i++) {
          await cache.evict({ maxEntries: i % 3 }, { partitionKey: pk })
          await store()
        }
        evicting = false
      })()
      while (evicting) {
        const { keys: found, used } = await cache.lookup(hashes)
        expect(found?.size ?? 'miss').to.be.oneOf([5000, 'miss'])
        if (used.length > 0) expect(found, 'a set that was used').to.not.equal(undefined)
      }
      await evictor
    })

    if (extras.includes('persist')) it('is there again after it was closed, or as seen by a second process', async () => {
      await cache.setSet('h', [1, 2, 3], { query: 'SELECT 1' })
      if (!backend.supports.shared) {
        expect((await errorOf(store.open())).code, 'a second opener').to.equal('ERR_CACHE_UNUSABLE')
        await backend.close()
        backend = await store.open()
      }
      const again = backend.supports.shared ? await store.open() : backend
      const second = await partitionCache({ backend: again, partitionKey: pk })
      expect([plain(await second.get('h')), await second.getQuery('h'), await second.getDatatype()]).to.deep.equal([plain([1, 2, 3]), 'SELECT 1', 'integer'])
      if (backend.supports.shared) {
        const type = otherType()
        if (type) expect((await errorOf(second.setSet('x', SAMPLES[type].some, { datatype: type }))).code).to.equal('ERR_KEY_TYPE')
        await second.close()
      }
    })

    if (extras.includes('evict')) it('reads a set that was evicted as a miss, alone and among others', async () => {
      for (const hash of ['a', 'b']) await cache.setSet(hash, [1, 2], { query: 'SELECT 1' })
      await store.evict!(pk, 'a')
      expect(await cache.get('a')).to.equal(undefined)
      expect(await cache.exists('a')).to.equal(false)
      expect(plain(await cache.intersect(['a', 'b']))).to.deep.equal(plain([1, 2]))
      expect(await cache.getAllKeys()).to.deep.equal(['b'])
      await store.evict!(pk, 'b')
      expect(await cache.lookup(['a', 'b'])).to.deep.equal({ keys: undefined, used: [] })
    })

    if (extras.includes('damage')) it('reads damage as a miss', async () => {
      for (const hash of ['a', 'b']) await cache.setSet(hash, [1, 2])
      await store.damage!(pk, 'a')
      expect(await cache.get('a')).to.equal(undefined)
      expect(plain(await cache.intersect(['a', 'b']))).to.deep.equal(plain([1, 2]))
      await cache.setSet('a', [2])
      expect(plain(await cache.intersect(['a', 'b']))).to.deep.equal(plain([2]))
    })

    if (extras.includes('lazy')) it('writes lazy SQL that finds the same keys, and fails rather than finding too few', async () => {
      const listed = async (sql: string): Promise<string[]> => (await store.query!(`SELECT key::text FROM (${sql}) AS q`)).map(row => (row as { key: string }).key).sort()
      const sets: Record<string, number[]> = { dense: Array.from({ length: 500 }, (_, i) => 3 * i), 'more"\'\\': Array.from({ length: 500 }, (_, i) => 2 * i), none: [], far: [6, 12, 5_000_000] }
      for (const [hash, keys] of Object.entries(sets)) await cache.setSet(hash, keys)
      for (const hashes of [['dense'], ['dense', 'more"\'\\'], ['none'], ['none', 'dense'], ['far'], ['far', 'dense'], ['far', 'dense', 'more"\'\\', 'unknown']]) {
        const lazy = await cache.lazyIntersect!(hashes)
        expect(await listed(lazy!.sql), hashes.join()).to.deep.equal([...(await cache.intersect(hashes))!].map(String).sort())
        expect([...lazy!.used].sort()).to.deep.equal(hashes.filter(hash => hash !== 'unknown').sort())
      }
      expect(await cache.lazyIntersect!(['unknown'])).to.equal(undefined)
      for (const hashes of [['dense'], ['far'], ['dense', 'far']]) {
        const lazy = await cache.lazyIntersect!(hashes)
        await cache.delete(hashes[0]!)
        expect((await errorOf(listed(lazy!.sql))).message).to.match(/narrow it again/)
        await cache.setSet(hashes[0]!, sets[hashes[0]!]!)
      }
      for (const datatype of datatypes().filter(type => type !== 'integer')) {
        const partitionKey = `${pk} ${datatype}`
        await cache.setSet('all', SAMPLES[datatype].all, { partitionKey, datatype })
        await cache.setSet('some', SAMPLES[datatype].some, { partitionKey })
        const lazy = await cache.lazyIntersect!(['all', 'some'], { partitionKey })
        expect((await listed(lazy!.sql)).length, datatype).to.equal(SAMPLES[datatype].some.length)
      }
    })

    it('does what a Map of Sets does, whatever the order of the calls', async () => {
      const hash = fc.constantFrom('a', 'b', 'c', 'd')
      const keys = fc.array(fc.oneof(fc.integer({ min: 0, max: 40 }), fc.constantFrom(0, 63, 64, 511, 512, 100_000)), { maxLength: 30 })
      const call = fc.oneof(
        { weight: 4, arbitrary: fc.record({ do: fc.constant('set' as const), hash, keys }) },
        fc.record({ do: fc.constant('null' as const), hash }),
        fc.record({ do: fc.constant('delete' as const), hash }),
        fc.record({ do: fc.constant('status' as const), hash, status: fc.constantFrom('ok' as const, 'timeout' as const, 'failed' as const) }),
        { weight: 4, arbitrary: fc.record({ do: fc.constant('intersect' as const), hashes: fc.uniqueArray(hash, { minLength: 1 }) }) })
      let run = 0
      await fc.assert(fc.asyncProperty(fc.array(call, { maxLength: 25 }), async calls => {
        const partitionKey = `${pk} model ${++run}`
        const model = new Map<string, Set<number> | null>()
        await cache.setSet('warm', [1], { partitionKey })
        for (const one of calls) {
          if (one.do === 'set') {
            await cache.setSet(one.hash, new Set(one.keys), { partitionKey })
            model.set(one.hash, new Set(one.keys))
          } else if (one.do === 'null') {
            await cache.setNull(one.hash, { partitionKey })
            model.set(one.hash, null)
          } else if (one.do === 'delete') {
            await cache.delete(one.hash, { partitionKey })
            model.delete(one.hash)
          } else if (one.do === 'status') await cache.setStatus(one.hash, one.status, { partitionKey })
          else {
            const sets = one.hashes.map(h => model.get(h)).filter(set => !!set)
            const expected = sets.length === 0 ? undefined : sets.reduce((a, b) => new Set([...a].filter(key => b.has(key))))
            expect(plain(await cache.intersect(one.hashes, { partitionKey }))).to.deep.equal(plain(expected))
            expect(await cache.filterExisting(one.hashes, { partitionKey })).to.deep.equal(one.hashes.filter(h => model.has(h)))
          }
        }
        await cache.deletePartitionKey(partitionKey)
      }), { numRuns: process.env['MILLRACE_FAULTS'] === 'long' ? 300 : 30, seed: 7 })
    })
  })
}
