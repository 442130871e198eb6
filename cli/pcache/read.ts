import type { PcacheProgram } from './action.js'
import { read as readAction } from './actions/read.js'

/** `pcache-read`. */
export const read: PcacheProgram = {
  name: 'pcache-read',
  description: 'Read the partition cache: the partition keys that a query can match, or one cached set. The query is not run.',
  actions: [readAction]
}
