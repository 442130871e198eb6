import { expect } from 'chai'
import fc from 'fast-check'
import type { ColumnType, Field } from '../../../lib/batch/column-type.js'
import { gatherVector, type BytesVector, type Vector } from '../../../lib/batch/vector.js'
import { decodeColumn, decodeColumnRows } from '../../../lib/parquet/column.js'
import type { Codec } from '../../../lib/parquet/codec.js'
import { parseFooter } from '../../../lib/parquet/footer.js'
import { bytesVector, columnSample, comparable, fileOf, plain, TYPES, valuesVector, vectorOf } from './samples.js'

const ROWS = [0, 1, 2, 7, 8, 9, 40, 100]

/** Write a file of one column and read it back. */
function roundTrip(field: Field, vector: Vector | readonly Vector[], codec: Codec, picks?: Uint32Array): Vector {
  const file = fileOf([field], [[vector]], codec)
  const { fields, rowGroups: [group] } = parseFooter(file, file.length)
  expect(fields).to.deep.equal([field])
  const chunk = group!.columns[0]!
  const start = group!.offset + chunk.offset
  const bytes = file.subarray(start, start + chunk.bytes)
  return picks ? decodeColumnRows(field, chunk, group!.rows, bytes, picks) : decodeColumn(field, chunk, group!.rows, bytes)
}

/** The same values as codes into their distinct ones, which are bytes. */
function numbered(type: ColumnType, values: unknown[]): Vector {
  const distinct: unknown[] = [...new Set(values.filter(value => value !== null))]
  return { form: 'dictionary', type, length: values.length, codes: Uint16Array.from(values, value => Math.max(0, distinct.indexOf(value))),
    dictionary: bytesVector(type, distinct) as BytesVector, valid: Uint8Array.from(values, value => value === null ? 0 : 1) }
}

describe('decodeColumn', () => {
  for (const type of TYPES) {
    it(`gives back what was encoded, ${type}`, () => {
      const sample = fc.constantFrom(...ROWS).chain(rows => columnSample(type, rows))
      fc.assert(fc.property(sample, fc.constantFrom<Codec>('UNCOMPRESSED', 'SNAPPY', 'GZIP'), ({ field, values }, codec) => {
        const forms = [vectorOf(type, values), valuesVector(type, values)]
        if (type === 'text' || type === 'json' || type === 'uuid' || type === 'bytes' || type.startsWith('decimal')) forms.push(bytesVector(type, values))
        for (const vector of forms) {
          const back = roundTrip(field, vector, codec)
          expect(comparable(back)).to.deep.equal(values.map(canonical))
          // what was decoded encodes again, whatever form it has
          expect(comparable(roundTrip(field, back, 'UNCOMPRESSED'))).to.deep.equal(values.map(canonical))
        }
      }), { seed: 17, numRuns: 60 })
    })

    it(`gives back what was encoded in pieces, ${type}`, () => {
      const isText = type === 'text' || type === 'json'
      const sample = fc.constantFrom(2, 9, 100, 300).chain(rows => fc.tuple(columnSample(type, rows),
        fc.uniqueArray(fc.integer({ min: 1, max: rows - 1 }), { maxLength: 4 }).map(cuts => [0, ...cuts.sort((a, b) => a - b), rows]),
        // of one form or of several
        fc.array(fc.nat(3), { minLength: 1, maxLength: 5 })))
      fc.assert(fc.property(sample, fc.constantFrom<Codec>('UNCOMPRESSED', 'SNAPPY'), ([{ field, values }, cuts, forms], codec) => {
        const pieces = cuts.slice(1).map((to, p): Vector => {
          const part = values.slice(cuts[p], to)
          const form = forms[p % forms.length]!
          if (part.every(value => value === null) && form > 1) return valuesVector('null', part)
          if (form === 0 || type.startsWith('list')) return valuesVector(type, part)
          if (form === 1 && isText) return bytesVector(type, part)
          return form === 2 && isText && part.length > 0 ? numbered(type, part) : vectorOf(type, part)
        })
        expect(comparable(roundTrip(field, pieces, codec))).to.deep.equal(values.map(canonical))
      }), { seed: 19, numRuns: 60 })
    })

    it(`decodes some rows as gathering them from all, ${type}`, () => {
      const sample = fc.constantFrom(1, 9, 100).chain(rows => fc.tuple(columnSample(type, rows),
        fc.uniqueArray(fc.nat(rows - 1)).map(picks => Uint32Array.from(picks).sort())))
      fc.assert(fc.property(sample, fc.constantFrom<Codec>('UNCOMPRESSED', 'SNAPPY'), ([{ field, values }, picks], codec) => {
        const vector = vectorOf(type, values)
        const picked = roundTrip(field, vector, codec, picks)
        expect(picked.length).to.equal(picks.length)
        expect(comparable(picked)).to.deep.equal(comparable(gatherVector(roundTrip(field, vector, codec), picks)))
      }), { seed: 18, numRuns: 60 })
    })
  }

  it('keeps a column of nulls', () => {
    const field: Field = { name: 'n', type: 'null', nullable: true }
    expect(comparable(roundTrip(field, valuesVector('null', [null, null]), 'UNCOMPRESSED'))).to.deep.equal([null, null])
    expect(roundTrip({ ...field, type: 'text' }, valuesVector('null', [null, null]), 'SNAPPY')).to.include({ length: 2, type: 'text' })
  })

  it('reads numbers and texts of an aligned file without copying them', () => {
    const fields: Field[] = [{ name: 'id', type: 'int32', nullable: false }, { name: 'x', type: 'float64', nullable: true },
      { name: 't', type: 'text', nullable: false }, { name: 'u', type: 'timestamp', nullable: false }]
    const rows = Array.from({ length: 1001 }, (_, i) => i)
    const file = fileOf(fields, [[vectorOf('int32', rows), vectorOf('float64', rows), valuesVector('text', rows.map(String)),
      vectorOf('timestamp', rows.map(BigInt))]])
    const [group] = parseFooter(file, file.length).rowGroups
    fields.forEach((field, i) => {
      const chunk = group!.columns[i]!
      const vector = decodeColumn(field, chunk, 1001, file.subarray(group!.offset + chunk.offset, group!.offset + chunk.offset + chunk.bytes))
      const memory = vector.form === 'fixed' ? vector.values : vector.form === 'bytes' ? vector.bytes : undefined
      expect(memory?.buffer, field.name).to.equal(file.buffer)
    })
  })

  it('gives integers as numbers when all are safe, as bigints otherwise', () => {
    const field: Field = { name: 'i', type: 'int64', nullable: false }
    const limits: [bigint[], boolean][] = [[[9007199254740991n, -9007199254740991n], true], [[0n, -4294967297n], true], [[9007199254740992n], false],
      [[-9007199254740992n], false], [[-9007199254740993n], false], [[-9007199254740990n], true], [[9223372036854775807n, 1n], false], [[-9223372036854775808n], false]]
    for (const [values, safe] of limits) {
      const back = roundTrip(field, { form: 'fixed', type: 'int64', length: values.length, values: BigInt64Array.from(values) }, 'UNCOMPRESSED')
      expect(back.form === 'fixed' && back.values, String(values)).to.deep.equal(safe ? Float64Array.from(values, Number) : BigInt64Array.from(values))
    }
  })

  it('reads bytes that are not aligned, and Buffers', () => {
    for (const [type, values] of [['float64', [0.5, -1]], ['timestamp', [1n, -1n]], ['int64', [1, 2]], ['text', Array.from({ length: 4000 }, (_, i) => `c${i % 300}`)]] as [ColumnType, unknown[]][]) {
      const field: Field = { name: 'c', type, nullable: false }
      const file = fileOf([field], [[vectorOf(type, values)]])
      const [group] = parseFooter(file, file.length).rowGroups
      const chunk = group!.columns[0]!
      for (let shift = 0; shift < 8; shift++) {
        const moved = Buffer.alloc(chunk.bytes + 8).subarray(shift, shift + chunk.bytes)
        moved.set(file.subarray(group!.offset + chunk.offset, group!.offset + chunk.offset + chunk.bytes))
        expect(comparable(decodeColumn(field, chunk, values.length, moved))).to.deep.equal(values.map(plain))
        const back = roundTrip(field, decodeColumn(field, chunk, values.length, moved), 'UNCOMPRESSED')
        expect(comparable(back)).to.deep.equal(values.map(plain))
      }
    }
  })

  it('uses a dictionary for few distinct texts and none for many', () => {
    const field: Field = { name: 't', type: 'text', nullable: false }
    const few = Array.from({ length: 5000 }, (_, i) => `city_${i % 300}`)
    const many = Array.from({ length: 5000 }, (_, i) => `user_${i}`)
    for (const make of [valuesVector, bytesVector]) {
      expect(roundTrip(field, make('text', few), 'UNCOMPRESSED').form).to.equal('dictionary')
      expect(roundTrip(field, make('text', many), 'UNCOMPRESSED').form).to.equal('bytes')
    }
    expect(comparable(roundTrip(field, bytesVector('text', few), 'UNCOMPRESSED'))).to.deep.equal(few)
  })

  it('drops dictionary entries that no row uses', () => {
    const field: Field = { name: 't', type: 'text', nullable: false }
    const values = Array.from({ length: 4000 }, (_, i) => `city_${i % 300}`)
    const all = roundTrip(field, valuesVector('text', values), 'UNCOMPRESSED')
    const some = gatherVector(all, Uint32Array.from({ length: 100 }, (_, i) => i * 0 + i % 2))
    const back = roundTrip(field, some, 'UNCOMPRESSED')
    expect(back.form === 'dictionary' && back.dictionary.length).to.equal(2)
    expect(comparable(back)).to.deep.equal(comparable(some))
  })

  it('writes lone surrogates as U+FFFD, never as something else', () => {
    const field: Field = { name: 't', type: 'text', nullable: false }
    expect(comparable(roundTrip(field, valuesVector('text', ['a\ud800b', '\udc00', 'x'.repeat(200) + '\ud800']), 'UNCOMPRESSED')))
      .to.deep.equal(['a\ufffdb', '\ufffd', 'x'.repeat(200) + '\ufffd'])
  })

  it('refuses values that do not fit their field', () => {
    const refused: [ColumnType, unknown][] = [['int32', 1.5], ['int32', 2147483648], ['int64', 2n ** 63n], ['decimal(5,2)', '1.5'], ['decimal(5,2)', '1000.00'],
      ['decimal(5,2)', 'NaN'], ['decimal(5,2)', '-.50'], ['uuid', 'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11'], ['uuid', 'x'], ['bool', 1], ['list<text>', [1]], ['list<int32>', 5]]
    for (const [type, value] of refused) {
      expect(() => fileOf([{ name: 'c', type, nullable: false }], [[valuesVector(type, [value])]]), `${type} ${String(value)}`)
        .to.throw().with.property('code', 'ERR_INVALID_ARGUMENT')
    }
    expect(() => fileOf([{ name: 'c', type: 'text', nullable: false }], [[valuesVector('text', ['a', null])]])).to.throw('no null')
  })

  it('reads "-0.00" as "0.00"', () => {
    const field: Field = { name: 'd', type: 'decimal(9,2)', nullable: false }
    expect(comparable(roundTrip(field, valuesVector(field.type, ['-0.00']), 'UNCOMPRESSED'))).to.deep.equal(['0.00'])
  })
})

function canonical(value: unknown): unknown {
  return plain(value)
}
