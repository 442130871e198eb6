import { expect } from 'chai'
import { fromColumns, fromRows } from '../../../lib/batch/from-rows.js'
import type { Row } from '../../../lib/batch/row-factory.js'
import { ask, errorOf, everyWay, nobody, same, typesOf, withCache } from '../../types/support.js'

const micros = '2024-01-02 03:04:05.678901'
const instants = (ids: readonly number[], type = 'timestamptz') => fromColumns({ id: ids, at: ids.map(() => micros) }, { types: { at: type } })

describe('an answer of RowBatches', () => {
  it('is refused by name where plain rows are among them, and leaves no poison', () => withCache(async cache => {
    for (const answer of [() => [instants([1]), { id: 2, at: new Date(0) }], () => [{ id: 1, at: new Date(0) }, instants([2])], () => [instants([1, 2]), 'text']]) {
      const error = await errorOf(ask(cache, { ids: [1, 2], columns: ['at'], fetcher: answer as never }))
      expect(error).to.include({ code: 'ERR_FETCHER_CONTRACT' })
      expect(error.message).to.contain('mixes plain rows and RowBatches').and.contain('fromRows(rows, { types })')
    }
    const table = await everyWay(cache, { ids: [1, 2], columns: ['at'], fetcher: () => [instants([1]), instants([2])] as never }, [1, 2].map(id => ({ id, at: new Date('2024-01-02T03:04:05.678Z') })))
    same(table.column('at'), BigInt64Array.of(1704164645678901n, 1704164645678901n))
  }))

  it('keeps each type exactly, or conflicts: nothing becomes text or another kind of time on the way', () => withCache(async cache => {
    const decimals = (id: number, type: string, value: string) => fromColumns({ id: [id], n: [value] }, { types: { n: type } })
    const pairs = [[instants([1]), instants([2], 'timestamp'), 'at', 'timestamptz', 'timestamp'], [decimals(1, 'decimal(5,2)', '1.50'), decimals(2, 'decimal(6,3)', '1.5'), 'n', 'decimal(5,2)', 'decimal(6,3)'],
      [decimals(1, 'date', '2024-02-29'), decimals(2, 'text', 'x'), 'n', 'date', 'text']] as const
    for (const [first, second, column, cached, seen] of pairs) {
      const request = { ids: [1, 2], columns: [column], fetcher: () => [first, second] as never }
      expect(await errorOf(ask(cache, request))).to.include({ code: 'ERR_SCHEMA_CONFLICT', column, cached, seen })
      // declaring one type is the way out
      const table = await ask(cache, { ...request, columnTypes: { [column]: 'text' } })
      expect(typesOf(table)).to.deep.equal([`${column}: text`])
      same(table.column(column), [first, second].map(batch => batch === first && column === 'at' ? `${micros}+00` : column === 'at' ? micros : (batch.toRows()[0] as Row)[column]))
      await cache.cache.clear()
    }
  }))

  it('lets the rows of a batch that lacks a column fail alone, and takes nothing from the others', () => withCache(async cache => {
    const bare = fromColumns({ id: [2, 4], n: [2, 4] })
    const whole = fromColumns({ id: [3, 1], n: [3, 1], at: [micros, micros] }, { types: { at: 'timestamptz' } })
    for (const answer of [[bare, whole], [whole, bare]]) {
      const error = await errorOf(ask(cache, { ids: [1, 2, 3, 4], columns: ['at', 'n'], fetcher: () => answer as never }))
      expect(error).to.include({ code: 'ERR_COLUMN_NOT_FOUND' })
      expect(error.message).to.contain('absent in the rows of ids 2, 4')
      const table = await ask(cache, { ids: [1, 3], columns: ['at', 'n'], fetcher: nobody })
      same(table.column('at'), BigInt64Array.of(1704164645678901n, 1704164645678901n))
      expect(typesOf(table)).to.deep.equal(['at: timestamptz', 'n: int64'])
      await cache.cache.clear()
    }
  }))

  it('may bring a document in one batch and its dotted column in the next', () => withCache(async cache => {
    const rows = [{ id: 1, 'm.a': 1 }, { id: 2, 'm.a': 2 }, { id: 3, 'm.a': null }, { id: 4, 'm.a': 4 }]
    const batches = [fromColumns({ id: [2], 'm.a': [2] }), fromColumns({ id: [1], m: [{ a: 1 }] }), fromColumns({ id: [4, 3], m: ['{"a":4}', 'null'] })]
    await everyWay(cache, { ids: [1, 2, 3, 4], columns: ['m.a'], fetcher: () => batches as never }, rows)
    const error = await errorOf(ask(cache, { ids: [1, 2], columns: ['m.at'], fetcher: () => [fromColumns({ id: [1], 'm.at': [micros] }, { types: { 'm.at': 'timestamptz' } }), fromColumns({ id: [2], m: ['{"at":1}'] })] as never }))
    expect(error).to.include({ code: 'ERR_COLUMN_NOT_FOUND' })
    expect(error.message).to.contain('ids 1')
  }))

  it('does not take a real name with a dot for a path: types that mix there conflict', () => withCache(async cache => {
    const answer = [fromColumns({ id: [1], 'a.b': [1] }), fromColumns({ id: [2], 'a.b': ['x'] })]
    expect(await errorOf(ask(cache, { ids: [1, 2], columns: ['a\\.b'], fetcher: () => answer as never }))).to.include({ code: 'ERR_SCHEMA_CONFLICT', column: 'a.b' })
    const table = await everyWay(cache, { ids: [1, 2], columns: ['a.b'], fetcher: () => answer as never }, [{ id: 1, 'a.b': 1 }, { id: 2, 'a.b': 'x' }])
    expect(typesOf(table)).to.deep.equal(['a.b: json'])
  }))

  it('counts equal repeats across batches once, and fails an id whose rows differ, in microseconds too', () => withCache(async cache => {
    const later = fromColumns({ id: [1], at: ['2024-01-02 03:04:05.678902'] }, { types: { at: 'timestamptz' } })
    expect((await ask(cache, { ids: [1], columns: ['at'], fetcher: () => [instants([1]), instants([1])] as never })).length).to.equal(1)
    expect(await errorOf(ask(cache, { ids: [1], columns: ['at'], refresh: true, fetcher: () => [instants([1]), later] as never }))).to.include({ code: 'ERR_FETCHER_CONTRACT' })
    const documents = [{ a: 1, b: 2 }, { b: 2, a: 1 }].map(doc => fromRows([{ id: 1, doc }]))
    await everyWay(cache, { ids: [1], columns: ['doc'], fetcher: () => documents as never }, [{ id: 1, doc: { a: 1, b: 2 } }])
  }))
})
