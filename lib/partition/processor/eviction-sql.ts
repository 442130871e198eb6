import { BODY, type ProcessorNames } from './names.js'

/**
 * Eviction inside the database, by the rules of `eviction-plan.ts`. What goes is a prefix of one order: the first entries until the
 * count fits, then sets until the size fits, so sums over the entries before each one decide. Expired entries go as well.
 */
export function evictionSql({ fn, entries, keys, uses, evictionConfig, evictionLog, family }: ProcessorNames): string {
  const columns = ['bits', ...(family === 'array' ? ['ints', 'floats', 'texts', 'timestamps'] : [])]
  const bytes = [...columns, 'bit_count'].map(column => `coalesce(pg_column_size(e.${column}), 0)`).join(' + ')
  return `
CREATE OR REPLACE FUNCTION ${fn('evict')}(is_dry boolean DEFAULT false)
RETURNS TABLE (evicted_key text, evicted bigint, evicted_bytes bigint, expired bigint) LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS ${BODY}
#variable_conflict use_column
DECLARE
  policy record;
  began timestamptz;
  hashes text[];
BEGIN
  FOR policy IN SELECT k.partition_key, c.* FROM ${keys} AS k LEFT JOIN LATERAL (
      SELECT max_entries, max_bytes, max_age_ms, max_idle_ms, eviction_order FROM ${evictionConfig}
      WHERE partition_key IN (k.partition_key, '*') ORDER BY partition_key = k.partition_key DESC LIMIT 1) AS c ON true ORDER BY k.partition_key COLLATE "C" LOOP
    began := clock_timestamp();
    WITH measured AS (
      SELECT e.hash, CASE WHEN e.is_set THEN ${bytes} ELSE 0 END AS bytes, coalesce(extract(epoch FROM e.stored_at) * 1000, '-infinity') AS stored,
        greatest(coalesce(extract(epoch FROM e.stored_at) * 1000, '-infinity'), coalesce(extract(epoch FROM u.used_at) * 1000, '-infinity')) AS used,
        e.expires_at <= clock_timestamp() AS is_expired
      FROM ${entries} AS e LEFT JOIN ${uses} AS u ON u.partition_key = e.partition_key AND u.hash = e.hash WHERE e.partition_key = policy.partition_key),
    aged AS (
      SELECT *, coalesce(extract(epoch FROM clock_timestamp()) * 1000 - stored > policy.max_age_ms, false)
        OR coalesce(extract(epoch FROM clock_timestamp()) * 1000 - used > policy.max_idle_ms, false) AS is_old FROM measured WHERE is_expired IS NOT TRUE),
    ranked AS (
      SELECT hash, bytes, row_number() OVER by_rank AS place, count(*) OVER () AS entries, sum(bytes) OVER () AS size, sum(bytes) OVER by_rank - bytes AS size_before
      FROM aged WHERE NOT is_old WINDOW by_rank AS (ORDER BY CASE policy.eviction_order WHEN 'oldest' THEN stored WHEN 'largest' THEN -bytes ELSE used END, used, hash COLLATE "C"
        ROWS UNBOUNDED PRECEDING)),
    leaving AS (
      SELECT hash, bytes, false AS is_expired FROM aged WHERE is_old
      UNION ALL SELECT hash, bytes, false FROM ranked WHERE place <= entries - policy.max_entries OR (bytes > 0 AND size - size_before > policy.max_bytes)
      UNION ALL SELECT hash, bytes, true FROM measured WHERE is_expired)
    SELECT coalesce(array_agg(hash ORDER BY hash), '{}'), count(*) FILTER (WHERE NOT is_expired), coalesce(sum(bytes) FILTER (WHERE NOT is_expired), 0), count(*) FILTER (WHERE is_expired)
      INTO hashes, evicted, evicted_bytes, expired FROM leaving;
    evicted_key := policy.partition_key;
    IF NOT is_dry AND cardinality(hashes) > 0 THEN
      -- what a worker is writing at this moment is not waited for
      DELETE FROM ${entries} AS e USING (SELECT hash FROM ${entries} WHERE partition_key = policy.partition_key AND hash = ANY (hashes) ORDER BY hash FOR UPDATE SKIP LOCKED) AS gone
      WHERE e.partition_key = policy.partition_key AND e.hash = gone.hash;
      INSERT INTO ${evictionLog} (partition_key, evicted, evicted_bytes, expired, execution_time_ms)
      VALUES (evicted_key, evicted, evicted_bytes, expired, extract(epoch FROM clock_timestamp() - began) * 1000);
    END IF;
    RETURN NEXT;
  END LOOP;
  DELETE FROM ${evictionLog} WHERE created_at < clock_timestamp() - interval '30 days';
END ${BODY};`
}
