import type { Transform } from 'node:stream'
import type { Window } from '../lib/batch/window.js'
import type { ProgressReporter, Run } from '../lib/run.js'
import { stage } from './stage.js'

/** Options of `progressMeter`. */
export interface ProgressMeterOptions {
  reporter: ProgressReporter
  /** The run to watch from the start; without it the first window tells. */
  run?: Run | undefined
}

/**
 * Window → Window. Shows the run's progress, batch by batch, and takes the display down on every way out. Its place in a
 * hand-made pipeline is behind the `batchFetcher`.
 */
export function progressMeter({ reporter, run }: ProgressMeterOptions): Transform {
  run?.attach(reporter)
  const meter = stage<Window, Window>('progress-meter', async function * (source) {
    let watched = run
    try {
      for await (const window of source) {
        if (!watched) {
          watched = window.run
          watched.attach(reporter)
        }
        yield window
      }
    } finally {
      watched?.detach(reporter)
    }
  })
  // a stage that never ran has no finally
  return meter.once('close', () => run?.detach(reporter))
}
