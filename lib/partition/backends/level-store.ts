import { turns } from '../../turns.js'
import { PartitionBackendError, type BackendSupport, type EntryChange, type EntryInfo, type EntryState, type EntryUsage, type Intersection, type Partition, type PartitionBackend } from '../backend.js'
import { DATATYPES, type Datatype, type StoredKey } from '../key-types.js'
import { firstNumber, latest, marked, marksOf, type MarkCount } from '../marks.js'
import { openLevel, type LevelDb, type LevelOptions } from './level-open.js'

/** How one backend lays out sets. */
export interface SetCodec {
  /** Tells the layout, and with it the datatype: what begins otherwise is no set of this backend. 1 to 255. */
  mark(datatype: Datatype): number
  /** `offset` free bytes, then the set. */
  pack(keys: readonly StoredKey[], datatype: Datatype, offset: number): Uint8Array
  /** The AND of sets (at least one), each from byte `offset`. */
  intersect(sets: readonly Uint8Array[], datatype: Datatype, offset: number): Set<StoredKey>
}

/** Mark, seven zeros, then the end of its life as a float64 of ms since 1970, 0 for none. */
const HEADER_BYTES = 16
const LIFE_OFFSET = 8
const PAGE = 1000

type StoredInfo = Omit<EntryInfo, 'hash'> & {
  /** Of the set, so that measuring reads none. */
  readonly bytes?: number | undefined
}

function timeBytes(at: number): Uint8Array {
  const value = Buffer.alloc(8)
  value.writeDoubleBE(at)
  return value
}

function entryInfo(hash: string, { bytes: _, ...info }: StoredInfo): EntryInfo {
  return { hash, ...info }
}

/**
 * Entries in a RocksDB or LevelDB of this process. `v` is a set, `u` its last use, `i` what is known of an entry, `p` a partition key's type,
 * `g` the count of its invalidations; parts of a key are divided by NUL, which no name holds. Value and information change in one batch.
 */
export async function levelBackend(type: string, supports: BackendSupport, codec: SetCodec, options: LevelOptions): Promise<PartitionBackend> {
  const db: LevelDb = await openLevel(type, options)
  const keyOf = (kind: 'v' | 'i' | 'u', { name }: Partition, hash: string): string => `${kind}\0${name}\0${hash}`

  async function run<T>(action: string, call: () => Promise<T>): Promise<T> {
    try {
      return await call()
    } catch (cause) {
      throw new PartitionBackendError({ backend: type, action: `could not ${action}`, cause })
    }
  }
  /** Changes read before they write, so one waits for the other. */
  const inTurn = turns()
  async function infos(partition: Partition, hashes: readonly string[]): Promise<(StoredInfo | undefined)[]> {
    const values = await run('read entries', () => db.getMany(hashes.map(hash => keyOf('i', partition, hash))))
    return values.map(readInfo)
  }
  async function usesOf(partition: Partition, hashes: readonly string[]): Promise<(number | undefined)[]> {
    const values = await run('read uses', () => db.getMany(hashes.map(hash => keyOf('u', partition, hash))))
    return values.map(value => value && new DataView(value.buffer, value.byteOffset).getFloat64(0))
  }
  function readInfo(value: Uint8Array | undefined): StoredInfo | undefined {
    if (!value) return undefined
    const { state, query, status, tables, storedAt, expiresAt, bytes } = JSON.parse(Buffer.from(value).toString()) as StoredInfo
    return expiresAt !== undefined && expiresAt <= Date.now() ? undefined : { state, query, status, tables, storedAt, expiresAt, bytes }
  }
  function isSet(value: Uint8Array | undefined, mark: number): value is Uint8Array {
    if (!value || value.length < HEADER_BYTES || value[0] !== mark) return false
    const end = new DataView(value.buffer, value.byteOffset).getFloat64(LIFE_OFFSET)
    return end === 0 || end > Date.now()
  }
  async function * pages(from: string): AsyncGenerator<[string, Uint8Array][]> {
    let page: [string, Uint8Array][] = []
    try {
      for await (const entry of db.iterator({ gt: from, lt: `${from}\u{10ffff}` })) {
        page.push(entry)
        if (page.length < PAGE) continue
        yield page
        page = []
      }
    } catch (cause) {
      throw new PartitionBackendError({ backend: type, action: 'could not list entries', cause })
    }
    if (page.length > 0) yield page
  }
  async function datatypeOf(name: string): Promise<Datatype | undefined> {
    const [value] = await run('read a partition key', () => db.getMany([`p\0${name}`]))
    return value && DATATYPES.find(datatype => datatype === Buffer.from(value).toString())
  }
  function removals(partition: Partition, hashes: readonly string[]): { type: 'del', key: string }[] {
    return hashes.flatMap(hash => (['v', 'i', 'u'] as const).map(kind => ({ type: 'del' as const, key: keyOf(kind, partition, hash) })))
  }
  async function countOf(name: string): Promise<MarkCount> {
    const [value] = await run('read the marks', () => db.getMany([`g\0${name}`]))
    return value ? JSON.parse(Buffer.from(value).toString()) as MarkCount : keepCount(name, { born: firstNumber(), scopes: {} })
  }
  async function keepCount(name: string, count: MarkCount): Promise<MarkCount> {
    await run('keep the marks', () => db.batch([{ type: 'put', key: `g\0${name}`, value: Buffer.from(JSON.stringify(count)) }]))
    return count
  }
  async function write(partition: Partition, hash: string, { keys, ...change }: EntryChange, ifNumber: number | undefined): Promise<boolean> {
    if (ifNumber !== undefined && latest(await countOf(partition.name)) !== ifNumber) return false
    const [old] = await infos(partition, [hash])
    const given = Object.fromEntries(Object.entries(change).filter(([, field]) => field !== undefined))
    const value = keys ? codec.pack(keys, partition.datatype, HEADER_BYTES) : undefined
    const info = { state: 'none', ...old, ...given, ...(keys === undefined && old?.storedAt !== undefined && { storedAt: old.storedAt }), ...(keys !== undefined && { state: keys === null ? 'null' : 'set', expiresAt: change.expiresAt, bytes: value?.length }) }
    const key = keyOf('v', partition, hash)
    const put = { type: 'put' as const, key: keyOf('i', partition, hash), value: Buffer.from(JSON.stringify(info)) }
    if (!value) {
      const hasNoSet = keys === null || info.state !== 'set'
      await run('write an entry', () => db.batch([put, ...(hasNoSet ? [{ type: 'del' as const, key }] : [])]))
      return true
    }
    value[0] = codec.mark(partition.datatype)
    new DataView(value.buffer).setFloat64(LIFE_OFFSET, change.expiresAt ?? 0)
    await run('write an entry', () => db.batch([put, { type: 'put', key, value: Buffer.from(value.buffer) }]))
    return true
  }

  return {
    type, supports, datatypeOf,
    register: (name, datatype) => inTurn(async () => {
      const held = await datatypeOf(name)
      if (held === undefined) await run('register a partition key', () => db.batch([{ type: 'put', key: `p\0${name}`, value: Buffer.from(datatype) }]))
      return held ?? datatype
    }),
    async partitions() {
      const found: Partition[] = []
      for await (const page of pages('p\0')) {
        for (const [key, value] of page) found.push({ name: key.slice(2), datatype: Buffer.from(value).toString() as Datatype })
      }
      return found
    },
    write: (partition, hash, change, ifNumber) => inTurn(() => write(partition, hash, change, ifNumber)),
    begin: name => inTurn(async () => latest(await countOf(name))),
    async begun() {
      const names: string[] = []
      for await (const page of pages('g\0')) names.push(...page.map(([key]) => key.slice(2)))
      return names
    },
    mark: (name, scopes) => inTurn(async () => { await keepCount(name, marked(await countOf(name), scopes)) }),
    marks: (name, scopes) => inTurn(async () => marksOf(await countOf(name), scopes)),
    async info(partition, hash) {
      const [info] = await infos(partition, [hash])
      return info && entryInfo(hash, info)
    },
    async intersect(partition, hashes): Promise<Intersection> {
      const values = await run('read sets', () => db.getMany(hashes.map(hash => keyOf('v', partition, hash))))
      const mark = codec.mark(partition.datatype)
      const sets = values.filter(value => isSet(value, mark))
      const used = hashes.filter((_, i) => isSet(values[i], mark))
      return { keys: sets.length === 0 ? undefined : codec.intersect(sets, partition.datatype, HEADER_BYTES), used }
    },
    states: async (partition, hashes) => (await infos(partition, hashes)).map((info): EntryState => info?.state ?? 'none'),
    async * list(partition) {
      const start = keyOf('i', partition, '')
      for await (const page of pages(start)) {
        const entries = page.flatMap(([key, value]) => {
          const info = readInfo(value)
          return info ? [entryInfo(key.slice(start.length), info)] : []
        })
        if (entries.length > 0) yield entries
      }
    },
    remove: (partition, hashes) => inTurn(() => run('remove entries', () => db.batch(removals(partition, hashes)))),
    forget: partition => inTurn(async () => {
      const start = keyOf('i', partition, '')
      for await (const page of pages(start)) {
        await run('remove entries', () => db.batch(removals(partition, page.map(([key]) => key.slice(start.length)))))
      }
      await run('drop a partition key', () => db.batch([{ type: 'del', key: `p\0${partition.name}` }]))
    }),
    async * usage(partition) {
      const start = keyOf('i', partition, '')
      for await (const page of pages(start)) {
        const hashes = page.map(([key]) => key.slice(start.length))
        const uses = await usesOf(partition, hashes)
        yield hashes.flatMap((hash, i): EntryUsage[] => {
          const info = readInfo(page[i]![1])
          return info ? [{ hash, state: info.state, bytes: info.state === 'set' ? info.bytes ?? 0 : 0, storedAt: info.storedAt, usedAt: uses[i] }] : []
        })
      }
    },
    touch: (partition, uses) => inTurn(async () => {
      const hashes = [...uses.keys()]
      const [found, last] = await Promise.all([infos(partition, hashes), usesOf(partition, hashes)])
      const puts = hashes.flatMap((hash, i) => {
        const usedAt = uses.get(hash)!
        return found[i] && usedAt > (last[i] ?? -1) ? [{ type: 'put' as const, key: keyOf('u', partition, hash), value: timeBytes(usedAt) }] : []
      })
      await run('note uses', () => db.batch(puts))
    }),
    async bytes(partition, hash) {
      const [value] = await run('read a set', () => db.getMany([keyOf('v', partition, hash)]))
      return isSet(value, codec.mark(partition.datatype)) ? value.length : undefined
    },
    close: () => inTurn(() => run('close', () => db.close())),
  }
}
