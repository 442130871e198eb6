import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, statfsSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** A file system of one's own, in memory, with little room. */
export interface SmallDisk {
  dir: string
  /** Leave room for this many bytes, rounded down to whole pages. */
  leave(bytes: number): void
  /** Give all room back. */
  empty(): void
  setWritable(isWritable: boolean): void
  unmount(): void
}

/** Mount a tmpfs. Takes root. */
export function smallDisk(kilobytes: number): SmallDisk {
  const dir = mkdtempSync(join(tmpdir(), 'millrace-disk-'))
  execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${kilobytes}k`, 'tmpfs', dir])
  const filler = join(dir, 'filler')
  return {
    dir,
    leave(bytes) {
      writeFileSync(filler, '')
      const { bavail, bsize } = statfsSync(dir)
      writeFileSync(filler, Buffer.alloc(Math.max(0, bavail * bsize - Math.floor(bytes / bsize) * bsize)))
    },
    empty: () => truncateSync(filler, 0),
    setWritable: isWritable => { execFileSync('mount', ['-o', `remount,${isWritable ? 'rw' : 'ro'}`, dir]) },
    unmount() {
      execFileSync('umount', [dir])
      rmSync(dir, { recursive: true })
    }
  }
}
