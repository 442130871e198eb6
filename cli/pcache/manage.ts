import type { PcacheProgram } from './action.js'
import { clearCache } from './actions/clear-cache.js'
import { countCache } from './actions/count-cache.js'

/** `pcache-manage`. A new action is a file in `actions/` and a word here. */
export const manage: PcacheProgram = {
  name: 'pcache-manage',
  description: 'Look after the partition cache.',
  actions: [countCache, clearCache]
}
