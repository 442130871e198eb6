// needs: strace linux
import { rmSync } from 'node:fs'
import { expect } from 'chai'
import { killAt, writeTemplateCache } from './support/kill.js'
import { counts, folderInMemory, shortOrLong } from './support/rows.js'
import { endWorkersWithSuite, inLanes } from './support/workers.js'

/** Every system call of the file thread that changes what is on disk, and the opens and reads between them. */
const SYSCALLS = ['openat', 'pwrite64', 'pwritev', 'fsync', 'link', 'rename', 'unlink', 'mkdir', 'close', 'pread64', 'getdents64'] as const
const CHANGES = new Set<string>(['pwrite64', 'pwritev', 'fsync', 'link', 'rename', 'unlink', 'mkdir'])

describe('a process killed at a system call', function () {
  this.timeout(1_200_000)
  endWorkersWithSuite()
  let folder = ''
  before(async () => {
    folder = folderInMemory('kill')
    await writeTemplateCache(folder)
  })
  after(() => { rmSync(folder, { recursive: true, force: true }) })

  it('leaves the state before or after, loses nothing it reported, and no leftovers', async () => {
    const stride = shortOrLong(5, 1)
    let [points, calls] = [0, 0]
    const broken: string[] = []
    await inLanes(SYSCALLS, 2, async syscall => {
      // reads and closes change nothing: in the short form fewer of their points will do
      const step = CHANGES.has(syscall) ? stride : shortOrLong(stride * 8, 1)
      for (let n = 1 + (SYSCALLS.indexOf(syscall) % step); ; n += step) {
        const found = await killAt(folder, { syscall, n })
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
