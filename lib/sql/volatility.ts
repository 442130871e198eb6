import { namesOf, type JsonAggregate, type Node } from './ast.js'

/** What is known of the functions of PostgreSQL's own catalogue, by name, over all their overloads (PostgreSQL 15 to 18). */

/** Same arguments, same answer, in every session: no overload reads a setting, a clock or a table. */
const IMMUTABLE = new Set(`abs acos acosd acosh array_append array_cat array_dims array_fill array_length array_lower array_ndims array_position
array_positions array_prepend array_remove array_replace array_upper ascii asin asind asinh atan atan2 atan2d atand atanh bit_count bit_length
btrim cardinality cbrt ceil ceiling center char_length character_length chr cos cosd cosh cot cotd decode degrees div encode exp factorial floor gcd get_bit
get_byte host initcap is_normalized isempty isfinite jsonb_array_length jsonb_strip_nulls jsonb_typeof json_array_length json_typeof
justify_days justify_hours justify_interval lcm left length like_escape ln log log10 lower lower_inc lower_inf lpad ltrim make_date make_time
make_timestamp masklen md5 min_scale mod netmask network normalize num_nonnulls num_nulls octet_length overlay pi position pow power
quote_ident radians regexp_count regexp_instr regexp_like regexp_match regexp_replace regexp_substr repeat replace reverse right round rpad rtrim
scale set_bit set_byte sha224 sha256 sha384 sha512 sign similar_to_escape sin sind sinh split_part sqrt starts_with strpos substr substring
tan tand tanh to_hex translate trim_array trim_scale trunc upper upper_inc upper_inf width_bucket`.split(/\s+/))

/** Another answer at the next call, or an effect: some overload is volatile. */
const VOLATILE = new Set(`clock_timestamp currval gen_random_uuid uuidv4 uuidv7 lastval nextval setval random random_normal setseed set_config timeofday
lo_creat lo_create lo_from_bytea lo_get lo_put lo_unlink loread lowrite pg_advisory_lock pg_advisory_lock_shared pg_advisory_unlock
pg_advisory_unlock_all pg_advisory_unlock_shared pg_advisory_xact_lock pg_advisory_xact_lock_shared pg_try_advisory_lock
pg_try_advisory_lock_shared pg_try_advisory_xact_lock pg_try_advisory_xact_lock_shared pg_cancel_backend pg_terminate_backend pg_notify
pg_sleep pg_sleep_for pg_sleep_until pg_read_file pg_read_binary_file pg_ls_dir pg_stat_file query_to_xml txid_status current_query dblink dblink_exec
uuid_generate_v1 uuid_generate_v1mc uuid_generate_v4 gen_random_bytes gen_salt`.split(/\s+/))

const AGGREGATES = new Set(`array_agg any_value avg bit_and bit_or bit_xor bool_and bool_or corr count covar_pop covar_samp cume_dist dense_rank every
json_agg json_agg_strict json_object_agg json_object_agg_strict json_object_agg_unique json_object_agg_unique_strict jsonb_agg jsonb_agg_strict
jsonb_object_agg jsonb_object_agg_strict jsonb_object_agg_unique jsonb_object_agg_unique_strict max min mode percent_rank percentile_cont percentile_disc range_agg
range_intersect_agg rank regr_avgx regr_avgy regr_count regr_intercept regr_r2 regr_slope regr_sxx regr_sxy regr_syy stddev stddev_pop
stddev_samp string_agg sum var_pop var_samp variance xmlagg`.split(/\s+/))

/** The answer does not depend on the order in which rows come. */
const ORDER_FREE_AGGREGATES = new Set('bool_and bool_or bit_and bit_or bit_xor count every max min'.split(' '))

/** Their answer shows the order in which rows came, unless the call says ORDER BY. */
const ORDER_SHOWING_AGGREGATES = new Set(`array_agg any_value json_agg json_agg_strict json_object_agg json_object_agg_strict json_object_agg_unique
json_object_agg_unique_strict jsonb_agg jsonb_agg_strict jsonb_object_agg jsonb_object_agg_strict jsonb_object_agg_unique jsonb_object_agg_unique_strict string_agg xmlagg`.split(/\s+/))

/** Operators whose built-in forms are immutable, or stable only between types that a text column cannot be confused with. */
const OPERATORS = new Set(`= <> < > <= >= + - * / % ^ & | # << >> ~ ~* !~ !~* ~~ ~~* !~~ !~~* @> <@ && -> ->> #> #>> ? ?| ?& <-> |/ ||/ @ ~= -|- &< &>`.split(' '))

/** Types whose input and casts read no session setting. */
const PLAIN_TYPES = new Set(`int2 int4 int8 float4 float8 numeric bool uuid geometry geography`.split(' '))

/** How a function is known; 'set' is an immutable one that answers rows. */
export type Volatility = 'immutable' | 'set' | 'stable' | 'volatile' | 'unknown'

/** Volatility of functions by name, as a catalogue or a caller says; beats the built-in list. */
export type FunctionVolatility = (schema: string | undefined, name: string) => Volatility | undefined

/** Splits `schema.name`; `pg_catalog` is no schema of note. */
export function functionName(names: readonly string[]): { schema: string | undefined, name: string } {
  const name = names.at(-1) ?? ''
  const schema = names.length > 1 && names.at(-2) !== 'pg_catalog' ? names.at(-2) : undefined
  return { schema, name }
}

/** The volatility of a function; a name that PostgreSQL itself does not know is 'unknown'. */
export function volatilityOf(names: readonly string[], known?: FunctionVolatility): Volatility {
  const { schema, name } = functionName(names)
  const said = known?.(schema, name)
  if (said !== undefined) return said
  if (VOLATILE.has(name)) return 'volatile'
  return schema === undefined && IMMUTABLE.has(name) ? 'immutable' : 'unknown'
}

/** Whether a name is one of PostgreSQL's aggregates. */
export function isAggregate(name: string): boolean {
  return AGGREGATES.has(name)
}

/** Whether an aggregate's answer is the same in whatever order rows come, floating-point sums not being. */
export function isOrderFree(name: string): boolean {
  return ORDER_FREE_AGGREGATES.has(name)
}

/** The call of an aggregate that PostgreSQL itself knows; over a window it is none. */
export function aggregateOf({ FuncCall: call, JsonArrayAgg: array, JsonObjectAgg: object }: Node): JsonAggregate | undefined {
  const found = (array ?? object)?.constructor ?? (call && isAggregate(namesOf(call.funcname).at(-1)!) ? call : undefined)
  return found?.over ? undefined : found
}

/** The call of an aggregate whose answer shows the order of the rows. */
export function orderShownBy(node: Node): JsonAggregate | undefined {
  const found = aggregateOf(node)
  const shows = node.FuncCall === undefined || ORDER_SHOWING_AGGREGATES.has(namesOf(node.FuncCall.funcname).at(-1)!)
  return shows && !found?.agg_order ? found : undefined
}

/** Whether an operator of this name may stand in a cached condition. */
export function isPlainOperator(name: string): boolean {
  return OPERATORS.has(name)
}

/** Whether a cast to this type may stand in a cached condition. */
export function isPlainType(name: string): boolean {
  return PLAIN_TYPES.has(name)
}
