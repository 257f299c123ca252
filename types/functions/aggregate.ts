/**
 * Signatures of the aggregates: argument and result types as PostgreSQL has them (sum of int4 is int8, of int8 numeric; avg of
 * integers numeric). Their accumulators are the runtime's.
 */
import type { SqlType } from '../sqltype.js';
import { FLOAT8, NUMERIC, arrayOf } from '../sqltype.js';
import { bareType } from '../typeinfo.js';
import type { AggregateDef } from './catalogue.js';
import { aggregate } from './define.js';

const ORDERED = ['int2', 'int4', 'int8', 'float4', 'float8', 'numeric', 'text', 'bpchar', 'date', 'time', 'timestamp', 'timestamptz', 'interval', 'oid', 'bytea'];
const SUMS: readonly (readonly [string, string])[] = [
  ['int2', 'int8'], ['int4', 'int8'], ['int8', 'numeric'], ['numeric', 'numeric'], ['float4', 'float4'], ['float8', 'float8'], ['interval', 'interval'],
];
const AVERAGES: readonly (readonly [string, string])[] = [
  ['int2', 'numeric'], ['int4', 'numeric'], ['int8', 'numeric'], ['numeric', 'numeric'], ['float4', 'float8'], ['float8', 'float8'], ['interval', 'interval'],
];
const NUMBERS = ['int2', 'int4', 'int8', 'numeric', 'float4', 'float8'];

const first = (args: readonly SqlType[]): SqlType => bareType(args[0]);
const floatOrNumeric = (args: readonly SqlType[]): SqlType => (args[0].kind === 'float4' || args[0].kind === 'float8' ? FLOAT8 : NUMERIC);

const within = (id: string, result: Parameters<typeof aggregate>[1], kind: AggregateDef['within'] & string = 'ordered-set'): AggregateDef => ({ ...aggregate(id, result), within: kind });

export const aggregates: readonly AggregateDef[] = [
  aggregate('count()', 'int8'),
  aggregate('count(any)', 'int8'),
  ...SUMS.map(([a, r]) => aggregate(`sum(${a})`, r)),
  ...AVERAGES.map(([a, r]) => aggregate(`avg(${a})`, r)),
  ...['min', 'max'].flatMap((name) => [...ORDERED.map((k) => aggregate(`${name}(${k})`, k)), aggregate(`${name}(anyarray)`, first)]),
  ...['bool_and', 'bool_or', 'every'].map((name) => aggregate(`${name}(bool)`, 'bool')),
  ...['bit_and', 'bit_or', 'bit_xor'].flatMap((name) => ['int2', 'int4', 'int8'].map((k) => aggregate(`${name}(${k})`, k))),
  ...['stddev', 'stddev_samp', 'stddev_pop', 'variance', 'var_samp', 'var_pop'].flatMap((name) => NUMBERS.map((k) => aggregate(`${name}(${k})`, floatOrNumeric))),
  aggregate('string_agg(text,text)', 'text', true),
  aggregate('string_agg(bytea,bytea)', 'bytea', true),
  aggregate('array_agg(anynonarray)', (args) => arrayOf(bareType(args[0])), true),
  aggregate('array_agg(anyarray)', first, true),
  aggregate('json_agg(anyelement)', 'json', true),
  aggregate('jsonb_agg(anyelement)', 'jsonb', true),
  aggregate('json_object_agg(any,any)', 'json', true),
  aggregate('jsonb_object_agg(any,any)', 'jsonb', true),
  ...['corr', 'covar_pop', 'covar_samp', 'regr_slope', 'regr_intercept', 'regr_r2', 'regr_avgx', 'regr_avgy', 'regr_sxx', 'regr_syy', 'regr_sxy']
    .map((name) => aggregate(`${name}(float8,float8)`, 'float8')),
  aggregate('regr_count(float8,float8)', 'int8'),
  ...[['float8', 'float8'], ['float8', 'interval']].flatMap(([f, v]) => [within(`percentile_cont(${f},${v})`, v), within(`percentile_cont(${f}[],${v})`, `${v}[]`)]),
  within('percentile_disc(float8,anyelement)', (args) => bareType(args[1])),
  within('percentile_disc(float8[],anyelement)', (args) => arrayOf(bareType(args[1]))),
  within('mode(anyelement)', first),
  ...['rank', 'dense_rank'].map((name) => within(`${name}(any…)`, 'int8', 'hypothetical-set')),
  ...['percent_rank', 'cume_dist'].map((name) => within(`${name}(any…)`, 'float8', 'hypothetical-set')),
];
