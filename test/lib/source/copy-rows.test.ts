import { expect } from 'chai'
import fc from 'fast-check'
import { CopyFormatError, CopyReader } from '../../../lib/source/copy-rows.js'

const HEADER = [0x50, 0x47, 0x43, 0x4f, 0x50, 0x59, 0x0a, 0xff, 0x0d, 0x0a, 0]
const int16 = (value: number): number[] => [value >> 8 & 255, value & 255]
const int32 = (value: number): number[] => [value >> 24 & 255, value >> 16 & 255, value >> 8 & 255, value & 255]
const message = (code: string, body: readonly number[]): number[] => [code.charCodeAt(0), ...int32(body.length + 4), ...body]
type Row = readonly (readonly number[] | null)[]
const rowBytes = (row: Row): number[] => [...int16(row.length), ...row.flatMap(value => value === null ? int32(-1) : [...int32(value.length), ...value])]
const header = (extension: readonly number[] = []): number[] => [...HEADER, ...int32(0), ...int32(extension.length), ...extension]
const trailer = message('d', int16(-1))

/** Everything that a reader finds in these bytes: rows by batch, and the codes of other messages. */
function readAll(bytes: readonly number[], cuts: readonly number[], { columns = 2, batchRows = 3, batchBytes = 1 << 20 } = {}): { batches: Row[][], messages: string, rest: number[], reader: CopyReader } {
  const reader = new CopyReader({ columns, batchRows, batchBytes })
  const batches: Row[][] = []
  let messages = ''
  const rest: number[] = []
  const take = (): void => {
    const { bytes: all, marks, length } = reader.rows()
    batches.push(Array.from({ length }, (_, row) => Array.from({ length: columns }, (_, column) => {
      const [at, size] = marks.subarray((row * columns + column) * 2)
      return size === -1 ? null : [...all.subarray(at, at! + size!)]
    })))
    reader.drop()
  }
  const places = [...new Set([0, ...cuts.map(cut => cut % (bytes.length + 1)), bytes.length])].sort((a, b) => a - b)
  for (let i = 1; i < places.length; i++) {
    reader.push(Uint8Array.from(bytes.slice(places[i - 1], places[i])))
    for (let step = reader.next(); step !== 'more'; step = reader.next()) {
      if (step === 'rows') take()
      else {
        const code = String.fromCharCode(reader.message()[0]!)
        messages += code
        if (code === 'Z') rest.push(...reader.rest())
      }
    }
  }
  if (reader.rows().length > 0) take()
  return { batches, messages, rest, reader }
}

describe('CopyReader', () => {
  const value = fc.option(fc.array(fc.nat(255), { maxLength: 9 }))

  it('finds the same rows and messages however the bytes are cut', () => {
    fc.assert(fc.property(fc.array(fc.tuple(value, value), { maxLength: 20 }), fc.array(fc.nat(2000), { maxLength: 8 }), fc.nat(3), fc.boolean(), (rows, cuts, notices, apart) => {
      const first = apart ? message('d', header([1, 2, 3])) : []
      const bytes = [...message('H', [1, 0, 2, 0, 1, 0, 1]), ...first, ...rows.flatMap((row, i) => [
        ...Array.from({ length: i === 1 ? notices : 0 }, () => message('N', [0])).flat(),
        ...message('d', [...(i === 0 && !apart ? header() : []), ...rowBytes(row)])]),
      ...(rows.length === 0 && !apart ? message('d', header()) : []), ...trailer, ...message('c', []), ...message('Z', [0x49])]
      const { batches, messages, rest, reader } = readAll(bytes, cuts)
      expect(batches.flat()).to.deep.equal(rows)
      expect(batches.every(batch => batch.length <= 3)).to.equal(true)
      expect(messages).to.equal(`H${rows.length > 1 ? 'N'.repeat(notices) : ''}cZ`)
      expect(reader).to.include({ total: rows.length, isWhole: true })
      // a message behind the last one may have arrived with it, or not
      expect(rest).to.deep.equal(message('Z', [0x49]))
    }), { numRuns: 300, seed: 7 })
  })

  it('hands on fewer rows where they are large, and keeps no buffer that one large row made', () => {
    const large = Array.from({ length: 100_000 }, (_, i) => i & 255)
    const rows: Row[] = Array.from({ length: 6 }, () => [large, null])
    const { batches } = readAll([...message('d', header()), ...rows.flatMap(row => message('d', rowBytes(row))), ...trailer], [], { batchRows: 100, batchBytes: 250_000 })
    expect(batches.map(batch => batch.length)).to.deep.equal([3, 3])
    const reader = new CopyReader({ columns: 1, batchRows: 10, batchBytes: 1 << 20 })
    reader.push(Uint8Array.from(message('d', header())))
    const size = 20 * 1024 * 1024
    reader.push(Uint8Array.from([0x64, ...int32(size + 10), ...int16(1), ...int32(size)]))
    reader.push(new Uint8Array(size))
    reader.push(Uint8Array.from(message('d', rowBytes([[1]]))))
    expect(reader.next()).to.equal('rows')
    expect(reader.rows().marks[1]).to.equal(size)
    reader.drop()
    expect(reader.next()).to.equal('more')
    expect(reader.rows().bytes.length).to.be.below(size)
    expect([...reader.rows().marks.subarray(1, 2)]).to.deep.equal([1])
  })

  it('takes memory that another gave back, and none that another still has', () => {
    const readers = Array.from({ length: 3 }, () => new CopyReader({ columns: 1, batchRows: 10, batchBytes: 1 << 20 }))
    const memory = () => new Set(readers.map(reader => reader.rows().bytes.buffer))
    expect(memory().size).to.equal(3)
    const freed = readers[1]!.rows().bytes.buffer
    readers[1]!.end()
    readers[1]!.end()
    readers[1] = new CopyReader({ columns: 1, batchRows: 10, batchBytes: 1 << 20 })
    expect(memory().size).to.equal(3)
    expect(memory().has(freed)).to.equal(true)
    readers.forEach((reader, i) => reader.push(Uint8Array.from([...message('d', header()), ...message('d', rowBytes([[i]])), ...message('d', rowBytes([[i + 1]])), ...trailer])))
    readers.forEach((reader, i) => {
      reader.next()
      const { marks, bytes, length } = reader.rows()
      expect(Array.from({ length }, (_, row) => bytes[marks[2 * row]!])).to.deep.equal([i, i + 1])
    })
  })

  it('skips rows once they are not wanted', () => {
    const reader = new CopyReader({ columns: 1, batchRows: 10, batchBytes: 1 << 20 })
    reader.isSkipping = true
    reader.push(Uint8Array.from([...message('d', [9]), ...message('d', []), ...message('Z', [0x49])]))
    expect(reader.next()).to.equal('message')
    expect(reader.total).to.equal(0)
  })

  const one = message('d', rowBytes([[1], [2]]))
  for (const [what, bytes] of Object.entries({
    'a message shorter than its length': [0x64, 0, 0, 0, 3],
    'no header': one,
    'a cut header': message('d', [...header().slice(0, 15), ...int32(5)]),
    'flags that are unknown': message('d', [...HEADER, ...int32(0x10000), ...int32(0)]),
    'a row of other columns': [...message('d', header()), ...message('d', rowBytes([[1]]))],
    'a row without a count': [...message('d', header()), ...message('d', [0])],
    'a row without a size': [...message('d', header()), ...message('d', [...int16(2), ...int32(-1)])],
    'a value that ends behind its row': [...message('d', header()), ...message('d', [...int16(2), ...int32(-1), ...int32(1)])],
    'a value of a negative size': [...message('d', header()), ...message('d', [...int16(2), ...int32(-2), ...int32(-1)])],
    'bytes behind the values': [...message('d', header()), ...message('d', [...rowBytes([null, null]), 0])],
    'a row after the end': [...message('d', header()), ...trailer, ...one],
  })) {
    it(`refuses ${what}`, () => {
      expect(() => readAll(bytes, [])).to.throw(CopyFormatError)
    })
  }
})
