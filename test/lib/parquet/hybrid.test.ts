import { expect } from 'chai'
import fc from 'fast-check'
import { readRleBitPackedHybrid } from 'hyparquet/src/encoding.js'
import { ByteWriter } from 'hyparquet-writer'
import { writeRleBitPackedHybrid } from 'hyparquet-writer/src/encoding.js'
import { countOnes, decodeHybrid, encodeLevels, packBits, packedRunHeader, repeatedRun, solePackedValues, soleRepeatedValue } from '../../../lib/parquet/hybrid.js'

describe('decodeHybrid', () => {
  it('reads what hyparquet-writer writes, every bit width up to 24', () => {
    const stream = fc.integer({ min: 1, max: 24 }).chain(width => fc.tuple(fc.constant(width), fc.array(fc.oneof(
      fc.tuple(fc.nat({ max: 2 ** width - 1 }), fc.nat({ max: 40 })), fc.tuple(fc.nat({ max: 2 ** width - 1 }), fc.constant(1))), { maxLength: 40 })))
    fc.assert(fc.property(stream, ([width, runs]) => {
      const values = runs.flatMap(([value, times]) => new Array<number>(times).fill(value))
      const writer = new ByteWriter()
      writeRleBitPackedHybrid(writer, values, width)
      const out = new Uint32Array(values.length)
      decodeHybrid(writer.getBytes(), width, out)
      expect([...out]).to.deep.equal(values)
    }), { seed: 1, numRuns: 300 })
  })

  it('refuses empty runs, streams that end early and values that are too wide', () => {
    const out = new Uint8Array(9)
    for (const [bytes, width] of [[[], 1], [[0, 0, 0, 0, 0, 0], 1], [[1, 0, 0, 0], 1], [[3, 255], 1], [[18], 1], [[18, 2], 1], [[128, 128, 128, 128, 128, 128, 1], 1], [[18, 1], 25]] as [number[], number][]) {
      expect(() => decodeHybrid(Uint8Array.from(bytes), width, out), String(bytes)).to.throw()
    }
  })
})

describe('encodeLevels', () => {
  it('is read by hyparquet as it was written', () => {
    for (const width of [1, 2] as const) {
      const levels = fc.oneof(fc.array(fc.nat({ max: 2 ** width - 1 }), { maxLength: 70 }), fc.nat({ max: 300 }).map(length => new Array<number>(length).fill(1)))
      fc.assert(fc.property(levels, values => {
        const bytes = encodeLevels(Uint8Array.from(values), width)
        const seen = new Array<number>(values.length)
        const padded = Uint8Array.from([...bytes, 0])
        readRleBitPackedHybrid({ view: new DataView(padded.buffer), offset: 0 }, width, seen, bytes.length)
        expect(seen).to.deep.equal(values)
      }), { seed: 2, numRuns: 200 })
    }
  })
})

describe('packBits and countOnes', () => {
  it('take values of any number from any place in memory', () => {
    for (const width of [1, 2] as const) {
      fc.assert(fc.property(fc.array(fc.nat({ max: 2 ** width - 1 }), { maxLength: 70 }), fc.nat({ max: 9 }), (values, offset) => {
        const held = new Uint8Array(offset + values.length)
        held.set(values, offset)
        const packed = new Uint8Array(Math.ceil(values.length * width / 8))
        packBits(held.subarray(offset), packed, width)
        expect(Array.from(values.keys(), i => packed[i * width >>> 3]! >>> (i * width & 7) & 2 ** width - 1)).to.deep.equal(values)
      }), { seed: 3, numRuns: 300 })
    }
  })

  it('count more ones than a byte does', () => {
    for (const length of [0, 1, 3, 1019, 1020, 1023, 1025, 5000]) {
      for (const offset of [0, 1]) {
        const flags = new Uint8Array(length + offset).fill(1)
        expect(countOnes(flags.subarray(offset))).to.equal(length)
        expect(countOnes(flags.subarray(offset).map((_, i) => i % 3 === 0 ? 1 : 0))).to.equal(Math.ceil(length / 3))
      }
    }
  })
})

describe('sole runs', () => {
  it('are recognised with the values they hold, others are not', () => {
    expect(soleRepeatedValue(repeatedRun(1, 1000, 1), 1000, 1)).to.equal(1)
    expect(soleRepeatedValue(repeatedRun(1, 999, 1), 1000, 1)).to.equal(undefined)
    expect(soleRepeatedValue(repeatedRun(300, 5, 16), 5, 16)).to.equal(300)
    const packed = Uint8Array.from([...packedRunHeader(3), 7, 8, 9, 0, 0, 0, 0, 0])
    expect(solePackedValues(packed, 3, 8)).to.deep.equal(Uint8Array.of(7, 8, 9))
    expect(solePackedValues(packed, 9, 8)).to.equal(undefined)
  })
})
