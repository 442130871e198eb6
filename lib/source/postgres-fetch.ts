import type { IdArray } from '../batch/ids.js'
import type { RowBatch } from '../batch/row-batch.js'
import { formatTableName, parseTableName, type TableName } from '../store/table-name.js'
import { declaredColumns } from './answer.js'
import type { FetchRequest } from './fetcher.js'
import { CopyFormatError } from './copy-rows.js'
import { lookUpTable, type PgTable } from './postgres-catalogue.js'
import { decodeCopy, describesPlan } from './postgres-copy-decode.js'
import { planCopy, type CopyPlan } from './postgres-copy-plan.js'
import { CopyUnavailable } from './postgres-copy-stream.js'
import { decodeFetch, matchesPlan } from './postgres-decode.js'
import { planFetch, type FetchPlan } from './postgres-plan.js'
import { prepared, StaleCatalogue, type PgContext } from './postgres-run.js'
import type { Lease, Limits } from './postgres-session.js'
import { sqlStateOf, typedError } from './source-error.js'
import type { ArrayFetch } from './source-fetcher.js'

// undefined column, undefined table, operator does not exist, datatype mismatch, "cached plan must not change result type"
const STALE_STATES: ReadonlySet<string> = new Set(['42703', '42P01', '42883', '42804', '0A000'])

/** What a server or pooler says that knows no COPY, or none of this kind: feature not supported, syntax error, protocol violation. */
const REFUSALS: ReadonlySet<string> = new Set(['0A000', '42601', '08P01'])

function isStale(error: unknown): boolean {
  return error instanceof StaleCatalogue || STALE_STATES.has(sqlStateOf(error) ?? '') || (error as { code?: string }).code === 'ERR_COLUMN_NOT_FOUND'
}

function isRefusal(error: unknown): boolean {
  return error instanceof CopyFormatError || REFUSALS.has(sqlStateOf(error) ?? '')
}

/** A fetch with its client, ready to be sent. */
interface Ready {
  lease: Lease
  plan: FetchPlan
  copy: CopyPlan | undefined
}

async function makeReady(context: PgContext, { name, ids, request, limits, mayCopy }:
{ name: TableName, ids: IdArray, request: FetchRequest, limits: Limits, mayCopy: boolean }): Promise<Ready> {
  const key = formatTableName(name)
  const known = context.tables.get(key)
  const { lease, learned } = await prepared(context, limits, async ({ client }) => {
    const table: PgTable = known?.table ?? await lookUpTable(client, name, context.types, known?.version ?? 0)
    context.tables.set(key, { version: table.version, table })
    const plan = planFetch(table, name, ids, request, context.types, declaredColumns(context.columnTypes, request))
    // scattered ids cost the server about what the faster reading saves, and make statements as long as their lists
    const isWorthIt = context.copy === true ? plan.ids.length > 0 : plan.isRange
    return { plan, copy: mayCopy && isWorthIt && context.canCopy(client) ? planCopy(table, name, plan, context.types) : undefined }
  })
  return { lease, ...learned }
}

async function * copied(context: PgContext, { lease, plan }: Ready, copy: CopyPlan, limits: Limits): AsyncGenerator<RowBatch> {
  yield * context.openCopy(lease, { text: copy.text, columns: plan.outputs.length, batchRows: context.copyRows, limits,
    check: fields => { if (!describesPlan(fields, plan)) throw new StaleCatalogue('the table was altered') },
    decode: rows => decodeCopy(rows, plan, copy) })
}

async function * streamed(context: PgContext, { lease, plan }: Ready, limits: Limits): AsyncGenerator<RowBatch> {
  let isChecked = false
  for await (const raw of context.openStream(lease, { text: plan.text, values: plan.values, batchRows: context.batchRows, limits,
    name: context.prepare ? plan.statement : undefined })) {
    if (!isChecked && !matchesPlan(raw, plan)) throw new StaleCatalogue('the table was altered')
    isChecked = true
    yield decodeFetch(raw, plan)
  }
}

/** The source's `fetch`. */
export function postgresFetch(context: PgContext): ArrayFetch {
  return async function * fetchRows(ids, table, request) {
    const name = parseTableName(table)
    const key = formatTableName(name)
    const limits: Limits = { signal: request.signal, timeoutMs: context.timeoutMs, cancel: client => context.cancel(client) }
    let [delivered, isSecondLook, mayCopy] = [false, false, context.copy === 'auto' || context.copy === true]
    let refusal: unknown
    for (;;) {
      const known = context.tables.get(key)
      let copy: CopyPlan | undefined
      try {
        const ready = await makeReady(context, { name, ids, request, limits, mayCopy })
        copy = ready.copy
        if (ready.plan.ids.length === 0) return ready.lease.release()
        for await (const batch of copy ? copied(context, ready, copy, limits) : streamed(context, ready, limits)) {
          delivered = true
          // what COPY did not give and the cursor does, COPY need not be asked for again
          if (isRefusal(refusal)) context.copy = 'refused'
          if (batch.length > 0) yield batch
        }
        return
      } catch (error) {
        if (!delivered && !isSecondLook && known?.table !== undefined && isStale(error)) {
          isSecondLook = true
          context.tables.set(key, { version: known.version + 1 })
        } else if (!delivered && copy && (error instanceof CopyUnavailable || (context.copy !== true && isRefusal(error)))) {
          mayCopy = false
          refusal = error
        } else throw error instanceof StaleCatalogue ? error : typedError(context, `fetch from ${key}`, error, request.batch.index)
      }
    }
  }
}
