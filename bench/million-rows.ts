/**
 * How long does a million rows by id take, from the call to the complete delivery? One scenario per process, one JSON line.
 *
 * `node --expose-gc --import=tsx bench/million-rows.ts --scenario warm --engine millrace --delivery columns --rows 1000000`
 */
import { fork } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { getHeapStatistics } from 'node:v8'
import { engineOf } from './engines/engine.js'
import { checkDelivery, type DeliveryForm } from './support/delivery.js'
import { sample, shuffled, sourceRow, tableIds, type IdPattern, type SourceRow } from './support/rows.js'

/** cold: nothing is cached; warm: everything; half: every second row; sparse: everything, and 1,000 random rows are asked for. */
type Scenario = 'cold' | 'warm' | 'half' | 'sparse'

const { values: options } = parseArgs({ options: {
  scenario: { type: 'string', default: 'warm' }, engine: { type: 'string', default: 'millrace' }, delivery: { type: 'string', default: 'columns' },
  rows: { type: 'string', default: '1000000' }, ids: { type: 'string', default: 'dense' }, sparse: { type: 'string', default: '1000' },
  /** A filled cache to use (and to keep) instead of a temporary one. */
  cache: { type: 'string' },
  /** Fill that cache and say nothing. */
  fill: { type: 'boolean', default: false }
} })
const scenario = options.scenario as Scenario
const delivery = options.delivery as DeliveryForm
const rows = Number(options.rows)
const pattern = options.ids as IdPattern

const all = tableIds(rows, pattern)
const engine = await engineOf(options.engine)
await engine.open()

let calls = 0
function fetch(ids: ArrayLike<number>): SourceRow[] {
  calls++
  const fetched = new Array<SourceRow>(ids.length)
  for (let i = 0; i < fetched.length; i++) fetched[i] = sourceRow(ids[i]!)
  return fetched
}

const cached = scenario === 'cold' ? all.subarray(0, 0) : scenario === 'half' ? all.filter((_, i) => i % 2 === 1) : all
if (options.fill) {
  const delivered = await engine.run({ ids: shuffled(cached), delivery: 'stream', cacheDir: options.cache!, fetch })
  checkDelivery(delivered, cached)
} else {
  const cacheDir = options.cache ?? mkdtempSync(join(tmpdir(), 'millrace-bench-'))
  try {
    if (scenario !== 'cold' && !(existsSync(cacheDir) && readdirSync(cacheDir).length > 0)) await fill(cacheDir)
    await measure(cacheDir)
  } finally {
    if (options.cache === undefined) rmSync(cacheDir, { recursive: true, force: true })
  }
}

async function measure(cacheDir: string): Promise<void> {
  const wanted = scenario === 'sparse' ? sample(all, Number(options.sparse)) : all
  const ids = shuffled(wanted)
  globalThis.gc?.()
  const rssMiB = Math.round(process.memoryUsage.rss() / 1048576)
  const cpu = process.cpuUsage()
  const start = performance.now()
  const delivered = await engine.run({ ids, delivery, cacheDir, fetch })
  const ms = performance.now() - start
  const { user, system } = process.cpuUsage(cpu)
  const peakRssMiB = Math.round(process.resourceUsage().maxRSS / 1024)
  checkDelivery(delivered, scenario === 'sparse' ? wanted.slice().sort() : all)
  const cacheMiB = Math.round(bytesBelow(cacheDir) / 1048576)
  console.log(JSON.stringify({ name: 'million-rows', engine: engine.name, scenario, delivery, ids: pattern, tableRows: rows, rows: ids.length,
    ms: Math.round(ms * 10) / 10, rowsPerSec: Math.round(ids.length / ms * 1000), peakRssMiB, startRssMiB: rssMiB, cpuMs: Math.round((user + system) / 1000),
    fsync: engine.fsync, calls, cacheMiB, heapLimitMiB: Math.round(getHeapStatistics().heap_size_limit / 1048576), node: process.version }))
}

/** In a process of its own: this one must not have seen the rows. */
async function fill(cacheDir: string): Promise<void> {
  const args = [...process.argv.slice(2).filter(arg => arg !== '--fill'), '--cache', cacheDir, '--fill']
  const child = fork(fileURLToPath(import.meta.url), args, { execArgv: process.execArgv.filter(arg => !arg.startsWith('--max-old') && !arg.startsWith('--cpu-prof')) })
  const code = await new Promise(resolve => child.once('exit', resolve))
  if (code !== 0) throw new Error(`filling the cache failed (${String(code)})`)
}

function bytesBelow(dir: string): number {
  return readdirSync(dir, { recursive: true, withFileTypes: true }).filter(entry => entry.isFile())
    .reduce((sum, entry) => sum + statSync(join(entry.parentPath, entry.name)).size, 0)
}
