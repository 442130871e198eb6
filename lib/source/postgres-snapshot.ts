import type { RowBatch } from '../batch/row-batch.js'
import { isRounded } from './answer.js'
import { learnTypes } from './postgres-catalogue.js'
import { decodeQuery, type PgField } from './postgres-decode.js'
import { parameters, prepared, type PgContext } from './postgres-run.js'
import { guarded, type Lease, type Limits } from './postgres-session.js'
import { declaredAs, readAs, type ReadAs } from './postgres-types.js'
import { typedError } from './source-error.js'
import { checkFields, checkSql } from './statement.js'
import type { DescribedColumn, SnapshotOptions, SnapshotQuery, SourceSnapshot } from './snapshot.js'

const BEGIN = 'BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY'
const SESSION = `SELECT current_user::text, pg_catalog.array_to_string(pg_catalog.current_schemas(true), ',')`
// -1: without it `character` and `bit` are printed, which casts take for one character and one bit
const TYPE_NAMES = 'SELECT pg_catalog.format_type(t.oid, -1) FROM pg_catalog.unnest($1::pg_catalog.oid[]) WITH ORDINALITY AS t(oid, at) ORDER BY t.at'

/** A lease that statements may end on without giving the client back: the snapshot does. */
class HeldLease implements Lease {
  isBroken = false
  readonly #lease: Lease

  constructor(lease: Lease) {
    this.#lease = lease
  }

  get client(): Lease['client'] {
    return this.#lease.client
  }

  get lost(): Error | undefined {
    return this.#lease.lost
  }

  release(broken = false): void {
    this.isBroken ||= broken
  }

  cut(): void {
    this.isBroken = true
    this.#lease.cut()
  }

  async end(limits: Limits): Promise<void> {
    try {
      // nothing was written, so there is nothing to commit
      if (!this.isBroken && !this.lost) await guarded(this.#lease, limits, () => this.client.query({ text: 'ROLLBACK' }))
    } catch {
      this.isBroken = true
    } finally {
      this.#lease.release(this.isBroken)
    }
  }
}

/** One REPEATABLE READ, READ ONLY transaction on a client of its own. */
export async function postgresSnapshot(context: PgContext, { signal, timeoutMs = context.timeoutMs }: SnapshotOptions = {}): Promise<SourceSnapshot> {
  const limits: Limits = { signal, timeoutMs, cancel: client => context.cancel(client) }
  const opened = await prepared(context, limits, async ({ client }) => {
    await client.query({ text: BEGIN })
    return (await client.query({ text: SESSION, rowMode: 'array' })).rows[0]
  }).catch((error: unknown) => { throw typedError(context, 'snapshot', error) })
  const lease = new HeldLease(opened.lease)

  const ownReader = (field: PgField): ReadAs => readAs(field.dataTypeID, field.dataTypeModifier, context.types)
  const readers = (fields: readonly PgField[]): ReadAs[] => fields.map(field => declaredAs(ownReader(field), context.columnTypes.get(field.name)))

  async function fieldsOf(text: string): Promise<readonly PgField[]> {
    return await guarded(lease, limits, async () => {
      const fields = await context.describe(lease.client, text)
      await learnTypes(lease.client, fields.map(field => field.dataTypeID), context.types)
      return fields
    })
  }

  async function * query(sql: string, { params, batchRows = context.batchRows }: SnapshotQuery = {}): AsyncGenerator<RowBatch> {
    let index = 0
    try {
      const [text, values] = [checkSql(sql), parameters(params)]
      checkFields(await fieldsOf(text))
      for await (const raw of context.openStream(lease, { text, values, batchRows, limits })) {
        yield decodeQuery(raw, readers(raw.fields))
        index++
      }
    } catch (error) {
      throw typedError(context, 'query', error, index)
    }
  }

  async function describe(sql: string): Promise<DescribedColumn[]> {
    try {
      const fields = await fieldsOf(checkSql(sql))
      const { rows } = await guarded(lease, limits, () =>
        lease.client.query({ text: TYPE_NAMES, values: [`{${fields.map(field => field.dataTypeID).join(',')}}`], rowMode: 'array' }))
      return readers(fields).map(({ type, origin }, i) => ({ name: fields[i]!.name, type, nullable: true,
        ...(origin === undefined ? {} : { origin }), sqlType: String((rows[i] as unknown[])[0]), isRounded: isRounded(ownReader(fields[i]!).type, type) }))
    } catch (error) {
      throw typedError(context, 'describe', error)
    }
  }

  return { session: JSON.stringify(opened.learned), describe, query, close: () => lease.end({ ...limits, signal: undefined }) }
}
