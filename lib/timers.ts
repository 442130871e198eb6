/** The longest a timer can wait, in ms: 24 days. More, `Infinity` included, would fire at once. */
export const MAX_TIMER_MS = 2 ** 31 - 1

/** What a timer is set to that shall wait `ms`, or as long as one can. */
export function timerMs(ms: number): number {
  return Math.min(ms, MAX_TIMER_MS)
}
