/**
 * `npm run bench`: every cell of the matrix in a fresh process, the engines of one cell one after the other, the whole several times;
 * JSON lines in bench/results/, and from them the tables of bench/README.md and the charts.
 *
 * `npm run bench -- --quick` (100,000 rows, once) · `--only million,lookup,merge,write,postgres,incremental,ten-million,gaps` · `--engines millrace,duckdb`
 * `--scenarios warm,sparse` · `--deliveries columns` · `--rows N` · `--runs N` · `--report` (only write the tables again)
 */
import { spawn, spawnSync } from 'node:child_process'
import { appendFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { writeReport } from './support/report.js'

const HERE = import.meta.dirname
const BUILT = join(HERE, '.build/bench')
const RESULTS = join(HERE, 'results')

const { values: options } = parseArgs({ options: {
  quick: { type: 'boolean', default: false }, report: { type: 'boolean', default: false },
  only: { type: 'string' }, engines: { type: 'string', default: 'millrace,duckdb,polars,hyparquet' },
  scenarios: { type: 'string', default: 'cold,warm,half,sparse' }, deliveries: { type: 'string', default: 'columns,objects,stream' },
  rows: { type: 'string' }, runs: { type: 'string' }
} })
const rows = options.rows ?? (options.quick ? '100000' : '1000000')
const runs = Number(options.runs ?? (options.quick ? 1 : 3))
const engines = options.engines.split(',')
const groups = (options.only ?? (options.quick ? 'million,merge,write' : 'million,gaps,merge,write,postgres,incremental,lookup,ten-million')).split(',')

/** One fresh process: the script, what it is told, and V8 options. */
interface Cell { script: string, args: string[], node?: string[] }

const work = mkdtempSync(join(tmpdir(), 'millrace-bench-'))
const plain = ['--expose-gc']

async function run({ script, args, node = plain }: Cell): Promise<string[]> {
  const child = spawn(process.execPath, [...node, join(BUILT, `${script}.js`), ...args], { stdio: ['ignore', 'pipe', 'inherit'] })
  let out = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => { out += text })
  const code = await new Promise<number | null>(resolve => child.once('close', resolve))
  if (code !== 0) process.stderr.write(`${script} ${args.join(' ')}: exit code ${String(code)}\n`)
  return out.split('\n').filter(line => line.startsWith('{'))
}

const caches = new Map<string, Promise<string>>()

/** A cache that was filled by a process of its own, once per engine and kind of ids. */
function filled(engine: string, count: string, ids = 'dense'): Promise<string> {
  const dir = join(work, `${engine}-${count}-${ids}`)
  const filling = async (): Promise<string> => {
    mkdirSync(dir)
    await run({ script: 'million-rows', args: ['--engine', engine, '--rows', count, '--ids', ids, '--cache', dir, '--fill'] })
    return dir
  }
  if (!caches.has(dir)) caches.set(dir, filling())
  return caches.get(dir)!
}

async function million(name: string, { count = rows, ids = 'dense', scenarios = options.scenarios.split(','), deliveries = options.deliveries.split(','),
  among = engines, times = runs, node = plain }: { count?: string, ids?: string, scenarios?: string[], deliveries?: string[], among?: string[], times?: number, node?: string[] } = {}): Promise<void> {
  const cells: Cell[] = []
  for (const scenario of scenarios) {
    for (const delivery of deliveries) {
      if (scenario === 'sparse' && delivery === 'stream') continue
      for (const engine of among) {
        const cache = scenario === 'warm' || scenario === 'sparse' ? ['--cache', await filled(engine, count, ids)] : []
        cells.push({ script: 'million-rows', node, args: ['--scenario', scenario, '--delivery', delivery, '--engine', engine, '--rows', count, '--ids', ids, ...cache] })
      }
    }
  }
  await record(name, cells, times)
}

/** Run the cells, again and again, and keep their lines. */
async function record(name: string, cells: readonly Cell[], times = runs): Promise<void> {
  const file = join(RESULTS, `${name}${options.quick ? '-quick' : ''}.jsonl`)
  writeFileSync(file, '')
  for (let time = 0; time < times; time++) {
    for (const cell of cells) {
      for (const line of await run(cell)) {
        appendFileSync(file, `${line}\n`)
        console.log(line)
      }
    }
  }
}

const two = engines.filter(engine => engine === 'millrace' || engine === 'duckdb')
const jobs: Record<string, () => Promise<void>> = {
  million: () => million('million-rows'),
  gaps: async () => {
    for (const ids of ['every2', 'random30']) await million(`gaps-${ids}`, { ids, scenarios: ['cold', 'warm', 'sparse'], deliveries: ['columns'], among: two })
  },
  merge: () => record('merge', two.map(engine => ({ script: 'merge', args: ['--engine', engine, '--rows', rows] }))),
  write: () => record('write', engines.filter(engine => engine !== 'polars').map(engine => ({ script: 'write', args: ['--engine', engine, '--rows', rows] }))),
  postgres: () => record('postgres-rows', [{ script: 'postgres-rows', args: ['--runs', String(runs), '--rows', rows] },
    { script: 'postgres-rows', args: ['--runs', '1', '--rows', rows, '--heap', '256'] }], 1),
  incremental: () => record('incremental', [{ script: 'incremental', args: options.quick ? ['--rows', rows, '--increments', '100'] : ['--rows', rows] }], 1),
  lookup: async () => {
    const cells = await Promise.all(two.map(async engine => ({ script: 'lookup', args: ['--engine', engine, '--cache', await filled(engine, '10000000'), '--rows', '10000000'] })))
    await record('lookup', cells)
  },
  'ten-million': async () => {
    const ten = { count: '10000000', scenarios: ['warm'], deliveries: ['stream'] }
    await million('ten-million', { ...ten, among: two })
    await million('ten-million-heap-256', { ...ten, among: ['millrace'], times: 1, node: [...plain, '--max-old-space-size=256'] })
  }
}

mkdirSync(RESULTS, { recursive: true })
try {
  if (!options.report) {
    // as users get it: compiled, without a loader between; type errors are for `npm run typecheck`, the code is written all the same
    spawnSync(process.execPath, [join(HERE, '../node_modules/typescript/bin/tsc'), '-p', join(HERE, 'tsconfig.json')], { stdio: 'inherit' })
    for (const group of groups) {
      const job = jobs[group]
      if (!job) throw new Error(`no group ${group}: ${Object.keys(jobs).join(', ')}`)
      await job()
    }
  }
  if (!options.quick) console.log(writeReport(HERE, RESULTS))
} finally {
  rmSync(work, { recursive: true, force: true })
}
