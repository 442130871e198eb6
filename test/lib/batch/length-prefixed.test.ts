import { expect } from 'chai'
import fc from 'fast-check'
import { storageValues } from '../../../lib/batch/cells.js'
import { concatVectors } from '../../../lib/batch/combine.js'
import { checkedLengthPrefixed } from '../../../lib/batch/length-prefixed.js'
import { gatherVector, ownBytes, sliceVector, type BytesVector } from '../../../lib/batch/vector.js'

function prefixed(values: readonly (string | null)[], after = ''): BytesVector {
  const bytes = Buffer.concat([...values.flatMap(value => {
    if (value === null) return []
    const length = Buffer.alloc(4)
    length.writeUInt32LE(Buffer.byteLength(value))
    return [length, Buffer.from(value)]
  }), Buffer.from(after)])
  const valid = values.includes(null) ? Uint8Array.from(values, value => value === null ? 0 : 1) : undefined
  return checkedLengthPrefixed('text', bytes, values.filter(value => value !== null).length, valid)
}

const texts = fc.array(fc.oneof(fc.string({ maxLength: 9 }), fc.string({ unit: 'grapheme', maxLength: 5 }), fc.string({ unit: 'grapheme', minLength: 130, maxLength: 140 }),
  fc.constant(null)), { maxLength: 40 })

describe('length-prefixed values', () => {
  it('are the same whether they are read as they lie or by their places', () => {
    fc.assert(fc.property(texts, fc.string({ maxLength: 9 }), (values, after) => {
      const vector = prefixed(values, after)
      expect(storageValues(vector)).to.deep.equal(values)
      expect(storageValues({ ...vector, lengthPrefixed: undefined } as unknown as BytesVector)).to.deep.equal(values)
      expect(storageValues(ownBytes(vector))).to.deep.equal(values)
    }))
  })

  it('can be cut, picked and joined', () => {
    fc.assert(fc.property(texts, texts, fc.nat(), fc.nat(), (first, second, a, b) => {
      const joined = concatVectors('text', [prefixed(first), prefixed(second)])
      const values = [...first, ...second]
      expect(storageValues(joined)).to.deep.equal(values)
      const [from, to] = [a % (values.length + 1), b % (values.length + 1)].sort((x, y) => x - y) as [number, number]
      expect(storageValues(sliceVector(joined, from, to))).to.deep.equal(values.slice(from, to))
      const odd = values.flatMap((_, i) => i % 2 === 1 ? [i] : [])
      expect(storageValues(gatherVector(joined, Uint32Array.from(odd)))).to.deep.equal(odd.map(i => values[i]))
    }))
  })

  it('have the same position whichever is asked for first', () => {
    const values = Array.from({ length: 300 }, (_, i) => i % 7 === 3 ? null : 'x'.repeat(i % 11))
    const positions: number[] = [0]
    for (const value of values) positions.push(positions.at(-1)! + (value === null ? 0 : 4 + value.length))
    fc.assert(fc.property(fc.array(fc.nat({ max: 300 }), { maxLength: 20 }), rows => {
      const vector = prefixed(values)
      expect(rows.map(row => vector.lengthPrefixed!.positionOf(row))).to.deep.equal(rows.map(row => positions[row]))
    }))
  })

  it('are decoded where they are longer together than one string may be', () => {
    const long = 'x'.repeat(8 << 20)
    const vector = prefixed(Array.from({ length: 9 }, (_, i) => `${i}é${long}`))
    const { bytes, starts, ends, length } = vector
    for (const each of [vector, { form: 'bytes', type: 'text', bytes, starts, ends, length } as const]) {
      expect((storageValues(each) as string[]).map(text => [text.length, text.slice(0, 3)])).to.deep.equal(Array.from({ length: 9 }, (_, i) => [long.length + 2, `${i}éx`]))
    }
  })

  it('are refused where they are cut short', () => {
    const { bytes } = prefixed(['one', 'two'])
    expect(() => checkedLengthPrefixed('text', bytes, 4)).to.throw('4 values in 14 bytes')
    expect(() => checkedLengthPrefixed('text', bytes.subarray(0, 13), 2)).to.throw('value 1 is cut short')
    expect(() => checkedLengthPrefixed('text', bytes.subarray(0, 10), 2)).to.throw()
    expect(() => checkedLengthPrefixed('text', Uint8Array.of(0, 0, 0, 255, 0, 0, 0, 0), 2)).to.throw('value 0 is cut short')
  })
})
