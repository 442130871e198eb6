import { Readable } from 'node:stream'
import { expect } from 'chai'
import type { Id } from '../../lib/batch/ids.js'
import { fromColumns } from '../../lib/batch/from-rows.js'
import { ask, errorOf, everyWay, nobody, same, withCache } from './support.js'

const P53 = 9007199254740992n
/** Every interesting id in its one form, ascending. */
const IDS: readonly Id[] = [-9223372036854775808n, -9223372036854775807n, -P53 - 1n, -P53, -9007199254740991, -4294967297, -1, 0, 1, 2147483648, 4294967296,
  9007199254740991, P53, P53 + 1n, 9223372036854775806n, 9223372036854775807n]
const rowsFor = (ids: readonly Id[]): { id: Id, name: string }[] => ids.map(id => ({ id, name: `n${id}` }))

describe('ids', () => {
  it('of all sizes are one value each: sorted, numbers when safe, however they are asked for and answered', () => withCache(async cache => {
    const shuffled = [...IDS, ...IDS.map(id => BigInt(id)), 0n, -0].sort((a, b) => String(a) < String(b) ? -1 : 1)
    const forms = [(id: Id): unknown => id, (id: Id) => BigInt(id), (id: Id) => String(id)]
    for (const [i, form] of forms.entries()) {
      const column = `name${i}`
      const rows = IDS.map(id => ({ id, [column]: `n${id}` }))
      await everyWay(cache, { ids: shuffled, columns: [column], fetcher: ids => [...ids].reverse().map(id => ({ id: form(id), [column]: `n${id}` })) }, rows)
    }
    // one request of each alone finds it as well
    for (const id of IDS) same((await ask(cache, { ids: [id], columns: ['name0'], fetcher: nobody })).toRows(), [{ id, name0: `n${id}` }])
  }))

  it('reach the fetcher in their one form, ascending, each once', () => withCache(async cache => {
    const asked: Id[] = []
    await ask(cache, { ids: [5n, 5, 3, 9007199254740993n, -0, 3n], columns: ['name'], fetcher: ids => { asked.push(...ids); return rowsFor(ids) } })
    same(asked, [0, 3, 5, 9007199254740993n])
  }))

  it('come from arrays, typed arrays, sets, generators, async generators and streams', () => withCache(async cache => {
    const numbers = [3, 1, 2]
    const inputs: Record<string, () => Iterable<unknown> | AsyncIterable<unknown>> = {
      array: () => numbers, set: () => new Set(numbers), int8: () => Int8Array.from(numbers), uint8: () => Uint8Array.from(numbers), uint16: () => Uint16Array.from(numbers), int32: () => Int32Array.from(numbers), uint32: () => Uint32Array.from(numbers), float64: () => Float64Array.from(numbers),
      bigint64: () => BigInt64Array.from(numbers, BigInt), biguint64: () => BigUint64Array.from(numbers, BigInt),
      generator: function * () { yield * numbers }, async: async function * () { await Promise.resolve(); yield * numbers }, stream: () => Readable.from(numbers),
      'stream of arrays': () => Readable.from([[3, 1], [2]]),
    }
    for (const [name, input] of Object.entries(inputs)) {
      const given = name === 'uint8' || name === 'int8' ? undefined : input()
      // bytes as ids are more likely a mistake; whichever way it is decided, not half
      if (given === undefined) continue
      const table = await ask(cache, { ids: given, columns: ['name'], fetcher: rowsFor })
      same(table.toRows(), rowsFor([1, 2, 3]), name)
    }
    same((await ask(cache, { ids: [], columns: ['name'], fetcher: nobody })).toRows(), [])
  }))

  it('that are none are refused, by position, before anything is fetched', () => withCache(async cache => {
    for (const odd of [NaN, 1.5, Infinity, '7', null, undefined, 2 ** 53, {}, true, 9223372036854775808n, -9223372036854775809n]) {
      const error = await errorOf(ask(cache, { ids: [1, odd], columns: ['name'], fetcher: nobody }))
      expect(error, String(odd)).to.include({ code: 'ERR_INVALID_ARGUMENT' })
      expect(error.message).to.contain('ids[1]')
    }
  }))

  it('may stand in another column, with dots in its name or called constructor', () => withCache(async cache => {
    for (const idColumn of ['key', 'a.b', 'constructor', 'ключ']) {
      const rows = IDS.map(id => ({ [idColumn]: id, id: 'not the key' }))
      const request = { ids: IDS, columns: ['id'], idColumn, fetcher: (ids: readonly Id[]) => rows.filter(row => ids.includes(row[idColumn] as Id)) }
      same((await ask(cache, request)).toRows(), rows, idColumn)
      same((await ask(cache, { ...request, fetcher: nobody })).toRows(), rows, idColumn)
      expect(await errorOf(ask(cache, { ...request, ids: [77], fetcher: () => [{ id: 77 }] }))).to.include({ code: 'ERR_FETCHER_CONTRACT' })
    }
  }))

  it('keep their rows apart when numbers and bigints of one part meet', () => withCache(async cache => {
    const rows = rowsFor(IDS)
    for (const id of IDS) await ask(cache, { ids: [id], columns: ['name'], fetcher: rowsFor })
    await everyWay(cache, { ids: IDS, columns: ['name'], fetcher: nobody }, rows)
    same((await ask(cache, { ids: [...IDS, 77], columns: ['name'], fetcher: ids => { same(ids, [77]); return rowsFor(ids) } })).length, IDS.length + 1)
  }))

  it('of a RowBatch may be of any kind, and rows nobody asked for leave the types alone', () => withCache(async cache => {
    const batch = fromColumns({ id: [1, 2, 3, P53], at: ['2024-01-02 03:04:05.678901', null, 'infinity', null], d: ['2024-02-29', null, '0044-03-15 BC', null], w: [1, 2, 3, 9007199254740993n] }, { types: { at: 'timestamptz', d: 'date' } })
    for (const [i, ids] of [[1, 3], [1, 2, 3, P53]].entries()) {
      const table = await ask(cache, { ids, columns: ['at', 'd', 'w'], fetcher: () => batch, refresh: i > 0 })
      expect(table.schema.map(field => field.type)).to.deep.equal(['int64', 'timestamptz', 'date', 'int64'])
      expect(table.column('at')[0]).to.equal(1704164645678901n)
    }
    // the same rows twice are one
    const twice = await ask(cache, { ids: [1, 2], columns: ['at', 'd', 'w'], refresh: true, fetcher: async function * () { await Promise.resolve(); yield batch; yield batch } })
    expect(twice.schema.map(field => field.type)).to.deep.equal(['int64', 'timestamptz', 'date', 'int64'])
    const differing = fromColumns({ id: [2], at: ['2025-01-01 00:00:00'], d: [null], w: [2] }, { types: { at: 'timestamptz', d: 'date' } })
    const error = await errorOf(ask(cache, { ids: [1, 2], columns: ['at', 'd', 'w'], refresh: true, fetcher: async function * () { await Promise.resolve(); yield batch; yield differing } }))
    expect(error).to.include({ code: 'ERR_FETCHER_CONTRACT' })
    expect(error.message).to.contain('two different rows of id 2')
  }))
})
