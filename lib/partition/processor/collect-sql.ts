import { BODY, type ProcessorNames } from './names.js'

/**
 * The function that runs a fragment and packs its keys as the backends do in `postgresql-bit.ts` and `postgresql-array.ts`, so that
 * nobody can tell who made a set; keys are read by the rules of `key-columns.ts`.
 *
 * SECURITY INVOKER: a fragment gets the rights of the role that works, and no others. The caller has made the transaction read-only.
 */

/** A set was too large: the same next time. */
export const TOO_LARGE = 'MR001'
/** Keys of a kind that cannot be kept: the same next time. */
export const BAD_KEY = 'MR002'

/** Types by the datatype they may be stored as. */
const STORABLE = `CASE wanted WHEN 'integer' THEN ARRAY['int2', 'int4', 'int8', 'numeric', 'oid'] WHEN 'float' THEN ARRAY['int2', 'int4', 'int8', 'float4', 'float8', 'numeric']
      WHEN 'timestamp' THEN ARRAY['timestamp', 'timestamptz', 'date'] ELSE ARRAY['text', 'varchar', 'bpchar', 'name', 'uuid', 'date', 'enum', 'bool', 'int2', 'int4', 'int8'] END`

/** One key in the form that sets hold it in; numbers that would change are refused by a cast of a text that says so. */
const KEY = `CASE wanted
      WHEN 'integer' THEN CASE key_type WHEN 'numeric' THEN 'CASE WHEN k = pg_catalog.trunc(k) THEN k::bigint ELSE (k::text || '' is no integer'')::bigint END' ELSE 'k::bigint' END
      WHEN 'float' THEN CASE key_type WHEN 'numeric' THEN 'CASE WHEN k::float8::text::numeric = k THEN k::float8 + 0 ELSE (k::text || '' is no exact double'')::float8 END'
        WHEN 'float4' THEN 'k::text::float8 + 0' ELSE 'k::float8 + 0' END
      WHEN 'timestamp' THEN CASE key_type WHEN 'timestamptz' THEN 'k AT TIME ZONE ''UTC''' ELSE 'k::timestamp' END
      ELSE 'k::text' END`

/** Bits of the keys 0 … max_key in hexadecimal digits, filled up to words of 64. */
const BITS = `(SELECT ('x' || pg_catalog.string_agg(pg_catalog.repeat('0', gap) || pg_catalog.to_hex(mask), '' ORDER BY digit)
        || pg_catalog.repeat('0', ((max_key / 64 + 1) * 16 - 1 - pg_catalog.max(digit))::integer))::bit varying
      FROM (SELECT digit, mask, (digit - coalesce(pg_catalog.lag(digit) OVER (ORDER BY digit), -1) - 1)::integer AS gap
        FROM (SELECT key / 4 AS digit, pg_catalog.bit_or(8 >> (key % 4)::integer) AS mask FROM pg_catalog.unnest(ints) AS u(key) GROUP BY key / 4) AS digits) AS gaps)`

/** `collect(fragment, wanted, key_limit, max_bits, fragment_path)`. */
export function collectSql({ fn, family }: ProcessorNames): string {
  const fits = family === 'bit' ? 'true' : `min_key >= 0 AND max_key / 64 + 1 <= greatest(key_count, 1)`
  return `
CREATE OR REPLACE FUNCTION ${fn('collect')}(fragment text, wanted text, key_limit integer, max_bits bigint, fragment_path text,
  OUT datatype text, OUT key_count integer, OUT bits bit varying, OUT bit_count integer, OUT ints bigint[], OUT floats double precision[], OUT texts text[], OUT timestamps timestamp[])
LANGUAGE plpgsql SECURITY INVOKER SET search_path = pg_catalog, pg_temp SET extra_float_digits = 1 SET DateStyle = 'ISO' AS ${BODY}
DECLARE
  source text := pg_catalog.format(E'(%s\\n) AS q(k)', pg_catalog.rtrim(fragment, E' ;\\n\\t'));
  keys text;
  key_type text;
  is_loose boolean;
  min_key bigint;
  max_key bigint;
BEGIN
  PERFORM pg_catalog.set_config('search_path', fragment_path, true);
  EXECUTE 'WITH RECURSIVE t AS (SELECT y.* FROM pg_catalog.pg_type AS y WHERE y.oid = (SELECT a.typelem FROM pg_catalog.pg_type AS a WHERE a.oid =
      (SELECT pg_catalog.pg_typeof(pg_catalog.array_agg(k)) FROM ' || source || ' WHERE false)::oid)
    UNION ALL SELECT y.* FROM t JOIN pg_catalog.pg_type AS y ON y.oid = t.typbasetype)
    SELECT CASE typtype WHEN ''e'' THEN ''enum'' ELSE typname END FROM t WHERE typtype <> ''d''' INTO key_type;
  IF wanted IS NULL THEN
    wanted := CASE WHEN key_type IN ('int2', 'int4', 'int8', 'oid') THEN 'integer' WHEN key_type IN ('float4', 'float8', 'numeric') THEN 'float'
      WHEN key_type IN ('timestamp', 'timestamptz') THEN 'timestamp' ELSE 'text' END;
  END IF;
  IF NOT coalesce(key_type = ANY (${STORABLE}), false) THEN
    RAISE EXCEPTION 'keys of the type % are no % keys', key_type, wanted USING ERRCODE = '${BAD_KEY}';
  END IF;
  IF key_type IN ('text', 'varchar', 'bpchar', 'name') THEN
    EXECUTE 'SELECT EXISTS (SELECT FROM pg_catalog.pg_collation WHERE NOT collisdeterministic AND oid =
      (SELECT pg_catalog.pg_collation_for(pg_catalog.min(k))::regcollation FROM ' || source || ' WHERE false))' INTO is_loose;
    IF is_loose THEN RAISE EXCEPTION 'equal keys may have different texts' USING ERRCODE = '${BAD_KEY}'; END IF;
  END IF;
  datatype := wanted;
  keys := pg_catalog.format('WITH keys AS MATERIALIZED (SELECT DISTINCT %s AS key FROM %s WHERE k IS NOT NULL LIMIT %s)', ${KEY}, source, key_limit::bigint + 1);
  CASE wanted
    WHEN 'integer' THEN
      EXECUTE keys || ' SELECT pg_catalog.count(*), pg_catalog.min(key), pg_catalog.max(key), coalesce(pg_catalog.array_agg(key), ''{}'') FROM keys' INTO key_count, min_key, max_key, ints;
    WHEN 'float' THEN EXECUTE keys || ' SELECT pg_catalog.count(*), coalesce(pg_catalog.array_agg(key), ''{}'') FROM keys' INTO key_count, floats;
    WHEN 'text' THEN EXECUTE keys || ' SELECT pg_catalog.count(*), coalesce(pg_catalog.array_agg(key), ''{}'') FROM keys' INTO key_count, texts;
    ELSE EXECUTE keys || ' SELECT pg_catalog.count(*), coalesce(pg_catalog.array_agg(key), ''{}'') FROM keys' INTO key_count, timestamps;
  END CASE;
  PERFORM pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
  IF key_count > key_limit THEN RAISE EXCEPTION 'more than % keys', key_limit USING ERRCODE = '${TOO_LARGE}'; END IF;
  IF wanted <> 'integer' THEN RETURN; END IF;
  ${family === 'bit' ? `IF min_key < 0 OR max_key >= max_bits THEN
    RAISE EXCEPTION 'the key % is outside 0 to %', CASE WHEN min_key < 0 THEN min_key ELSE max_key END, max_bits - 1 USING ERRCODE = '${BAD_KEY}';
  END IF;` : ''}
  IF key_count = 0 THEN
    bits := B'';
  ELSIF ${fits} THEN
    bits := ${BITS};
  END IF;
  IF bits IS NOT NULL THEN
    bit_count := pg_catalog.length(bits);
    ints := NULL;
  END IF;
END ${BODY};`
}
