import { timerMs } from '../timers.js'

/** A closing statement gets this long to end by itself, then it is cancelled, then the connection is cut. */
const CLOSE_GRACE_MS = 200
const CUT_AFTER_MS = 1200

/** How a statement that streams is stopped. */
export interface StopOptions {
  /** The longest silence tolerated while an answer is awaited, in ms; 0 = no limit. */
  timeoutMs: number
  /** Ask the server to stop the statement. */
  cancel: () => void
  /** Cut the connection. */
  cut: () => void
}

/** Why a stream is closed while its statement runs. */
export interface Closing {
  error: Error | null
  /** The server works on the statement. */
  isBusy: boolean
  /** Whoever asked for the rows does not wait. */
  isUrgent: boolean
  /** The connection cannot be used again: it is cut, or a cancel request is on its way, which may arrive late and would hit the next statement. */
  onBroken: () => void
}

/**
 * See to it that a statement that nobody reads any more ends: by itself within the grace time, else by a cancel request, else by
 * cutting the connection. Returns what to call when it has ended.
 */
export function endSoon({ cancel, cut }: StopOptions, { error, isBusy, isUrgent, onBroken }: Closing): () => void {
  let timer: NodeJS.Timeout | undefined
  const cutOff = (): void => {
    onBroken()
    cut()
  }
  const cancelNow = (): void => {
    onBroken()
    cancel()
    timer = setTimeout(cutOff, CUT_AFTER_MS)
  }
  if (error && 'code' in error && error.code === 'ETIMEDOUT') {
    cancel()
    cutOff()
  } else if (isBusy && isUrgent) cancelNow()
  else timer = setTimeout(cancelNow, CLOSE_GRACE_MS)
  return () => clearTimeout(timer)
}

/** Call `onSilence` once nothing was heard for `timeoutMs` (0: never); `heard` says whether anything was since it was last asked. Returns what ends the watch. */
export function watchSilence(timeoutMs: number, heard: () => boolean, onSilence: () => void): () => void {
  if (timeoutMs <= 0) return () => undefined
  let silent = 0
  const watchdog = setInterval(() => {
    silent = heard() ? 0 : silent + 1
    if (silent >= 4) onSilence()
  }, timerMs(Math.max(1, timeoutMs / 4)))
  return () => clearInterval(watchdog)
}
