import type { PcacheProgram } from './action.js'
import { monitor as monitorAction } from './actions/monitor.js'

/** `pcache-monitor`. */
export const monitor: PcacheProgram = {
  name: 'pcache-monitor',
  description: 'Work on the queues of the partition cache.',
  actions: [monitorAction]
}
