import { quoteText } from '../../sql/quote.js'
import { BAD_KEY, TOO_LARGE } from './collect-sql.js'
import { BODY, type ProcessorNames } from './names.js'

/**
 * The working part. It has the rights of the role that calls it, because fragments run with them.
 *
 * One transaction takes a job, so that its lease is there for all to see; the next one runs it and settles it. The fragment runs in a
 * sub-transaction that is read-only, which PostgreSQL undoes at its end. A procedure that commits may have neither SECURITY DEFINER nor
 * settings of its own, so everything in it is qualified.
 *
 * On time: `statement_timeout` counts from the top-level statement, and setting it inside has no effect on that statement. So a
 * procedure that works for a minute is watched by another process, `watch`, which cancels whose job is late; and a call that does one
 * job, `process_one`, is bounded by the `statement_timeout` that its caller set before.
 */

function runSql({ fn }: ProcessorNames): string {
  return `
CREATE OR REPLACE FUNCTION ${fn('run_job')}(job_id bigint, job_lease bigint, origin text, is_alone boolean) RETURNS text LANGUAGE plpgsql SECURITY INVOKER AS ${BODY}
DECLARE
  settings record;
  job record;
  answer record;
  outcome text := 'success';
  message text;
  is_hopeless boolean := false;
  as_of timestamptz := pg_catalog.clock_timestamp();
  elapsed_ms numeric;
BEGIN
  SELECT * INTO job FROM ${fn('job')}(job_id, job_lease);
  IF NOT FOUND OR job.known IS NOT NULL THEN
    RETURN ${fn('finish_job')}(job_id, job_lease, 'skipped', job.known, false, as_of, 0, origin);
  END IF;
  settings := ${fn('settings')}();
  BEGIN
    BEGIN
      PERFORM pg_catalog.set_config('transaction_read_only', 'on', true);
      SELECT * INTO answer FROM ${fn('collect')}(job.query, job.datatype, settings.result_limit, settings.max_bits, settings.fragment_path);
    EXCEPTION WHEN OTHERS THEN
      outcome := 'failed';
      message := pg_catalog.left(SQLERRM, 1000);
      is_hopeless := SQLSTATE IN ('${TOO_LARGE}', '${BAD_KEY}');
    END;
    PERFORM ${fn('hold')}(job_lease);
  EXCEPTION WHEN query_canceled THEN
    outcome := 'timeout';
    message := pg_catalog.left(SQLERRM, 1000);
  END;
  elapsed_ms := extract(epoch FROM pg_catalog.clock_timestamp() - as_of) * 1000;
  IF outcome = 'timeout' AND NOT ${fn('is_late')}(job_lease) AND NOT (is_alone AND EXISTS (SELECT FROM pg_catalog.pg_settings
    WHERE name = 'statement_timeout' AND setting::bigint BETWEEN 1 AND extract(epoch FROM pg_catalog.clock_timestamp() - pg_catalog.statement_timestamp()) * 1000)) THEN
    -- not the job's fault: somebody wants the worker to stop
    PERFORM ${fn('give_back')}(job_id, job_lease);
    RETURN 'cancelled';
  END IF;
  IF outcome <> 'success' THEN
    RETURN ${fn('finish_job')}(job_id, job_lease, outcome, message, is_hopeless, as_of, elapsed_ms, origin);
  END IF;
  RETURN ${fn('finish_job')}(job_id, job_lease, outcome, NULL, false, as_of, elapsed_ms, origin, answer.datatype, answer.key_count, answer.bits, answer.bit_count,
    answer.ints, answer.floats, answer.texts, answer.timestamps, job.began);
END ${BODY};`
}

function callSql({ fn, at, schema, name, lockClass }: ProcessorNames): string {
  return `
-- One job, in the caller's transaction, bounded by the caller's statement_timeout. Answers how many were done; 0 where there is none, or no slot free.
CREATE OR REPLACE FUNCTION ${fn('process_one')}(origin text DEFAULT 'manual') RETURNS integer LANGUAGE plpgsql SECURITY INVOKER AS ${BODY}
DECLARE
  job record;
BEGIN
  FOR my_slot IN 1 .. (${fn('settings')}()).max_parallel_jobs LOOP
    CONTINUE WHEN NOT pg_catalog.pg_try_advisory_xact_lock(${lockClass}, my_slot);
    LOOP
      SELECT * INTO job FROM ${fn('take_job')}(my_slot, origin);
      IF job.job_id IS NULL THEN RETURN 0; END IF;
      EXIT WHEN job.job_lease IS NOT NULL;
    END LOOP;
    IF ${fn('run_job')}(job.job_id, job.job_lease, origin, true) = 'cancelled' THEN
      RAISE EXCEPTION 'cancelled while the job % ran', job.job_id USING ERRCODE = 'query_canceled';
    END IF;
    RETURN 1;
  END LOOP;
  RETURN 0;
END ${BODY};

CREATE OR REPLACE FUNCTION ${at('partitioncache_process_queue')}(processor text) RETURNS integer LANGUAGE plpgsql SECURITY INVOKER AS ${BODY}
DECLARE
  done integer;
BEGIN
  EXECUTE pg_catalog.format('SELECT %I.%I()', ${quoteText(schema)}, pg_catalog.rtrim(processor, '_') || '_process_one') INTO done;
  RETURN done;
END ${BODY};
COMMENT ON FUNCTION ${at('partitioncache_process_queue')}(text) IS 'one job of the processor of that name, such as ${name}';`
}

function loopSql({ fn, lockClass }: ProcessorNames): string {
  const ownLocks = `pg_catalog.pg_advisory_unlock(l.classid::bigint::integer, l.objid::bigint::integer) FROM pg_catalog.pg_locks AS l
    WHERE l.locktype = 'advisory' AND l.granted AND l.pid = pg_catalog.pg_backend_pid() AND l.classid = ${lockClass}::oid AND l.objsubid = 2`
  return `
-- Work until the queue is empty, or for so many seconds whether it is or not.
CREATE OR REPLACE PROCEDURE ${fn('work')}(for_seconds double precision DEFAULT 0, origin text DEFAULT 'manual') LANGUAGE plpgsql SECURITY INVOKER AS ${BODY}
DECLARE
  until timestamptz := pg_catalog.clock_timestamp() + for_seconds * interval '1 second';
  settings record;
  my_slot integer;
  job record;
  outcome text;
BEGIN
  -- a call that was cut off in this session may have left its slot
  PERFORM ${ownLocks};
  settings := ${fn('settings')}();
  FOR slot IN 1 .. settings.max_parallel_jobs LOOP
    IF pg_catalog.pg_try_advisory_lock(${lockClass}, slot) THEN
      my_slot := slot;
      EXIT;
    END IF;
  END LOOP;
  IF my_slot IS NULL THEN RETURN; END IF;
  LOOP
    settings := ${fn('settings')}();
    EXIT WHEN my_slot > settings.max_parallel_jobs OR (origin = 'cron' AND NOT settings.enabled) OR (for_seconds > 0 AND pg_catalog.clock_timestamp() >= until);
    SELECT * INTO job FROM ${fn('take_job')}(my_slot, origin);
    COMMIT;
    IF job.job_lease IS NOT NULL THEN
      outcome := ${fn('run_job')}(job.job_id, job.job_lease, origin, false);
      COMMIT;
      IF outcome = 'cancelled' THEN
        PERFORM pg_catalog.pg_advisory_unlock(${lockClass}, my_slot);
        RAISE EXCEPTION 'cancelled while the job % ran; it is back in the queue', job.job_id USING ERRCODE = 'query_canceled';
      END IF;
    ELSIF job.job_id IS NULL THEN
      EXIT WHEN for_seconds <= 0;
      PERFORM pg_catalog.pg_sleep(greatest(0, least(settings.frequency_seconds, extract(epoch FROM until - pg_catalog.clock_timestamp()))));
      COMMIT;
    END IF;
  END LOOP;
  PERFORM pg_catalog.pg_advisory_unlock(${lockClass}, my_slot);
END ${BODY};

-- Cancel whose job is late, for so many seconds; one process does it, slot 0.
CREATE OR REPLACE PROCEDURE ${fn('watch')}(for_seconds double precision DEFAULT 0) LANGUAGE plpgsql SECURITY INVOKER AS ${BODY}
DECLARE
  until timestamptz := pg_catalog.clock_timestamp() + for_seconds * interval '1 second';
  settings record;
BEGIN
  IF NOT pg_catalog.pg_try_advisory_lock(${lockClass}, 0) THEN RETURN; END IF;
  LOOP
    settings := ${fn('settings')}();
    PERFORM pg_catalog.pg_cancel_backend(late.pid) FROM ${fn('overdue')}() AS late(pid);
    COMMIT;
    EXIT WHEN pg_catalog.clock_timestamp() >= until OR NOT settings.enabled;
    PERFORM pg_catalog.pg_sleep(greatest(0, least(1, greatest(0.05, settings.timeout_ms / 4000.0), extract(epoch FROM until - pg_catalog.clock_timestamp()))));
    COMMIT;
  END LOOP;
  PERFORM pg_catalog.pg_advisory_unlock(${lockClass}, 0);
END ${BODY};`
}

/** Every function that runs fragments or sees to those that do. */
export function workSql(names: ProcessorNames): string {
  return runSql(names) + callSql(names) + loopSql(names)
}
