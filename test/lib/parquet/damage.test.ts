import { expect } from 'chai'
import type { Field } from '../../../lib/batch/column-type.js'
import { storageValues } from '../../../lib/batch/cells.js'
import { CacheCorruptionError } from '../../../lib/errors.js'
import type { Codec } from '../../../lib/parquet/codec.js'
import { decodeColumn, decodeColumnRows } from '../../../lib/parquet/column.js'
import { footerBytes, parseFooter } from '../../../lib/parquet/footer.js'
import { mulberry32 } from '../../support/random.js'
import { fileOf, valuesVector } from './samples.js'

const MUTATIONS = 700

/** Repeatable integers of 32 bits. */
function random(seed: number): () => number {
  const next = mulberry32(seed)
  return () => next() * 2 ** 32
}

const rows = Array.from({ length: 200 }, (_, i) => i)
const columns: [Field, unknown[]][] = [
  [{ name: 'id', type: 'int64', nullable: false }, rows],
  [{ name: 'big', type: 'int64', nullable: true }, rows.map(i => i % 3 ? 2n ** 60n + BigInt(i) : null)],
  [{ name: 'flag', type: 'bool', nullable: true }, rows.map(i => i % 10 ? i % 2 === 0 : null)],
  [{ name: 'amount', type: 'float64', nullable: false }, rows.map(i => i / 7)],
  [{ name: 'name', type: 'text', nullable: true }, rows.map(i => i % 4 ? `user_${i}` : null)],
  [{ name: 'city', type: 'text', nullable: true }, rows.map(i => i % 9 ? `city_${i % 7}` : null)],
  [{ name: 'one', type: 'json', nullable: false }, rows.map(() => '{"a":1}')],
  [{ name: 'uuid', type: 'uuid', nullable: false }, rows.map(i => `a0eebc99-9c0b-4ef8-bb6d-6bb9bd38${String(1000 + i)}`)],
  [{ name: 'price', type: 'decimal(30,2)', nullable: true }, rows.map(i => i % 5 ? `${i}.50` : null)],
  [{ name: 'tags', type: 'list<text>', nullable: true }, rows.map(i => i % 6 ? Array.from({ length: i % 4 }, (_, j) => j ? `t${j}` : null) : null)],
]
const fields = columns.map(([field]) => field)

function readAll(file: Uint8Array, described = parseFooter(file, file.length)): void {
  for (const group of described.rowGroups) {
    described.fields.forEach((field, i) => {
      const chunk = group.columns[i]!
      const start = group.offset + chunk.offset
      const bytes = file.subarray(start, start + chunk.bytes)
      for (const vector of [decodeColumn(field, chunk, group.rows, bytes), decodeColumnRows(field, chunk, group.rows, bytes, Uint32Array.of(0, 3, 4, group.rows - 1))]) {
        // values lie within the bytes they were decoded from
        if (vector.form !== 'bytes') continue
        for (let row = 0; row < vector.length; row++) {
          if (vector.starts[row]! > vector.ends[row]! || vector.ends[row]! > vector.bytes.length) expect.fail('a value outside its page')
        }
        storageValues(vector)
      }
    })
  }
}

/** Run, and say whether it was refused; anything but a CacheCorruptionError fails the test. */
function refuses(read: () => void): boolean {
  try {
    read()
    return false
  } catch (error) {
    if (!(error instanceof CacheCorruptionError)) throw error
    return true
  }
}

describe('damaged bytes', () => {
  for (const codec of ['UNCOMPRESSED', 'SNAPPY', 'GZIP'] as const satisfies Codec[]) {
    it(`are read or refused with CacheCorruptionError, and end, ${codec}`, function () {
      this.timeout(60_000)
      const good = fileOf(fields, [columns.map(([{ type }, values]) => valuesVector(type, values))], codec)
      const described = parseFooter(good, good.length)
      readAll(good)
      const next = random(codec.length)
      let refused = 0
      for (let i = 0; i < MUTATIONS; i++) {
        const bad = good.slice()
        const changes = 1 + next() % 3
        for (let change = 0; change < changes; change++) bad[next() % bad.length]! ^= 1 + next() % 255
        // as a whole, and with a sound footer, which is what a cache's manifest vouches for
        if (refuses(() => readAll(bad))) refused++
        refuses(() => readAll(bad, described))
      }
      expect(refused).to.be.greaterThan(MUTATIONS / 10)
    })
  }

  it('of random noise in place of a column are refused or read', () => {
    const good = fileOf(fields, [columns.map(([{ type }, values]) => valuesVector(type, values))])
    const described = parseFooter(good, good.length)
    const next = random(5)
    for (let i = 0; i < 200; i++) {
      const noise = Uint8Array.from(good, (byte, at) => at < 8 ? byte : next())
      expect(refuses(() => readAll(noise, described))).to.equal(true)
    }
  })

  it('at the end of a file are refused, truncated and empty ones too', () => {
    const good = fileOf(fields, [columns.map(([{ type }, values]) => valuesVector(type, values))])
    for (const length of [0, 3, 7, 8, 12, 100, good.length - 1]) {
      expect(() => parseFooter(good.subarray(0, length), length)).to.throw(CacheCorruptionError)
    }
    const short = good.subarray(good.length - 20)
    expect(footerBytes(short)).to.be.greaterThan(20)
    expect(() => parseFooter(short, good.length)).to.throw(CacheCorruptionError, 'bytes of footer')
  })

  it('of another column are refused when the shapes differ', () => {
    const good = fileOf(fields, [columns.map(([{ type }, values]) => valuesVector(type, values))])
    const { rowGroups: [group] } = parseFooter(good, good.length)
    const [id, , flag] = group!.columns
    const bytes = good.subarray(group!.offset + flag!.offset, group!.offset + flag!.offset + flag!.bytes)
    expect(() => decodeColumn(fields[0]!, id!, 200, bytes)).to.throw(CacheCorruptionError).with.property('code', 'ERR_CACHE_CORRUPTION')
    expect(() => decodeColumnRows(fields[0]!, id!, 200, good.subarray(group!.offset + id!.offset, group!.offset + id!.offset + id!.bytes), Uint32Array.of(200)))
      .to.throw(CacheCorruptionError)
  })
})
