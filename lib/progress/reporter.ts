import { InvalidArgumentError } from '../errors.js'
import type { ProgressEvent, ProgressReporter } from '../run.js'
import { barReporter } from './bar.js'

/** The reporter a request's `progress` and `onProgress` ask for; undefined when they ask for none. */
export function reporterFor(progress: boolean | ProgressReporter | undefined, onProgress: ((event: ProgressEvent) => void) | undefined,
  label: string): ProgressReporter | undefined {
  const shown = progress === true ? barReporter({ label }) : progress === false ? undefined : progress
  if (shown !== undefined && (typeof shown !== 'object' || shown === null || typeof shown.update !== 'function')) {
    throw new InvalidArgumentError({ argument: 'progress', expected: 'true, false or a ProgressReporter { start, update, stop }', found: typeof shown })
  }
  if (!onProgress) return shown
  return {
    start: total => shown?.start(total),
    update(event) {
      shown?.update(event)
      onProgress(event)
    },
    stop: () => shown?.stop()
  }
}
