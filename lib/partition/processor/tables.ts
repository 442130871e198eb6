import type { ProcessorNames } from './names.js'

/** Grows when tables or functions change; `setup` brings an older installation up to it. */
export const SCHEMA_VERSION = 1

/** The processor's own tables, made where absent. The columns of the log that monitoring reads are fixed. */
export function tablesSql({ config, log, active, registered, evictionConfig, evictionLog, name }: ProcessorNames): string {
  return `
CREATE TABLE IF NOT EXISTS ${config} (
  only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
  schema_version integer NOT NULL,
  enabled boolean NOT NULL DEFAULT false,
  frequency_seconds double precision NOT NULL DEFAULT 1 CHECK (frequency_seconds BETWEEN 0.05 AND 3600),
  max_parallel_jobs integer NOT NULL DEFAULT 1 CHECK (max_parallel_jobs BETWEEN 1 AND 32),
  timeout_ms integer NOT NULL DEFAULT 60000 CHECK (timeout_ms BETWEEN 1 AND 86400000),
  result_limit integer NOT NULL DEFAULT 5000000 CHECK (result_limit BETWEEN 1 AND 50000000),
  max_attempts integer NOT NULL DEFAULT 3 CHECK (max_attempts BETWEEN 1 AND 1000),
  retry_delay_ms integer NOT NULL DEFAULT 1000 CHECK (retry_delay_ms BETWEEN 0 AND 86400000),
  ttl_ms bigint CHECK (ttl_ms > 0),
  max_bits bigint NOT NULL DEFAULT 67108864 CHECK (max_bits BETWEEN 64 AND 2147483584),
  fragment_path text NOT NULL,
  registered_only boolean NOT NULL DEFAULT false,
  evict_every_minutes integer CHECK (evict_every_minutes BETWEEN 1 AND 1440),
  log_rows integer NOT NULL DEFAULT 100000 CHECK (log_rows >= 1000),
  updated_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp()
);
CREATE TABLE IF NOT EXISTS ${log} (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  job_id bigint, query_hash text, partition_key text,
  status text NOT NULL CHECK (status IN ('success', 'failed', 'timeout', 'skipped')),
  error_msg text, rows_affected bigint, execution_time_ms numeric(14,3), attempt integer, is_dead boolean NOT NULL DEFAULT false,
  execution_source text, created_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp()
);
CREATE INDEX IF NOT EXISTS ${name}_processor_log_time ON ${log} (created_at);
CREATE TABLE IF NOT EXISTS ${active} (
  slot integer PRIMARY KEY, pid integer NOT NULL, job_id bigint NOT NULL, lease bigint NOT NULL, query_hash text NOT NULL, partition_key text NOT NULL,
  started_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(), deadline timestamptz NOT NULL, cancelled_at timestamptz
);
CREATE TABLE IF NOT EXISTS ${registered} (
  id text PRIMARY KEY CHECK (id <> ''), query text NOT NULL, partition_key text NOT NULL, datatype text CHECK (datatype IN ('integer', 'float', 'text', 'timestamp')),
  parameter_count integer NOT NULL, created_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp()
);
CREATE TABLE IF NOT EXISTS ${evictionConfig} (
  partition_key text PRIMARY KEY, max_entries bigint CHECK (max_entries >= 0), max_bytes bigint CHECK (max_bytes >= 0),
  max_age_ms bigint CHECK (max_age_ms >= 0), max_idle_ms bigint CHECK (max_idle_ms >= 0),
  eviction_order text NOT NULL DEFAULT 'least-recently-used' CHECK (eviction_order IN ('least-recently-used', 'oldest', 'largest'))
);
COMMENT ON COLUMN ${evictionConfig}.partition_key IS 'the partition key, or * for those without a row of their own';
CREATE TABLE IF NOT EXISTS ${evictionLog} (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, partition_key text NOT NULL, evicted bigint NOT NULL, evicted_bytes bigint NOT NULL, expired bigint NOT NULL,
  execution_time_ms numeric(14,3), created_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp()
);
-- configured once, kept when setup runs again
INSERT INTO ${config} (schema_version, fragment_path) VALUES (${SCHEMA_VERSION}, pg_catalog.current_setting('search_path'))
  ON CONFLICT (only_row) DO UPDATE SET schema_version = excluded.schema_version;`
}
