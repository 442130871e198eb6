import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { chmodSync, chownSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import mysql from 'mysql2/promise'
import { freePort } from './free-port.js'

/** A MariaDB server for tests, ours alone. */
export interface TestMariaDb {
  port: number
  /** `mysql://…` of its administrator, without a database. */
  url: string
  /** Stop it at once, as a crash would, and wait until it is gone. */
  kill(): Promise<void>
  stop(): Promise<void>
}

function programAt(name: string): string {
  const found = ['/usr/sbin', '/usr/bin', '/usr/local/bin', '/usr/local/sbin', '/opt/homebrew/bin'].map(folder => join(folder, name)).find(existsSync)
  if (!found) throw new Error(`no ${name}`)
  return found
}

/** mariadbd refuses to run as root: the ids of `mysql`, else of `nobody`. */
function serverUser(): { name: string, uid: number, gid: number } | undefined {
  if (process.getuid?.() !== 0) return undefined
  const lines = readFileSync('/etc/passwd', 'utf8').split('\n').map(line => line.split(':'))
  const entry = lines.find(([name]) => name === 'mysql') ?? lines.find(([name]) => name === 'nobody')
  if (!entry) throw new Error('no user to run mariadbd as')
  return { name: entry[0]!, uid: Number(entry[2]), gid: Number(entry[3]) }
}

/** What mariadb-install-db does; that script needs a program of another package of Debian's. */
async function makeSystemTables(data: string, user: { name: string } | undefined): Promise<void> {
  const share = ['/usr/share/mysql', '/usr/share/mariadb', '/usr/local/share/mysql', '/opt/homebrew/share/mysql'].find(folder => existsSync(join(folder, 'fill_help_tables.sql')))
  if (!share) throw new Error("no folder with the server's SQL scripts")
  const script = (...names: string[]): string => readFileSync(names.map(name => join(share, name)).find(existsSync) ?? join(share, names[0]!), 'utf8')
  const server = spawn(programAt('mariadbd'), ['--no-defaults', '--bootstrap', `--datadir=${data}`, '--skip-log-bin', '--innodb-log-file-size=16M', '--silent-startup',
    ...(user ? [`--user=${user.name}`] : [])], { cwd: data, stdio: ['pipe', 'ignore', 'ignore'] })
  const exited = new Promise<number | null>(resolve => server.once('close', resolve))
  await pipeline(['CREATE DATABASE mysql;\nUSE mysql;\nSET @auth_root_socket=NULL;\n', script('mysql_system_tables.sql', 'mariadb_system_tables.sql'),
    script('mysql_system_tables_data.sql', 'mariadb_system_tables_data.sql')], server.stdin)
  const code = await exited
  if (code !== 0) throw new Error(`mariadbd --bootstrap exited with ${code}`)
}

/** Start a server in a temporary folder, on a free port of the loopback interface. */
export async function startMariaDb(): Promise<TestMariaDb> {
  const dir = mkdtempSync(join(tmpdir(), 'millrace-my-'))
  const user = serverUser()
  const [data, socket] = [join(dir, 'data'), join(dir, 's')]
  mkdirSync(data)
  if (user) for (const folder of [dir, data]) chownSync(folder, user.uid, user.gid)
  chmodSync(dir, 0o700)
  const port = await freePort()
  try {
    await makeSystemTables(data, user)
    const server = spawn(programAt('mariadbd'), ['--no-defaults', `--datadir=${data}`, `--socket=${socket}`, `--port=${port}`, '--bind-address=127.0.0.1', `--pid-file=${join(dir, 'pid')}`,
      '--skip-log-bin', '--innodb-flush-log-at-trx-commit=0', '--innodb-buffer-pool-size=64M', '--innodb-log-file-size=16M', '--performance-schema=OFF', '--max-connections=60',
      ...(user ? [`--user=${user.name}`] : [])], { cwd: dir, stdio: 'ignore' })
    const exited = new Promise<void>(resolve => server.once('exit', () => resolve()))
    const killNow = (): void => { server.kill('SIGKILL') }
    process.once('exit', killNow)
    const url = `mysql://root@127.0.0.1:${port}/`
    for (let isUp = false; !isUp;) {
      if (server.exitCode !== null) throw new Error(`mariadbd exited with ${server.exitCode}`)
      try {
        const connection = await mysql.createConnection(url)
        await connection.end()
        isUp = true
      } catch {
        await new Promise(resolve => setTimeout(resolve, 50))
      }
    }
    server.unref()
    const end = async (signal: NodeJS.Signals): Promise<void> => {
      // what waits for the end has to be kept alive for it
      server.ref()
      if (server.exitCode === null && server.signalCode === null) server.kill(signal)
      await exited
    }
    return { port, url, kill: () => end('SIGKILL'), stop: async () => {
      await end('SIGTERM')
      process.removeListener('exit', killNow)
      rmSync(dir, { recursive: true, force: true, maxRetries: 10, retryDelay: 50 })
    } }
  } catch (error) {
    rmSync(dir, { recursive: true, force: true, maxRetries: 10, retryDelay: 50 })
    throw error
  }
}

let shared: Promise<TestMariaDb> | undefined

/** Stop the shared server, if it was started. For a root hook's `afterAll`. */
export async function stopSharedMariaDb(): Promise<void> {
  const server = await shared
  shared = undefined
  await server?.stop()
}

/** A database of one's own on the one server of this process, and a way to be rid of it. */
export async function testMariaDatabase(): Promise<{ url: string, name: string, drop(): Promise<void> }> {
  shared ??= startMariaDb()
  const { url } = await shared
  const name = `millrace_test_${randomBytes(6).toString('hex')}`
  const run = async (sql: string): Promise<void> => {
    const connection = await mysql.createConnection(url)
    await connection.query(sql)
    await connection.end()
  }
  await run(`CREATE DATABASE ${name} CHARACTER SET utf8mb4`)
  return { url: `${url}${name}`, name, drop: () => run(`DROP DATABASE IF EXISTS ${name}`) }
}
