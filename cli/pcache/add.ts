import type { PcacheProgram } from './action.js'
import { addDirect } from './actions/add-direct.js'

/** `pcache-add`. A new action is a file in `actions/` and a word here. */
export const add: PcacheProgram = {
  name: 'pcache-add',
  description: 'Put a query into the partition cache: the sets of partition keys that its parts can match.',
  actions: [addDirect]
}
