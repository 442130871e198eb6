import type { Transform } from 'node:stream'
import { RowBatch } from '../lib/batch/row-batch.js'
import type { Window } from '../lib/batch/window.js'
import { InvalidArgumentError, MillraceError } from '../lib/errors.js'
import { badRows } from '../lib/fetch/bad-rows.js'
import { checkChoice } from '../lib/fetch/options.js'
import { mergeWindow } from '../lib/fetch/merge-window.js'
import { requestColumns } from '../lib/fetch/request-columns.js'
import { Run } from '../lib/run.js'
import { tableOf, type CacheReference } from '../lib/store/cache-reference.js'
import { RunCommitter } from '../lib/store/run-committer.js'
import { warningOf, type TableStore } from '../lib/store/table-store.js'
import { stage } from './stage.js'

/** Options of `parquetSink`. */
export interface ParquetSinkOptions extends CacheReference {
  /** Columns to deliver, in order; what the windows hold when not given. */
  columns?: readonly string[] | undefined
  /** Pass the merged rows on as RowBatches instead of consuming them (default false). */
  forward?: boolean | undefined
  /** What to do about ids the source does not have (default 'error', at the end). */
  onMissing?: 'error' | 'skip' | 'null' | undefined
  /** `'throw'`: trouble with the cache fails the run (default 'warn'). */
  cacheErrors?: 'warn' | 'throw' | undefined
  /** The source's identity, kept with the table. */
  source?: string | undefined
  /** False delivers without writing to the cache (a cache that cannot be used). */
  store?: boolean | undefined
  /** Takes the rows instead of the table: where they are a query's result, which is committed all or nothing. */
  committer?: Committer | undefined
}

/** What caches a run's rows. */
export type Committer = Pick<RunCommitter, 'run' | 'add' | 'addAnyOrder' | 'commit' | 'rescue'>

/**
 * Window → RowBatch (with `forward`), or the end of the pipeline. Caches fetched rows as it goes, merges hits and fetched rows
 * in id order, and at the end, after everything good was committed and taken, throws what went wrong on the way.
 *
 * Also takes RowBatches (the id column first) and caches their rows.
 */
export function parquetSink({ columns, forward = false, onMissing = 'error', cacheErrors = 'warn', source, store: storing = true,
  committer: given, ...reference }: ParquetSinkOptions): Transform {
  checkChoice('onMissing', onMissing, ['error', 'skip', 'null'])
  checkChoice('cacheErrors', cacheErrors, ['warn', 'throw'])
  const store = tableOf(reference)
  const idColumn = reference.idColumn ?? 'id'
  const requested = columns && requestColumns(columns, idColumn).names

  const sink = stage<Window | RowBatch, RowBatch>('parquet-sink', async function * (input) {
    let run = given?.run
    let committer = given
    let ended = false
    const begin = (of: Run): Committer => {
      run = of
      if (cacheErrors === 'throw') run.strict = true
      run.settled ??= 0
      return new RunCommitter(storing ? store : undefined, run, source)
    }
    try {
      for await (const item of input) {
        if (!committer) {
          const own: Run = item instanceof RowBatch ? new Run(store.name) : item.run
          committer = begin(own)
          if (storing && !own.adopted) await adoptTable(store, own)
        }
        if (item instanceof RowBatch) {
          checkIdColumn(item, idColumn)
          await committer.addAnyOrder(item)
          committer.run.report.rows += item.length
          if (forward) yield item
          continue
        }
        const names = requested ?? item.run.columns ?? []
        const misses = item.misses?.length ?? item.ids.length
        const { fetched, rows, retyped } = mergeWindow(item, { idColumn, names, nullRows: onMissing === 'null' })
        for (const { batch, ids, cause } of badRows(item)) item.run.failure(batch, ids, cause)
        if (fetched.length > 0) await committer.add(fetched, { retyped, askedMs: askedMsOf(item) })
        for (const batch of rows) {
          item.run.report.rows += batch.length
          if (forward) yield batch
        }
        item.run.settle(misses)
      }
      ended = true
      await committer?.commit()
    } catch (error) {
      if (error instanceof MillraceError) error.report ??= run?.report
      throw error
    } finally {
      // closed early: what was fetched and merged so far is good, and kept
      if (!ended) await committer?.rescue()
      run?.end()
    }
    const error = run?.error(onMissing)
    if (error) throw error
  })
  // a sink ends by itself: nobody reads it
  return forward ? sink : sink.resume()
}

/** When the oldest of a window's rows was asked for. */
function askedMsOf({ fetched = [] }: Window): number {
  return fetched.reduce((oldest, { batch: { askedMs = oldest } }) => Math.min(oldest, askedMs), Date.now())
}

/** Rows that no cache splitter looked up join the table as it is now. */
async function adoptTable(store: TableStore, run: Run): Promise<void> {
  try {
    const manifest = await store.manifest(warning => run.warn(warning))
    run.adopt(manifest)
  } catch (error) {
    run.trouble(warningOf('CACHE_READ_FAILED', error), error)
  }
}

/** The store takes the first column for the ids, whatever it is called. */
function checkIdColumn({ schema: [first] }: RowBatch, idColumn: string): void {
  if (first?.name === idColumn && first.type === 'int64') return
  throw new InvalidArgumentError({ argument: 'batch', expected: `the id column ${idColumn} first`, found: first ? `${first.name} (${first.type})` : 'no column' })
}
