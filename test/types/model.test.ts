import { execFile } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { deserialize, serialize } from 'node:v8'
import { expect } from 'chai'
import type { Remains } from './model.js'

const run = promisify(execFile)
const script = fileURLToPath(new URL('processes/model-runs.ts', import.meta.url))
const ZONES = [['UTC', 0], ['America/Sao_Paulo', 180], ['Asia/Kolkata', -330]] as const
const RUNS = process.env['MILLRACE_FAULTS'] === 'long' ? 20_000 : 350
const SEED = 20240229

describe('the row cache against a plain Map', function () {
  this.timeout(RUNS * 500)
  let folder: string
  before(async () => { folder = await mkdtemp(join(tmpdir(), 'millrace-model-')) })
  after(() => rm(folder, { recursive: true, force: true }))

  async function child(TZ: string, ...args: string[]): Promise<string> {
    const { stdout } = await run(process.execPath, ['--import=tsx', script, ...args], { maxBuffer: 1 << 28, env: { ...process.env, TZ } })
    return stdout
  }

  it(`gives the model's rows and fetches what the model lacks, in ${ZONES.length * RUNS} random runs under three time zones, and in other processes and zones after`, async () => {
    const made = await Promise.all(ZONES.map(async ([TZ, offset], z) => {
      const { zone, runs, remains } = deserialize(Buffer.from(await child(TZ, join(folder, String(z)), String(RUNS), String(SEED + z)), 'base64')) as { zone: number, runs: number, remains: Remains[] }
      expect(zone, TZ).to.equal(offset)
      expect(runs).to.equal(RUNS)
      expect(remains.length).to.be.greaterThan(10)
      return remains
    }))
    await Promise.all(made.map(async (remains, z) => {
      const file = join(folder, `remains-${z}`)
      await writeFile(file, serialize(remains).toString('base64'))
      const [TZ, offset] = ZONES[(z + 1) % ZONES.length]!
      const { zone, checked } = JSON.parse(await child(TZ, 'verify', file)) as { zone: number, checked: number }
      expect(zone, TZ).to.equal(offset)
      expect(checked).to.be.greaterThan(20)
    }))
  })
})
