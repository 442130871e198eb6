import { deepStrictEqual } from 'node:assert'
import { expect } from 'chai'
import { CollectedColumn } from '../../../lib/batch/collected-column.js'
import { storageValues } from '../../../lib/batch/cells.js'
import { vectorOf, vectorOfCollected } from '../../../lib/batch/infer.js'
import { concatVectors } from '../../../lib/batch/combine.js'
import { RunTexts } from '../../../lib/fetch/run-texts.js'
import { shuffled } from '../../support/fetchers.js'
import { mulberry32 as seeded } from '../../support/random.js'
import type { EncodedJson } from '../../../lib/json/json-text.js'

const collect = (values: readonly unknown[], options?: { distinct?: boolean }): CollectedColumn => {
  const column = new CollectedColumn(values.length, options)
  values.forEach((value, i) => column.set(i, value))
  return column
}

describe('a collected column', () => {
  it('types integers, doubles, dates and texts as they came, nulls and absent values as nulls', () => {
    const typed = (values: unknown[]) => {
      const { vector } = vectorOfCollected(collect(values))
      return [vector.type, storageValues(vector)]
    }
    expect(typed([1, null, 0, undefined, -5])).to.deep.equal(['int64', [1, null, 0, null, -5]])
    expect(typed([1, 0.5])).to.deep.equal(['float64', [1, 0.5]])
    expect(typed([1, -0])).to.deep.equal(['float64', [1, -0]])
    expect(typed([NaN])).to.deep.equal(['float64', [NaN]])
    expect(typed([2 ** 53])).to.deep.equal(['float64', [2 ** 53]])
    expect(typed([new Date(7), null])).to.deep.equal(['timestamptz', [7000n, null]])
    expect(typed(['a', null, 'a', ''])).to.deep.equal(['text', ['a', null, 'a', '']])
    expect(typed([1, 2n ** 60n])).to.deep.equal(['int64', [1, 2n ** 60n]])
    expect(typed([null, undefined])).to.deep.equal(['null', [null, null]])
  })

  it('numbers texts that repeat and spells out those that do not, giving the same values either way', () => {
    const few = Array.from({ length: 5000 }, (_, i) => i % 7 === 0 ? null : `text ${i % 1000}`)
    const many = Array.from({ length: 5000 }, (_, i) => i % 7 === 0 ? null : `text ${i}`)
    for (const [values, form] of [[few, 'dictionary'], [many, 'values']] as const) {
      const column = collect(values)
      const { vector } = vectorOfCollected(column)
      expect(vector.form).to.equal(form)
      expect(storageValues(vector)).to.deep.equal(values)
      expect(column.isDistinct).to.equal(form === 'values')
      expect(storageValues(vectorOfCollected(collect(values, { distinct: true })).vector)).to.deep.equal(values)
    }
  })

  it('shares the numbers of texts with other batches of its run, whatever comes in them', () => {
    const random = seeded(5)
    const sources = [() => `city ${Math.floor(random() * 50)}`, (i: number) => `city ${i % 5000}`, (i: number) => `own ${i}`, () => null, () => '\ud800', () => undefined, (i: number) => i]
    for (let round = 0; round < 40; round++) {
      const texts = new RunTexts()
      const some = sources.filter((_, s) => random() < (s === 0 ? 0.9 : 0.2))
      const parts = Array.from({ length: 3 }, (_, part) => Array.from({ length: 8192 + Math.floor(random() * 3000) }, (_, i) =>
        some.length === 0 ? null : some[Math.floor(random() * (part === 0 ? 1 : some.length))]!(i + part * 10_000)))
      const columns = parts.map(values => {
        const column = texts.column('c', values.length)
        column.setAll(values, values.length, 0)
        texts.learn('c', column)
        return column
      })
      columns.forEach((column, p) => {
        const values = parts[p]!
        const alone = vectorOfCollected(collect(values))
        const { vector, bad, conflict } = vectorOfCollected(column)
        deepStrictEqual([storageValues(vector), vector.type, bad, conflict], [storageValues(alone.vector), alone.vector.type, alone.bad, alone.conflict])
        deepStrictEqual(column.values(), values)
      })
    }
  })

  it('has the dictionary of the batch before it, with what is new in it', () => {
    const texts = new RunTexts()
    const dictionaries = ['a', 'b', 'a'].map(letter => {
      const column = texts.column('c', 9000)
      column.setAll(Array.from({ length: 9000 }, (_, i) => `${letter} ${i % 100}`), 9000, 0)
      const { vector } = vectorOfCollected(column)
      return vector.form === 'dictionary' ? vector.dictionary : undefined
    })
    expect(dictionaries[0]).to.include({ form: 'values', length: 200 })
    expect(dictionaries.map(dictionary => dictionary === dictionaries[0])).to.deep.equal([true, true, true])
  })

  it('takes many values at a time as one by one, wherever they go', () => {
    const kinds = [() => null, () => undefined, (i: number) => i, (i: number) => i / 2, (i: number) => `text ${i % 3}`, (i: number) => `text ${i}`, (i: number) => new Date(i),
      (i: number) => [i], () => '\ud800', () => NaN]
    for (const random of [seeded(1), seeded(2), seeded(3)]) {
      for (let round = 0; round < 200; round++) {
        const some = kinds.filter(() => random() < 0.3)
        const values = Array.from({ length: Math.floor(random() * (round === 0 ? 9000 : 60)) }, (_, i) => some.length === 0 ? null : some[Math.floor(random() * some.length)]!(i))
        const order = shuffled([...values.keys()], random)
        const [one, many] = [1, 2].map(() => new CollectedColumn(values.length + 2, { distinct: random() < 0.2 })) as [CollectedColumn, CollectedColumn]
        values.forEach((value, i) => one.set(order[i]! + 2, value))
        many.setAll(values, values.length, Uint32Array.from(order, position => position + 2))
        expect(many.values()).to.deep.equal(one.values())
        expect(many.absent()).to.deep.equal(one.absent())
        expect(vectorOfCollected(many).vector.type).to.equal(vectorOfCollected(one).vector.type)
      }
    }
  })

  it('is of a declared type what its values are one by one', () => {
    const random = seeded(4)
    const kinds: (() => unknown)[] = [() => null, () => Math.floor(random() * 2 ** 40) - 2 ** 39, () => Math.floor(random() * 100), () => random(), () => -0, () => NaN, () => Infinity,
      () => 2 ** 31, () => -(2 ** 31), () => 2 ** 53, () => 'text', () => '5', () => '\ud800', () => new Date(Math.floor(random() * 2e12)), () => new Date(NaN), () => true, () => 5n]
    for (let round = 0; round < 2000; round++) {
      const some = kinds.filter(() => random() < 0.15)
      const values = Array.from({ length: Math.floor(random() * 6) }, () => some.length === 0 ? null : some[Math.floor(random() * some.length)]!())
      for (const type of ['int32', 'int64', 'float32', 'float64', 'text', 'json', 'timestamp', 'timestamptz', 'date', 'bool', 'decimal(9,2)'] as const) {
        const [fast, slow] = [vectorOfCollected(CollectedColumn.of(values), { type }), vectorOf(values, { type })]
        expect(storageValues(fast.vector)).to.deep.equal(storageValues(slow.vector))
        expect([fast.vector.type, fast.vector.length, fast.wide, fast.bad]).to.deep.equal([type, values.length, slow.wide, slow.bad])
      }
    }
  })

  it('keeps more texts than 16 bits number', () => {
    const values = Array.from({ length: 200_000 }, (_, i) => `text ${i >>> 1}`)
    expect(storageValues(vectorOfCollected(collect(values)).vector)).to.deep.equal(values)
  })

  it('leaves a text with a lone surrogate, a mixed column and a date that is none to be judged by value', () => {
    expect(vectorOfCollected(collect(['a', '\ud800'])).bad.map(({ row }) => row)).to.deep.equal([1])
    expect(vectorOfCollected(collect(['a', 1])).conflict).to.deep.equal(['text', 'int64'])
    expect(vectorOfCollected(collect([new Date(NaN), new Date(1)])).bad.map(({ row }) => row)).to.deep.equal([0])
    expect(vectorOfCollected(collect([NaN, 1]), { dotted: true }).bad.map(({ row }) => row)).to.deep.equal([0])
  })

  it('has what a value was when it came', () => {
    const document = { a: [1], day: new Date(0) }
    const list = [1, [2]]
    const bytes = new Uint8Array([1])
    const date = new Date(1)
    const column = collect([document, list, bytes, date])
    document.a.push(2)
    list.push(3);
    (list[1] as number[]).push(4)
    bytes[0] = 9
    date.setTime(2)
    expect((column.valueAt(0) as EncodedJson).text()).to.equal('{"a":[1],"day":"1970-01-01T00:00:00.000Z"}')
    expect([1, 2, 3].map(i => column.valueAt(i))).to.deep.equal([[1, [2]], new Uint8Array([1]), new Date(1)])
  })

  it('tells a value without JSON form only where JSON is what the column holds', () => {
    expect(vectorOfCollected(collect([new Map()])).bad[0]!.reason).to.match(/Map has no JSON form/)
    expect(vectorOfCollected(collect([new Map()]), { type: 'int64' }).bad[0]!.reason).to.match(/an object is no int64/)
  })

  it('is picked from, and its parts are joined, without changing a value', () => {
    const parts = [0, 1, 2].map(part => Array.from({ length: 3000 }, (_, i) => i % 5 === 0 ? null : `${part}-${i % 50}`))
    const vectors = parts.map(values => vectorOfCollected(collect(values)).vector)
    expect(storageValues(concatVectors('text', vectors))).to.deep.equal(parts.flat())
    expect(concatVectors('text', vectors).form).to.equal('dictionary')
    const picked = collect([1, 'a', { b: 1 }, undefined, null]).pick(Uint32Array.from([2, 3, 0]))
    expect(picked.absent()).to.deep.equal([1])
    expect((picked.valueAt(0) as EncodedJson).text()).to.equal('{"b":1}')
  })
})
