import { execFileSync } from 'node:child_process'
import { expect } from 'chai'
import fc from 'fast-check'
import { allowCodeGeneration, getData } from '../../../index.js'
import { readColumn } from '../../../lib/fetch/read-column.js'
import { requestColumns } from '../../../lib/fetch/request-columns.js'
import { rowSlots, valueIn } from '../../../lib/fetch/row-slots.js'
import type { Id } from '../../../lib/batch/ids.js'
import type { Row } from '../../../lib/batch/row-factory.js'
import { freshFolder } from '../../support/cache.js'

const COLUMNS = ['a', 'doc', 'doc.x', 'doc.x.y', 'doc.0', 'doc.length', 'doc.toString', 'constructor', 'toString.x', 'a"b', 'doc.`${x}`', 'ready.x.0']

/** Anything a row may hold, with the names above likely. */
const cell: fc.Arbitrary<unknown> = fc.letrec<{ value: unknown }>(tie => ({
  value: fc.oneof({ maxDepth: 3 }, fc.constantFrom(null, undefined, 0, -0, 1.5, NaN, true, 'text', '{"x":1}', 5n, new Date(5), Uint8Array.of(1)),
    fc.array(tie('value'), { maxLength: 3 }),
    fc.dictionary(fc.constantFrom('x', 'y', '0', 'length', 'toString', '`${x}`'), tie('value'), { noNullPrototype: false }))
})).value
const row = fc.dictionary(fc.constantFrom('a', 'doc', 'doc.x', 'constructor', 'toString', 'a"b', 'ready', 'ready.x.0', 'other'), cell, { noNullPrototype: false })

describe('a column read from many rows', () => {
  afterEach(() => allowCodeGeneration(true))

  for (const generated of [true, false]) {
    it(`has in each what it has row by row${generated ? '' : ', without generated code'}`, () => {
      const slots = rowSlots(requestColumns(COLUMNS, 'id'), {})
      allowCodeGeneration(generated)
      fc.assert(fc.property(fc.array(row, { maxLength: 6 }), rows => {
        const into = new Array<unknown>(rows.length)
        for (const slot of slots) {
          const isRead = readColumn(rows, slot, into)
          if (isRead) expect(into, slot.key).to.deep.equal(rows.map(one => valueIn(one, slot)))
          else expect(rows.length).to.be.greaterThan(1)
        }
      }), { numRuns: 500 })
    })
  }

  it('is read where code generation is forbidden', () => {
    const script = `import { getData } from './index.ts'
      const table = await getData({ ids: [2, 1], columns: ['a', 'doc.x'], table: 't.t', cacheDir: '/proc/none', fetcher: ids => ids.map(id => ({ id, a: 'a' + id, doc: { x: id } })) })
      console.log(JSON.stringify(table.toRows()))`
    const out = execFileSync(process.execPath, ['--disallow-code-generation-from-strings', '--import=tsx', '--input-type=module', '-e', script], { encoding: 'utf8' })
    expect(JSON.parse(out)).to.deep.equal([{ id: 1, a: 'a1', 'doc.x': 1 }, { id: 2, a: 'a2', 'doc.x': 2 }])
  })
})

describe('an answer that is an array', () => {
  const dir = freshFolder()
  const ids = [1, 2, 3, 4, 5]
  const good = (id: Id): Row => ({ id, a: `a${id}`, doc: { x: { of: id } } })
  const expected = ids.map(id => ({ id, a: `a${id}`, 'doc.x': { of: id } }))
  /** One object for all rows, filled when it is asked for. */
  const shared = { x: { of: 0 as Id } }
  const filled = (id: Id): typeof shared => {
    shared.x.of = id
    return shared
  }

  const answers: Record<string, (asked: readonly Id[]) => unknown[]> = {
    'in the order of the ids': asked => asked.map(good),
    'in any order, with rows that nobody asked for': asked => [good(99), ...asked.map(good).reverse(), good(-1)],
    'with a row twice': asked => [...asked.map(good), good(asked[2]!)],
    'with bigints and digits for ids': asked => asked.map((id, i) => ({ ...good(id), id: i % 2 === 0 ? BigInt(id) : String(id) })),
    'of rows without prototype': asked => asked.map(id => Object.assign(Object.create(null) as Row, good(id))),
    'of rows of a class whose getter hands out one object': asked => asked.map(id => new (class {
      id = id
      a = `a${id}`
      get doc(): unknown { return filled(id) }
    })()),
    'of plain rows whose getter hands out one object': asked => asked.map(id => Object.defineProperty({ id, a: `a${id}` }, 'doc', { get: () => filled(id) })),
    'of plain rows most of which have such a getter': asked => asked.map((id, i) => i === 0 ? good(id)
      : Object.defineProperty({ id, a: `a${id}` }, 'doc', { get: () => filled(id) })),
    'of plain rows with a getter whose insides are one object': asked => asked.map((id, i) => i === 0 ? good(id)
      : Object.defineProperty({ id, a: `a${id}` }, 'doc', { get: () => ({ ...filled(id) }) })),
    'of rows some of which have the path ready-made, and the others one document': asked => asked.map((id, i) => i === 0
      ? { id, a: `a${id}`, 'doc.x': { of: id } } : Object.defineProperty({ id, a: `a${id}` }, 'doc', { get: () => filled(id) })),
    'of rows that share an object': asked => {
      const doc = { x: { of: 1 } }
      return asked.map(id => ({ id, a: `a${id}`, doc: id === 1 ? doc : { x: { of: id } } }))
    },
    'of proxies that hand out one object': asked => asked.map(id => new Proxy({ id, a: `a${id}` }, { get: (of, name) => name === 'doc' ? filled(id) : Reflect.get(of, name) as unknown })),
    'of a class of its own': asked => {
      class Result extends Array<Row> {
        constructor(readonly pool: { release(): void }) {
          super()
          pool.release()
        }
      }
      const result = new Result({ release: () => undefined })
      for (const id of asked) result.push(good(id))
      return result
    },
    'of a class that gives other rows when it is gone through': asked => Object.assign([good(99)], { [Symbol.iterator]: () => asked.map(good).values() }),
    'of arrays of rows': asked => [asked.slice(0, 2).map(good), asked.slice(2).map(good)],
    'of rows and arrays of rows': asked => [good(asked[0]!), asked.slice(1).map(good)]
  }
  for (const [title, answer] of Object.entries(answers)) {
    it(`is delivered and cached ${title}`, async () => {
      const request = { ids, columns: ['a', 'doc.x'], table: 'public.t', cacheDir: dir() }
      expect((await getData({ ...request, fetcher: asked => answer(asked) as Row[] })).toRows()).to.deep.equal(expected)
      expect((await getData({ ...request, fetcher: () => [] })).toRows()).to.deep.equal(expected)
    })
  }
})
