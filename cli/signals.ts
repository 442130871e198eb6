import { constants } from 'node:os'

/** What signals do to a run: the first aborts it, the second ends the process where it stands. */
export interface Signals {
  readonly signal: AbortSignal
  /** 128 and the signal's number, once one came. */
  readonly exitCode: number | undefined
}

/** Listen to SIGINT, SIGTERM and SIGHUP for the rest of the process. */
export function listenToSignals(): Signals {
  const abort = new AbortController()
  const state = { signal: abort.signal, exitCode: undefined as number | undefined }
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(name, () => {
      const code = 128 + constants.signals[name]
      if (state.exitCode !== undefined) process.exit(code)
      state.exitCode = code
      abort.abort(Object.assign(new Error(`stopped by ${name}`), { name: 'AbortError', code: 'ABORT_ERR' }))
    })
  }
  return state
}
