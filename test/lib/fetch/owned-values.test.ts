import { expect } from 'chai'
import { fromColumns, fromRows } from '../../../lib/batch/from-rows.js'
import type { Id } from '../../../lib/batch/ids.js'
import type { Row } from '../../../lib/batch/row-factory.js'
import type { Fetcher } from '../../../lib/source/fetcher.js'
import { streamData } from '../../../pipelines/stream-data.js'
import { errorOf, everyWay, nobody, same, withCache } from '../../types/support.js'

const ids = [1, 2, 3, 4]
const columns = ['doc', 'doc.city', 'doc.deep', 'other.tags.0', 'at', 'bytes', 'list', 'stamps', 'ready.x']
const columnTypes = { stamps: 'list<timestamptz>', 'ready.x': 'json' }

/** The values of one row, written into objects that may be the same for all rows. */
function write(into: Row & { doc: Row & { deep: Row }, other: { tags: string[] }, at: Date, bytes: Uint8Array, list: unknown[], stamps: Date[], 'ready.x': Row }, id: Id): Row {
  const n = Number(id)
  into['id'] = id
  into.doc['city'] = `city ${n}`
  into.doc.deep['n'] = n
  into.other.tags[0] = `tag ${n}`
  into.at.setTime(n * 1000)
  into.bytes.fill(n)
  into.list.splice(0, into.list.length, n, { of: n })
  into.stamps[0]!.setTime(n)
  into['ready.x']['n'] = n
  return into
}
const empty = (): Parameters<typeof write>[0] => ({ doc: { deep: {} }, other: { tags: [''] }, at: new Date(0), bytes: new Uint8Array(2), list: [], stamps: [new Date(0)], 'ready.x': {} })

const expected = ids.map(n => ({ id: n, doc: { city: `city ${n}`, deep: { n } }, 'doc.city': `city ${n}`, 'doc.deep': { n }, 'other.tags.0': `tag ${n}`, at: new Date(n * 1000),
  bytes: Uint8Array.of(n, n), list: [n, { of: n }], stamps: [new Date(n)], 'ready.x': { n } })).map(row => ({ id: row.id, ...Object.fromEntries(columns.map(name => [name, (row as Row)[name]])) }))

describe('values of a fetcher\'s rows', () => {
  const fetchers: Record<string, Fetcher> = {
    'one row, with one document, array, Date and buffer in it, for all ids': function * (asked) {
      const reused = empty()
      for (const id of asked) yield write(reused, id)
    },
    'one row for all ids, asynchronously': async function * (asked) {
      const reused = empty()
      for (const id of asked) yield await Promise.resolve(write(reused, id))
    },
    'rows of its own whose insides it changes as soon as the next one is asked for': function * (asked) {
      for (const id of asked) {
        const row = empty()
        yield write(row, id)
        write(row, 99)
      }
    },
    'an array whose rows it changes once the answer was given': asked => {
      const rows = asked.map(id => write(empty(), id))
      queueMicrotask(() => setImmediate(() => { for (const row of rows) write(row as Parameters<typeof write>[0], 99) }))
      return rows
    },
    'a RowBatch, and then changes what it was made of': async function * (asked) {
      const rows = asked.map(id => write(empty(), id)) as Parameters<typeof write>[0][]
      yield fromColumns(Object.fromEntries(['id', 'doc', 'other', 'at', 'bytes', 'list', 'stamps', 'ready.x'].map(name => [name, rows.map(row => row[name])])), { types: { stamps: 'list<timestamptz>' } })
      for (const row of rows) write(row, 99)
      await Promise.resolve()
    }
  }
  for (const [how, fetcher] of Object.entries(fetchers)) {
    it(`are those it had when it gave them, though it gives ${how}`, () => withCache(async cache => {
      await everyWay(cache, { ids, columns, columnTypes, fetcher }, expected)
    }))
  }

  it('are never shared with the caller: what one reader does to its rows no other sees', () => withCache(async cache => {
    const given = ids.map(id => write(empty(), id))
    const table = await everyWay(cache, { ids, columns, columnTypes, fetcher: () => given }, expected)
    for (const row of table.toRows() as Parameters<typeof write>[0][]) {
      row.doc['city'] = 'spoilt'
      row.at.setTime(0)
      row.bytes.fill(0)
      row.list.push('spoilt')
      row.stamps[0]!.setTime(0)
    }
    same(table.toRows(), expected)
    same((given[0] as Row)['bytes'], Uint8Array.of(1, 1))
  }))

  for (const kind of ['plain rows', 'a RowBatch'] as const) {
    it(`of ${kind} are cached as they came, whatever the reader of a stream does to its batches' columns and ids meanwhile`, () => withCache(async cache => {
      const rows = ids.map(id => ({ id, n: id + 0.5, i: id, t: `text ${5 - id}`, at: new Date(id), b: Uint8Array.of(id), o: { id } }))
      const request = { ids, columns: ['n', 'i', 't', 'at', 'b', 'o'] }
      const fetcher: Fetcher = asked => [kind === 'plain rows' ? rows.filter(row => asked.includes(row.id)) : fromRows(rows.filter(row => asked.includes(row.id)))] as never
      for await (const batch of streamData({ ...request, table: 'public.t', cache: cache.cache, fetcher, batchSize: 2 })) {
        for (const name of batch.columnNames) {
          const column = batch.column(name) as unknown[]
          column.reverse()
          if (name === 'b') (column[0] as Uint8Array).fill(99)
          if (name === 'o') (column[0] as Row)['id'] = 99
          column[0] = column.at(-1)
        }
        batch.ids.fill(99 as never)
        same(batch.toRows(), rows)
      }
      await everyWay(cache, { ...request, fetcher: nobody }, rows)
    }))
  }

  describe('in a second row of an id', () => {
    const twice = (first: unknown, second: unknown, wanted: readonly string[]) => withCache(async cache => {
      const rows = [first, second].map(doc => ({ id: 1, doc }))
      return await errorOf(everyWay(cache, { ids: [1], columns: wanted, fetcher: () => rows }, []).then(() => { throw new Error('nothing') }))
    })
    it('are the same however the document is written, and differ where what was asked for differs', async () => {
      const forms = (a: number, rest: number): unknown[] => [{ a, rest: { x: rest, y: 1 } }, { rest: { y: 1, x: rest }, a }, `{"a":${a},"rest":{"x":${rest},"y":1}}`, ` {"rest":{"y":1,"x":${rest}}, "a": ${a}} `]
      for (const first of forms(1, 5)) {
        for (const [i, again] of forms(1, 5).entries()) {
          const error = await twice(first, again, ['doc.a', 'doc.rest'])
          expect(error.message, `${String(first)} ${i}`).to.match(/^cold: /)
        }
        // another document, but not where anybody looks
        for (const again of forms(1, 6)) expect((await twice(first, again, ['doc.a'])).message).to.match(/^cold: /)
        for (const again of forms(2, 5)) expect(await twice(first, again, ['doc.a'])).to.include({ code: 'ERR_FETCHER_CONTRACT' })
      }
      expect(await twice({ a: 1 }, { a: 2 }, ['doc'])).to.include({ code: 'ERR_FETCHER_CONTRACT' })
      expect((await twice({ a: 1, b: 2 }, { b: 2, a: 1 }, ['doc'])).message).to.match(/^cold: /)
      expect(await twice('{"a":1}', '{oops', ['doc.a'])).to.include({ code: 'ERR_FETCHER_CONTRACT' })
    })
  })

  it('that have no JSON form are refused by name, and by their own reason', () => withCache(async cache => {
    const throwing = { get inside() { throw new Error('no entry') } }
    for (const doc of [throwing, { f: () => 1 }, [1n]]) {
      const fetcher: Fetcher = () => [{ id: 1, doc }, { id: 1, doc }, { id: 2, doc: { fine: true } }]
      const error = await errorOf(everyWay(cache, { ids: [1, 2], columns: ['doc'], fetcher, refresh: true }, []))
      expect(error).to.include({ code: 'ERR_FETCHER_CONTRACT' })
      expect(error.message).to.match(/column doc of id 1: .*(no entry|a function|a bigint)/)
    }
  }))
})
