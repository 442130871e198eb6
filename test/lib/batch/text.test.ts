import { expect } from 'chai'
import fc from 'fast-check'
import { decodeTexts } from '../../../lib/batch/text.js'
import type { BytesVector } from '../../../lib/batch/vector.js'

function vectorOf(values: readonly (Uint8Array | null)[]): BytesVector {
  const starts = new Uint32Array(values.length)
  const ends = new Uint32Array(values.length)
  let at = 0
  values.forEach((value, i) => {
    starts[i] = at
    ends[i] = at += value?.length ?? 0
  })
  return { form: 'bytes', type: 'text', length: values.length, bytes: Buffer.concat(values.map(value => value ?? new Uint8Array(0))), starts, ends,
    valid: Uint8Array.from(values, value => value === null ? 0 : 1) }
}

describe('decodeTexts', () => {
  const ascii = fc.string({ maxLength: 20 }).map(text => Buffer.from(text))
  const wide = fc.string({ unit: 'binary', maxLength: 6 }).map(text => Buffer.from(text))

  it('gives what Buffer gives for each value by itself, cut characters included', () => {
    const piece = fc.oneof(ascii, wide, fc.constant(null), wide.map(bytes => bytes.subarray(1)), wide.map(bytes => bytes.subarray(0, -1)))
    fc.assert(fc.property(fc.array(fc.oneof(ascii, wide, fc.constant(null)), { maxLength: 40 }), fc.array(piece, { maxLength: 40 }), (whole, any) => {
      for (const values of [whole, any]) {
        expect(decodeTexts(vectorOf(values))).to.deep.equal(values.map(value => value === null ? null : Buffer.from(value).toString('utf8')))
      }
    }))
  })

  it('writes into a longer array, from a position on', () => {
    const into = new Array<unknown>(12).fill('x')
    decodeTexts(vectorOf(['a', 'é', '', '🜁z', 'b', 'c', 'd', 'e', 'f'].map(text => Buffer.from(text))), into, 2)
    expect(into).to.deep.equal(['x', 'x', 'a', 'é', '', '🜁z', 'b', 'c', 'd', 'e', 'f', 'x'])
  })
})
