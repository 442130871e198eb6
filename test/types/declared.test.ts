import { expect } from 'chai'
import fc from 'fast-check'
import { isColumnType } from '../../lib/batch/column-type.js'
import { storageValueAs } from '../../lib/batch/declare.js'
import { sameValue } from '../../lib/batch/same-value.js'
import { formatDate, formatTime, formatTimestamp, parseDate, parseTime, parseTimestamp, timestampCell } from '../../lib/batch/temporal.js'
import { fromRows } from '../../lib/batch/from-rows.js'
import { same } from './support.js'

/** Type, values that are taken and what for, values that are refused. */
const DECLARED: readonly (readonly [string, readonly (readonly [unknown, unknown])[], readonly unknown[]])[] = [
  ['bool', [[true, true], [false, false]], [1, 0, 'true', 't']],
  ['int32', [[5, 5], [-5n, -5], ['2147483647', 2147483647], [-2147483648, -2147483648]], [1.5, 2147483648, '2147483648', 'x', '', ' 1', '1.0', true, NaN]],
  ['int64', [[5, 5], ['9007199254740993', 9007199254740993n], ['-9223372036854775808', -9223372036854775808n], [9007199254740991n, 9007199254740991]], ['9223372036854775808', 1.5, '1e3', '0x10', new Date(0)]],
  ['float64', [[0.1, 0.1], ['0.1', 0.1], ['-1e-3', -0.001], ['NaN', NaN], ['-Infinity', -Infinity], ['.5', 0.5], ['5.', 5], [-0, -0], [5n, 5]], ['', ' ', '0x10', '1_000', '1,5', 'inf', 9007199254740993n, true]],
  ['float32', [[0.1, Math.fround(0.1)], ['NaN', NaN], [-0, -0]], ['0b1', '', {}]],
  ['decimal(5,2)', [['1', '1.00'], ['-0.5', '-0.50'], ['00012.340', '12.34'], [1.25, '1.25'], [7n, '7.00'], ['-0', '0.00'], ['.5', '0.50'], ['0.000', '0.00'], ['999.99', '999.99']],
    ['1.234', '1000', '.', '-', '', '-.', '1e2', 'NaN', 1e21, 0.001, '1 000', '+1']],
  ['date', [['2024-02-29', 19782], ['0044-03-15 BC', -735160], ['infinity', 2147483647], [new Date('2024-02-29T00:00:00Z'), 19782], [new Date(Date.UTC(12024, 0, 1)), 3672148]],
    ['2023-02-29', '2024-2-1', '29.02.2024', new Date('2024-02-29T03:00:00Z'), new Date(NaN), '2024-02-29T00:00:00Z', 19782]],
  ['time', [['12:34:56.789', 45296789000n], ['24:00:00', 86400000000n], [5n, 5n]], ['25:00:00', '24:00:01', '12:60:00', '1:2:3', 86400000001n, -1n, 5]],
  ['timestamp', [['2024-01-02 03:04:05.678901', 1704164645678901n], ['2024-01-02T03:04:05Z', 1704164645000000n], ['2024-01-02 03:04:05+00', 1704164645000000n], [new Date(5), 5000n], ['infinity', 9223372036854775807n], ['2024-01-02 24:00:00', 1704240000000000n], ['0044-03-15 12:00:00 BC', -63517780800000000n]],
    ['2024-01-02 03:04:05+03', '2024-01-02 03:04:05.1234567', '2024-01-02 24:00:01', '2024-01-02 23:59:60', '2024-13-01 00:00:00', new Date(NaN), 5, '9999999-01-01 00:00:00']],
  ['timestamptz', [['2024-01-02 03:04:05.678901+05:30', 1704144845678901n], ['2024-01-02T03:04:05-03:30', 1704177245000000n], ['2024-01-02 03:04:05.1234560', 1704164645123456n]], ['yesterday', '2024-01-02', '2024-01-02 03:04:05 PST', '2024-01-02 03:04:05.1234567Z']],
  ['uuid', [['A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11']], ['a0eebc999c0b4ef8bb6d6bb9bd380a11', '', 5]],
  ['text', [['', ''], [5, '5'], [-0, '-0'], [9007199254740993n, '9007199254740993'], [true, 'true'], [1e21, '1e+21']], ['\ud800', {}, new Date(0), Uint8Array.of(1)]],
  ['bytes', [[Uint8Array.of(1), Uint8Array.of(1)]], ['\\x00', [1, 2], 5]],
  ['list<int64>', [[[1, null, 2n ** 60n], [1, null, 2n ** 60n]], [[], []], [['5'], [5]]], ['{1}', [1.5], [[1]], 5]],
  ['list<timestamptz>', [[[new Date(5), null], [5000n, null]]], [['x']]],
]

describe('declared types', () => {
  for (const [type, taken, refused] of DECLARED) {
    it(`${type} takes what spells a value exactly, and nothing else`, () => {
      expect(isColumnType(type)).to.equal(true)
      for (const [given, stored] of taken) same(storageValueAs(type as 'text', given), stored, String(given))
      for (const given of refused) same(storageValueAs(type as 'text', given), undefined, `refused ${String(given)}`)
    })
  }

  it('are refused themselves where they are none', () => {
    for (const name of ['int', 'varchar', 'decimal(39,1)', 'decimal(5,6)', 'list<list<int64>>', 'list<nothing>', 'list<null>', 'null', '', 'decimal(0,0)', '__proto__']) {
      expect(() => fromRows([{ id: 1, a: 1 }], { types: { a: name } }), name).to.throw(/columnTypes|types/)
    }
  })
})

describe('dates and times', () => {
  it('print what they read, over all of PostgreSQL\'s range', () => {
    fc.assert(fc.property(fc.oneof(fc.integer({ min: -2451545, max: 2145031948 }), fc.integer({ min: -800000, max: 800000 })), days => {
      same(parseDate(formatDate(days)), days)
    }), { numRuns: 2000, seed: 1 })
    fc.assert(fc.property(fc.oneof(fc.bigInt({ min: -211813488000000000n, max: 9223371331199999999n }), fc.bigInt({ min: -(10n ** 12n), max: 10n ** 12n })), micros => {
      same(parseTimestamp(formatTimestamp(micros)), micros)
      same(parseTimestamp(formatTimestamp(micros, '+00')), micros)
    }), { numRuns: 2000, seed: 2 })
    fc.assert(fc.property(fc.bigInt({ min: 0n, max: 86_400_000_000n }), micros => same(parseTime(formatTime(micros)), micros)), { numRuns: 1000, seed: 3 })
  })

  it('agree with Date where a Date reaches, and stay text beyond', () => {
    fc.assert(fc.property(fc.integer({ min: -8.64e15, max: 8.64e15 }), ms => {
      same(timestampCell(BigInt(ms) * 1000n), new Date(ms))
      same(timestampCell(BigInt(ms) * 1000n + 999n), new Date(ms))
      const { year, text } = { year: new Date(ms).getUTCFullYear(), text: formatTimestamp(BigInt(ms) * 1000n) }
      if (year >= 1 && year <= 9999) same(text.slice(0, 19), new Date(ms).toISOString().slice(0, 19).replace('T', ' '))
    }), { numRuns: 2000, seed: 4 })
    expect(timestampCell(8_640_000_000_000_001_000n)).to.equal('275760-09-13 00:00:00.001')
    expect(timestampCell(-9223372036854775808n)).to.equal('-infinity')
  })
})

describe('sameValue', () => {
  it('compares by content, at any depth', () => {
    const deep = (end: unknown): unknown => { let value = end; for (let i = 0; i < 50_000; i++) value = i % 2 === 0 ? [value] : { a: value }; return value }
    expect(sameValue(deep(1), deep(1))).to.equal(true)
    expect(sameValue(deep(1), deep(2))).to.equal(false)
    for (const [a, b, expected] of [[1, 1n, true], [2 ** 53, 2n ** 53n, false], [null, undefined, true], [NaN, NaN, true], [{ a: 1, b: 2 }, { b: 2, a: 1 }, true], [{ a: 1 }, { b: 1 }, false], [[1], { 0: 1 }, false], [new Date(1), new Date(1), true], [new Date(1), 1, false],
      [Uint8Array.of(1), Buffer.from([1]), true], [Uint8Array.of(1), [1], false], [new Map(), new Map(), false], ['1', 1, false]] as const) {
      expect(sameValue(a, b), `${String(a)} ${String(b)}`).to.equal(expected)
    }
  })
})
