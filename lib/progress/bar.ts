import { SingleBar } from 'cli-progress'
import type { ProgressEvent, ProgressReporter } from '../run.js'

/** Seconds between lines where there is no terminal. */
const LINE_INTERVAL_MS = 3000

export interface BarOptions {
  label: string
  /** Where it is shown (default stderr: stdout belongs to the data). */
  stream?: NodeJS.WritableStream & { isTTY?: boolean }
  /** Milliseconds; injected by tests. */
  now?: () => number
}

function duration(ms: number | undefined): string {
  if (ms === undefined) return '?'
  const seconds = Math.round(ms / 1000)
  return seconds < 60 ? `${seconds}s` : `${Math.floor(seconds / 60)}m${String(seconds % 60).padStart(2, '0')}s`
}

function facts({ batch, batches, batchSize, done, total, rate, etaMs }: ProgressEvent): string {
  return `batch ${batch}/${batches ?? '?'} of ${batchSize} ids, ${done}/${total ?? '?'} ids, ${Math.round(rate)} ids/s, ETA ${duration(etaMs)}`
}

/** A bar on a terminal; elsewhere a line every few seconds and one at the end. */
export function barReporter({ label, stream = process.stderr, now = Date.now }: BarOptions): ProgressReporter {
  let bar: SingleBar | undefined
  let last: ProgressEvent | undefined
  let lastLineMs = 0
  let printed: ProgressEvent | undefined
  const line = (event: ProgressEvent): void => {
    printed = event
    lastLineMs = now()
    stream.write(`${label}: ${facts(event)}\n`)
  }
  return {
    start({ misses, hits }) {
      lastLineMs = now()
      if (stream.isTTY !== true || misses === 0) return
      bar = new SingleBar({ stream, format: `${label} {bar} {percentage}% | {facts}`, clearOnComplete: false,
        barCompleteChar: '█', barIncompleteChar: '░', barsize: 24, stopOnComplete: false,
        // its "graceful exit" listens to SIGINT and then does not exit: the caller's first Ctrl-C would only stop the bar
        hideCursor: false, gracefulExit: false })
      bar.start(misses ?? 0, 0, { facts: `${hits ?? 0} hits` })
    },
    update(event) {
      last = event
      if (bar) bar.update(event.done, { facts: facts(event) })
      else if (stream.isTTY !== true && now() - lastLineMs >= LINE_INTERVAL_MS) line(event)
    },
    stop() {
      bar?.stop()
      bar = undefined
      if (stream.isTTY !== true && last && last !== printed) line(last)
    }
  }
}
