import { expect } from 'chai'
import fc from 'fast-check'
import { fromColumns } from '../../lib/batch/from-rows.js'
import type { Row } from '../../lib/batch/row-factory.js'
import { extractJsonValue } from '../../lib/json/extract.js'
import { escapeColumnName } from '../../lib/json/column-name.js'
import { jsonText } from '../../lib/json/json-text.js'
import { ask, errorOf, everyWay, nobody, rowsOf, same, withCache } from './support.js'

const DOCUMENT = '{"a":{"b":{"c":1}},"list":[10,{"x":"y"},[1,2]],"a.b":"dotted","":{"":"empty"},"n":null,"s":"text","num":5,"t":true,' +
  '"__proto__":{"polluted":"own"},"constructor":{"name":"mine"},"hasOwnProperty":7,"length":3,"0":"zero","back\\\\slash":8,"big":9007199254740993,"e":1e400,"z":-0}'

/** What each path must give. */
const PATHS: readonly (readonly [string, unknown])[] = [
  ['a.b.c', 1], ['a.b', { c: 1 }], ['a.b.c.d', null], ['a.x', null], ['list.0', 10], ['list.1.x', 'y'], ['list.2.1', 2], ['list.3', null],
  ['list.-1', null], ['list.01', null], ['list.length', null], ['list.', null], ['a\\.b', 'dotted'], ['.', 'empty'], ['', { '': 'empty' }],
  ['n', null], ['n.x', null], ['s', 'text'], ['s.0', null], ['s.length', null], ['num', 5], ['num.toFixed', null], ['t', true],
  ['__proto__.polluted', 'own'], ['__proto__.toString', null], ['constructor.name', 'mine'], ['constructor.prototype', null], ['toString', null],
  ['hasOwnProperty', 7], ['valueOf.name', null], ['length', 3], ['0', 'zero'], ['back\\\\slash', 8], ['big', 9007199254740992], ['e', Infinity], ['z', -0],
  ['a.__proto__', null], ['list.__proto__', null], ['list.constructor', null], ['missing', null], ['missing.deeper.still', null],
]

const names = PATHS.map(([path]) => `m.${path}`)
const expected: Row = { id: 1, ...Object.fromEntries(PATHS.map(([path, value]) => [`m.${path}`, value])) }

describe('JSON paths', () => {
  it('follow own properties and array positions, whether the fetcher gives text, objects or the dotted columns', async () => {
    const ready = Object.fromEntries(names.map((name, i) => [name, PATHS[i]![1]]))
    for (const row of [{ m: DOCUMENT }, { m: JSON.parse(DOCUMENT) as unknown }, ready]) {
      await withCache(cache => everyWay(cache, { ids: [1], columns: names, fetcher: () => [{ id: 1, ...row }] }, [expected]))
    }
    // half of them ready-made, half to be read from the document; and in a RowBatch
    const half = Object.fromEntries(Object.entries(ready).filter((_, i) => i % 2 === 0))
    await withCache(cache => everyWay(cache, { ids: [1], columns: names, fetcher: () => [{ id: 1, m: DOCUMENT, ...half }] }, [expected]))
    await withCache(cache => everyWay(cache, { ids: [1], columns: names, fetcher: () => fromColumns({ id: [1], m: [DOCUMENT] }) }, [expected]))
    await withCache(cache => everyWay(cache, { ids: [1], columns: names, fetcher: () => fromColumns({ id: [1], m: [JSON.parse(DOCUMENT)] }) }, [expected]))
    expect(({} as Record<string, unknown>)['polluted']).to.equal(undefined)
    expect(Object.prototype.hasOwnProperty.call(Object.prototype, 'polluted')).to.equal(false)
  })

  it('agree with extractJsonValue', () => {
    for (const [path, value] of PATHS) {
      same(extractJsonValue(DOCUMENT, path), value, path)
      same(extractJsonValue(JSON.parse(DOCUMENT), path), value, path)
    }
  })

  it('find what was put at random paths, and nothing else', () => {
    const key = fc.oneof(fc.string({ maxLength: 4 }), fc.constantFrom('', '.', '\\', '\\.', '__proto__', 'constructor', '0', '-1', 'a.b', 'toString'))
    const scalar = fc.oneof(fc.string(), fc.double({ noNaN: true }), fc.boolean(), fc.constant(null))
    fc.assert(fc.property(fc.array(key, { minLength: 1, maxLength: 6 }), scalar, (keys, value) => {
      const build = keys.reduceRight<unknown>((inner, name) => Object.defineProperty({}, name, { value: inner, enumerable: true }), value)
      const path = keys.map(escapeColumnName).join('.')
      same(extractJsonValue(build, path), value)
      same(extractJsonValue(jsonText(build), path), value)
      same(extractJsonValue(build, `${path}.deeper`), null)
    }), { numRuns: 2000, seed: 5 })
  })

  it('take missing, JSON null and SQL NULL for null, and fail alone the row whose text is no JSON', () => withCache(async cache => {
    const rows = [{ id: 1, m: '{}' }, { id: 2, m: 'null' }, { id: 3, m: null }, { id: 4, m: '{"a":null}' }, { id: 5, m: '7' }, { id: 6, m: '"{\\"a\\":1}"' },
      { id: 7, m: '{oops' }, { id: 8, m: '' }, { id: 9, m: '{"a":1} trailing' }, { id: 10, m: '{"a":1}' }]
    const error = await errorOf(ask(cache, { ids: rows.map(row => row.id), columns: ['m.a'], fetcher: rowsOf(rows) }))
    expect(error).to.include({ code: 'ERR_JSON_PARSE', column: 'm', id: 7 })
    const good = [1, 2, 3, 4, 5, 6, 10]
    same((await ask(cache, { ids: good, columns: ['m.a'], fetcher: nobody })).toRows(), good.map(id => ({ id, 'm.a': id === 10 ? 1 : null })))
    // no poison: once the source is right, so is the answer
    const mended = rows.map(row => ({ id: row.id, m: '{"a":2}' }))
    same((await ask(cache, { ids: [7, 8, 9], columns: ['m.a'], fetcher: rowsOf(mended) })).toRows(), [7, 8, 9].map(id => ({ id, 'm.a': 2 })))
  }))

  it('are not mistaken for a column whose real name has the dot, when both are asked for', () => withCache(async cache => {
    const rows = [{ id: 1, 'a\\.b': 'real', 'a.b': 'inner' }]
    for (const given of [{ id: 1, 'a.b': 'real', a: { b: 'inner' } }, { id: 1, 'a.b': 'real', a: '{"b":"inner"}' }]) {
      await everyWay(cache, { ids: [1], columns: ['a\\.b', 'a.b'], refresh: true, fetcher: () => [given] }, rows)
      await everyWay(cache, { ids: [1], columns: ['a\\.b', 'a.b'], refresh: true, fetcher: () => fromColumns({ id: [1], 'a.b': [given['a.b']], a: [given.a] }) }, rows)
    }
    // asked for alone, the name is the ready-made path
    await everyWay(cache, { ids: [2], columns: ['a.b'], fetcher: () => [{ id: 2, 'a.b': 'ready', a: { b: 'inner' } }] }, [{ id: 2, 'a.b': 'ready' }])
  }))

  it('see no document in values that are none: bytes, dates, numbers', () => withCache(async cache => {
    await everyWay(cache, { ids: [1], columns: ['b.0', 'd.x', 'n.x'], fetcher: () => [{ id: 1, b: Uint8Array.of(7), d: new Date(0), n: 5 }] }, [{ id: 1, 'b.0': null, 'd.x': null, 'n.x': null }])
    const batch = fromColumns({ id: [2], b: [Uint8Array.of(7)], d: ['2024-01-01'], u: ['a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'], l: [['2024-01-01', null]] }, { types: { d: 'date', u: 'uuid', l: 'list<date>' } })
    await everyWay(cache, { ids: [2], columns: ['b.0', 'd.x', 'u.x', 'l.0'], fetcher: () => batch }, [{ id: 2, 'b.0': null, 'd.x': null, 'u.x': null, 'l.0': '2024-01-01' }])
  }))

  it('keep a lone surrogate of a document, as the server-side projection does', () => withCache(async cache => {
    await everyWay(cache, { ids: [1, 2], columns: ['m.s'], fetcher: () => [{ id: 1, m: '{"s":"\\ud800"}' }, { id: 2, m: '{"s":"fine"}' }] }, [{ id: 1, 'm.s': '\ud800' }, { id: 2, 'm.s': 'fine' }])
  }))

  describe('of documents 10,000 levels deep', () => {
    const depth = 10_000
    const deepText = (open: string, close: string): string => `${open.repeat(depth)}1${close.repeat(depth)}`
    // deep values cannot be compared by anything that recurses
    const levelsOf = (value: unknown): number => {
      let levels = 0
      let at = value
      while (typeof at === 'object' && at !== null) {
        at = Array.isArray(at) ? at[0] as unknown : (at as Row)['a']
        levels++
      }
      expect(at).to.equal(1)
      return levels
    }
    for (const [shape, text] of [['arrays', deepText('[', ']')], ['objects', deepText('{"a":', '}')]] as const) {
      it(`${shape}: as text, as objects, whole and by path, in a mixed column, printed`, () => withCache(async cache => {
        const document = JSON.parse(text) as unknown
        const path = `m.${(shape === 'arrays' ? '0.' : 'a.').repeat(depth).slice(0, -1)}`
        const step = shape === 'arrays' ? 'm.0' : 'm.a'
        expect(jsonText(document)).to.equal(text)
        for (const [i, m] of [text, document].entries()) {
          const fetcher = rowsOf([{ id: i * 10, m }, { id: i * 10 + 1, m: shape === 'arrays' ? '["x"]' : '{"a":"x"}' }])
          const request = { ids: [i * 10, i * 10 + 1], columns: [path, step], fetcher }
          for (const again of [request, { ...request, fetcher: nobody }]) {
            const table = await ask(cache, again)
            const [row, other] = table.toRows()
            expect(row![path]).to.equal(1)
            expect(levelsOf(row![step])).to.equal(depth - 1)
            expect(other![step]).to.equal('x')
            expect(String(table)).to.contain('m.')
          }
        }
        await ask(cache, { ids: [50], columns: ['m'], fetcher: () => [{ id: 50, m: document }] })
        expect(levelsOf((await ask(cache, { ids: [50], columns: ['m'], fetcher: nobody })).toRows()[0]!['m'])).to.equal(depth)
        // equal repeats of a deep row are one row
        expect(levelsOf((await ask(cache, { ids: [51], columns: ['m'], fetcher: () => [{ id: 51, m: document }, { id: 51, m: JSON.parse(text) as unknown }] })).toRows()[0]!['m'])).to.equal(depth)
      }))
    }
  })

  it('read a 50 MB document, whole and by path', function () {
    this.timeout(60_000)
    return withCache(async cache => {
      const filling = 'x'.repeat(1000)
      const text = `{"head":1,"list":[${Array.from({ length: 52_000 }, () => `"${filling}"`).join(',')}],"tail":{"end":2}}`
      expect(text.length).to.be.greaterThan(50e6)
      const request = { ids: [1], columns: ['m.tail.end', 'm.list.51999', 'm.head'], fetcher: () => [{ id: 1, m: text }] }
      await everyWay(cache, request, [{ id: 1, 'm.tail.end': 2, 'm.list.51999': filling, 'm.head': 1 }])
      await ask(cache, { ids: [1], columns: ['m'], fetcher: () => [{ id: 1, m: text }] })
      expect((await ask(cache, { ids: [1], columns: ['m'], fetcher: nobody })).column('m')[0] === text).to.equal(true)
    })
  })

  it('keep keys called __proto__ and constructor inside documents, and columns called constructor or toString', () => withCache(async cache => {
    const document = JSON.parse('{"__proto__":{"isAdmin":true},"constructor":{"prototype":{"polluted":1}}}') as Row
    const rows = [{ id: 1, constructor: 'c', toString: 5, hasOwnProperty: null, doc: document, 'doc.__proto__': document['__proto__'] }]
    const columns = ['constructor', 'toString', 'hasOwnProperty', 'doc', 'doc.__proto__']
    const table = await everyWay(cache, { ids: [1], columns, fetcher: () => [{ id: 1, constructor: 'c', toString: 5, hasOwnProperty: null, doc: document }] }, rows)
    const row = table.toRows()[0] as Row & { doc: Row }
    expect(Object.getPrototypeOf(row)).to.equal(Object.prototype)
    expect(Object.keys(row.doc)).to.deep.equal(['__proto__', 'constructor'])
    expect((row.doc as { isAdmin?: boolean }).isAdmin).to.equal(undefined)
    expect(({} as Row)['polluted']).to.equal(undefined)
    expect(await errorOf(ask(cache, { ids: [1], columns: ['__proto__'], fetcher: nobody }))).to.include({ code: 'ERR_INVALID_ARGUMENT' })
    // inherited names that a row lacks are absent, not Object's own functions
    for (const column of ['valueOf', 'isPrototypeOf']) {
      expect(await errorOf(ask(cache, { ids: [2], columns: [column], fetcher: () => [{ id: 2 }] }))).to.include({ code: 'ERR_COLUMN_NOT_FOUND' })
    }
  }))

  describe('jsonText', () => {
    it('writes what JSON.parse gives back, whatever JSON value it is', () => {
      fc.assert(fc.property(fc.jsonValue({ depthSize: 'small' }), value => same(JSON.parse(jsonText(value)), value)), { numRuns: 1000, seed: 9 })
    })

    it('says where the value is that it refuses', () => {
      expect(() => jsonText({ a: [1, { b: NaN }] })).to.throw(TypeError, 'NaN has no JSON form at .a[1].b')
      expect(() => jsonText([1n])).to.throw(TypeError, 'a bigint has no JSON form at [0]')
      expect(() => jsonText(undefined)).to.throw(TypeError)
    })
  })
})
