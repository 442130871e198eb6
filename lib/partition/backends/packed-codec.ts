import { DATATYPES } from '../key-types.js'
import { intersectPacked, packKeys } from '../packed-keys.js'
import type { SetCodec } from './level-store.js'

/** Marks from here on, one for each datatype. */
const FIRST_MARK = 2

/** Sets as `packKeys` writes them. */
export const PACKED: SetCodec = {
  mark: datatype => FIRST_MARK + DATATYPES.indexOf(datatype),
  pack: packKeys,
  intersect: intersectPacked,
}
