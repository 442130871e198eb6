import { expect } from 'chai'
import type { Field } from '../../../lib/batch/column-type.js'
import { CacheCorruptionError } from '../../../lib/errors.js'
import { decodeColumn } from '../../../lib/parquet/column.js'
import { encodeFooter, FILE_HEADER, footerBytes, parseFooter } from '../../../lib/parquet/footer.js'
import { encodeRowGroup } from '../../../lib/parquet/row-group.js'
import { comparable, fileOf, valuesVector, vectorOf } from './samples.js'

const fields: Field[] = [{ name: 'id', type: 'int64', nullable: false, wide: true }, { name: 'a.b "c"', type: 'text', nullable: true, origin: 'inet' }]
const group = (from: number): Parameters<typeof fileOf>[1][number] =>
  [vectorOf('int64', [from, from + 1, from + 2]), valuesVector('text', ['ä', null, `row ${from}`])]

describe('parseFooter', () => {
  it('gives back fields, rows, id ranges and key-value metadata', () => {
    const { chunks: _, ...meta } = encodeRowGroup(fields, group(5), { codec: 'SNAPPY' })
    const footer = encodeFooter({ fields, rowGroups: [{ ...meta, offset: 8 }], keyValue: { table: 'public.users', empty: '' } })
    const { rowGroups, keyValue, ...rest } = parseFooter(footer, 8 + meta.bytes + footer.length)
    expect(rest).to.deep.equal({ fields, rows: 3 })
    expect({ ...keyValue }).to.deep.equal({ table: 'public.users', empty: '' })
    expect(rowGroups).to.deep.equal([{ ...meta, offset: 8, idMin: 5, idMax: 7 }])
  })

  it('gives ids beyond 2^53 as bigints', () => {
    const ids = [-(2n ** 63n), 3n, 2n ** 63n - 1n]
    const file = fileOf([fields[0]!], [[vectorOf('int64', ids)]])
    expect(parseFooter(file, file.length).rowGroups[0]).to.include({ idMin: ids[0], idMax: ids[2] })
  })

  it('reads from the end of a file alone', () => {
    const file = fileOf(fields, [group(1), group(4)])
    const tail = file.subarray(file.length - footerBytes(file.subarray(file.length - 8)))
    expect(parseFooter(tail, file.length)).to.deep.equal(parseFooter(file, file.length))
  })

  it('has row groups that can be copied byte for byte to another place', () => {
    const file = fileOf(fields, [group(1), group(4), group(7)])
    const [, second, third] = parseFooter(file, file.length).rowGroups
    const moved = [{ ...third!, offset: FILE_HEADER.length }, { ...second!, offset: FILE_HEADER.length + third!.bytes }]
    const parts = [FILE_HEADER, file.subarray(third!.offset, third!.offset + third!.bytes), file.subarray(second!.offset, second!.offset + second!.bytes),
      encodeFooter({ fields, rowGroups: moved })]
    const copy = new Uint8Array(Buffer.concat(parts))
    const values = parseFooter(copy, copy.length).rowGroups.map(({ columns, offset, rows }) => columns.map((chunk, i) =>
      comparable(decodeColumn(fields[i]!, chunk, rows, copy.subarray(offset + chunk.offset, offset + chunk.offset + chunk.bytes)))))
    expect(values).to.deep.equal([[[7, 8, 9], ['ä', null, 'row 7']], [[4, 5, 6], ['ä', null, 'row 4']]])
  })

  it('refuses files of others, and sizes that cannot be', () => {
    const file = fileOf(fields, [group(1)])
    expect(() => parseFooter(file, file.length - 100)).to.throw(CacheCorruptionError)
    expect(() => encodeFooter({ fields, rowGroups: [{ rows: 0, bytes: 0, columns: [], offset: 4 }] })).to.throw('multiple of 8')
    const text = Buffer.from(file).toString('latin1').replaceAll('millrace', 'millsace')
    expect(() => parseFooter(Buffer.from(text, 'latin1'), file.length, 'x.parquet')).to.throw('x.parquet: its footer cannot be read: it is no file of ours')
  })
})
