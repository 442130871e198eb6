import { expect } from 'chai'
import fc from 'fast-check'
import { idArray, type Id, type IdArray } from '../../../lib/batch/ids.js'
import { idsOfRows, IdIndexBuilder, indexWindows, locate, parseIndex, serializeIndex, type IdIndex, type Located } from '../../../lib/store/id-index.js'

const sorted = (ids: Iterable<Id>): IdArray => idArray([...new Set(ids)].sort((a, b) => a < b ? -1 : 1))

function indexOf(ids: IdArray): IdIndex {
  const builder = new IdIndexBuilder()
  for (let at = 0; at < ids.length; at += 1000) builder.add(ids.subarray(at, at + 1000))
  return builder.finish()
}

/** [window position, row] of every id found. */
function found({ count, from, positions, firstRow, rows }: Located): [number, number][] {
  return Array.from({ length: count }, (_, i) => [positions ? positions[i]! : from! + i, rows ? rows[i]! : firstRow! + i])
}

function expected(held: IdArray, asked: IdArray): [number, number][] {
  const rows = new Map(Array.from(held as ArrayLike<Id>, (id, row) => [BigInt(id), row]))
  return Array.from(asked as ArrayLike<Id>).flatMap((id, position): [number, number][] =>
    rows.has(BigInt(id)) ? [[position, rows.get(BigInt(id))!]] : [])
}

const every = (step: number, count: number, from = 0): number[] => Array.from({ length: count }, (_, i) => from + i * step)

describe('an id index', () => {
  const shapes: [string, Id[]][] = [
    ['runs', every(1, 5000, -100)], ['bitmap', every(2, 5000, -777)], ['bitmap', [...every(3, 3000, 2 ** 40), ...every(1, 40, 2 ** 40 + 9100)]],
    ['list', every(1000, 500, -(2 ** 50))], ['list', [...every(7, 50).map(BigInt), 2n ** 60n, 2n ** 60n + 1n]]
  ]
  for (const [form, ids] of shapes) {
    it(`of ${ids.length} ids as ${form} finds what a Map finds, in windows with and without gaps, and after it was written`, () => {
      const held = sorted(ids)
      const index = indexOf(held)
      expect(index.form).to.equal(form)
      const low = BigInt(held[0]!)
      const window = fc.record({ start: fc.integer({ min: -300, max: 12_000 }), length: fc.integer({ min: 1, max: 700 }), step: fc.constantFrom(1, 1, 2, 3, 31) })
      fc.assert(fc.property(window, ({ start, length, step }) => {
        const asked = sorted(every(1, length).map(i => {
          const id = low + BigInt(start + i * step)
          return id >= -(2n ** 53n) && id <= 2n ** 53n ? Number(id) : id
        }))
        const kind = held instanceof BigInt64Array ? BigInt64Array.from(asked as ArrayLike<Id>, id => BigInt(id)) : asked
        for (const one of [index, parseIndex(serializeIndex(index))]) expect(found(locate(one, kind))).to.deep.equal(expected(held, kind))
      }), { seed: 5, numRuns: 150 })
    })

    it(`of ${ids.length} ids as ${form} gives its ids back, whole and by rows`, () => {
      const held = sorted(ids)
      const index = indexOf(held)
      expect([...indexWindows(index, 333)].flatMap(window => [...window as Iterable<Id>]).map(BigInt)).to.deep.equal([...held as Iterable<Id>].map(BigInt))
      for (const [first, count] of [[0, 1], [3, 40], [held.length - 5, 5]] as const) {
        expect([...idsOfRows(index, first, count) as Iterable<Id>]).to.deep.equal([...held.slice(first, first + count) as Iterable<Id>])
      }
    })
  }

  it('gives back ids beside 2^53 and -2^53 as they are', () => {
    for (const first of [2 ** 53 - 40, 2 ** 53 - 39, -(2 ** 53) + 1, -(2 ** 53) + 2]) {
      const held = Float64Array.from([0, 2, 3, 5, 7, 8, 10, 33, 35, 36, 38], offset => first + offset)
      const index = indexOf(held)
      expect(index.form).to.equal('bitmap')
      expect([...idsOfRows(index, 0, held.length) as Iterable<Id>]).to.deep.equal([...held])
      expect([...indexWindows(index, 100)].flatMap(window => [...window as Iterable<Id>])).to.deep.equal([...held])
    }
  })

  it('refuses ids that do not ascend', () => {
    expect(() => indexOf(Float64Array.of(1, 3, 3))).to.throw(/ascend/)
  })
})
