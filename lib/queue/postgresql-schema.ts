import { quoteIdentifier, quoteText } from '../sql/quote.js'

/**
 * The two queues inside PostgreSQL: one table each, `<prefix>incoming` for whole queries and `<prefix>outgoing` for fragments, with
 * the same columns; and for each table a sequence that numbers leases. Whatever takes part, this library's workers or functions
 * inside the database, keeps to the statements below: each is one operation, safe against any other running at the same time.
 *
 * A job is one row from its push to its ack, and in one of these states:
 *
 *   waiting   dead_at IS NULL, available_at <= now: whoever asks next may take it
 *   delayed   dead_at IS NULL, lease IS NULL, available_at > now: pushed or given back for later
 *   leased    dead_at IS NULL, lease IS NOT NULL, available_at > now: somebody works on it
 *   dead      dead_at IS NOT NULL: given up; stays until it is retried or cleared
 *
 * take moves waiting to leased. ack removes a leased job. nack moves it to waiting, delayed or dead. A heartbeat keeps it leased. A
 * lease that runs out *is* waiting again, by the clock alone: nobody has to notice. A waiting job whose attempts are used up goes to
 * dead in the take that meets it (its workers died), and is not handed out. Only the server's clock counts.
 */
export const QUEUE_COLUMNS: readonly (readonly [name: string, definition: string, meaning: string])[] = [
  ['id', 'bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY', 'the job'],
  ['hash', 'text NOT NULL', 'identity of the SQL: of a fragment the hash its set is kept under, of a query the hash of text and parameters'],
  ['partition_key', 'text NOT NULL', 'the partition key whose sets are wanted; (hash, partition_key) is queued once'],
  ['query', 'text NOT NULL', 'the SQL to decompose (incoming) or to run (outgoing)'],
  ['datatype', "text CHECK (datatype IN ('integer', 'float', 'text', 'timestamp'))", "the partition key's type; NULL: as registered, else as the column is"],
  ['tables', 'text[]', 'outgoing: the tables that the fragment reads, for invalidation; NULL where nobody said'],
  ['params', 'jsonb', 'incoming: values of $1, $2, … as an array (see parameters.ts); NULL where there are none'],
  ['rerun', 'smallint NOT NULL DEFAULT 0', '0: run only what the cache knows nothing of; 1: also what it records as unusable; 2: everything'],
  ['priority', 'integer NOT NULL DEFAULT 1', 'larger first; a later push can raise it, never lower it'],
  ['attempts', 'integer NOT NULL DEFAULT 0', 'takes so far, those given back without blame not counted'],
  ['pushed_at', 'timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp()', 'when it was first pushed'],
  ['available_at', 'timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp()', 'from when on it may be taken: end of its delay, or of its lease. Orders jobs of one priority'],
  ['lease', 'bigint', 'fencing token of the last take, never used twice; NULL when given back. Whoever holds another number has lost the job'],
  ['leased_at', 'timestamptz', 'when it was last taken'],
  ['is_pushed_again', 'boolean NOT NULL DEFAULT false', 'a push came after the take: ack turns it to waiting instead of removing it, so that a run begins after every push'],
  ['error', 'text', 'why the last attempt failed'],
  ['dead_at', 'timestamptz', 'when it was given up']
]

/** The quoted, qualified names of one queue, and the channel that its pushes are told on. */
export interface QueueNames {
  readonly table: string
  readonly sequence: string
  /** The table's bare name; `LISTEN` takes it quoted. */
  readonly channel: string
}

/** Names of the queue `<prefix><kind>` in a schema. */
export function queueNames(schema: string, prefix: string, kind: 'incoming' | 'outgoing'): QueueNames {
  const start = prefix === '' || prefix.endsWith('_') ? prefix : `${prefix}_`
  const within = `${quoteIdentifier(schema)}.`
  return { table: within + quoteIdentifier(`${start}${kind}`), sequence: within + quoteIdentifier(`${start}${kind}_leases`), channel: `${start}${kind}` }
}

/** Makes a queue's table, index and sequence where absent; many processes may do so at once. One simple query. */
export function createQueueSql({ table, sequence, channel }: QueueNames): string {
  return `SELECT pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtextextended(${quoteText(table)}, 0));
    CREATE TABLE IF NOT EXISTS ${table} (${QUEUE_COLUMNS.map(([name, definition]) => `${name} ${definition}`).join(', ')}, UNIQUE (hash, partition_key));
    CREATE INDEX IF NOT EXISTS ${quoteIdentifier(`${channel}_order`)} ON ${table} (priority DESC, available_at, id) WHERE dead_at IS NULL;
    CREATE SEQUENCE IF NOT EXISTS ${sequence};
    ${QUEUE_COLUMNS.map(([name, , meaning]) => `COMMENT ON COLUMN ${table}.${name} IS ${quoteText(meaning)};`).join('\n')}`
}

/** A sub-query, and so one value per statement that an index can be searched by; `now()` would be the transaction's start. */
const NOW = '(SELECT pg_catalog.clock_timestamp())'
const MS = "* interval '1 millisecond'"

/** What is given back for a job that was taken. */
const JOB = 'id, hash, partition_key, query, datatype, pg_catalog.to_json(tables)::text AS tables, params::text AS params, rerun, priority, attempts, error'

/** Held with the lease `given.lease`, still. Locks are taken in the order in which pushes take them, so nobody waits in a circle. */
const HELD = (table: string): string => `JOIN ${table} AS q ON q.id = given.id AND q.lease = given.lease
      WHERE q.dead_at IS NULL AND q.available_at > ${NOW} ORDER BY q.hash, q.partition_key FOR UPDATE OF q`

/** The statements of one queue. `$n` are their parameters, in the order of each comment. */
export interface QueueStatements {
  /**
   * $1 jsonb: an array of { hash, partition_key, query, datatype, tables, params, rerun, priority, delay_ms }, no (hash, partition_key)
   * twice. Known jobs take the higher priority and rerun; dead ones stay as they are. Wakes who listens. → inserted, merged
   */
  readonly push: string
  /** $1 how many, $2 length of the lease in ms, $3 attempts at most. → the jobs, best first, `is_dead` ones only to be counted; `wait_ms` until the next is due */
  readonly take: string
  /** $1 bigint[] ids, $2 bigint[] leases. → the ids that were still held */
  readonly ack: string
  /** $1 jsonb: an array of { id, lease, delay_ms, error, counts, is_dead }, $2 attempts at most. → id, is_dead of those still held */
  readonly nack: string
  /** $1 bigint[] ids, $2 bigint[] leases, $3 ms from now. → the ids that are still held */
  readonly extend: string
  /** → waiting, delayed, leased, dead */
  readonly counts: string
  /** $1 whether the dead letters too. → id of each job removed */
  readonly clear: string
  /** $1 how many at most, $2 after this id. → dead jobs by id */
  readonly dead: string
  /** $1 text[] hashes, or NULL for all. → id of each job revived */
  readonly retry: string
}

/** The statements of a queue, with its names in place. */
export function queueStatements({ table, sequence, channel }: QueueNames): QueueStatements {
  const notify = (condition: string): string => `CASE WHEN ${condition} THEN pg_catalog.pg_notify(${quoteText(channel)}, '') END`
  return {
    push: `WITH pushed AS (
      INSERT INTO ${table} AS held (hash, partition_key, query, datatype, tables, params, rerun, priority, available_at)
      SELECT hash, partition_key, query, datatype, tables, params, coalesce(rerun, 0), coalesce(priority, 1),
        -- microseconds keep the order within a batch
        ${NOW} + coalesce(delay_ms, 0) ${MS} - (count(*) OVER () - place) * interval '1 microsecond'
      FROM ROWS FROM (pg_catalog.jsonb_to_recordset($1::jsonb) AS (hash text, partition_key text, query text, datatype text, tables text[], params jsonb,
        rerun smallint, priority integer, delay_ms double precision)) WITH ORDINALITY AS given(hash, partition_key, query, datatype, tables, params, rerun, priority, delay_ms, place)
      ORDER BY hash, partition_key
      ON CONFLICT (hash, partition_key) DO UPDATE SET
        priority = greatest(held.priority, excluded.priority), rerun = greatest(held.rerun, excluded.rerun),
        is_pushed_again = held.lease IS NOT NULL,
        available_at = CASE WHEN held.lease IS NULL AND held.attempts = 0 THEN least(held.available_at, excluded.available_at) ELSE held.available_at END
      WHERE held.dead_at IS NULL
      RETURNING held.xmax = 0 AS is_new)
      SELECT inserted, merged, ${notify('inserted + merged > 0')} AS told
      FROM (SELECT count(*) FILTER (WHERE is_new) AS inserted, count(*) FILTER (WHERE NOT is_new) AS merged FROM pushed) AS counted`,

    take: `WITH due AS MATERIALIZED (
        SELECT id, attempts >= $3::integer AS is_spent, row_number() OVER () AS place FROM (SELECT id, attempts FROM ${table}
        WHERE dead_at IS NULL AND available_at <= ${NOW} ORDER BY priority DESC, available_at, id LIMIT $1::integer FOR UPDATE SKIP LOCKED) AS ordered),
      taken AS (
        UPDATE ${table} AS q SET
          attempts = q.attempts + CASE WHEN is_spent THEN 0 ELSE 1 END, is_pushed_again = false,
          lease = CASE WHEN is_spent THEN NULL ELSE pg_catalog.nextval(${quoteText(sequence)}) END,
          leased_at = CASE WHEN is_spent THEN q.leased_at ELSE ${NOW} END,
          available_at = CASE WHEN is_spent THEN q.available_at ELSE ${NOW} + $2::double precision ${MS} END,
          dead_at = CASE WHEN is_spent THEN ${NOW} END,
          error = CASE WHEN is_spent THEN coalesce(q.error, pg_catalog.format('its lease ran out %s times', q.attempts)) ELSE q.error END
        FROM due WHERE q.id = due.id RETURNING q.*, due.place, due.is_spent)
      SELECT ${JOB}, lease, is_spent AS is_dead, place, NULL::double precision AS wait_ms FROM taken
      UNION ALL
      SELECT ${'NULL, '.repeat(JOB.split(',').length)}NULL, NULL, NULL, extract(epoch FROM min(available_at) - ${NOW}) * 1000 FROM ${table}
      WHERE dead_at IS NULL AND NOT EXISTS (SELECT FROM due) HAVING min(available_at) IS NOT NULL
      ORDER BY place`,

    ack: `WITH mine AS MATERIALIZED (
        SELECT q.id, q.is_pushed_again FROM ROWS FROM (pg_catalog.unnest($1::bigint[]), pg_catalog.unnest($2::bigint[])) AS given(id, lease) ${HELD(table)}),
      again AS (
        UPDATE ${table} AS q SET lease = NULL, attempts = 0, error = NULL, is_pushed_again = false, available_at = ${NOW}
        FROM mine WHERE q.id = mine.id AND mine.is_pushed_again RETURNING q.id),
      done AS (DELETE FROM ${table} AS q USING mine WHERE q.id = mine.id AND NOT mine.is_pushed_again)
      SELECT id, ${notify('is_pushed_again')} AS told FROM mine`,

    nack: `WITH mine AS MATERIALIZED (
        SELECT q.id, given.delay_ms, given.error, given.counts, given.is_dead OR (given.counts AND q.attempts >= $2::integer) AS is_dead
        FROM pg_catalog.jsonb_to_recordset($1::jsonb) AS given(id bigint, lease bigint, delay_ms double precision, error text, counts boolean, is_dead boolean) ${HELD(table)}),
      back AS (
        UPDATE ${table} AS q SET lease = NULL, is_pushed_again = false, error = coalesce(mine.error, q.error),
          attempts = q.attempts - CASE WHEN mine.counts OR mine.is_dead THEN 0 ELSE 1 END,
          available_at = ${NOW} + mine.delay_ms ${MS}, dead_at = CASE WHEN mine.is_dead THEN ${NOW} END
        FROM mine WHERE q.id = mine.id)
      SELECT id, is_dead, ${notify('NOT is_dead')} AS told FROM mine`,

    extend: `WITH mine AS MATERIALIZED (SELECT q.id FROM ROWS FROM (pg_catalog.unnest($1::bigint[]), pg_catalog.unnest($2::bigint[])) AS given(id, lease) ${HELD(table)})
      UPDATE ${table} AS q SET available_at = ${NOW} + $3::double precision ${MS} FROM mine WHERE q.id = mine.id RETURNING q.id`,

    counts: `SELECT count(*) FILTER (WHERE dead_at IS NULL AND available_at <= ${NOW}) AS waiting,
        count(*) FILTER (WHERE dead_at IS NULL AND available_at > ${NOW} AND lease IS NULL) AS delayed,
        count(*) FILTER (WHERE dead_at IS NULL AND available_at > ${NOW} AND lease IS NOT NULL) AS leased,
        count(*) FILTER (WHERE dead_at IS NOT NULL) AS dead FROM ${table}`,

    clear: `DELETE FROM ${table} WHERE dead_at IS NULL OR $1::boolean RETURNING id`,

    dead: `SELECT ${JOB}, (extract(epoch FROM dead_at) * 1000)::bigint AS dead_at FROM ${table}
      WHERE dead_at IS NOT NULL AND id > $2::bigint ORDER BY id LIMIT $1::integer`,

    retry: `WITH revived AS (UPDATE ${table} SET dead_at = NULL, attempts = 0, error = NULL, rerun = greatest(rerun, 1), available_at = ${NOW}
        WHERE dead_at IS NOT NULL AND ($1::text[] IS NULL OR hash = ANY ($1::text[])) RETURNING id)
      SELECT id, ${notify('true')} AS told FROM revived`
  }
}
