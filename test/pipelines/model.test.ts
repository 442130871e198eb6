import { expect } from 'chai'
import fc from 'fast-check'
import type { Id } from '../../lib/batch/ids.js'
import type { RowBatch } from '../../lib/batch/row-batch.js'
import type { Row } from '../../lib/batch/row-factory.js'
import { parseColumnName } from '../../lib/json/column-name.js'
import { getData } from '../../pipelines/get-data.js'
import { planData } from '../../pipelines/plan-data.js'
import { streamData } from '../../pipelines/stream-data.js'
import { freshCache, withReopened, type TestCache } from '../support/cache.js'
import { collect } from '../support/collect.js'
import { recording } from '../support/fetchers.js'
import { invalidateRows } from '../support/invalidate.js'
import { fiveStages } from '../support/stages.js'

const COLUMNS = ['a', 'b', 'doc', 'doc.x', 'doc.y.0', 'n\\.dot']

/** What the source holds for an id; ids divisible by 7 do not exist. */
function sourceRow(id: Id, version: number): Row | undefined {
  const n = Number(BigInt(id) % 1000n)
  if (BigInt(id) % 7n === 0n) return undefined
  return { id, a: n % 3 === 0 ? null : n + version * 1000, b: `b${id} v${version}`, 'n.dot': n % 2 === 0,
    doc: n % 5 === 0 ? null : { x: n % 4 === 0 ? `x${version}` : n, y: [n, version] } }
}

/** A column's value in the result. */
function valueOf(row: Row, name: string): unknown {
  const { column, path } = parseColumnName(name)
  const value = row[column]
  if (path === undefined) return value
  const document = value as { x: unknown, y: unknown[] } | null
  return document === null ? null : path === 'x' ? document.x : document.y[0]
}

const idArbitrary: fc.Arbitrary<Id> = fc.oneof({ weight: 8, arbitrary: fc.integer({ min: -20, max: 60 }) }, { weight: 1, arbitrary: fc.constantFrom<Id>(2 ** 53 - 1, -(2 ** 53) + 1) },
  { weight: 1, arbitrary: fc.bigInt({ min: 2n ** 53n, max: 2n ** 53n + 12n }) }, { weight: 1, arbitrary: fc.constantFrom<Id>(-(2n ** 63n), 2n ** 63n - 1n) })

const step = fc.record({
  how: fc.constantFrom('getData', 'streamData', 'by hand', 'refresh', 'invalidate', 'plan', 'reopen'),
  ids: fc.array(idArbitrary, { minLength: 0, maxLength: 25 }),
  columns: fc.shuffledSubarray(COLUMNS, { minLength: 1 }),
  batchSize: fc.integer({ min: 1, max: 30 }),
  concurrency: fc.integer({ min: 1, max: 3 }),
  onMissing: fc.constantFrom('skip' as const, 'null' as const),
})
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never

const compareIds = (a: Id, b: Id): number => a < b ? -1 : a > b ? 1 : 0

describe('any sequence of requests', () => {
  const cache = freshCache({ partBytes: 4096 })
  let table = 0

  /** The cache as a Map: per id, the version each column was fetched at. */
  async function follow(steps: readonly Step[], own: TestCache): Promise<void> {
    const name = `public.t${table++}`
    const known = new Map<Id, Map<string, number>>()
    let version = 0
    const { fetcher, asked, calls } = recording(async ids => ids.flatMap((id): Row[] => [sourceRow(id, version)].filter(row => row !== undefined)))
    for (const { how, ids, columns, batchSize, concurrency, onMissing } of steps) {
      calls.length = 0
      version++
      if (how === 'invalidate') {
        await invalidateRows(own, name, { ids, columns })
        for (const id of ids) for (const column of columns) known.get(id)?.delete(column)
        continue
      }
      const sorted = [...new Set(ids)].sort(compareIds)
      const missing = sorted.filter(id => how === 'refresh' || !columns.every(column => known.get(id)?.has(column)))
      const request = { ids, columns, table: name, cache: own, fetcher, batchSize, concurrency, onMissing, refresh: how === 'refresh' }
      if (how === 'plan') {
        expect(await planData(request)).to.include({ ids: sorted.length, misses: missing.length, hits: sorted.length - missing.length })
        continue
      }
      let rows: Row[]
      if (how === 'streamData') rows = (await streamData(request).toArray() as RowBatch[]).flatMap(batch => batch.toRows())
      else if (how === 'by hand') rows = (await collect<RowBatch>(ids, ...fiveStages({ ...request, sink: { onMissing } }))).flatMap(batch => batch.toRows())
      else if (how === 'reopen') rows = await withReopened(own, async other => (await getData({ ...request, cache: other })).toRows())
      else rows = (await getData(request)).toRows()
      expect([...asked()].sort(compareIds), `${how} asks for what is missing`).to.deep.equal(missing)
      for (const id of missing) {
        if (!sourceRow(id, version)) continue
        const held = known.get(id) ?? new Map<string, number>()
        known.set(id, held)
        for (const column of columns) held.set(column, version)
      }
      const expected = sorted.flatMap((id): Row[] => {
        const exists = sourceRow(id, 0) !== undefined
        if (!exists && onMissing === 'skip') return []
        return [{ id, ...Object.fromEntries(columns.map(column => [column, exists ? valueOf(sourceRow(id, known.get(id)!.get(column)!)!, column) : null])) }]
      })
      expect(rows, `${how} delivers the newest value of each column`).to.deep.equal(expected)
    }
  }

  it('delivers the newest value of each column and asks only for what is missing (200 sequences)', async function () {
    this.timeout(120_000)
    await fc.assert(fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 7 }), async steps => { await follow(steps, cache()) }), { numRuns: 200, seed: 20_24 })
  })

  it('stays right over a hundred requests to one table, folded and split on the way', async function () {
    this.timeout(120_000)
    const steps = fc.sample(step, { numRuns: 100, seed: 77 })
    await follow(steps, cache())
    const { parts } = await cache().store.table(`public.t${table - 1}`).manifest()
    expect(parts.length).to.be.lessThan(40)
  })
})
