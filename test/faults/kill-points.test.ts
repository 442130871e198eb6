// needs: strace linux
import { cpSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'chai'
import { brokenIn, journalled } from './support/check.js'
import { counts, folderInMemory, idsFrom, shortOrLong } from './support/rows.js'
import { attachStrace, endWorkersWithSuite, inLanes, startWorker } from './support/workers.js'
import type { Command } from './support/worker.js'

/** Every system call of the file thread that changes what is on disk, and the opens and reads between them. */
const SYSCALLS = ['openat', 'pwrite64', 'pwritev', 'fsync', 'link', 'rename', 'unlink', 'mkdir', 'close', 'pread64', 'getdents64'] as const
const CHANGES = new Set<string>(['pwrite64', 'pwritev', 'fsync', 'link', 'rename', 'unlink', 'mkdir'])

/** Merges that split into several parts, one that overlaps, a compaction, garbage collection at every commit. */
const WORKLOAD: Omit<Command, 'dir' | 'journal'> = { partBytes: 32 * 1024, graceMs: 0, compact: true,
  merges: [{ from: 0, count: 900 }, { from: 600, count: 300, step: 2 }] }
const TEMPLATE = idsFrom(0, 300, 3)
const ALL = idsFrom(0, 1300)

describe('a process killed at a system call', function () {
  this.timeout(1_200_000)
  endWorkersWithSuite()
  let folder = ''
  before(async () => {
    folder = folderInMemory('kill')
    const worker = await startWorker()
    await worker.ask({ dir: join(folder, 'template'), merges: [{ from: 0, count: 300, step: 3 }] })
    await worker.kill()
  })
  after(() => { rmSync(folder, { recursive: true, force: true }) })

  /** One kill at the n-th call; undefined when the worker did not get that far. */
  async function killAt(syscall: string, n: number): Promise<string[] | undefined> {
    const dir = join(folder, `${syscall}-${n}`)
    const journal = `${dir}.journal`
    cpSync(join(folder, 'template'), dir, { recursive: true })
    const worker = await startWorker()
    const strace = await attachStrace(worker, ['-e', `trace=${syscall}`, '-e', `inject=${syscall}:signal=SIGKILL:when=${n}`])
    const answer = await worker.ask({ ...WORKLOAD, dir, journal })
    await strace.detach()
    await worker.kill()
    const broken = await brokenIn(dir, { reported: [...TEMPLATE, ...journalled(journal)], all: ALL })
    if (answer?.error !== undefined) broken.push(`the worker failed: ${answer.error}`)
    rmSync(dir, { recursive: true })
    return answer ? (broken.length > 0 ? broken : undefined) : broken
  }

  it('leaves the state before or after, loses nothing it reported, and no leftovers', async () => {
    const stride = shortOrLong(5, 1)
    let [points, calls] = [0, 0]
    const broken: string[] = []
    await inLanes(SYSCALLS, 2, async syscall => {
      // reads and closes change nothing: fewer of their points will do
      const step = CHANGES.has(syscall) ? stride : stride * 8
      for (let n = 1 + (SYSCALLS.indexOf(syscall) % step); ; n += step) {
        const found = await killAt(syscall, n)
        if (!found) {
          calls += n
          break
        }
        points++
        broken.push(...found.map(text => `${syscall} ${n}: ${text}`))
      }
    })
    counts('killed at system calls', { points, 'broken': broken.length, stride })
    expect(broken).to.deep.equal([])
    expect(points).to.be.greaterThan(20)
    expect(calls).to.be.greaterThan(points)
  })
})
