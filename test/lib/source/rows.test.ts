import { expect } from 'chai'
import type { Row } from '../../../lib/batch/row-factory.js'
import { rowsSource } from '../../../lib/source/rows.js'
import type { Id } from '../../../lib/batch/ids.js'
import type { Source } from '../../../lib/source/fetcher.js'
import { requestOf } from '../../support/fetch-request.js'

const rowsOf = (source: Source, ids: readonly Id[], columns: readonly string[], idColumn = 'id'): Row[] =>
  [...source.fetch(ids, 'any.table', requestOf(columns, { idColumn })) as Iterable<Row>]

describe('rowsSource', () => {
  const rows = [{ id: 1, name: 'a', meta: { x: 1 } }, { id: 2n ** 60n, name: 'b' }, { id: '7', name: null }]

  it('returns only the asked rows and columns, absent keys absent', () => {
    const source = rowsSource(rows)
    expect(rowsOf(source, [2n ** 60n, 1, 99], ['name', 'meta.x'])).to.deep.equal([{ id: 2n ** 60n, name: 'b' }, { id: 1, name: 'a', meta: { x: 1 } }])
    expect(rowsOf(source, [7], ['name'])).to.deep.equal([{ id: '7', name: null }])
  })

  it('finds ids under another name, and hands out copies', () => {
    const own = [{ key: 5, v: 1 }]
    const source = rowsSource(own, { idColumn: 'key' })
    const [row] = rowsOf(source, [5], ['v'], 'key')
    row!['v'] = 2
    expect(own[0]!.v).to.equal(1)
  })

  it('refuses rows without an id and ids given twice', () => {
    for (const bad of [[{ name: 'x' }], [{ id: 1.5 }], [{ id: '07' }], [null as unknown as Row], [{ id: 1 }, { id: 1n }]]) {
      expect(() => rowsSource(bad)).to.throw().with.property('code', 'ERR_INVALID_ARGUMENT')
    }
  })

  it('has no query language', async () => {
    const source = rowsSource([])
    const code = (error: unknown): unknown => (error as { code: unknown }).code
    expect(await source.execute('SELECT 1').catch(code)).to.equal('ERR_UNSUPPORTED_QUERY')
    expect(await source.query('SELECT 1')[Symbol.asyncIterator]().next().catch(code)).to.equal('ERR_UNSUPPORTED_QUERY')
  })
})
