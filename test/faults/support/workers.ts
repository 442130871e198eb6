import { spawn, type ChildProcess } from 'node:child_process'
import { chmodSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface, type Interface } from 'node:readline'
import type { Answer, Command } from './worker.js'

let bundled: Promise<string> | undefined

/**
 * The worker as one plain file with all it imports: it starts in a fifth of the time, and other users can run it wherever this
 * checkout lies. Built once, with the esbuild that runs the tests.
 */
function workerFile(): Promise<string> {
  return bundled ??= (async () => {
    const fromTsx = createRequire(createRequire(import.meta.url).resolve('tsx'))
    const { build } = fromTsx('esbuild') as { build(options: object): Promise<unknown> }
    const folder = mkdtempSync(join(tmpdir(), 'millrace-worker-'))
    process.once('exit', () => { rmSync(folder, { recursive: true, force: true }) })
    chmodSync(folder, 0o755)
    const outfile = join(folder, 'worker.mjs')
    await build({ entryPoints: [join(import.meta.dirname, 'worker.ts')], outfile, bundle: true, platform: 'node', format: 'esm', logLevel: 'error',
      banner: { js: "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);" } })
    return outfile
  })()
}

/** A worker process. */
export interface Worker {
  readonly process: ChildProcess
  readonly pid: number
  /** The thread that does its file operations. */
  readonly fileThread: number
  /** Its answer; undefined when it died over it. */
  ask(command: Command): Promise<Answer | undefined>
  /** Kill it and wait for its end. */
  kill(): Promise<void>
  readonly exited: Promise<NodeJS.Signals | number | null>
}

const running = new Set<Worker>()

/** Whatever happens in a suite that calls this, none of its workers outlives it. */
export function endWorkersWithSuite(): void {
  after(async () => { for (const worker of running) await worker.kill() })
}

/** How a worker is started: `prefix` is a program that runs it (`prlimit`, `setpriv` …). */
export interface WorkerOptions {
  prefix?: readonly string[]
  env?: Readonly<Record<string, string>>
}

/** Start a worker with one thread for file operations, so that they come one after the other. */
export async function startWorker({ prefix = [], env = {} }: WorkerOptions = {}): Promise<Worker> {
  const [program, ...args] = [...prefix, process.execPath, await workerFile()]
  const child = spawn(program, args, { stdio: ['pipe', 'pipe', 'inherit'], cwd: '/', env: { PATH: process.env['PATH'], UV_THREADPOOL_SIZE: '1', ...env } })
  const exited = new Promise<NodeJS.Signals | number | null>(done => child.once('exit', (code, signal) => done(signal ?? code)))
  child.stdin.on('error', () => undefined)
  const lines = new Lines(createInterface({ input: child.stdout }))
  const first = await lines.next()
  if (first === undefined) throw new Error('the worker did not start')
  const { fileThread } = JSON.parse(first) as { fileThread: number }
  const worker: Worker = { process: child, pid: child.pid!, fileThread, exited,
    async ask(command) {
      child.stdin.write(`${JSON.stringify(command)}\n`)
      const line = await lines.next()
      return line === undefined ? undefined : JSON.parse(line) as Answer
    },
    async kill() {
      child.kill('SIGKILL')
      await exited
    } }
  running.add(worker)
  void exited.then(() => running.delete(worker))
  return worker
}

/** Lines one by one; undefined after the last. */
class Lines {
  readonly #ready: string[] = []
  #ended = false
  #wake: (() => void) | undefined

  constructor(lines: Interface) {
    lines.on('line', line => {
      this.#ready.push(line)
      this.#wake?.()
    })
    lines.on('close', () => {
      this.#ended = true
      this.#wake?.()
    })
  }

  async next(): Promise<string | undefined> {
    while (this.#ready.length === 0 && !this.#ended) await new Promise<void>(done => { this.#wake = done })
    return this.#ready.shift()
  }
}

/** Attach strace to a worker's file thread: only its own file operations count. Resolves once it is attached. */
export async function attachStrace(worker: Worker, options: readonly string[], output = '/dev/null'): Promise<{ detach(): Promise<void> }> {
  const strace = spawn('strace', ['-qq', ...options, '-o', output, '-p', String(worker.fileThread)], { stdio: ['ignore', 'ignore', 'pipe'] })
  let said = ''
  strace.stderr.on('data', (text: Buffer) => { said += text.toString() })
  const ended = new Promise<void>(done => strace.once('exit', () => done()))
  const status = `/proc/${worker.pid}/task/${worker.fileThread}/status`
  while (/^TracerPid:\s+0$/m.test(readFileSync(status, 'utf8'))) {
    if (strace.exitCode !== null) throw new Error(`strace: ${said}`)
    await new Promise(done => setTimeout(done, 2))
  }
  return { async detach() {
    if (strace.exitCode === null && strace.signalCode === null) strace.kill('SIGTERM')
    await ended
  } }
}

/** Run jobs, `lanes` at a time; results in order. */
export async function inLanes<T, R>(jobs: readonly T[], lanes: number, run: (job: T) => Promise<R>): Promise<R[]> {
  const results: R[] = []
  let next = 0
  await Promise.all(Array.from({ length: lanes }, async () => {
    while (next < jobs.length) {
      const at = next++
      results[at] = await run(jobs[at]!)
    }
  }))
  return results
}
