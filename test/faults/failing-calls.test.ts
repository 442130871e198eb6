// needs: strace linux
import { cpSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'chai'
import { brokenIn, journalled } from './support/check.js'
import { ALL_IDS, TEMPLATE_IDS, WORKLOAD, writeTemplateCache } from './support/kill.js'
import { counts, folderInMemory, shortOrLong } from './support/rows.js'
import { attachStrace, endWorkersWithSuite, inLanes, startWorker, type Worker } from './support/workers.js'

/** System calls and the errors they are made to fail with; `+`: from that call on, all of them. */
const FAULTS = [
  ['pwrite64', 'ENOSPC'], ['pwrite64', 'ENOSPC+'], ['pwrite64', 'EIO'], ['pwritev', 'ENOSPC'], ['pwritev', 'ENOSPC+'], ['pwritev', 'EIO'], ['fsync', 'EIO'], ['fsync', 'ENOSPC'], ['link', 'ENOSPC'], ['link', 'EACCES'], ['link', 'EIO'],
  ['openat', 'EACCES'], ['openat', 'EIO'], ['openat', 'ENOSPC'], ['openat', 'EMFILE'], ['openat', 'EROFS'], ['openat', 'EACCES+'], ['mkdir', 'ENOSPC'],
  ['mkdir', 'EACCES'], ['unlink', 'EACCES'], ['unlink', 'EIO'], ['unlink', 'EACCES+'], ['pread64', 'EIO'], ['read', 'EIO'], ['getdents64', 'EIO'], ['statx', 'EIO'],
  ['statx', 'EACCES'], ['close', 'EIO']
] as const

describe('a system call that fails', function () {
  this.timeout(1_200_000)
  endWorkersWithSuite()
  let folder = ''
  before(async () => {
    folder = folderInMemory('fail')
    await writeTemplateCache(folder)
  })
  after(() => { rmSync(folder, { recursive: true, force: true }) })

  /** Fail the n-th call; undefined when the worker came through without meeting the fault. */
  async function failAt(worker: Worker, syscall: string, errno: string, n: number): Promise<{ broken: string[], warned: boolean } | undefined> {
    const dir = join(folder, `${syscall}-${errno}-${n}`)
    const journal = `${dir}.journal`
    cpSync(join(folder, 'template'), dir, { recursive: true })
    const [code, always] = [errno.replace('+', ''), errno.endsWith('+') ? '+' : '']
    const log = `${dir}.strace`
    const strace = await attachStrace(worker, ['-e', `trace=${syscall}`, '-e', `inject=${syscall}:error=${code}:when=${n}${always}`], log)
    const answer = await worker.ask({ ...WORKLOAD, dir, journal })
    await strace.detach()
    const injected = await injections(log)
    const broken: string[] = []
    if (!answer) return { broken: ['the worker died'], warned: false }
    // openCache itself may say at once that the folder cannot be used
    if (answer.error !== undefined && !(answer.code === 'ERR_CACHE_UNUSABLE' && answer.rows === 0)) broken.push(`the request failed: ${answer.error}`)
    if (answer.wrong !== undefined) broken.push(`wrong: ${answer.wrong}`)
    if (answer.warnings.some(warning => warning.code === 'CACHE_CORRUPT')) broken.push('a failing call was taken for damage')
    if (answer.warnings.some(warning => warning.errno !== code)) broken.push(`a warning without ${code}: ${JSON.stringify(answer.warnings)}`)
    // the fault is gone: everything works, and what was reported is there
    broken.push(...await brokenIn(dir, { reported: [...TEMPLATE_IDS, ...journalled(journal)], all: ALL_IDS, allowLeftovers: syscall === 'unlink' || always === '+' }))
    rmSync(dir, { recursive: true })
    return injected === 0 && broken.length === 0 ? undefined : { broken, warned: answer.warnings.length > 0 || answer.compactError !== undefined }
  }

  it('fails no request, is told with its errno, harms nothing that was cached, and is over when it is over', async () => {
    const stride = shortOrLong(11, 1)
    let [points, warned] = [0, 0]
    const broken: string[] = []
    const workers = [await startWorker(), await startWorker()]
    await inLanes(FAULTS, 2, async ([syscall, errno]) => {
      const worker = workers.pop()!
      const persistent = errno.endsWith('+') ? 3 : 1
      for (let n = 1; ; n += stride * persistent) {
        const found = await failAt(worker, syscall, errno, n)
        if (!found) break
        points++
        if (found.warned) warned++
        broken.push(...found.broken.map(text => `${syscall} ${errno} ${n}: ${text}`))
      }
      workers.push(worker)
    })
    counts('system calls failed', { points, 'said so': warned, 'broken': broken.length, stride })
    expect(broken).to.deep.equal([])
    expect(points).to.be.greaterThan(50)
  })
})

/** How often strace injected; it writes its log as it goes. */
async function injections(log: string): Promise<number> {
  const { readFile } = await import('node:fs/promises')
  return (await readFile(log, 'utf8').catch(() => '')).split('(INJECTED)').length - 1
}
