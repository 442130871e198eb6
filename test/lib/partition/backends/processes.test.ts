// needs: postgres redis
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { expect } from 'chai'
import { testDatabase } from '../../../support/postgres.js'
import { startRedis } from '../../../support/redis.js'

const PROCESSES = 4
const isLong = process.env['MILLRACE_FAULTS'] === 'long'
const run = promisify(execFile)

describe('several processes over one partition cache', function () {
  this.timeout(isLong ? 300_000 : 60_000)

  async function together(type: string, url: string): Promise<void> {
    const worker = join(import.meta.dirname, 'partition-worker.ts')
    // all of them start on a place without tables or keys
    const results = await Promise.all(Array.from({ length: PROCESSES }, (_, i) =>
      run(process.execPath, ['--import=tsx', worker, type, url, String(i), String(isLong ? 400 : 40)])))
    for (const { stdout } of results) expect(Number(stdout)).to.be.greaterThan(0)
  }

  for (const type of ['postgresql_array', 'postgresql_bit']) {
    it(`${type}: ${PROCESSES} processes start at once, and read whole sets only`, async () => {
      const { url, drop } = await testDatabase()
      await together(type, url)
      await drop()
    })
  }
  for (const type of ['redis_set', 'redis_bit']) {
    it(`${type}: ${PROCESSES} processes start at once, and read whole sets only`, async () => {
      const server = await startRedis()
      await together(type, server.url)
      await server.stop()
    })
  }
})
