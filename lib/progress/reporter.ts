import { InvalidArgumentError } from '../errors.js'
import type { ProgressEvent, ProgressReporter } from '../run.js'
import { barReporter } from './bar.js'

/** @throws {InvalidArgumentError} neither a boolean nor a reporter */
export function checkProgress(progress: unknown): void {
  if (progress === undefined || typeof progress === 'boolean') return
  const { start, update, stop } = Object(progress) as Partial<Record<keyof ProgressReporter, unknown>>
  if ([start, update, stop].every(part => typeof part === 'function')) return
  throw new InvalidArgumentError({ argument: 'progress', expected: 'true, false or a ProgressReporter { start, update, stop }',
    found: progress === null ? 'null' : typeof progress })
}

/** The reporter a request's `progress` and `onProgress` ask for; undefined when they ask for none. */
export function reporterFor(progress: unknown, onProgress: ((event: ProgressEvent) => void) | undefined,
  label: string): ProgressReporter | undefined {
  const shown = progress === true ? barReporter({ label }) : progress === false ? undefined : progress as ProgressReporter | undefined
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
