/**
 * How long does a look-up of 1,000 and of 100,000 random ids among 10M cached rows take, in a process that has looked up before?
 * `node bench/.build/bench/lookup.js --engine millrace --cache DIR`: the cache is filled by million-rows.ts; one JSON line per size.
 */
import { parseArgs } from 'node:util'
import { engineOf } from './engines/engine.js'
import { checkDelivery } from './support/delivery.js'
import { median, printResult } from './support/result.js'
import { sample, tableIds } from './support/rows.js'

const ROUNDS = 7
const WARM_UP = 3

const { values: options } = parseArgs({ options: {
  engine: { type: 'string', default: 'millrace' }, cache: { type: 'string' }, rows: { type: 'string', default: '10000000' }
} })
if (options.cache === undefined) throw new Error('--cache DIR, filled by million-rows.ts --fill')
const all = tableIds(Number(options.rows), 'dense')
const engine = await engineOf(options.engine)
await engine.open()
for (const count of [1000, 100_000]) {
  const times: number[] = []
  const cpuTimes: number[] = []
  for (let round = 0; round < WARM_UP + ROUNDS; round++) {
    const ids = sample(all, count, 100 + round)
    const cpu = process.cpuUsage()
    const start = performance.now()
    const delivered = await engine.run({ ids, delivery: 'columns', cacheDir: options.cache, fetch: () => { throw new Error('a miss') } })
    if (round >= WARM_UP) {
      times.push(performance.now() - start)
      const { user, system } = process.cpuUsage(cpu)
      cpuTimes.push((user + system) / 1000)
    }
    checkDelivery(delivered, ids.slice().sort())
  }
  printResult({ name: 'lookup', engine: engine.name, tableRows: all.length, rows: count, ms: median(times), minMs: Math.round(Math.min(...times) * 10) / 10,
    cpuMs: Math.round(median(cpuTimes)), fsync: false })
}
