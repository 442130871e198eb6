// needs: linux strace
import { readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'chai'
import { brokenIn, journalled } from './support/check.js'
import { problemsOf, raceWriters } from './support/race.js'
import { counts, folderInMemory, idsFrom, shortOrLong } from './support/rows.js'
import { attachStrace, endWorkersWithSuite, startWorker, type Worker } from './support/workers.js'
import type { Answer } from './support/worker.js'

describe('processes that share a table', function () {
  this.timeout(1_200_000)
  endWorkersWithSuite()
  let folder = ''
  beforeEach(() => { folder = folderInMemory('writers') })
  afterEach(() => { rmSync(folder, { recursive: true, force: true }) })

  for (const [writers, merges, graceMs] of [[2, 40, undefined], [4, 40, undefined], [4, shortOrLong(20, 40), 0]] as const) {
    it(`keep every row of ${writers} × ${merges} overlapping merges with small parts, grace time ${graceMs ?? 'default'}`, async () => {
      const { broken, reported } = await raceWriters(folder, { writers, merges, graceMs })
      counts(`${writers} writers`, { 'merges': writers * merges, 'ids': reported.length, 'broken': broken.length })
      expect(broken).to.deep.equal([])
      expect(reported).to.have.length((writers * merges - 1) * 25 + 60)
    })
  }

  for (const graceMs of [0, undefined]) {
    it(`read right rows while others commit, compact and delete, grace time ${graceMs ?? 'default'}`, async () => {
      const dir = join(folder, 'cache')
      const all = { from: 0, count: 2000 }
      const [first, writer, reader] = await Promise.all([startWorker(), startWorker(), startWorker()])
      await first.ask({ dir, merges: [all], partBytes: 32 * 1024 })
      const rounds = shortOrLong(12, 60)
      let ended = false
      const writing = (async () => {
        const answers: (Answer | undefined)[] = []
        for (let version = 2; version < rounds + 2; version++) {
          answers.push(await writer.ask({ dir, graceMs, partBytes: 32 * 1024, compact: version % 3 === 0,
            merges: [{ from: 0, count: 500, step: 4, version, refresh: true }, { from: 1000, count: 300, version, refresh: true }] }))
        }
        ended = true
        return answers
      })()
      const read: (Answer | undefined)[] = []
      while (!ended) read.push(await reader.ask({ dir, graceMs, partBytes: 32 * 1024, merges: [{ ...all, anyVersionUpTo: rounds + 1 }] }))
      const broken = problemsOf([...await writing, ...read])
      // with the default grace time nothing a snapshot names goes away under it, so nothing is fetched again
      const fetched = read.reduce((sum, answer) => sum + (answer?.fetched ?? 0), 0)
      if (graceMs === undefined && fetched > 0) broken.push(`${fetched} rows were fetched again`)
      counts('reads under commits', { 'commits': rounds * 2, 'reads': read.length, 'rows': read.reduce((sum, answer) => sum + (answer?.rows ?? 0), 0),
        'fetched again': fetched, 'broken': broken.length })
      expect(broken).to.deep.equal([])
    })
  }
})

describe('a writer that sleeps', function () {
  this.timeout(300_000)
  endWorkersWithSuite()
  let folder = ''
  beforeEach(() => { folder = folderInMemory('sleeper') })
  afterEach(() => { rmSync(folder, { recursive: true, force: true }) })

  /** Let a writer stop before its n-th call of a kind, others commit, compact and delete meanwhile, and wake it up. */
  async function sleepAt(syscall: string, n: number, others: (worker: Worker, dir: string) => Promise<void>): Promise<{ broken: string[], slept: boolean }> {
    const dir = join(folder, `${syscall}-${n}`)
    const [sleeper, awake] = await Promise.all([startWorker(), startWorker()])
    await awake.ask({ dir, graceMs: 0, merges: [{ from: 0, count: 200 }] })
    const strace = await attachStrace(sleeper, ['-e', `trace=${syscall}`, '-e', `inject=${syscall}:signal=SIGSTOP:when=${n}`])
    const journal = `${dir}.journal`
    let answered = false
    const asked = sleeper.ask({ dir, graceMs: 0, partBytes: 16 * 1024, journal, compact: true, merges: [{ from: 100, count: 300 }] }).finally(() => { answered = true })
    let slept = false
    while (!slept && !answered) {
      slept = isStopped(sleeper.pid)
      if (!slept) await new Promise(done => setTimeout(done, 5))
    }
    if (slept) await others(awake, dir)
    await strace.detach()
    sleeper.process.kill('SIGCONT')
    const answer = await asked
    await Promise.all([sleeper.kill(), awake.kill()])
    const broken = [...problemsOf([answer]), ...await brokenIn(dir, { reported: [...idsFrom(0, 100), ...journalled(journal)], all: idsFrom(0, 700) })]
    return { broken: broken.map(text => `${syscall} ${n}: ${text}`), slept }
  }

  it('neither brings back nor loses a row, wherever it slept', async () => {
    const broken: string[] = []
    let slept = 0
    for (const [syscall, most] of [['link', 8], ['fsync', 8], ['unlink', 6], ['openat', 12], ['pwrite64', 6], ['pwritev', 6]] as const) {
      for (let n = 1; n <= most; n += shortOrLong(3, 1)) {
        const result = await sleepAt(syscall, n, async (awake, dir) => {
          for (let i = 0; i < 6; i++) await awake.ask({ dir, graceMs: 0, partBytes: 16 * 1024, compact: i % 2 === 0, merges: [{ from: 300 + i * 50, count: 100 }] })
        })
        if (!result.slept) break
        slept++
        broken.push(...result.broken)
      }
    }
    counts('slept through six commits, three compactions, garbage collection', { slept, 'broken': broken.length })
    expect(broken).to.deep.equal([])
    expect(slept).to.be.greaterThan(5)
  })
})

/** Whether a process is stopped (or being traced to a stop). */
function isStopped(pid: number): boolean {
  return /^State:\s+[Tt] /m.test(readFileSync(`/proc/${pid}/status`, 'utf8'))
}
