// needs: otheruser strace linux
import { execFileSync } from 'node:child_process'
import { chmodSync, chownSync, lstatSync, mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'chai'
import { brokenIn } from './support/check.js'
import { counts, folderInMemory, idsFrom, shortOrLong } from './support/rows.js'
import { attachStrace, endWorkersWithSuite, startWorker, type Worker } from './support/workers.js'

describe('a process with few file descriptors', function () {
  this.timeout(600_000)
  endWorkersWithSuite()
  const rows = shortOrLong(5500, 14_000)
  const all = { from: 0, count: rows }
  let folder = ''
  let dir = ''
  let parts = 0
  before(async () => {
    folder = folderInMemory('few')
    dir = join(folder, 'cache')
    const worker = await startWorker()
    await worker.ask({ dir, partBytes: 4096, durability: 'none', merges: [all] })
    await worker.kill()
    parts = readdirSync(join(dir, 'public.t')).filter(name => name.startsWith('data-')).length
    expect(parts).to.be.greaterThan(shortOrLong(200, 500))
  })
  after(() => { rmSync(folder, { recursive: true, force: true }) })

  it('reads hundreds of parts with at most 16 of them open', async () => {
    const worker = await startWorker()
    const log = join(folder, 'open.strace')
    const strace = await attachStrace(worker, ['-e', 'trace=openat,close'], log)
    const answer = await worker.ask({ dir, merges: [all] })
    await strace.detach()
    await worker.kill()
    const most = mostOpen(log)
    counts('parts read', { parts, 'open at once': most })
    expect(answer).to.include({ hits: rows, fetched: 0 })
    expect(most).to.be.within(2, 16)
  })

  it('gets every row however few it has, says EMFILE, takes nothing for damage, and is well when it has more', async () => {
    const broken: string[] = []
    let [limits, warned, served] = [0, 0, 0]
    for (let spare = 0; spare <= 12; spare += shortOrLong(4, 1)) {
      limits++
      const worker = await startWorker()
      await worker.ask({ dir, merges: [{ from: 0, count: 10 }] })
      limitFiles(worker, limitFor(worker, spare))
      const answer = await worker.ask({ dir, partBytes: 4096, merges: [all, { from: 100_000 + spare * 100, count: 50 }] })
      limitFiles(worker, 1024)
      if (answer?.error !== undefined && !(answer.code === 'ERR_CACHE_UNUSABLE' && answer.rows === 0)) broken.push(`${spare} spare: ${answer.error}`)
      if (answer?.wrong !== undefined) broken.push(`${spare} spare: ${answer.wrong}`)
      for (const { errno, message } of answer?.warnings ?? []) if (errno !== 'EMFILE') broken.push(`${spare} spare: ${message}`)
      if ((answer?.warnings.length ?? 0) > 0) warned++
      if (answer?.hits === rows) served++
      const after = await worker.ask({ dir, merges: [all] })
      if (after?.hits !== rows || after.warnings.length > 0) broken.push(`${spare} spare, later: ${after?.hits} hits, ${JSON.stringify(after?.warnings)}`)
      await worker.kill()
    }
    counts('few file descriptors', { limits, 'said so': warned, 'all from the cache': served, 'broken': broken.length })
    expect(broken).to.deep.equal([])
    expect(Math.min(served, warned)).to.be.greaterThan(0)
  })
})

describe('a process of another user', function () {
  this.timeout(300_000)
  endWorkersWithSuite()
  const NOBODY = 65534
  const known = { from: 0, count: 300 }
  const all = { from: 0, count: 600 }
  let folder = ''
  let dir = ''
  let table = ''
  let worker: Worker
  beforeEach(async () => {
    folder = folderInMemory('user')
    // may be entered and not listed: the folder above the cache cannot even be flushed
    chmodSync(folder, 0o711)
    dir = join(folder, 'cache')
    table = join(dir, 'public.t')
    mkdirSync(dir, 0o700)
    chownSync(dir, NOBODY, NOBODY)
    worker = await startWorker({ prefix: ['setpriv', `--reuid=${NOBODY}`, `--regid=${NOBODY}`, '--clear-groups'] })
    const filled = await worker.ask({ dir, merges: [known] })
    expect(filled).to.include({ fetched: 300 }).and.to.have.property('warnings').that.is.empty
  })
  afterEach(async () => {
    await worker.kill()
    rmSync(folder, { recursive: true, force: true })
  })

  const codes = (answer: Awaited<ReturnType<Worker['ask']>>): (string | undefined)[][] =>
    (answer?.warnings ?? []).map(({ code, errno }) => [code, errno])

  it('is served hits from folders it may not write, told EACCES for the rest, and caches again when it may', async () => {
    chmodSync(table, 0o500)
    chmodSync(dir, 0o500)
    const warm = await worker.ask({ dir, strict: true, merges: [known] })
    const mixed = await worker.ask({ dir, merges: [all] })
    const other = await worker.ask({ dir, strict: true, merges: [all] })
    chmodSync(dir, 0o700)
    chmodSync(table, 0o700)
    const again = await worker.ask({ dir, merges: [all] })
    expect([warm?.hits, warm?.fetched, codes(warm)]).to.deep.equal([300, 0, []])
    expect([mixed?.wrong, mixed?.hits, mixed?.fetched, codes(mixed)]).to.deep.equal([undefined, 300, 300, [['CACHE_WRITE_FAILED', 'EACCES']]])
    expect(other).to.include({ code: 'ERR_CACHE_UNUSABLE', asked: 0 })
    expect([again?.hits, codes(again)]).to.deep.equal([300, []])
    expect(await brokenIn(dir, { reported: idsFrom(0, 600), all: idsFrom(0, 600) })).to.deep.equal([])
  })

  it('gets its rows from the source where it may not read, and takes none of it for damage', async () => {
    const files = (kind: string): string[] => readdirSync(table).filter(name => name.startsWith(kind)).map(name => join(table, name))
    const tries: [string, () => void, () => void][] = [
      ['folder', () => chmodSync(table, 0), () => chmodSync(table, 0o700)],
      ['parts', () => files('data-').forEach(file => chownSync(file, 0, 0)), () => files('data-').forEach(file => chownSync(file, NOBODY, NOBODY))],
      ['manifests', () => files('manifest-').forEach(file => chmodSync(file, 0)), () => files('manifest-').forEach(file => chmodSync(file, 0o600))]
    ]
    for (const [what, take, give] of tries) {
      take()
      const refused = await worker.ask({ dir, merges: [known] })
      const strict = await worker.ask({ dir, strict: true, merges: [known] })
      give()
      expect([what, refused?.error, refused?.wrong, refused?.fetched]).to.deep.equal([what, undefined, undefined, 300])
      expect(refused?.warnings.map(({ errno }) => errno), what).to.include('EACCES')
      expect(codes(refused).some(([code]) => code === 'CACHE_CORRUPT'), what).to.equal(false)
      expect(strict?.error, what).to.match(/EACCES/)
    }
    expect(readdirSync(table).filter(name => name.startsWith('corrupt-'))).to.deep.equal([])
    expect(await worker.ask({ dir, merges: [known] })).to.include({ hits: 300, fetched: 0 })
  })

  it('needs no home folder, and is told so by name where it names no cache', async () => {
    chownSync(dir, 54321, 54321)
    chownSync(table, 54321, 54321)
    for (const name of readdirSync(table)) chownSync(join(table, name), 54321, 54321)
    const homeless = await startWorker({ prefix: ['setpriv', '--reuid=54321', '--regid=54321', '--clear-groups'] })
    expect(await homeless.ask({ dir, merges: [known] })).to.include({ hits: 300, fetched: 0 })
    const nowhere = await homeless.ask({ merges: [known] } as Parameters<Worker['ask']>[0])
    await homeless.kill()
    expect(nowhere).to.have.property('code', 'ERR_INVALID_ARGUMENT')
    expect(nowhere?.error).to.match(/cacheDir: .*home folder/)
  })

  it('does not trust or touch a table\'s folder that somebody else put there', async () => {
    const planted = join(dir, 'public.t')
    rmSync(planted, { recursive: true })
    mkdirSync(planted, 0o777)
    chmodSync(planted, 0o777)
    chownSync(planted, 1000, 1000)
    const answer = await worker.ask({ dir, merges: [known] })
    expect([answer?.wrong, answer?.fetched]).to.deep.equal([undefined, 300])
    expect(answer?.warnings.map(({ message }) => message).join()).to.match(/belongs to another user \(uid 1000\)/)
    expect(readdirSync(planted)).to.deep.equal([])
    expect(lstatSync(planted).uid).to.equal(1000)
  })
})

/** The most files of parts that a log of `openat` and `close` has open at a time. */
function mostOpen(log: string): number {
  const open = new Set<string>()
  let most = 0
  for (const line of readFileSync(log, 'latin1').split('\n')) {
    const opened = /^openat\(.*data-.* = (\d+)$/.exec(line)
    const closed = /^close\((\d+)\)/.exec(line)
    if (opened) open.add(opened[1]!)
    if (closed) open.delete(closed[1]!)
    most = Math.max(most, open.size)
  }
  return most
}

/** The limit under which a worker can open this many files more. */
function limitFor({ pid }: Worker, spare: number): number {
  const taken = new Set(readdirSync(`/proc/${pid}/fd`).map(Number))
  let limit = 0
  for (let free = 0; taken.has(limit) || free++ < spare;) limit++
  return limit
}

function limitFiles({ pid }: Worker, limit: number): void {
  execFileSync('prlimit', ['--pid', String(pid), `--nofile=${limit}:4096`])
}
