import type { Codec } from '../parquet/codec.js'
import type { BlobStore } from './blob-store.js'
import type { Catalog } from './catalog.js'
import type { PartReader } from './part-reader.js'

/** Settings every table of a cache shares. */
export interface StoreSettings {
  blobs: BlobStore
  catalog: Catalog
  reader: PartReader
  codec: Codec
  /** Size at which parts are split, in bytes. */
  partBytes: number
  /** How long files that left a table, and leftovers, stay on disk. */
  graceMs: number
}
