import type { PcacheProgram } from './action.js'
import { evict as evictAction } from './actions/evict.js'

/** `pcache-evict`. */
export const evict: PcacheProgram = {
  name: 'pcache-evict',
  description: 'Keep the partition cache within limits: by count, bytes, age and idle time, each partition key by itself. Readers see whole sets or misses.',
  actions: [evictAction]
}
