import { inspect } from 'node:util'
import { expect } from 'chai'
import { cellText } from '../../../lib/batch/cells.js'
import { fromColumns, fromRows } from '../../../lib/batch/from-rows.js'
import { collectIds } from '../../../lib/batch/id-set.js'
import { sameValue } from '../../../lib/batch/same-value.js'
import { Table } from '../../../lib/batch/table.js'
import type { Row } from '../../../lib/batch/row-factory.js'

/** What a call throws. */
function thrownBy(call: () => unknown): { code?: string, argument?: string, message: string } {
  try {
    call()
  } catch (error) {
    return error as { code?: string, argument?: string, message: string }
  }
  throw new Error('nothing was thrown')
}

describe('rows and columns made into batches', () => {
  const refused: readonly [title: string, call: () => unknown, code: string, named: RegExp][] = [
    ['columns without ids', () => fromColumns({ a: [1] }), 'ERR_INVALID_ARGUMENT', /a column id \(or the option idColumn\), found a/],
    ['an id that is none', () => fromColumns({ id: [1, 'x'] }), 'ERR_INVALID_ARGUMENT', /id\[1\].*"x" \(string\)/],
    ['an object for an id', () => fromColumns({ id: [{}] }), 'ERR_INVALID_ARGUMENT', /an object \(object\)/],
    ['columns of two lengths', () => fromColumns({ id: [1, 2], a: [1] }), 'ERR_INVALID_ARGUMENT', /columns\.a.*2 values/],
    ['values of two types', () => fromColumns({ id: [1, 2], a: [1, new Date(0)] }), 'ERR_SCHEMA_CONFLICT', /a/],
    ['a value that no column holds', () => fromColumns({ id: [7], a: [() => 1] }), 'ERR_FETCHER_CONTRACT', /column a of id 7/],
    ['a row that is no object', () => fromRows([{ id: 1 }, null as unknown as Row]), 'ERR_INVALID_ARGUMENT', /rows\[1\].*an object.*null/],
    ['a column called __proto__', () => fromRows([JSON.parse('{"id":1,"__proto__":2}') as Row]), 'ERR_INVALID_ARGUMENT', /__proto__/],
    ['a column that a batch does not have', () => fromRows([{ id: 1 }]).column('a'), 'ERR_INVALID_ARGUMENT', /one of id, found a/],
    ['a column that a table does not have', () => new Table([fromRows([{ id: 1, b: 2 }])]).column('a'), 'ERR_INVALID_ARGUMENT', /one of id, b, found a/],
  ]
  for (const [title, call, code, named] of refused) {
    it(`refuse, by name, ${title}`, () => {
      const error = thrownBy(call)
      expect(error.code).to.equal(code)
      expect(error.message).to.match(named)
    })
  }

  it('take no rows, and keys that some rows lack', () => {
    expect(fromRows([]).columnNames).to.deep.equal(['id'])
    expect(fromRows([{ id: 1, a: 'x' }, { id: 2 }]).toRows()).to.deep.equal([{ id: 1, a: 'x' }, { id: 2, a: null }])
  })

  it('take own properties only, of any object, in the order in which keys are met', () => {
    class Base { get inherited(): string { return 'not a column' } }
    class Made extends Base {
      id = 3
      a = 'own'
    }
    const rows = [{ id: 1, toString: 'x', a: undefined }, Object.assign(Object.create(null) as Row, { b: 2, id: 2 }), new Made() as unknown as Row]
    const batch = fromRows(rows)
    expect(batch.columnNames).to.deep.equal(['id', 'toString', 'a', 'b'])
    expect(batch.toRows()).to.deep.equal([{ id: 1, toString: 'x', a: null, b: null }, { id: 2, toString: null, a: null, b: 2 }, { id: 3, toString: null, a: 'own', b: null }])
    expect(fromRows(rows.slice(0, 2)).toRows()).to.deep.equal(batch.toRows().slice(0, 2))
  })

  it('refuse bytes as ids, and what is no list', async () => {
    for (const ids of [Buffer.from('12'), [Buffer.from('12')], 5, null]) {
      let thrown: unknown
      await collectIds(ids as never).catch((error: unknown) => { thrown = error })
      expect(thrown, inspect(ids)).to.include({ code: 'ERR_INVALID_ARGUMENT' })
    }
  })

  it('know of ids how many are of one kind, and cut them into windows', async () => {
    const wide = 2n ** 60n
    for (const [ids, kinds] of [[[], []], [[3, 1, 2, 2], [3]], [[5, -wide, 4], [1, 2]], [[wide, 5, -wide, 4, 4], [1, 2, 1]], [[wide, -wide], [2]], [[7, wide], [1, 1]],
      [Array.from({ length: 131_100 }, (_, i) => 131_100 - i), [131_100]], [Array.from({ length: 70_000 }, (_, i) => i * 1000), [70_000]]] as const) {
      const set = await collectIds(ids)
      expect(set.kinds()).to.deep.equal(kinds)
      const all = [...set.windows()].flatMap(window => Array.from(window as ArrayLike<number | bigint>))
      expect(all).to.deep.equal([...new Set<number | bigint>(ids)].sort((a, b) => a < b ? -1 : 1))
    }
    for (const span of [1, 31, 32, 33, 64, 100, 1024]) {
      for (const left of [[], [span - 2], [0], [Math.floor(span / 2)]]) {
        const ids = Array.from({ length: span }, (_, i) => i + 7).filter((_, i) => !left.includes(i))
        for (const memory of [undefined, new Float64Array(50)]) {
          const seen: number[] = []
          for (const window of (await collectIds(ids)).windows(50, memory)) seen.push(...window as Float64Array)
          expect(seen).to.deep.equal(ids)
        }
      }
    }
  })

  it('print values of any depth, and say what cannot be printed', () => {
    let deep: unknown = 1
    for (let i = 0; i < 20_000; i++) deep = [deep]
    expect(cellText(deep)).to.have.length(40_001)
    expect([null, new Date(0), Uint8Array.of(1, 255), { big: 2n ** 60n, bytes: Uint8Array.of(0) }, 5n].map(cellText)).to.deep.equal(
      ['', '1970-01-01T00:00:00.000Z', '\\x01ff', '{"big":"1152921504606846976","bytes":"\\\\x00"}', '5'])
    const circle: Record<string, unknown> = {}
    circle['self'] = circle
    expect(thrownBy(() => cellText(circle)).message).to.match(/circular/i)
  })
})

describe('a table', () => {
  const batches = [fromRows(Array.from({ length: 7 }, (_, i) => ({ id: i, n: i, t: i === 0 ? null : `r${i}` }))), fromRows(Array.from({ length: 7 }, (_, i) => ({ id: 2n ** 60n + BigInt(i), n: i + 0.5, t: `${'長'.repeat(20)}\n` })))]

  it('joins the columns of its batches in their common kind', () => {
    const table = new Table(batches)
    expect(table.column('id')).to.be.instanceOf(BigInt64Array).with.length(14)
    expect(Array.from(table.column('id') as ArrayLike<unknown>).slice(6, 8)).to.deep.equal([6n, 2n ** 60n])
    expect(Array.from(table.column('n') as ArrayLike<unknown>)).to.deep.equal([0, 1, 2, 3, 4, 5, 6, 0.5, 1.5, 2.5, 3.5, 4.5, 5.5, 6.5])
    expect(Array.from(table.column('t') as ArrayLike<unknown>).slice(0, 2)).to.deep.equal([null, 'r1'])
    expect(table.column('t')).to.equal(table.column('t'))
    expect([...table].length).to.equal(14)
  })

  it('holds integers beside nulls as rows do, however its rows were cut into batches', () => {
    const rows = Array.from({ length: 9 }, (_, i) => ({ id: i, n: i === 8 ? null : i % 2 === 0 ? i : 2n ** 60n + BigInt(i) }))
    for (const cut of [1, 2, 4, 8]) {
      const table = new Table([fromRows(rows.slice(0, cut), { types: { n: 'int64' } }), fromRows(rows.slice(cut), { types: { n: 'int64' } })])
      expect(table.column('n'), `cut at ${cut}`).to.deep.equal(rows.map(row => row.n))
    }
  })

  it('has columns, of their types, where it has no rows', () => {
    const columns = (['int64', 'int32', 'float64', 'timestamptz', 'text', 'bool', 'json', 'null', 'list<int64>'] as const).map(type => ({ name: type, type, nullable: true }))
    for (const table of [new Table([], { columns }), new Table([fromRows([]), fromRows([])])]) {
      expect(table.toRows()).to.deep.equal([])
      for (const name of table.columnNames) expect(table.column(name)).to.have.length(0)
    }
    const none = new Table([], { columns })
    expect(columns.map(({ name }) => none.column(name).constructor.name)).to.deep.equal(
      ['Float64Array', 'Int32Array', 'Float64Array', 'BigInt64Array', 'Array', 'Array', 'Array', 'Array', 'Array'])
  })

  it('prints its first and last rows aligned, wide and long texts cut', () => {
    const lines = inspect(new Table(batches)).split('\n')
    expect(lines[0]).to.equal('14 rows × 3 columns')
    expect(lines.filter(line => line.includes('…'))).to.have.length(6)
    expect(lines.find(line => line.includes('null'))).to.match(/│ +0 ┆ +0 ┆ null +│/)
    expect(new Table([batches[0]!.slice(0, 1)]).toString()).to.match(/^1 row × 3 columns/)
    expect(new Table([]).toString()).to.match(/^0 rows × 0 columns/)
  })
})

describe('sameValue', () => {
  const same: readonly [unknown, unknown][] = [[null, undefined], [NaN, NaN], [5n, 5], [5, 5n], [new Date(1), new Date(1)], [Uint8Array.of(1), Buffer.from([1])], [[1, [2]], [1, [2]]], [{ a: 1, b: { c: null } }, { b: { c: null }, a: 1 }]]
  const other: readonly [unknown, unknown][] = [[1, 2], [1, '1'], [2n ** 60n, 2 ** 60], [new Date(1), new Date(2)], [new Date(1), 'x'], [new Date(1), {}], [Uint8Array.of(1), Uint8Array.of(2)], [Uint8Array.of(1), [1]],
    [[1], [1, 2]], [[1], { 0: 1 }], [{ a: 1 }, { b: 1 }], [{ a: 1 }, { a: 1, b: 2 }], [{ a: { b: 1 } }, { a: { b: 2 } }], [new Map(), new Map()], [null, 0]]
  it('compares by content', () => {
    for (const [a, b] of same) expect(sameValue(a, b), inspect([a, b])).to.equal(true)
    for (const [a, b] of other) expect(sameValue(a, b), inspect([a, b])).to.equal(false)
  })
})
