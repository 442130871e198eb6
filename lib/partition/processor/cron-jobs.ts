import { quoteText } from '../../sql/quote.js'
import type { ProcessorNames } from './names.js'

/** A job as pg_cron takes it. */
export interface CronJob {
  readonly jobname: string
  readonly schedule: string
  readonly command: string
}

/** What the schedule depends on. */
export interface CronSettings {
  readonly frequencySeconds: number
  readonly maxParallelJobs: number
  readonly evictEveryMinutes: number | undefined
}

/** A loop that fills a minute ends a little before the next one begins. */
const LOOP_SECONDS = 58
const WATCH_SECONDS = 59

/** Whether pg_cron of that version knows schedules such as '5 seconds': 1.5 and later do. */
export function hasSeconds(version: string): boolean {
  const [major = 0, minor = 0] = version.split(/[.-]/).map(Number)
  return major > 1 || (major === 1 && minor >= 5)
}

function everyMinutes(minutes: number): string {
  if (minutes <= 1) return '* * * * *'
  // what divides neither hour nor day would run unevenly: the next larger one that does
  const even = [2, 3, 4, 5, 6, 10, 12, 15, 20, 30].find(one => one >= minutes)
  if (even) return `*/${even} * * * *`
  const hours = [1, 2, 3, 4, 6, 8, 12].find(one => one * 60 >= minutes)
  return hours === undefined ? '0 0 * * *' : hours === 1 ? '0 * * * *' : `0 */${hours} * * *`
}

/**
 * The jobs that drive a processor: one for each parallel worker, one that cancels late ones, one that evicts.
 *
 * With schedules by the second a worker is started that often and works until the queue is empty. Without them (pg_cron before
 * 1.5) one is started each minute and looks at the queue for as long. pg_cron never runs two of one job at a time.
 */
export function cronJobs({ name, schema, fn }: ProcessorNames, version: string, { frequencySeconds, maxParallelJobs, evictEveryMinutes }: CronSettings): CronJob[] {
  const job = (what: string, schedule: string, command: string): CronJob => ({ jobname: cronJobName({ name, schema }, what), schedule, command })
  const seconds = Math.max(1, Math.round(frequencySeconds))
  const [schedule, loop] = frequencySeconds >= 60 ? [everyMinutes(Math.round(frequencySeconds / 60)), 0]
    : hasSeconds(version) ? [`${Math.min(seconds, 59)} seconds`, 0] : ['* * * * *', LOOP_SECONDS]
  return [
    ...Array.from({ length: maxParallelJobs }, (_, i) => job(`work ${i + 1}`, schedule, `CALL ${fn('work')}(${loop}, ${quoteText('cron')})`)),
    job('watch', '* * * * *', `CALL ${fn('watch')}(${WATCH_SECONDS})`),
    ...evictEveryMinutes === undefined ? [] : [job('evict', everyMinutes(evictEveryMinutes), `SELECT ${fn('evict')}()`)],
  ]
}

/** The name of a job in pg_cron, which all processors of a server share. */
export function cronJobName({ name, schema }: Pick<ProcessorNames, 'name' | 'schema'>, what: string): string {
  return `partitioncache ${schema}.${name} ${what}`
}
