import { expect } from 'chai'
import { queryHash, isRecordOf, type QueryIdentity } from '../../../lib/query/identity.js'
import { boundParameters, shownParameter, storeParameters } from '../../../lib/query/parameters.js'
import type { QueryRecord } from '../../../lib/store/query-record.js'

const base: QueryIdentity = { kind: 'plain', sql: 'SELECT 1', params: [], identity: 'postgres://h:5432/d', namespace: '', orderColumn: null, keyColumn: null }
const hashOf = (change: Partial<QueryIdentity>): string => queryHash({ ...base, ...change })
const withParams = (...params: unknown[]): string => hashOf({ params: storeParameters(params) })

describe('a query\'s identity', () => {
  it('differs where text, parameters, database, namespace, kind or columns differ', () => {
    const hashes = [hashOf({}), hashOf({ sql: 'SELECT  1' }), hashOf({ sql: 'select 1' }), hashOf({ sql: 'SELECT 1;' }), hashOf({ identity: 'postgres://h:5433/d' }),
      hashOf({ namespace: 'a' }), hashOf({ kind: 'incremental' }), hashOf({ orderColumn: 'a' }), hashOf({ keyColumn: 'a' }),
      withParams(1), withParams('1'), withParams(1n), withParams(true), withParams('true'), withParams(null), withParams(undefined),
      withParams(['a', 'b,c']), withParams(['a,b', 'c']), withParams('a', 'b'), withParams(['a', 'b']), withParams(new Date(0)), withParams('1970-01-01T00:00:00.000Z'),
      withParams(0), withParams(-0), withParams(NaN), withParams({ a: 1 }), withParams('{"a":1}'), withParams(new Uint8Array([1])), withParams([1]), withParams([[1]])]
    expect(new Set(hashes).size).to.equal(hashes.length)
    for (const hash of hashes) expect(hash).to.match(/^[0-9a-f]{64}$/)
  })

  it('is the same for the same query', () => {
    expect(withParams(new Date(5), [1, 'a'])).to.equal(withParams(new Date(5), [1, 'a']))
  })

  it('tells bytes apart, whatever view of them is given', () => {
    const view = (...bytes: number[]): DataView => new DataView(Uint8Array.from(bytes).buffer)
    const hashes = [withParams(view(1)), withParams(view(2)), withParams(new Float32Array([1])), withParams(new Float64Array([1])), withParams(Int16Array.of(1)), withParams([view(1)]), withParams({})]
    expect(new Set(hashes).size).to.equal(hashes.length)
    for (const same of [Buffer.from([1]), view(1), view(1).buffer, new Uint8Array([0, 1, 2]).subarray(1, 2)]) expect(withParams(same)).to.equal(withParams(Uint8Array.of(1)))
  })

  it('runs no two parts together', () => {
    expect(hashOf({ sql: 'ab', identity: 'c' })).to.not.equal(hashOf({ sql: 'a', identity: 'bc' }))
  })

  it('is compared with what is stored, text and parameters included', () => {
    const record = { ...base, sql: base.sql, params: base.params, watermark: null } as unknown as QueryRecord
    expect(isRecordOf(record, base)).to.equal(true)
    expect(isRecordOf(record, { ...base, sql: 'SELECT 2' })).to.equal(false)
    expect(isRecordOf(record, { ...base, params: storeParameters([1]) })).to.equal(false)
    expect(isRecordOf(record, { ...base, identity: 'other' })).to.equal(false)
    expect(isRecordOf({ ...record, sql: null, params: null }, base)).to.equal(true)
  })

  it('shows parameters as they were given', () => {
    const params = [null, 1, -0, 12345678901234567890n, 'x', true, new Date(7), ['a', [1]], { b: [2] }, undefined]
    expect(storeParameters(params).map(shownParameter)).to.deep.equal(params)
    expect(JSON.parse(JSON.stringify(storeParameters(params.slice(0, -1))))).to.deep.equal(storeParameters(params.slice(0, -1)))
  })

  it('is all that drivers are given: what they make of it is what they make of the value', () => {
    const params = [null, 1, -0, 12345678901234567890n, 'x', true, new Date(7), ['a', [1, undefined]], Buffer.from([1, 2]), { b: [2] }, undefined, new Map([[1, 2]])]
    expect(boundParameters(storeParameters(params)).slice(0, -1)).to.deep.equal(params.slice(0, -1))
    for (const value of [new Map([[1, 2]]), { toJSON: () => 'text' }, { toJSON: () => [1] }, { toJSON: () => null }, Object('boxed') as object]) {
      const [bound] = boundParameters(storeParameters([value]))
      expect([typeof bound, Array.isArray(bound), JSON.stringify(bound)]).to.deep.equal(['object', false, JSON.stringify(value)])
    }
  })

  it('refuses parameters that no database takes', () => {
    expect(() => storeParameters([() => 1])).to.throw().with.property('code', 'ERR_INVALID_ARGUMENT')
    expect(() => storeParameters([new Date(NaN)])).to.throw().with.property('argument', 'params[0]')
    const circle: Record<string, unknown> = {}
    circle['self'] = circle
    for (const value of [circle, { n: 1n }, { toJSON: () => undefined }, { toPostgres: () => 'x' }]) {
      expect(() => storeParameters([[value]])).to.throw().with.include({ code: 'ERR_INVALID_ARGUMENT', argument: 'params[0][0]' })
    }
    expect(() => storeParameters('a' as never)).to.throw().with.property('argument', 'params')
  })
})
