import { spawn, type ChildProcessWithoutNullStreams } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { getData, rowsSource } from '../../index.js'

const root = resolve(import.meta.dirname, '../..')

export interface CliResult {
  code: number | null
  signal: NodeJS.Signals | null
  stdout: string
  stderr: string
}

export interface CliOptions {
  env?: Record<string, string> | undefined
  stdin?: string | undefined
  /** The program (default `millrace`). */
  program?: string | undefined
}

/** The environment without anything that names a database or a cache. */
function cleanEnv(extra: Record<string, string> = {}): NodeJS.ProcessEnv {
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^(PG|DATABASE_URL|MILLRACE_|DB_|CACHE_BACKEND|REDIS_|ROCKSDB_|QUERY_QUEUE_)/.test(name)))
  return { ...env, ...extra }
}

/** Start the real command line. */
export function startCli(args: readonly string[], { env, program = 'millrace' }: CliOptions = {}): ChildProcessWithoutNullStreams {
  return spawn(process.execPath, ['--import=tsx', join(root, `cli/${program}.ts`), ...args], { cwd: root, env: cleanEnv(env), stdio: 'pipe' })
}

/** Run the real command line to its end. */
export async function runCli(args: readonly string[], options: CliOptions = {}): Promise<CliResult> {
  const child = startCli(args, options)
  child.stdin.on('error', () => {})
  child.stdin.end(options.stdin ?? '')
  const [stdout, stderr] = [text(child.stdout), text(child.stderr)]
  const [code, signal] = await once(child, 'close') as [number | null, NodeJS.Signals | null]
  return { code, signal, stdout: await stdout, stderr: await stderr }
}

async function text(stream: NodeJS.ReadableStream): Promise<string> {
  let all = ''
  stream.setEncoding('utf8')
  for await (const piece of stream) all += String(piece)
  return all
}

/** A folder of one's own. */
export function tempFolder(): { dir: string, remove(): void } {
  const dir = mkdtempSync(join(tmpdir(), 'millrace-cli-'))
  return { dir, remove: () => rmSync(dir, { recursive: true, force: true }) }
}

/** Cache rows, as a program would have. */
export async function fillCache(cacheDir: string, table: string, rows: readonly ({ id: number } & Record<string, unknown>)[], columns: readonly string[]): Promise<void> {
  await getData({ ids: rows.map(({ id }) => id), columns, table, cacheDir, fetcher: rowsSource(rows).fetch })
}

/** The objects in ndjson. */
export function parseLines(text: string): Record<string, unknown>[] {
  return text.trimEnd().split('\n').filter(Boolean).map(line => JSON.parse(line) as Record<string, unknown>)
}
