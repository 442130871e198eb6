import type { Metrics } from '../../lib/queue/metrics.js'
import { alignedTable, formatCount, formatMs } from '../output/text.js'

function percent(rate: number | undefined): string {
  return rate === undefined ? '-' : `${Math.round(rate * 100)} %`
}

/** How the queues and this worker stand: a line of its own first, then a table and what became of the work. */
export function statusLines({ depths, queries, fragments, troubles, errorRate }: Metrics): string[] {
  const { incoming, outgoing } = depths ?? {}
  const size = (of: typeof incoming): string => of ? formatCount(of.waiting + of.delayed + of.leased) : '-'
  const { count, totalMs, maxMs } = fragments.durations
  const dead = (incoming?.dead ?? 0) + (outgoing?.dead ?? 0)
  const states = ['waiting', 'delayed', 'leased', 'dead'] as const
  const row = (name: string, of: typeof incoming): string[] => [name, ...states.map(state => of ? formatCount(of[state]) : '-')]
  return [
    `queries ${size(incoming)}, fragments ${size(outgoing)}, dead ${dead}; decomposed ${queries.decomposed}, stored ${fragments.stored}, cached ${fragments.cached}, ` +
      `failed ${fragments.failed + fragments.timeout + fragments['too large'] + queries.failed}, troubles ${troubles}`,
    alignedTable(['queue', ...states], [row('incoming', incoming), row('outgoing', outgoing)], [...states]),
    `a fragment took ${count === 0 ? '-' : `${formatMs(totalMs / count)} on average, ${formatMs(maxMs)} at most`}; errors ${percent(errorRate)}; ` +
      `timed out ${fragments.timeout}, too large ${fragments['too large']}, skipped ${fragments.skipped}, lost ${fragments.lost}`
  ]
}
