import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { barChart } from './chart.js'
import { median } from './result.js'

interface Result {
  name: string
  engine: string
  rows: number
  ms: number
  peakRssMiB: number
  fsync: boolean
  scenario?: string
  delivery?: string
  job?: string
  ids?: string
  tableRows?: number
  heapLimitMiB?: number
  shareOfFull?: number
  againstOnePart?: number
}

/** Runs of one cell: median time, fastest and slowest, largest memory. */
interface Cell extends Result {
  least: number
  most: number
  runs: number
}

const ENGINES = ['millrace', 'duckdb', 'polars', 'hyparquet']
const BEGIN = '<!-- results -->'
const END = '<!-- /results -->'

/** The tables made of every result file, written into README.md and returned, the main one into the project's README too; charts beside the results. */
export function writeReport(dir: string, results: string): string {
  const names = readdirSync(results).filter(file => file.endsWith('.jsonl') && !file.endsWith('-quick.jsonl')).map(file => file.replace('.jsonl', '')).sort()
  const sections = new Map(names.map(name => [name, section(name, cellsOf(join(results, `${name}.jsonl`)), results)]))
  const report = [...sections.values()].join('\n\n')
  write(join(dir, 'README.md'), report)
  const table = sections.get('million-rows')?.split('\n').filter(line => line.startsWith('|')).join('\n')
  if (table !== undefined) write(join(dir, '../README.md'), table)
  return report
}

/** Put text between the marks of a file. */
function write(file: string, report: string): void {
  const text = existsSync(file) ? readFileSync(file, 'utf8') : ''
  const [from, to] = [text.indexOf(BEGIN), text.indexOf(END)]
  if (from !== -1 && to !== -1) writeFileSync(file, `${text.slice(0, from + BEGIN.length)}\n${report}\n${text.slice(to)}`)
}

function cellsOf(file: string): Cell[] {
  const runs = new Map<string, Result[]>()
  for (const line of readFileSync(file, 'utf8').split('\n')) {
    if (line === '') continue
    const result = JSON.parse(line) as Result
    // another heap limit is another cell; limits V8 chose by itself are not told apart
    const limited = result.heapLimitMiB !== undefined && result.heapLimitMiB < 1000
    const key = [titleOf(result), result.engine, limited].join('|')
    runs.set(key, [...runs.get(key) ?? [], limited ? { ...result, job: `${result.job ?? ''} in a heap of ${result.heapLimitMiB} MiB` } : result])
  }
  return [...runs.values()].map(of => {
    const times = of.map(({ ms }) => ms)
    return { ...of[0]!, ms: median(times), least: Math.min(...times), most: Math.max(...times), runs: of.length, peakRssMiB: Math.max(...of.map(run => run.peakRssMiB)) }
  })
}

/** Whether something is written, and on disk at the end. */
function isDurable({ fsync, scenario }: Result): boolean {
  return fsync && (scenario === undefined || scenario === 'cold' || scenario === 'half')
}

function titleOf({ name, scenario, delivery, job, rows, shareOfFull, againstOnePart }: Result): string {
  if (scenario !== undefined) return `${scenario}, ${delivery}`
  const share = shareOfFull === undefined ? againstOnePart && `${againstOnePart} × one part` : `${shareOfFull} × the full run`
  if (share) return `${job} (${share})`
  return job ?? (name === 'lookup' ? `${rows.toLocaleString('en')} ids` : name)
}

/** A row per case, a column per engine: median ms (peak MiB), and the ratio to millrace's best rival. */
function section(name: string, cells: readonly Cell[], results: string): string {
  const titles = [...new Set(cells.map(titleOf))]
  if (cells.every(({ job }) => job !== undefined)) {
    return [`### ${name}`, '', '| case | ms (least – most) | peak MiB | on disk | runs |', '|---|--:|--:|---|--:|',
      ...cells.map(cell => `| ${titleOf(cell)} | ${shown(cell.ms)} (${shown(cell.least)} – ${shown(cell.most)}) | ${cell.peakRssMiB} | ${isDurable(cell) ? 'yes' : 'no'} | ${cell.runs} |`)].join('\n')
  }
  const engines = ENGINES.filter(engine => cells.some(cell => cell.engine === engine))
  const at = (title: string, engine: string): Cell | undefined => cells.find(cell => titleOf(cell) === title && cell.engine === engine)
  const lines = titles.map(title => {
    const ours = at(title, 'millrace')
    const shownCells = engines.map(engine => {
      const cell = at(title, engine)
      return cell ? `${shown(cell.ms)} (${cell.peakRssMiB})` : '–'
    })
    const ratios = engines.filter(engine => engine !== 'millrace').map(engine => {
      const cell = at(title, engine)
      return ours && cell ? (ours.ms / cell.ms).toFixed(2) : '–'
    })
    return `| ${[title, ...shownCells, ...ratios, ours && isDurable(ours) ? 'millrace' : 'none'].join(' | ')} |`
  })
  const peers = engines.filter(engine => engine !== 'millrace')
  const chart = `${name}.svg`
  writeFileSync(join(results, chart), barChart({ title: `${name}: ms, less is better`, groups: titles.map(title => ({ label: title,
    bars: engines.flatMap(engine => {
      const cell = at(title, engine)
      return cell ? [{ series: engine, value: cell.ms }] : []
    }) })) }))
  return [`### ${name}`, '', `![${name}](results/${chart})`, '', `Median ms (largest peak MiB), and millrace's time as a share of each other's.`, '',
    `| case | ${[...engines, ...peers.map(peer => `÷ ${peer}`)].join(' | ')} | on disk at the end |`, `|---|${'--:|'.repeat(engines.length + peers.length)}---|`, ...lines].join('\n')
}

function shown(ms: number): string {
  return ms < 100 ? ms.toFixed(1) : Math.round(ms).toLocaleString('en')
}
