import { queueStatements } from '../../queue/postgresql-schema.js'
import { quoteText } from '../../sql/quote.js'
import { IS_LIVE } from '../backends/postgresql-store.js'
import { BODY, type ProcessorNames } from './names.js'

/**
 * What the processor does to queue, cache and log, as functions that a worker may call without any right on the tables. They keep to
 * the queue's own statements, so workers inside and outside the database can share a queue.
 *
 * A job in the works has a row in the table of active jobs, by the slot of its worker. A slot is an advisory lock: a row whose slot
 * nobody holds is of a worker that died, and whoever takes next gives its job back.
 */

const DEFINER = 'SECURITY DEFINER SET search_path = pg_catalog, pg_temp'

/** Columns of a set, as `collect` names them, in both families. */
function setColumns(family: ProcessorNames['family']): string[] {
  return ['bits', 'bit_count', ...(family === 'array' ? ['ints', 'floats', 'texts', 'timestamps'] : [])]
}

function takeSql({ fn, config, active, log, marks, outgoing, lockClass }: ProcessorNames): string {
  const { take, nack } = queueStatements(outgoing)
  return `
CREATE OR REPLACE FUNCTION ${fn('take_job')}(my_slot integer, origin text, OUT job_id bigint, OUT job_lease bigint)
LANGUAGE plpgsql ${DEFINER} AS ${BODY}
DECLARE
  settings ${config}%ROWTYPE;
  stale record;
  job record;
BEGIN
  SELECT * INTO settings FROM ${config};
  FOR stale IN SELECT * FROM ${active} FOR UPDATE SKIP LOCKED LOOP
    IF stale.slot = my_slot OR pg_try_advisory_xact_lock(${lockClass}, stale.slot) THEN
      FOR job IN EXECUTE ${quoteText(nack)} USING pg_catalog.jsonb_build_array(pg_catalog.jsonb_build_object('id', stale.job_id, 'lease', stale.lease, 'delay_ms', 0,
        'error', 'its worker ended while it ran', 'counts', true, 'is_dead', false)), settings.max_attempts LOOP
        INSERT INTO ${log} (job_id, query_hash, partition_key, status, error_msg, is_dead, execution_source)
        VALUES (stale.job_id, stale.query_hash, stale.partition_key, 'failed', 'its worker ended while it ran', job.is_dead, origin);
      END LOOP;
      DELETE FROM ${active} WHERE slot = stale.slot;
    END IF;
  END LOOP;
  -- no heartbeat is possible while a statement runs: the lease outlasts the timeout
  FOR job IN EXECUTE ${quoteText(take)} USING 1, settings.timeout_ms + 30000, settings.max_attempts LOOP
    CONTINUE WHEN job.id IS NULL;
    IF job.is_dead THEN
      INSERT INTO ${log} (job_id, query_hash, partition_key, status, error_msg, attempt, is_dead, execution_source)
      VALUES (job.id, job.hash, job.partition_key, 'failed', coalesce(job.error, 'its attempts are used up'), job.attempts, true, origin);
      -- there may be better ones behind it
      job_id := 0;
      CONTINUE;
    END IF;
    job_id := job.id;
    job_lease := job.lease;
    -- here, where the transaction ends soon: others that need the row would wait for this one
    INSERT INTO ${marks} (partition_key, scope, number) SELECT job.partition_key, '*', floor(extract(epoch FROM clock_timestamp()) * 1000) * 1000
    WHERE NOT EXISTS (SELECT FROM ${marks} AS m WHERE m.partition_key = job.partition_key AND m.scope = '*') ON CONFLICT DO NOTHING;
    INSERT INTO ${active} (slot, pid, job_id, lease, query_hash, partition_key, deadline)
    VALUES (my_slot, pg_backend_pid(), job.id, job.lease, job.hash, job.partition_key, clock_timestamp() + settings.timeout_ms * interval '1 millisecond');
  END LOOP;
END ${BODY};`
}

function readSql({ fn, config, outgoing, entries, keys, marks, active, lockClass }: ProcessorNames): string {
  return `
CREATE OR REPLACE FUNCTION ${fn('settings')}() RETURNS ${config} LANGUAGE sql STABLE ${DEFINER} AS ${BODY} SELECT * FROM ${config} ${BODY};

-- The job that is held, with what the cache knows of it: 'cached', 'skipped', or NULL where it has to run; and the number of its partition
-- key's last invalidation, before anything is computed. No lock: an invalidation must not wait for the fragment.
CREATE OR REPLACE FUNCTION ${fn('job')}(wanted_id bigint, wanted_lease bigint, OUT query text, OUT datatype text, OUT known text, OUT began bigint)
RETURNS SETOF record LANGUAGE sql ${DEFINER} AS ${BODY}
  SELECT q.query, coalesce(k.datatype, q.datatype), CASE
    WHEN q.rerun < 2 AND e.is_set THEN 'cached'
    WHEN q.rerun < 1 AND (NOT e.is_set OR e.status IN ('timeout', 'failed')) THEN 'skipped' END,
    (SELECT number FROM ${marks} AS m WHERE m.partition_key = q.partition_key AND m.scope = '*')
  FROM ${outgoing.table} AS q LEFT JOIN ${keys} AS k USING (partition_key)
    LEFT JOIN (SELECT * FROM ${entries} WHERE ${IS_LIVE}) AS e USING (partition_key, hash)
  WHERE q.id = wanted_id AND q.lease = wanted_lease AND q.dead_at IS NULL AND q.available_at > clock_timestamp()
${BODY};

-- From here to its end the transaction cannot be cancelled for being late; a cancel that is on its way arrives while this waits.
CREATE OR REPLACE FUNCTION ${fn('hold')}(held_lease bigint) RETURNS void LANGUAGE plpgsql ${DEFINER} AS ${BODY}
BEGIN
  PERFORM FROM ${active} WHERE lease = held_lease FOR UPDATE;
END ${BODY};

-- Whether the time of a job in the works is up.
CREATE OR REPLACE FUNCTION ${fn('is_late')}(held_lease bigint) RETURNS boolean LANGUAGE sql ${DEFINER} AS ${BODY}
  SELECT coalesce(bool_or(deadline <= clock_timestamp()), false) FROM ${active} WHERE lease = held_lease
${BODY};

-- Processes whose job is late and which nobody has cancelled in the last half minute.
CREATE OR REPLACE FUNCTION ${fn('overdue')}() RETURNS SETOF integer LANGUAGE sql ${DEFINER} AS ${BODY}
  UPDATE ${active} AS a SET cancelled_at = clock_timestamp() FROM (
    SELECT slot FROM ${active} WHERE deadline < clock_timestamp() AND coalesce(cancelled_at < clock_timestamp() - interval '30 seconds', true) FOR UPDATE SKIP LOCKED) AS late
  -- the lock says that the process is still the one that took the job
  WHERE a.slot = late.slot AND EXISTS (SELECT FROM pg_locks AS l WHERE l.locktype = 'advisory' AND l.granted AND l.pid = a.pid AND l.classid = ${lockClass}::oid AND l.objid = a.slot::oid
    AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database()))
  RETURNING a.pid
${BODY};`
}

/** The scopes of a set's tables, as `scopesOfSet` of marks.ts has them: all of them (`*`) where a name cannot be read. */
function scopesOfSetSql(tables: string): string {
  return `SELECT '' UNION ALL
        SELECT unnest(CASE WHEN cardinality(parts) NOT BETWEEN 1 AND 3 THEN ARRAY['*']
          ELSE ARRAY[array_to_json(parts[1:1])::text, CASE WHEN parts[2] IS NULL THEN '*.' || to_json(parts[1])::text ELSE array_to_json(ARRAY[parts[2], parts[1]])::text END] END)
        FROM unnest(${tables}) AS t(name), LATERAL (SELECT ARRAY(
          SELECT CASE WHEN part[1] LIKE '"%' THEN replace(substr(part[1], 2, length(part[1]) - 2), '""', '"') ELSE part[1] END
          FROM regexp_matches(t.name, '("(?:[^"]|"")*"|[^."]+)', 'g') WITH ORDINALITY AS found(part, place) ORDER BY place DESC) AS parts) AS split`
}

function finishSql({ fn, config, active, log, outgoing, entries, keys, marks, family }: ProcessorNames): string {
  const { ack, nack } = queueStatements(outgoing)
  const columns = setColumns(family)
  const values = columns.map(column => `answer.${column}`)
  const live = (column: string): string => `CASE WHEN e.expires_at IS NULL OR e.expires_at > clock_timestamp() THEN e.${column} END`
  return `
-- The end of a job that is held: 'success' with a set, 'skipped', 'failed' or 'timeout'. Answers what became of it; 'lost' where another has it,
-- 'outdated' where an invalidation overtook the set.
CREATE OR REPLACE FUNCTION ${fn('finish_job')}(job_id bigint, job_lease bigint, outcome text, message text, is_hopeless boolean, as_of timestamptz, elapsed_ms numeric, origin text,
  datatype text DEFAULT NULL, key_count integer DEFAULT NULL, bits bit varying DEFAULT NULL, bit_count integer DEFAULT NULL, ints bigint[] DEFAULT NULL,
  floats double precision[] DEFAULT NULL, texts text[] DEFAULT NULL, timestamps timestamp[] DEFAULT NULL, began bigint DEFAULT NULL)
RETURNS text LANGUAGE plpgsql ${DEFINER} AS ${BODY}
#variable_conflict use_column
DECLARE
  settings ${config}%ROWTYPE;
  job record;
  back record;
  is_held boolean := false;
  is_dead boolean := false;
  registered text;
  answer record;
  last_number bigint;
BEGIN
  SELECT * INTO settings FROM ${config};
  SELECT q.* INTO job FROM ${outgoing.table} AS q WHERE q.id = $1 AND q.lease = $2 FOR UPDATE;
  DELETE FROM ${active} AS a WHERE a.lease = $2;
  SELECT $9 AS datatype, $10 AS key_count, $11 AS bits, $12 AS bit_count, $13 AS ints, $14 AS floats, $15 AS texts, $16 AS timestamps INTO answer;
  IF outcome = 'success' AND job.id IS NOT NULL THEN
    INSERT INTO ${keys} AS k (partition_key, datatype) VALUES (job.partition_key, answer.datatype) ON CONFLICT DO NOTHING;
    SELECT k.datatype INTO registered FROM ${keys} AS k WHERE k.partition_key = job.partition_key;
    IF registered <> answer.datatype THEN
      outcome := 'failed';
      message := format('the partition key %s is registered as %s, its keys are %s', job.partition_key, registered, answer.datatype);
      is_hopeless := true;
    END IF;
    -- as a worker outside does (marks.ts): the row is held until the set is written, so no other invalidation comes before that
    IF outcome = 'success' AND $17 IS NOT NULL THEN
      SELECT m.number INTO last_number FROM ${marks} AS m WHERE m.partition_key = job.partition_key AND m.scope = '*' FOR SHARE;
      IF last_number IS NULL OR (last_number <> $17 AND (job.tables IS NULL OR EXISTS (
        SELECT FROM ${marks} AS m WHERE m.partition_key = job.partition_key AND m.number > $17 AND m.scope IN (${scopesOfSetSql('job.tables')})))) THEN
        outcome := 'outdated';
        message := 'an invalidation came while it ran';
      END IF;
    END IF;
  END IF;
  IF outcome IN ('success', 'skipped') THEN
    FOR back IN EXECUTE ${quoteText(ack)} USING ARRAY[$1], ARRAY[$2] LOOP is_held := true; END LOOP;
  ELSE
    FOR back IN EXECUTE ${quoteText(nack)} USING jsonb_build_array(jsonb_build_object('id', $1, 'lease', $2, 'is_dead', is_hopeless,
      -- being overtaken is not the job's fault
      'counts', outcome <> 'outdated', 'error', CASE WHEN outcome <> 'outdated' THEN message END,
      'delay_ms', settings.retry_delay_ms * CASE WHEN outcome = 'outdated' THEN 1 ELSE pow(2, least(coalesce(job.attempts, 1) - 1, 10)) END)), settings.max_attempts LOOP
      is_held := true;
      is_dead := back.is_dead;
    END LOOP;
  END IF;
  IF NOT is_held THEN
    -- its lease ran out: whoever has the job now may know better
    INSERT INTO ${log} (job_id, query_hash, partition_key, status, error_msg, execution_time_ms, attempt, execution_source)
    VALUES ($1, job.hash, job.partition_key, 'skipped', 'its lease ran out', elapsed_ms, job.attempts, origin);
    RETURN 'lost';
  END IF;
  IF outcome = 'success' THEN
    INSERT INTO ${entries} AS e (partition_key, datatype, hash, is_set, key_count, query, status, tables, stored_at, expires_at, ${columns.join(', ')})
    VALUES (job.partition_key, answer.datatype, job.hash, true, answer.key_count, job.query, 'ok', job.tables, as_of, as_of + settings.ttl_ms * interval '1 millisecond', ${values.join(', ')})
    ON CONFLICT (partition_key, hash) DO UPDATE SET datatype = excluded.datatype, is_set = true, key_count = excluded.key_count, query = excluded.query, status = 'ok',
      tables = coalesce(excluded.tables, ${live('tables')}), stored_at = excluded.stored_at, expires_at = excluded.expires_at, ${columns.map(column => `${column} = excluded.${column}`).join(', ')};
  ELSIF is_dead THEN
    -- the mark "unusable, do not compute again"; without a registered partition key there is no place for it
    INSERT INTO ${entries} AS e (partition_key, datatype, hash, is_set, query, status, tables, stored_at, expires_at)
    SELECT k.partition_key, k.datatype, job.hash, false, job.query, CASE outcome WHEN 'timeout' THEN 'timeout' ELSE 'failed' END, job.tables, as_of, as_of + settings.ttl_ms * interval '1 millisecond'
    FROM ${keys} AS k WHERE k.partition_key = job.partition_key
    ON CONFLICT (partition_key, hash) DO UPDATE SET is_set = false, key_count = NULL, query = excluded.query, status = excluded.status,
      tables = coalesce(excluded.tables, ${live('tables')}), stored_at = excluded.stored_at, expires_at = excluded.expires_at, ${columns.map(column => `${column} = NULL`).join(', ')};
  END IF;
  INSERT INTO ${log} (job_id, query_hash, partition_key, status, error_msg, rows_affected, execution_time_ms, attempt, is_dead, execution_source)
  VALUES ($1, job.hash, job.partition_key, CASE outcome WHEN 'outdated' THEN 'skipped' ELSE outcome END, message, answer.key_count, elapsed_ms, job.attempts, is_dead, origin) RETURNING id INTO back;
  IF back.id % 1000 = 0 THEN DELETE FROM ${log} AS l WHERE l.id < back.id - settings.log_rows; END IF;
  RETURN outcome;
END ${BODY};

-- Back to the queue as if it had not been taken: the worker is asked to stop.
CREATE OR REPLACE FUNCTION ${fn('give_back')}(job_id bigint, job_lease bigint) RETURNS void LANGUAGE plpgsql ${DEFINER} AS ${BODY}
BEGIN
  EXECUTE ${quoteText(nack)} USING jsonb_build_array(jsonb_build_object('id', $1, 'lease', $2, 'delay_ms', 0, 'counts', false, 'is_dead', false)), 2147483647;
  DELETE FROM ${active} WHERE lease = $2;
END ${BODY};`
}

/** Every function that touches queue, cache or log. */
export function jobSql(names: ProcessorNames): string {
  return takeSql(names) + readSql(names) + finishSql(names)
}
