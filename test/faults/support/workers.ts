import { spawn, type ChildProcess } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { createInterface, type Interface } from 'node:readline'
import { bundleOf } from '../../support/bundle.js'
import type { Answer, Command } from './worker.js'

let bundled: Promise<string> | undefined

/** The worker as one plain file with all it imports, packages too. Built once. */
function workerFile(): Promise<string> {
  return bundled ??= bundleOf('test/faults/support/worker.ts', { isSelfContained: true })
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
