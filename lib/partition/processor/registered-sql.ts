import { queueStatements } from '../../queue/postgresql-schema.js'
import { quoteIdentifier, quoteText } from '../../sql/quote.js'
import { BODY, type ProcessorNames } from './names.js'

/**
 * Registered queries: whoever may push a query makes the worker run it. A producer that may only call `enqueue` names a query that
 * an administrator registered, and gives values. With `registered_only` set, the incoming queue takes nothing else, whoever pushes.
 */
export function registeredSql({ fn, config, registered, incoming }: ProcessorNames): string {
  const { push } = queueStatements(incoming)
  const trigger = quoteIdentifier(incoming.channel + '_registered')
  return `
CREATE OR REPLACE FUNCTION ${fn('enqueue')}(query_id text, params jsonb DEFAULT '[]', job_priority integer DEFAULT 1)
RETURNS text LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS ${BODY}
DECLARE
  wanted ${registered}%ROWTYPE;
  told record;
  odd jsonb;
BEGIN
  SELECT * INTO wanted FROM ${registered} WHERE id = query_id;
  IF NOT FOUND THEN RAISE EXCEPTION 'no query is registered as %', query_id USING ERRCODE = 'invalid_parameter_value'; END IF;
  IF params IS NULL OR jsonb_typeof(params) <> 'array' OR jsonb_array_length(params) <> wanted.parameter_count THEN
    RAISE EXCEPTION 'the query % takes an array of % parameters', query_id, wanted.parameter_count USING ERRCODE = 'invalid_parameter_value';
  END IF;
  SELECT value INTO odd FROM jsonb_array_elements(params) WHERE jsonb_typeof(value) = 'object' AND (SELECT count(*) FILTER (WHERE key IN ('bigint', 'date', 'number', 'bytes')) <> 1 OR count(*) <> 1
    FROM jsonb_object_keys(value) AS k(key)) LIMIT 1;
  IF FOUND THEN RAISE EXCEPTION 'no parameter: %', odd USING ERRCODE = 'invalid_parameter_value'; END IF;
  EXECUTE ${quoteText(push)} INTO told USING jsonb_build_array(jsonb_build_object('hash', encode(sha256(convert_to(jsonb_build_array(wanted.query, params)::text, 'UTF8')), 'hex'),
    'partition_key', wanted.partition_key, 'query', wanted.query, 'datatype', wanted.datatype, 'params', CASE WHEN wanted.parameter_count > 0 THEN params END, 'priority', job_priority));
  RETURN CASE WHEN told.inserted > 0 THEN 'queued' WHEN told.merged > 0 THEN 'merged' ELSE 'dead' END;
END ${BODY};

CREATE OR REPLACE FUNCTION ${fn('check_registered')}() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS ${BODY}
BEGIN
  IF (SELECT registered_only FROM ${config}) AND NOT EXISTS (SELECT FROM ${registered} AS r WHERE r.query = NEW.query AND r.partition_key = NEW.partition_key) THEN
    RAISE EXCEPTION 'only registered queries are accepted' USING ERRCODE = 'insufficient_privilege';
  END IF;
  RETURN NEW;
END ${BODY};
DROP TRIGGER IF EXISTS ${trigger} ON ${incoming.table};
CREATE TRIGGER ${trigger} BEFORE INSERT OR UPDATE OF query, partition_key ON ${incoming.table} FOR EACH ROW EXECUTE FUNCTION ${fn('check_registered')}();`
}

/** Takes the trigger off the queue, which stays. */
export function unregisteredSql({ incoming }: ProcessorNames): string {
  return `DROP TRIGGER IF EXISTS ${quoteIdentifier(incoming.channel + '_registered')} ON ${incoming.table};`
}
