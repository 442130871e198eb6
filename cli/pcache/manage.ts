import type { PcacheProgram } from './action.js'
import { clearCache } from './actions/clear-cache.js'
import { copy } from './actions/copy.js'
import { countCache } from './actions/count-cache.js'
import { deleteEntry } from './actions/delete.js'
import { exportCache } from './actions/export.js'
import { importCache } from './actions/import.js'
import { prune } from './actions/prune.js'
import { setStatus } from './actions/set-status.js'
import { stats } from './actions/stats.js'
import { clearQueue, countQueue, dead, drainQueue, retryDead } from './actions/queue-jobs.js'

/** `pcache-manage`. A new action is a file in `actions/` and a word here. */
export const manage: PcacheProgram = {
  name: 'pcache-manage',
  description: 'Look after the partition cache and its queues.',
  actions: [countCache, stats, clearCache, prune, deleteEntry, setStatus, copy, exportCache, importCache, countQueue, clearQueue, dead, retryDead, drainQueue]
}
