/**
 * A plain Map model of the row cache, and random runs of both side by side: random schemas, rows, ways of answering and sequences of
 * calls. After every call the rows must be what the model says, and the fetcher must have been asked for exactly what is not cached.
 */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import fc from 'fast-check'
import { buildVector } from '../../lib/batch/build.js'
import { fromColumns } from '../../lib/batch/from-rows.js'
import { idOf, type Id } from '../../lib/batch/ids.js'
import { RowBatch } from '../../lib/batch/row-batch.js'
import type { Row } from '../../lib/batch/row-factory.js'
import { readForeign } from '../../lib/parquet/foreign.js'
import { openCache, type Cache } from '../../lib/store/open-cache.js'
import type { Fetcher, FetchRequest } from '../../lib/source/fetcher.js'
import { getData } from '../../pipelines/get-data.js'
import { same } from './support.js'

/** A value as a fetcher gives it, and as the row must hold it. */
interface Sample {
  given: unknown
  cell: unknown
}

const as = (given: unknown, cell: unknown = given): Sample => ({ given, cell })
const NULL = as(null)

/** Kinds of plain columns: values that one column can hold together. `type` is declared with the request. */
const KINDS: Record<string, { type?: string, value: fc.Arbitrary<Sample> }> = {
  integer: { value: fc.oneof(fc.integer(), fc.maxSafeInteger(), fc.constantFrom(0, 9007199254740991, -9007199254740991)).map(value => as(value === 0 ? 0 : value)) },
  wide: { value: fc.oneof(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }), fc.constantFrom(2n ** 53n, 5n, -(2n ** 63n))).map(value => as(value, idOf(value))) },
  number: { value: fc.oneof(fc.double(), fc.integer(), fc.constantFrom(-0, 0, NaN, Infinity, 2 ** 53, 1e21)).map(value => as(value)) },
  text: { value: fc.oneof(fc.string({ unit: 'grapheme' }), fc.constantFrom('', 'null', '\u0000', '\ufeff', 'x'.repeat(300), '2024-01-01')).map(value => as(value)) },
  few: { value: fc.constantFrom('red', 'green', 'blue', '').map(value => as(value)) },
  bool: { value: fc.boolean().map(value => as(value)) },
  when: { value: fc.integer({ min: -8.64e15, max: 8.64e15 }).map(ms => as(new Date(ms))) },
  bytes: { value: fc.uint8Array({ maxLength: 9 }).map(value => as(Buffer.from(value), value)) },
  tree: { type: 'json', value: fc.jsonValue({ depthSize: 'small' }).map(value => as(plain(value))) },
  nothing: { value: fc.constant(NULL) },
  small: { type: 'int32', value: fc.integer().map(value => as(value)) },
  single: { type: 'float32', value: fc.oneof(fc.float(), fc.constantFrom(-0, NaN)).map(value => as(value)) },
  price: { type: 'decimal(20,2)', value: fc.bigInt({ min: -(10n ** 20n) + 1n, max: 10n ** 20n - 1n }).map(units => as(decimalText(units))) },
  day: { type: 'date', value: fc.constantFrom('2024-02-29', '1969-12-31', '0044-03-15 BC', 'infinity', '12024-01-01').map(value => as(value)) },
  clock: { type: 'time', value: fc.constantFrom('00:00:00', '23:59:59.999999', '12:00:00.5').map(value => as(value)) },
  instant: { type: 'timestamptz', value: fc.constantFrom(as('2024-01-02 03:04:05.678901+00', new Date('2024-01-02T03:04:05.678Z')), as('2018-11-04T00:30:00-03:00', new Date('2018-11-04T03:30:00Z')),
    as('infinity'), as('1969-12-31 23:59:59.999999Z', new Date(-1)), as(new Date(5))) },
  wall: { type: 'timestamp', value: fc.constantFrom(as('2018-11-04 00:30:00', new Date('2018-11-04T00:30:00Z')), as('-infinity'), as('294246-12-31 23:59:59')) },
  uuid: { type: 'uuid', value: fc.uuid().map(value => as(value.toUpperCase(), value)) },
  days: { type: 'list<date>', value: fc.array(fc.constantFrom('2024-02-29', null, '0001-01-01 BC'), { maxLength: 3 }).map(value => as(value)) },
  instants: { type: 'list<timestamptz>', value: fc.array(fc.constantFrom(as('2024-01-02 03:04:05.678901+00', new Date('2024-01-02T03:04:05.678Z')), NULL, as('infinity')), { maxLength: 3 })
    .map(list => as(list.map(({ given }) => given), list.map(({ cell }) => cell))) },
  numbers: { type: 'list<int64>', value: fc.array(fc.oneof(fc.integer(), fc.constantFrom(null, 2n ** 60n)), { maxLength: 3 }).map(value => as(value)) }
}

function decimalText(units: bigint): string {
  const digits = String(units < 0n ? -units : units).padStart(3, '0')
  return `${units < 0n ? '-' : ''}${digits.slice(0, -2)}.${digits.slice(-2)}`
}

/** What JSON text keeps of a value: -0 is lost in it, and so left out of documents here. */
function plain(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value)) as unknown
}

const KIND_NAMES = Object.keys(KINDS)
const COLUMN_NAMES = ['a', 'b', 'constructor', 'x\\.y', 'ключ', 'toString']
const PATHS: readonly (readonly string[])[] = [['k'], ['k', 'l'], ['0'], ['k', '0'], ['a.b'], [''], ['__proto__', 'k'], ['constructor']]
const key = fc.constantFrom('k', 'l', '0', 'a.b', '', '__proto__', 'constructor', 'z')
const leaf = fc.oneof({ weight: 3, arbitrary: fc.integer({ min: -5, max: 5 }) }, fc.constantFrom('s', '', 'ü', null, true, 0.5, '7'), fc.double({ noNaN: true, noDefaultInfinity: true }))
const document = fc.letrec(tie => ({
  value: fc.oneof({ depthSize: 'small' }, leaf, fc.array(tie('value'), { maxLength: 2 }),
    // entries by definition, as JSON.parse makes them: assignment would set the prototype
    fc.array(fc.tuple(key, tie('value')), { maxLength: 4 }).map(entries => Object.fromEntries(entries)))
// text in a document's place is JSON text, so no document is a string itself
})).value.map(plain).filter(value => typeof value !== 'string')

/** The model's own way through a document. */
function walk(root: unknown, path: readonly string[]): unknown {
  return path.reduce((at: unknown, step) => typeof at === 'object' && at !== null && Object.prototype.propertyIsEnumerable.call(at, step)
    ? Object.getOwnPropertyDescriptor(at, step)!.value as unknown : null, root)
}

const pathName = (path: readonly string[]): string => `doc.${path.map(step => step.replaceAll('.', '\\.')).join('.')}`

const IDS: readonly Id[] = [-(2n ** 63n), -3, 0, 1, 2, 3, 4, 70_000, 9007199254740991, 2n ** 53n, 2n ** 63n - 1n]

/** A source row: samples of the plain columns, and the document. */
interface SourceRow {
  plain: Sample[]
  doc: unknown
}

type Op =
  | { op: 'get', ids: number[], columns: number[], paths: number[], wholeDoc: boolean, refresh: boolean, batchSize: number, answer: number, idForm: number, seed: number }
  | { op: 'change', id: number, row: SourceRow }
  | { op: 'drop', id: number }
  | { op: 'invalidate', ids: number[] | undefined, columns: number[] | undefined }
  | { op: 'compact' } | { op: 'reopen' } | { op: 'export' }

interface Scenario {
  kinds: string[]
  codec: 'UNCOMPRESSED' | 'SNAPPY' | 'GZIP'
  partBytes: number
  rows: (SourceRow | undefined)[]
  ops: Op[]
}

const position = fc.nat(IDS.length - 1)
const someIds = fc.uniqueArray(position, { minLength: 1, maxLength: IDS.length })

function rowOf(kinds: readonly string[]): fc.Arbitrary<SourceRow> {
  const values = kinds.map(kind => fc.oneof({ weight: 5, arbitrary: KINDS[kind]!.value }, fc.constant(NULL)))
  return fc.record({ plain: fc.tuple<Sample[]>(...values), doc: fc.oneof({ weight: 6, arbitrary: document }, fc.constant(null)) })
}

const scenario: fc.Arbitrary<Scenario> = fc.array(fc.constantFrom(...KIND_NAMES), { minLength: 1, maxLength: 4 }).chain(kinds => {
  const columns = fc.uniqueArray(fc.nat(kinds.length - 1), { maxLength: kinds.length })
  const get = fc.record({ op: fc.constant('get' as const), ids: someIds, columns, paths: fc.uniqueArray(fc.nat(PATHS.length - 1), { maxLength: 3 }), wholeDoc: fc.boolean(),
    refresh: fc.integer({ min: 0, max: 5 }).map(n => n === 0), batchSize: fc.constantFrom(1, 3, 100), answer: fc.nat(4), idForm: fc.nat(2), seed: fc.nat() })
  const op: fc.Arbitrary<Op> = fc.oneof({ weight: 8, arbitrary: get },
    { weight: 3, arbitrary: fc.record({ op: fc.constant('change' as const), id: position, row: rowOf(kinds) }) },
    { weight: 1, arbitrary: fc.record({ op: fc.constant('drop' as const), id: position }) },
    { weight: 1, arbitrary: fc.record({ op: fc.constant('invalidate' as const), ids: fc.option(someIds, { nil: undefined }), columns: fc.option(fc.uniqueArray(fc.nat(kinds.length - 1), { minLength: 1 }), { nil: undefined }) }) },
    { weight: 1, arbitrary: fc.constant<Op>({ op: 'export' }) }, { weight: 2, arbitrary: fc.constant<Op>({ op: 'compact' }) }, { weight: 2, arbitrary: fc.constant<Op>({ op: 'reopen' }) })
  return fc.record({ kinds: fc.constant(kinds), codec: fc.constantFrom('UNCOMPRESSED' as const, 'SNAPPY' as const, 'GZIP' as const), partBytes: fc.constantFrom(1024, 100 * 1024 * 1024),
    rows: fc.array(fc.option(rowOf(kinds), { nil: undefined, freq: 8 }), { minLength: IDS.length, maxLength: IDS.length }), ops: fc.array(op, { minLength: 2, maxLength: 9 }) })
})

/** What a run leaves behind for another process to look at. */
export interface Remains {
  dir: string
  columnTypes: Record<string, string>
  requests: { ids: Id[], columns: string[], rows: Row[] }[]
}

class Twin {
  readonly #scenario: Scenario
  readonly #dir: string
  readonly #source: Map<number, SourceRow>
  /** Cached cells by id's position and column name. */
  readonly #cached = new Map<number, Map<string, unknown>>()
  readonly #columnTypes: Record<string, string> = { doc: 'json' }
  #cache: Cache | undefined

  constructor(of: Scenario, dir: string) {
    this.#scenario = of
    this.#dir = dir
    this.#source = new Map(of.rows.flatMap((row, id) => row ? [[id, row] as const] : []))
    of.kinds.forEach((kind, c) => {
      const { type } = KINDS[kind]!
      if (type) this.#columnTypes[COLUMN_NAMES[c]!] = type
    })
  }

  async run(): Promise<Remains> {
    try {
      for (const op of this.#scenario.ops) await this.#step(op)
    } finally {
      await this.#cache?.close()
    }
    return { dir: this.#dir, columnTypes: this.#columnTypes, requests: this.#complete() }
  }

  async #open(): Promise<Cache> {
    const { codec, partBytes } = this.#scenario
    return this.#cache ??= await openCache({ dir: this.#dir, durability: 'none', codec, partBytes })
  }

  async #step(op: Op): Promise<void> {
    switch (op.op) {
      case 'get': return await this.#get(op)
      case 'change':
        this.#source.set(op.id, op.row)
        return
      case 'drop':
        this.#source.delete(op.id)
        return
      case 'compact':
        await (await this.#open()).compact()
        return
      case 'reopen':
        await this.#cache?.close()
        this.#cache = undefined
        return
      case 'export': return await this.#export()
      case 'invalidate': {
        const columns = op.columns?.map(c => COLUMN_NAMES[c]!)
        await (await this.#open()).invalidate({ table: 'public.t', ...(op.ids ? { ids: op.ids.map(id => IDS[id]!) } : {}), ...(columns ? { columns } : {}) })
        for (const [id, cells] of this.#cached) {
          if (op.ids && !op.ids.includes(id)) continue
          if (columns) columns.forEach(name => cells.delete(name))
          else cells.clear()
        }
      }
    }
  }

  async #get(op: Op & { op: 'get' }): Promise<void> {
    const names = [...op.columns.map(c => COLUMN_NAMES[c]!), ...op.paths.map(p => pathName(PATHS[p]!)), ...(op.wholeDoc ? ['doc'] : [])]
    const columns = names.length > 0 ? names : [COLUMN_NAMES[0]!]
    const asked: number[] = []
    const forms = [(id: Id) => id, (id: Id) => BigInt(id), (id: Id) => id]
    const fetcher: Fetcher = (ids, _table, request) => {
      const found = ids.map(id => IDS.indexOf(id))
      asked.push(...found)
      return this.#answer(found.filter(id => this.#source.has(id)), request, op)
    }
    const isHit = (id: number): boolean => !op.refresh && columns.every(name => this.#cached.get(id)?.has(name))
    const expectedMisses = op.ids.filter(id => !isHit(id))
    const table = await getData({ table: 'public.t', cache: await this.#open(), cacheErrors: 'throw', onMissing: 'skip', retries: 0, columnTypes: this.#columnTypes, refresh: op.refresh, batchSize: op.batchSize,
      ids: op.ids.map(id => forms[op.idForm]!(IDS[id]!)), columns, fetcher })
    same([...asked].sort((a, b) => a - b), expectedMisses.sort((a, b) => a - b), 'ids fetched')
    for (const id of asked) {
      const row = this.#source.get(id)
      // a refresh forgets what the source has lost, in all columns
      if (!row && op.refresh) this.#cached.delete(id)
      if (!row) continue
      const cells = this.#cached.get(id) ?? new Map<string, unknown>()
      this.#cached.set(id, cells)
      for (const name of columns) cells.set(name, this.#cellOf(row, name))
    }
    // what is cached is served even where the source lost the row; what was asked for and is gone is left out
    const served = [...op.ids].sort((a, b) => a - b).filter(id => isHit(id) || (asked.includes(id) && this.#source.has(id)))
    same(table.toRows(), served.map(id => Object.fromEntries([['id', IDS[id]], ...columns.map(name => [name, this.#cached.get(id)!.get(name)])]) as Row), 'rows')
  }

  /** The exported file holds every cached cell, and nothing else. */
  async #export(): Promise<void> {
    const file = join(this.#dir, 'exported.parquet')
    const known = [...this.#cached].filter(([, cells]) => cells.size > 0)
    const exported = await (await this.#open()).export({ table: 'public.t', file }).catch((error: unknown) => {
      // nothing was ever cached
      if (known.length > 0) throw error
    })
    if (!exported) return
    const { fields, vectors } = await readForeign(await readFile(file))
    const rows = new Map(new RowBatch(fields, vectors.map(({ type, values }) => buildVector(type, values))).toRows().map(({ id, ...cells }) => [IDS.indexOf(id as Id), cells]))
    for (const [id, cells] of rows) {
      const expected = this.#cached.get(id) ?? new Map<string, unknown>()
      same(cells, Object.fromEntries(Object.keys(cells).map(name => [name, expected.get(name) ?? null])), `exported id ${IDS[id]}`)
    }
    for (const [id, cells] of known) same([...cells.keys()].filter(name => !Object.hasOwn(rows.get(id) ?? {}, name)), [], `exported columns of id ${IDS[id]}`)
  }

  #cellOf(row: SourceRow, name: string): unknown {
    if (name === 'doc') return row.doc
    if (name.startsWith('doc.')) return walk(row.doc, PATHS.find(path => pathName(path) === name)!)
    return row.plain[COLUMN_NAMES.indexOf(name)]!.cell
  }

  /** A fetcher's answer, in one of its many forms. */
  #answer(ids: readonly number[], request: FetchRequest, { answer, seed }: { answer: number, seed: number }): Iterable<Row> | AsyncIterable<Row | readonly Row[]> | Promise<Iterable<Row>> | ReturnType<typeof fromColumns> {
    const ordered = seed % 2 === 0 ? ids : [...ids].reverse()
    const ready = seed % 3 === 0 && !request.plain.includes('doc')
    const asText = seed % 3 === 1 && !request.plain.includes('doc')
    const rows = ordered.map((id): Row => {
      const source = this.#source.get(id)!
      const row: Row = { id: seed % 5 === 0 ? String(IDS[id]) : IDS[id] }
      // the source's own names: dots are not escaped there
      for (const column of request.columns) {
        if (column !== 'doc') row[column] = source.plain[COLUMN_NAMES.findIndex(name => name.replaceAll('\\.', '.') === column)]!.given
        else if (!ready) row['doc'] = asText ? JSON.stringify(source.doc) : source.doc
      }
      if (ready) for (const name of request.paths) row[name] = this.#cellOf(source, name)
      return Object.freeze(row)
    })
    switch (answer) {
      case 0: return rows
      case 1: return Promise.resolve(new Set(rows))
      case 2: return (function * () { yield * rows })()
      case 3: return (async function * () { for (const row of rows) yield await Promise.resolve(seed % 7 === 0 ? [row, row] : row) })()
      default: return this.#batchOf(rows, request)
    }
  }

  #batchOf(rows: readonly Row[], request: FetchRequest): ReturnType<typeof fromColumns> | readonly Row[] {
    if (rows.length === 0) return rows
    const names = Object.keys(rows[0]!)
    const types = Object.fromEntries(names.flatMap(name => {
      const escaped = name.replaceAll('.', '\\.')
      const declared = (Object.hasOwn(this.#columnTypes, escaped) ? this.#columnTypes[escaped] : undefined) ?? (name === 'doc' && typeof rows[0]![name] !== 'string' ? 'json' : undefined)
      return declared && !request.paths.includes(name) && !(name === 'doc' && typeof rows[0]![name] === 'string') ? [[name, declared] as const] : []
    }))
    // ready-made dotted columns of several types have none as a batch
    if (names.some(name => request.paths.includes(name))) return rows
    return fromColumns(Object.fromEntries(names.map(name => [name, rows.map(row => row[name])])), { types })
  }

  /** Requests that the cache can answer without a fetch. */
  #complete(): Remains['requests'] {
    const requests: Remains['requests'] = []
    for (const [id, cells] of this.#cached) {
      if (cells.size === 0) continue
      const columns = [...cells.keys()]
      requests.push({ ids: [IDS[id]!], columns, rows: [Object.fromEntries<unknown>([['id', IDS[id]], ...cells])] })
    }
    return requests
  }
}

/**
 * Make `runs` random runs, each with a cache of its own under `folderOf(run)`.
 *
 * @returns what the last few left behind
 */
export async function runModel({ runs, seed, path, folderOf }: { runs: number, seed: number, path?: string, folderOf: (run: number) => string }): Promise<Remains[]> {
  const remains: Remains[] = []
  let run = 0
  await fc.assert(fc.asyncProperty(scenario, async of => {
    remains.push(await new Twin(of, folderOf(run++)).run())
  }), { numRuns: runs, seed, ...(path ? { path } : {}) })
  return remains
}
