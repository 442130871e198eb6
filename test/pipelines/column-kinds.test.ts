import { expect } from 'chai'
import { fromRows, getData, type Id, type Row } from '../../index.js'
import { freshCache } from '../support/cache.js'

const TYPES = { a: 'int32', b: 'int64', c: 'float32', d: 'float64', e: 'timestamp', f: 'timestamptz' } as const
const NAMES = Object.keys(TYPES)

describe('column()', () => {
  const cache = freshCache()

  it('is typed where nothing asked for is null, whatever else the part holds', async () => {
    const valueOf = (name: string, id: number): unknown => name === 'e' || name === 'f' ? new Date(id * 1000) : name === 'c' || name === 'd' ? id / 4 : id
    const fetcher = (ids: readonly Id[]): Promise<Row[]> => Promise.resolve(ids.map(id =>
      ({ id, ...Object.fromEntries(NAMES.map(name => [name, id === 50 ? null : valueOf(name, Number(id))])) })))
    const kinds = async (ids: readonly number[], fresh = false): Promise<unknown[]> => {
      const table = await getData({ ids, columns: NAMES, columnTypes: TYPES, table: fresh ? `a.t${ids.length}` : 'a.b', cache: cache(), fetcher })
      return NAMES.map(name => [table.column(name).constructor.name, [...table.column(name) as unknown[]]])
    }
    await kinds(Array.from({ length: 100 }, (_, i) => i))
    for (const ids of [[1, 2, 3], [7], [1, 40, 60, 90], [51, 52]]) {
      const hit = await kinds(ids)
      expect(hit).to.deep.equal(await kinds(ids, true))
      expect(hit.map(kind => (kind as unknown[])[0])).to.deep.equal(['Int32Array', 'Float64Array', 'Float32Array', 'Float64Array', 'BigInt64Array', 'BigInt64Array'])
    }
    expect((await kinds([49, 50])).map(kind => (kind as unknown[])[0])).to.deep.equal(NAMES.map(() => 'Array'))
  })

  it('is of one kind where batches have integers of 32 bits and wider numbers', async () => {
    const rows = (type: string, more: (id: number) => number) => (ids: readonly Id[]): Promise<unknown> =>
      Promise.resolve(fromRows(ids.map(id => ({ id, n: more(Number(id)) })), { types: { n: type } }))
    for (const [type, more] of [['float64', (id: number) => id + 0.5], ['int64', (id: number) => id]] as const) {
      const table = `a.${type}`
      await getData({ ids: Array.from({ length: 70_000 }, (_, i) => i), columns: ['n'], table, cache: cache(), fetcher: rows('int32', id => id) as never })
      const request = { ids: Array.from({ length: 140_000 }, (_, i) => i), columns: ['n'], table, cache: cache(), fetcher: rows(type, more) as never }
      const [first, again] = [await getData(request), await getData(request)]
      expect([first.column('n').constructor.name, again.column('n').constructor.name]).to.deep.equal(['Float64Array', 'Float64Array'])
      expect(first.column('n')).to.deep.equal(again.column('n'))
    }
  })

  it('holds a bigint that is a safe integer beside a double as the number it is', async () => {
    const values: unknown[] = [2n, 0.5, 3]
    const table = await getData({ ids: [1, 2, 3], columns: ['n'], table: 'a.b', cache: cache(), fetcher: ids => Promise.resolve(ids.map((id, i) => ({ id, n: values[i] }))) })
    expect([...table.column('n') as Float64Array]).to.deep.equal([2, 0.5, 3])
  })
})
