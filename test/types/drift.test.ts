import { expect } from 'chai'
import fc from 'fast-check'
import { ask, nobody, same, withCache } from './support.js'

/** Kinds of values a column may drift between, each with some values. */
const KINDS = {
  null: [null],
  int: [5, 0, 9007199254740991],
  wide: [9007199254740993n, -(2n ** 63n)],
  double: [0.5, -0, NaN],
  text: ['x', '5'],
  bool: [true],
  when: [new Date(5)],
  bytes: [Uint8Array.of(1)],
  json: [{ a: 1 }, [1]]
} as const
type Kind = keyof typeof KINDS
const kinds = Object.keys(KINDS) as Kind[]
/** Kinds that JSON text gives back. */
const JSON_KINDS = new Set<Kind>(['int', 'double', 'text', 'bool', 'json'])

/** The lattice as design §6 words it, not as the code has it. */
function join(a: Kind, b: Kind, dotted: boolean): Kind | undefined {
  if (a === b || b === 'null') return a
  if (a === 'null') return b
  const pair = new Set([a, b])
  if (pair.has('int') && pair.has('wide')) return 'wide'
  if (pair.has('int') && pair.has('double')) return 'double'
  return dotted && JSON_KINDS.has(a) && JSON_KINDS.has(b) ? 'json' : undefined
}

interface Step { id: number, kind: Kind, value: number, refresh: boolean }

const step: fc.Arbitrary<Step> = fc.record({ id: fc.nat(3), kind: fc.constantFrom(...kinds), value: fc.nat(2), refresh: fc.integer({ min: 0, max: 2 }).map(n => n === 0) })

const RUNS = process.env['MILLRACE_FAULTS'] === 'long' ? 3000 : 60

describe('a column whose type drifts at the source', function () {
  this.timeout(RUNS * 1000)
  for (const column of ['plain', 'doc.path']) {
    it(`widens, is refused, or is renewed as the lattice says, over ${RUNS} random histories: ${column}`, async () => {
      const dotted = column.includes('.')
      await fc.assert(fc.asyncProperty(fc.array(step, { minLength: 2, maxLength: 7 }), fc.boolean(), (steps, folded) => withCache(async cache => {
        let table: Kind | undefined
        const cached = new Map<number, { value: unknown, kind: Kind }>()
        // a wide integer is as exact in a column that was renewed with small ones: both are int64
        const counts = (kept: { kind: Kind }): boolean => join(kept.kind, table!, dotted) === table || (kept.kind === 'wide' && table === 'int')
        for (const { id, kind, value: which, refresh } of steps) {
          // NaN has no place in dotted columns
          const values: readonly unknown[] = KINDS[kind].filter(value => !dotted || !Number.isNaN(value))
          const value = values[which % values.length]
          const known = cached.get(id)
          const isHit = !refresh && known !== undefined && counts(known)
          const joined = table === undefined ? kind : join(table, kind, dotted)
          const answer = ask(cache, { ids: [id], columns: [column], refresh, fetcher: isHit ? nobody : () => [{ id, [column]: value }] })
          if (!isHit && joined === undefined && !refresh) {
            const error = await answer.then(() => undefined, (thrown: unknown) => thrown)
            expect(error).to.include({ code: 'ERR_SCHEMA_CONFLICT', column })
            continue
          }
          same((await answer).toRows(), [{ id, [column]: isHit ? known.value : value }])
          if (isHit) continue
          table = joined ?? kind
          cached.set(id, { value, kind: table })
        }
        if (folded) await cache.cache.compact()
        await cache.reopen()
        for (const [id, kept] of cached) {
          if (counts(kept)) same((await ask(cache, { ids: [id], columns: [column], fetcher: nobody })).toRows(), [{ id, [column]: kept.value }])
          else {
            let asked = false
            await ask(cache, { ids: [id], columns: [column], fetcher: () => { asked = true; return [{ id, [column]: null }] } })
            expect(asked).to.equal(true)
          }
        }
      })), { numRuns: RUNS, seed: 11 })
    })
  }
})
