import { expect } from 'chai'
import { SchemaConflictError } from '../../lib/errors.js'
import { RowBatch } from '../../lib/batch/row-batch.js'
import { fromColumns, fromRows } from '../../lib/batch/from-rows.js'
import { ask, errorOf, everyWay, nobody, rowsOf, same, typesOf, withCache } from './support.js'

const when = new Date('2024-01-02T03:04:05.678Z')

describe('types of fetcher rows', () => {
  it('infers one type per column and gives every value back, cold, warm, reopened and compacted', () => withCache(async cache => {
    const rows = [
      { id: 1, i: 5, w: 9007199254740993n, f: 0.1, z: -0, b: true, t: 'x', d: when, y: Uint8Array.of(0, 255), o: { a: [1, null, 'x', { b: -0 }] }, n: null },
      { id: 2, i: null, w: 1, f: NaN, z: 0, b: false, t: '', d: null, y: new Uint8Array(0), o: [], n: null },
      { id: 3, i: -7, w: -9223372036854775808n, f: -Infinity, z: 1, b: null, t: '\u0000\ufeff😀', d: new Date(-1), y: null, o: null, n: null },
    ]
    const columns = Object.keys(rows[0]!).filter(name => name !== 'id')
    const table = await everyWay(cache, { ids: [1, 2, 3], columns, fetcher: rowsOf(rows) }, rows)
    expect(typesOf(table)).to.deep.equal(['i: int64', 'w: int64', 'f: float64', 'z: float64', 'b: bool', 't: text', 'd: timestamptz', 'y: bytes', 'o: json', 'n: null'])
  }))

  it('widens null → anything and safe integers → doubles, between batches and between runs', () => withCache(async cache => {
    const rows = [{ id: 1, a: null, n: 1 }, { id: 2, a: 'x', n: 2 }, { id: 3, a: null, n: 2.5 }, { id: 4, a: 'y', n: 9007199254740991 }]
    await ask(cache, { ids: [1], columns: ['a', 'n'], fetcher: rowsOf(rows) })
    await ask(cache, { ids: [2, 3], columns: ['a', 'n'], fetcher: rowsOf(rows), batchSize: 1 })
    const table = await everyWay(cache, { ids: [1, 2, 3, 4], columns: ['a', 'n'], fetcher: rowsOf(rows) }, rows)
    expect(typesOf(table)).to.deep.equal(['a: text', 'n: float64'])
  }))

  it('knows no other step: the conflict names column, both types and the ways out', () => withCache(async cache => {
    for (const [first, second] of [[1, 'x'], ['x', 1], [true, 1], [9007199254740993n, 0.5], [0.5, 9007199254740993n], [when, 'x'], [{}, 'x'], [Uint8Array.of(1), 'x']]) {
      const column = `c${typeof first}${typeof second}${String(first)}`.replaceAll(/\W/g, '')
      await ask(cache, { ids: [1], columns: [column], fetcher: () => [{ id: 1, [column]: first }] })
      const error = await errorOf(ask(cache, { ids: [2], columns: [column], fetcher: () => [{ id: 2, [column]: second }] }))
      expect(error).to.be.instanceOf(SchemaConflictError)
      expect(error).to.include({ column, code: 'ERR_SCHEMA_CONFLICT' })
      expect(error.message).to.match(/cached as \w+, now seen as \w+/).and.contain('columnTypes').and.contain('refresh')
      const within = await errorOf(ask(cache, { ids: [3, 4], columns: [`${column}w`], fetcher: () => [{ id: 3, [`${column}w`]: first }, { id: 4, [`${column}w`]: second }] }))
      expect(within).to.be.instanceOf(SchemaConflictError)
    }
  }))

  it('lets a batch that conflicts leave no trace, not even in the types of its other columns', () => withCache(async cache => {
    await ask(cache, { ids: [1], columns: ['a', 'b'], fetcher: () => [{ id: 1, a: null, b: 1 }] })
    const error = await errorOf(ask(cache, { ids: [2, 3], columns: ['a', 'b'], batchSize: 1,
      fetcher: ids => ids.map(id => id === 2 ? { id, a: 5, b: 'text' } : { id, a: 'five', b: 3 }) }))
    expect(error).to.include({ code: 'ERR_SCHEMA_CONFLICT', column: 'b' })
    const table = await ask(cache, { ids: [1, 3], columns: ['a', 'b'], fetcher: () => { throw new Error('asked') } })
    same(table.toRows(), [{ id: 1, a: null, b: 1 }, { id: 3, a: 'five', b: 3 }])
  }))

  it('lets a row that fails have no say in the types of the others', () => withCache(async cache => {
    const error = await errorOf(ask(cache, { ids: [1, 2, 3], columns: ['n', 'd.a'], fetcher: () => [
      { id: 1, n: 1, d: '{"a":1}' }, { id: 2, n: 'odd', d: '{broken' }, { id: 3, n: 3, d: '{"a":3}' }] }))
    expect(error).to.include({ code: 'ERR_JSON_PARSE', column: 'd', id: 2 })
    same((await ask(cache, { ids: [1, 3], columns: ['n', 'd.a'], fetcher: rowsOf([]) })).toRows(), [{ id: 1, n: 1, 'd.a': 1 }, { id: 3, n: 3, 'd.a': 3 }])
  }))

  describe('the ways out of a conflict', () => {
    it('columnTypes renews the cached rows of the column under the declared type', () => withCache(async cache => {
      await ask(cache, { ids: [1, 2], columns: ['n', 'm'], fetcher: rowsOf([{ id: 1, n: 1, m: 1 }, { id: 2, n: 2, m: 2 }]) })
      const rows = [{ id: 1, n: '1', m: 1 }, { id: 2, n: '2b', m: 2 }, { id: 3, n: '3', m: 3 }]
      const columnTypes = { n: 'text' }
      const table = await everyWay(cache, { ids: [1, 2, 3], columns: ['n', 'm'], columnTypes, fetcher: rowsOf([{ id: 1, n: 1, m: 1 }, rows[1]!, rows[2]!]) }, rows)
      expect(typesOf(table)).to.deep.equal(['n: text', 'm: int64'])
      // and the table has that type from now on, declared or not
      same((await ask(cache, { ids: [1, 2, 3], columns: ['n'], fetcher: rowsOf([]) })).toRows(), rows.map(({ id, n }) => ({ id, n })))
    }))

    it('refresh takes the type the source has now; rows of the old type count as missing', () => withCache(async cache => {
      await ask(cache, { ids: [1, 2, 3], columns: ['n'], fetcher: rowsOf([{ id: 1, n: 1 }, { id: 2, n: 2 }, { id: 3, n: 3 }]) })
      const rows = [{ id: 1, n: 'one' }, { id: 2, n: 'two' }, { id: 3, n: 'three' }]
      same((await ask(cache, { ids: [1], columns: ['n'], fetcher: rowsOf(rows), refresh: true })).toRows(), [rows[0]])
      const asked: unknown[] = []
      const table = await ask(cache, { ids: [1, 2, 3], columns: ['n'], fetcher: ids => { asked.push(...ids); return rows } })
      same(asked, [2, 3])
      same(table.toRows(), rows)
      await everyWay(cache, { ids: [1, 2, 3], columns: ['n'], fetcher: rowsOf([]) }, rows)
    }))

    it('holds after a compaction too: rows of the old type are missing, not null', () => withCache(async cache => {
      const rows = [{ id: 1, n: 'one', m: 1 }, { id: 2, n: 'two', m: 2 }]
      await ask(cache, { ids: [1, 2], columns: ['n', 'm'], fetcher: rowsOf(rows.map(({ id, m }) => ({ id, n: id, m }))) })
      await ask(cache, { ids: [1], columns: ['n', 'm'], fetcher: rowsOf(rows), refresh: true })
      await cache.cache.compact()
      same((await ask(cache, { ids: [2], columns: ['m'], fetcher: nobody })).toRows(), [{ id: 2, m: 2 }])
      const asked: unknown[] = []
      same((await ask(cache, { ids: [1, 2], columns: ['n', 'm'], fetcher: ids => { asked.push(...ids); return rows } })).toRows(), rows)
      same(asked, [2])
    }))

    it('never lets an older value come back, not even when its type counts again and parts are folded', () => withCache(async cache => {
      const many = Array.from({ length: 5000 }, (_, id) => ({ id, n: `old ${id} ${'x'.repeat(50)}` }))
      await ask(cache, { ids: many.map(row => row.id), columns: ['n'], fetcher: () => many })
      await ask(cache, { ids: [2], columns: ['n'], refresh: true, fetcher: () => [{ id: 2, n: 5 }] })
      for (let id = 6000; id < 6012; id++) await ask(cache, { ids: [id], columns: ['n'], refresh: id === 6000, fetcher: () => [{ id, n: 'text again' }] })
      const store = cache.cache.store.table('public.t')
      await store.settled()
      expect((await store.manifest()).parts.length).to.be.lessThan(12)
      const asked: unknown[] = []
      const table = await ask(cache, { ids: [1, 2, 3], columns: ['n'], fetcher: ids => { asked.push(...ids); return [{ id: 2, n: 'new' }] } })
      same(asked, [2])
      same(table.column('n'), [many[1]!.n, 'new', many[3]!.n])
    }))

    it('refresh does not mix types of one run either', () => withCache(async cache => {
      await ask(cache, { ids: [1], columns: ['n'], fetcher: () => [{ id: 1, n: 1 }] })
      const error = await errorOf(ask(cache, { ids: [1, 2], columns: ['n'], batchSize: 1, refresh: true, fetcher: ([id]) => [{ id, n: id === 1 ? 1 : 'two' }] }))
      expect(error).to.include({ code: 'ERR_SCHEMA_CONFLICT', column: 'n', cached: 'int64', seen: 'text' })
    }))

    it('declares what a RowBatch brings as well, through its text and not its bits', () => withCache(async cache => {
      const batch = fromColumns({ id: [1], at: ['2024-01-02 03:04:05.678901'], on: ['2024-02-29'], n: [5] }, { types: { at: 'timestamptz', on: 'date' } })
      const table = await ask(cache, { ids: [1], columns: ['at', 'on', 'n'], columnTypes: { at: 'text', on: 'text', n: 'text' }, fetcher: () => batch })
      same(table.toRows(), [{ id: 1, at: '2024-01-02 03:04:05.678901+00', on: '2024-02-29', n: '5' }])
    }))

    it('holds for a ready-made dotted column of a RowBatch', () => withCache(async cache => {
      const batch = fromColumns({ id: [1], 'm.a': [5] })
      same((await ask(cache, { ids: [1], columns: ['m.a'], columnTypes: { 'm.a': 'text' }, fetcher: () => batch })).toRows(), [{ id: 1, 'm.a': '5' }])
    }))
  })

  describe('dotted columns', () => {
    it('become json for the whole table once they mix, each value keeping its own type, earlier ones included', () => withCache(async cache => {
      const values = [1, 'x', true, null, 0.5, { a: 1 }, [1, '1'], '1', '', -0, '"', 9007199254740991]
      const rows = values.map((value, i) => ({ id: i, 'm.v': value }))
      for (const [i, row] of rows.entries()) await ask(cache, { ids: [i], columns: ['m.v'], fetcher: () => [{ id: i, m: { v: row['m.v'] } }] })
      const table = await everyWay(cache, { ids: rows.map(row => row.id), columns: ['m.v'], fetcher: rowsOf([]) }, rows)
      expect(typesOf(table)).to.deep.equal(['m.v: json'])
    }))

    it('refuse what JSON has no form for instead of turning it into json', () => withCache(async cache => {
      for (const [i, odd] of [9007199254740993n, when, Uint8Array.of(1)].entries()) {
        const column = `m.o${i}`
        const rows = [{ id: 1, [column]: odd }]
        await everyWay(cache, { ids: [1], columns: [column], fetcher: rowsOf(rows) }, rows)
        const error = await errorOf(ask(cache, { ids: [2], columns: [column], fetcher: rowsOf([{ id: 2, [column]: 'x' }]) }))
        expect(error, column).to.include({ code: 'ERR_SCHEMA_CONFLICT', column })
        const within = await errorOf(ask(cache, { ids: [3, 4], columns: [`${column}w`], fetcher: rowsOf([{ id: 3, [`${column}w`]: odd }, { id: 4, [`${column}w`]: 'x' }]) }))
        expect(within, column).to.include({ code: 'ERR_SCHEMA_CONFLICT' })
      }
      const error = await errorOf(ask(cache, { ids: [1, 2], columns: ['m.nan'], fetcher: rowsOf([{ id: 1, 'm.nan': NaN }, { id: 2, 'm.nan': 1 }]) }))
      expect(error).to.include({ code: 'ERR_FETCHER_CONTRACT' })
      expect(error.message).to.match(/m\.nan of id 1.*NaN/)
    }))

    it('keep infinite numbers, which JSON text can spell, when they become json', () => withCache(async cache => {
      const rows = [{ id: 1, 'm.v': Infinity }, { id: 2, 'm.v': 'x' }, { id: 3, 'm.v': -Infinity }]
      await everyWay(cache, { ids: [1, 2, 3], columns: ['m.v'], fetcher: () => [{ id: 1, m: '{"v":1e400}' }, { id: 2, m: '{"v":"x"}' }, { id: 3, m: '{"v":-1e400}' }] }, rows)
    }))
  })

  describe('json columns', () => {
    it('refuse, naming the place, what JSON would change in silence', () => withCache(async cache => {
      const odd: Record<string, unknown> = { nan: { a: [1, NaN] }, bigint: [1n], map: { m: new Map() }, set: new Set([1]), bytes: { b: Uint8Array.of(1) },
        fn: { f: () => 1 }, symbol: [Symbol('x')], hole: [undefined], weak: new WeakMap(), regexp: { r: /x/ } }
      for (const [name, value] of Object.entries(odd)) {
        const error = await errorOf(ask(cache, { ids: [1], columns: [name], fetcher: () => [{ id: 1, [name]: value }] }))
        expect(error, name).to.include({ code: 'ERR_FETCHER_CONTRACT' })
        expect(error.message, name).to.contain(`column ${name} of id 1`)
      }
      const cycle: Record<string, unknown> = {}
      cycle['self'] = { cycle }
      expect(await errorOf(ask(cache, { ids: [1], columns: ['c'], fetcher: () => [{ id: 1, c: cycle }] }))).to.include({ code: 'ERR_FETCHER_CONTRACT' })
    }))

    it('take what an object says of itself (toJSON), leave out undefined properties, keep lone surrogates, infinities and -0', () => withCache(async cache => {
      class Money { constructor(readonly cents: number) {} toJSON(): unknown { return { cents: this.cents } } }
      await everyWay(cache, { ids: [1], columns: ['o'], fetcher: () => [{ id: 1, o: { at: when, m: new Money(5), gone: undefined, most: [Infinity, -Infinity, -0], s: '\ud800', k: { '\udfff': 1 } } }] },
        [{ id: 1, o: { at: when.toISOString(), m: { cents: 5 }, most: [Infinity, -Infinity, -0], s: '\ud800', k: { '\udfff': 1 } } }])
    }))
  })

  it('gives bytes as Uint8Arrays of their own, whatever the fetcher had', () => withCache(async cache => {
    const buffer = Buffer.from([1, 2, 3])
    const table = await everyWay(cache, { ids: [1], columns: ['b'], fetcher: () => [{ id: 1, b: buffer }] }, [{ id: 1, b: Uint8Array.of(1, 2, 3) }])
    ;(table.toRows()[0]!['b'] as Uint8Array).fill(9)
    same(table.toRows(), [{ id: 1, b: Uint8Array.of(1, 2, 3) }])
  }))

  it('gives an int64 column() the same kind of array whatever else its part holds', () => withCache(async cache => {
    const rows = [{ id: 1, n: 1 }, { id: 2, n: 9007199254740993n }, { id: 3, n: 3 }]
    await ask(cache, { ids: [1, 2, 3], columns: ['n'], fetcher: rowsOf(rows) })
    expect((await ask(cache, { ids: [1, 3], columns: ['n'], fetcher: rowsOf([]) })).column('n')).to.deep.equal(Float64Array.of(1, 3))
    expect((await ask(cache, { ids: [1, 2], columns: ['n'], fetcher: rowsOf([]) })).column('n')).to.deep.equal(BigInt64Array.of(1n, 9007199254740993n))
  }))

  it('refuses two columns of one name and a column called __proto__ in a batch', () => {
    const { schema, vectors } = fromRows([{ id: 1, a: 1 }])
    expect(() => new RowBatch([...schema, schema[1]!], [...vectors, vectors[1]!])).to.throw(/column a.*once|a again/)
    expect(() => new RowBatch([schema[0]!, { ...schema[1]!, name: '__proto__' }], vectors)).to.throw(/__proto__/)
    expect(() => fromColumns(JSON.parse('{"id":[1],"__proto__":[2]}') as Record<string, number[]>)).to.throw(/__proto__/)
  })
})
