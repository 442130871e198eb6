import { expect } from 'chai'
import { cronJobs, hasSeconds } from '../../../../lib/partition/processor/cron-jobs.js'
import { processorNames } from '../../../../lib/partition/processor/names.js'

const names = processorNames({ schema: 'app' })
const jobs = (version: string, settings: Partial<Parameters<typeof cronJobs>[2]> = {}): string[] =>
  cronJobs(names, version, { frequencySeconds: 1, maxParallelJobs: 1, evictEveryMinutes: undefined, ...settings }).map(({ schedule, command }) => `${schedule} ${command}`)

describe('cronJobs', () => {
  it('knows from which version on pg_cron has schedules by the second', () => {
    expect(['1.3', '1.4', '1.4-1', '1.4.2', '1.5', '1.5.2', '1.6', '1.10', '2.0'].map(hasSeconds)).to.deep.equal([false, false, false, false, true, true, true, true, true])
  })

  it('starts workers by the second where pg_cron can, and else has them stay for a minute', () => {
    expect(jobs('1.6', { frequencySeconds: 5 })).to.deep.equal(["5 seconds CALL app.partitioncache_work(0, 'cron')", '* * * * * CALL app.partitioncache_watch(59)'])
    expect(jobs('1.4-1', { frequencySeconds: 5 })).to.deep.equal(["* * * * * CALL app.partitioncache_work(58, 'cron')", '* * * * * CALL app.partitioncache_watch(59)'])
    expect(jobs('1.5', { frequencySeconds: 0.2 })[0]).to.match(/^1 seconds /)
    expect(jobs('1.5', { frequencySeconds: 59.8 })[0]).to.match(/^59 seconds /)
  })

  it('starts workers by the minute or the hour when that is often enough, with any version', () => {
    for (const version of ['1.4', '1.6']) {
      expect([60, 120, 400, 1800, 3600].map(frequencySeconds => jobs(version, { frequencySeconds })[0]!.replace(/ CALL.*/, ''))).to.deep.equal(
        ['* * * * *', '*/2 * * * *', '*/10 * * * *', '*/30 * * * *', '0 * * * *'])
    }
  })

  it('has a job for each parallel worker, and one for eviction where that is wanted', () => {
    const all = cronJobs(names, '1.4', { frequencySeconds: 1, maxParallelJobs: 3, evictEveryMinutes: 90 })
    expect(all.map(({ jobname }) => jobname)).to.deep.equal(['work 1', 'work 2', 'work 3', 'watch', 'evict'].map(what => `partitioncache app.partitioncache ${what}`))
    expect(all.at(-1)).to.include({ schedule: '0 */2 * * *', command: 'SELECT app.partitioncache_evict()' })
    expect(jobs('1.4', { evictEveryMinutes: 1440 }).at(-1)).to.match(/^0 0 \* \* \* /)
  })
})
