import { expect } from 'chai'
import { fromRows } from '../../../lib/batch/from-rows.js'
import type { Id } from '../../../lib/batch/ids.js'
import type { Row } from '../../../lib/batch/row-factory.js'
import type { Fetcher } from '../../../lib/source/fetcher.js'
import { getData } from '../../../pipelines/get-data.js'
import { freshCache } from '../../support/cache.js'
import { gate, refuseUnhandledRejections, rejection, turns, until } from '../../support/collect.js'
import { madeFrom, range } from '../../support/fetchers.js'

const table = 'public.things'
const ids = range(1, 11)
const columns = ['name', 'meta.city']

const good = (id: Id): Row => ({ id, name: `name ${id}`, meta: `{"city":"city ${id}"}` })
const delivered = (some: readonly Id[]): Row[] => some.map(id => ({ id, name: `name ${id}`, 'meta.city': `city ${id}` }))
const without = (...some: Id[]): number[] => ids.filter(id => !some.includes(id))

/** A fetcher's fault, and its one outcome: an error code, or rows as if nothing had been wrong; the ids that are cached after it. */
interface Fault {
  title: string
  fetch: Fetcher
  code?: string
  says?: RegExp
  cached: readonly Id[]
}

async function * slowly<T>(items: Iterable<T>): AsyncGenerator<T> {
  for (const item of items) {
    await Promise.resolve()
    yield item
  }
}

const reused: Row = { id: 0 }

const faults: Fault[] = [
  { title: 'delivers identical rows twice', fetch: async asked => [...asked, ...asked].map(good), cached: ids },
  { title: 'delivers two different rows of one id', fetch: async asked => [...asked.map(good), { ...good(3), name: 'another' }],
    code: 'ERR_FETCHER_CONTRACT', says: /two different rows of id 3 \(column name\)/, cached: without(3) },
  { title: 'delivers rows nobody asked for', fetch: async asked => [...asked, 77, -1, 2n ** 60n].map(good), cached: ids },
  { title: 'leaves rows out', fetch: async asked => asked.filter(id => id !== 2 && id !== 9).map(good),
    code: 'ERR_DATA_NOT_FOUND', says: /2, 9/, cached: without(2, 9) },
  { title: 'delivers nothing at all', fetch: async () => [], code: 'ERR_DATA_NOT_FOUND', says: /ids not found/, cached: [] },
  { title: 'delivers ids as digits in text', fetch: async asked => asked.map(id => ({ ...good(id), id: String(id) })), cached: ids },
  { title: 'delivers ids as bigints', fetch: async asked => asked.map(id => ({ ...good(id), id: BigInt(id) })), cached: ids },
  { title: 'delivers an id with leading zeros', fetch: async asked => asked.map(id => ({ ...good(id), id: id === 4 ? '04' : id })),
    code: 'ERR_FETCHER_CONTRACT', says: /row \d has id "04", which is no id/, cached: without(4) },
  { title: 'delivers NaN as id', fetch: async asked => asked.map(id => ({ ...good(id), id: id === 4 ? NaN : id })),
    code: 'ERR_FETCHER_CONTRACT', says: /NaN/, cached: without(4) },
  { title: 'delivers null as id', fetch: async asked => asked.map(id => ({ ...good(id), id: id === 4 ? null : id })),
    code: 'ERR_FETCHER_CONTRACT', says: /null/, cached: without(4) },
  { title: 'delivers a row without id', fetch: async asked => asked.map(id => id === 4 ? { name: 'x', meta: null } : good(id)),
    code: 'ERR_FETCHER_CONTRACT', says: /row \d has no id/, cached: without(4) },
  { title: 'leaves a column out of all rows', fetch: async asked => asked.map(id => ({ id, meta: '{}' })),
    code: 'ERR_COLUMN_NOT_FOUND', says: /name/, cached: [] },
  { title: 'leaves a column out of one row', fetch: async asked => asked.map(id => id === 6 ? { id, meta: '{}' } : good(id)),
    code: 'ERR_COLUMN_NOT_FOUND', says: /name.*6/, cached: without(6) },
  { title: 'delivers undefined in one row', fetch: async asked => asked.map(id => ({ ...good(id), ...(id === 6 ? { name: undefined } : {}) })),
    code: 'ERR_COLUMN_NOT_FOUND', says: /name.*6/, cached: without(6) },
  { title: 'throws before it answers', fetch: () => { throw new RangeError('at once') }, code: 'ERR_BATCH_FAILED', says: /at once/, cached: [] },
  { title: 'rejects', fetch: async () => { throw new Error('later') }, code: 'ERR_BATCH_FAILED', says: /later/, cached: [] },
  { title: 'throws what is no error', fetch: () => { throw 'just text' }, code: 'ERR_BATCH_FAILED', says: /just text/, cached: [] },
  { title: 'rejects with nothing', fetch: async () => { throw undefined }, code: 'ERR_BATCH_FAILED', cached: [] },
  { title: 'rejects with a value that cannot be printed', fetch: async () => { throw Object.create(null) }, code: 'ERR_BATCH_FAILED', cached: [] },
  { title: 'fails in the middle of its rows', fetch: asked => slowly((function * () {
    yield good(asked[0]!)
    throw new Error('half way')
  })()), code: 'ERR_BATCH_FAILED', says: /half way/, cached: [] },
  { title: 'answers with null', fetch: async () => null as never, code: 'ERR_FETCHER_CONTRACT', says: /null instead of rows/, cached: [] },
  { title: 'answers with nothing', fetch: async () => undefined as never, code: 'ERR_FETCHER_CONTRACT', says: /undefined/, cached: [] },
  { title: 'answers with text', fetch: async () => '[]' as never, code: 'ERR_FETCHER_CONTRACT', says: /string/, cached: [] },
  { title: 'answers with a driver\'s result object', fetch: async asked => ({ rows: asked.map(good) }) as never, code: 'ERR_FETCHER_CONTRACT', says: /no list of rows/, cached: [] },
  { title: 'answers with rows that are numbers', fetch: async asked => [...asked] as never, code: 'ERR_FETCHER_CONTRACT', says: /row 0 is a number/, cached: [] },
  { title: 'answers with null rows', fetch: async asked => asked.map(id => id === 5 ? null : good(id)) as never, code: 'ERR_FETCHER_CONTRACT', says: /row \d is null/, cached: without(5) },
  { title: 'answers with an async iterator', fetch: asked => slowly(asked.map(good)), cached: ids },
  { title: 'answers with an async iterator of arrays', fetch: asked => slowly([asked.slice(0, 4).map(good), [], asked.slice(4).map(good)]), cached: ids },
  { title: 'answers with a Set', fetch: async asked => new Set(asked.map(good)), cached: ids },
  { title: 'answers with a generator', fetch: function * (asked) { for (const id of asked) yield good(id) }, cached: ids },
  { title: 'answers with a RowBatch in another order', fetch: async asked => fromRows([...asked].reverse().map(good)), cached: ids },
  { title: 'answers with a RowBatch of rows nobody asked for as well', fetch: async asked => fromRows([...asked, 1000].map(good)), cached: ids },
  { title: 'answers with rows and RowBatches', fetch: async function * (asked) {
    yield fromRows(asked.slice(0, 1).map(good))
    yield * asked.slice(1).map(good)
  }, code: 'ERR_FETCHER_CONTRACT', says: /rows and RowBatches/, cached: [] },
  { title: 'answers with a RowBatch without the id column', fetch: async asked => fromRows(asked.map(id => ({ key: id, name: 'x', meta: '{}' })), { idColumn: 'key' }),
    code: 'ERR_FETCHER_CONTRACT', says: /no id/, cached: [] },
  { title: 'answers with an iterator that promises nothing', fetch: asked => {
    const rows = asked.map(good)
    return { [Symbol.asyncIterator]: () => ({ next: () => rows.length > 0 ? { value: rows.shift(), done: false } : { value: undefined, done: true } }) } as never
  }, cached: ids },
  { title: 'reuses one object for all rows', fetch: function * (asked) {
    for (const id of asked) yield Object.assign(reused, good(id))
  }, cached: ids },
  { title: 'changes its rows after it has answered', fetch: async function * (asked) {
    for (const id of asked) {
      const row = good(id)
      yield row
      row['name'] = 'changed'
      row['id'] = -1
    }
  }, cached: ids },
  { title: 'mutates the ids it was given', fetch: async asked => {
    const rows = asked.map(good);
    (asked as Id[]).length = 0;
    (asked as Id[]).push(666)
    return rows
  }, cached: ids },
  { title: 'answers with frozen rows', fetch: async asked => Object.freeze(asked.map(id => Object.freeze(good(id)))), cached: ids },
  { title: 'answers with rows without prototype', fetch: async asked => asked.map(id => Object.assign(Object.create(null) as Row, good(id))), cached: ids },
  { title: 'answers with class instances and getters', fetch: async asked => asked.map(id => new (class {
    id = id
    get name(): string { return `name ${id}` }
    get meta(): unknown { return { city: `city ${id}` } }
  })()) as never, cached: ids },
  { title: 'delivers a row whose getter throws', fetch: async asked => asked.map(id => id !== 8 ? good(id)
    : Object.defineProperty(good(id), 'name', { get() { throw new Error('getter') } })), code: 'ERR_FETCHER_CONTRACT', says: /row \d cannot be read: getter/, cached: without(8) },
  { title: 'delivers a revoked Proxy', fetch: async asked => asked.map(id => {
    const { proxy, revoke } = Proxy.revocable(good(id), {})
    if (id === 8) revoke()
    return proxy
  }), code: 'ERR_FETCHER_CONTRACT', says: /row \d cannot be read/, cached: without(8) },
  { title: 'delivers a function as value', fetch: async asked => asked.map(id => ({ ...good(id), ...(id === 2 ? { name: () => 1 } : {}) })),
    code: 'ERR_FETCHER_CONTRACT', says: /name of id 2/, cached: without(2) },
  { title: 'delivers a value that refers to itself', fetch: async asked => asked.map(id => {
    const loop: Row = { city: `city ${id}` }
    loop['self'] = loop
    return { ...good(id), meta: loop }
  }), cached: ids },
  { title: 'delivers text where others are numbers', fetch: async asked => asked.map(id => ({ ...good(id), ...(id === 2 ? { name: 5 } : {}) })),
    code: 'ERR_SCHEMA_CONFLICT', says: /name/, cached: [] },
  { title: 'delivers JSON that is none', fetch: async asked => asked.map(id => ({ ...good(id), ...(id === 2 ? { meta: '{city' } : {}) })),
    code: 'ERR_JSON_PARSE', says: /meta of id 2/, cached: without(2) },
  { title: 'delivers a column called __proto__', fetch: async asked => asked.map(id => Object.defineProperty(good(id), '__proto__', { value: { polluted: true }, enumerable: true })), cached: ids },
]

describe('a fetcher that', () => {
  const cache = freshCache()
  refuseUnhandledRejections()
  const request = { ids, columns, table, retries: 0 }

  for (const { title, fetch, code, says, cached } of faults) {
    for (const start of ['cold', 'warm'] as const) {
      it(`${title} ${code ? `gets ${code}` : 'is served'} and leaves no poison, ${start}`, async () => {
        const known = start === 'warm' ? [1, 10] : []
        const well = madeFrom(good)
        if (known.length > 0) await getData({ ...request, ids: known, cache: cache(), fetcher: well.fetcher })
        const fault = async () => await getData({ ...request, cache: cache(), fetcher: fetch })
        if (code === undefined) expect((await fault()).toRows()).to.deep.equal(delivered(ids))
        else {
          const error = await rejection(fault())
          expect(error).to.have.property('code', code)
          if (says) expect(error.message).to.match(says)
          expect(error['report']).to.be.an('object')
        }
        well.reset()
        const result = await getData({ ...request, cache: cache(), fetcher: well.fetcher })
        expect(result.toRows()).to.deep.equal(delivered(ids))
        expect(({} as { polluted?: boolean }).polluted).to.equal(undefined)
        expect(well.asked()).to.deep.equal(without(...cached, ...known))
      })
    }
  }

  it('hangs is given up after fetchTimeoutMs, told so, and its late answer is ignored', async () => {
    const answer = gate<Row[]>()
    let signal: AbortSignal | undefined
    const fetcher: Fetcher = (_ids, _table, asked) => {
      signal = asked.signal
      return answer.passed
    }
    const error = await rejection(getData({ ...request, cache: cache(), fetcher, fetchTimeoutMs: 20 }))
    expect(error).to.have.property('code', 'ERR_BATCH_FAILED')
    expect(error.message).to.include('within 20 ms')
    expect(signal?.aborted).to.equal(true)
    answer.open(ids.map(good))
    await turns()
    const well = madeFrom(good)
    await getData({ ...request, cache: cache(), fetcher: well.fetcher })
    expect(well.asked()).to.deep.equal(ids)
  })

  it('rejects after it was given up leaves no unhandled rejection', async () => {
    const answer = gate<Row[]>()
    await rejection(getData({ ...request, cache: cache(), fetcher: () => answer.passed, fetchTimeoutMs: 5 }))
    answer.fail(new Error('too late'))
    await turns()
  })

  it('stops in the middle of its rows is given up after fetchTimeoutMs, and let go', async () => {
    let left = false
    async function * stuck(): AsyncGenerator<Row> {
      try {
        yield good(1)
        await new Promise(() => undefined)
      } finally {
        left = true
      }
    }
    const error = await rejection(getData({ ...request, cache: cache(), fetcher: stuck, fetchTimeoutMs: 20 }))
    expect(error).to.have.property('code', 'ERR_BATCH_FAILED')
    expect(left).to.equal(false)
  })

  it('never stops yielding is given up after fetchTimeoutMs, though it never waits', async () => {
    let left = false
    const fetcher: Fetcher = async function * () {
      try {
        for (;;) yield good(1)
      } finally {
        left = true
      }
    }
    const error = await rejection(getData({ ...request, cache: cache(), fetcher, fetchTimeoutMs: 20 }))
    expect(error).to.have.property('code', 'ERR_BATCH_FAILED')
    await until(() => left)
  })

  it('has a time limit beyond 24 days is not given up at once', async () => {
    const fetcher: Fetcher = async asked => {
      await new Promise(resolve => setTimeout(resolve, 10))
      return asked.map(good)
    }
    const result = await getData({ ...request, cache: cache(), fetcher, fetchTimeoutMs: 2 ** 40 })
    expect(result.length).to.equal(10)
  })

  it('settles out of order with several calls in flight still delivers in order', async () => {
    const answers: (() => void)[] = []
    const fetcher: Fetcher = asked => new Promise(resolve => {
      answers.push(() => resolve(asked.map(good)))
      // the first of each three is answered last
      if (answers.length === 3) for (const answer of answers.splice(0).reverse()) answer()
    })
    const result = await getData({ ids: range(0, 9), columns, table, cache: cache(), fetcher, batchSize: 1, concurrency: 3 })
    expect(result.toRows()).to.deep.equal(delivered(range(0, 9)))
  })

  it('delivers rows of 10 MB is served', async () => {
    const big = 'x'.repeat(10 * 1024 * 1024)
    const result = await getData({ ids: [1, 2, 3], columns: ['big'], table, cache: cache(), fetcher: async asked => asked.map(id => ({ id, big: `${id}${big}` })) })
    expect(result.toRows().map(({ big: text }) => String(text).length)).to.deep.equal([1, 1, 1].map(n => n + big.length))
  })
})
