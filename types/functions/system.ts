/**
 * System functions: who and where, the catalog's names by oid, privileges (everyone may do what the server lets them), settings, sizes,
 * uuids. What clients such as psql and drivers call; facts come from EvalContext.catalog.
 */
import { randomUUID } from 'node:crypto';
import { SqlArray } from '../array.js';
import { SqlError } from '../error.js';
import { OWNER_OID } from '../textio.js';
import { formatType, typeByOid, typeOid, withMod } from '../typeinfo.js';
import type { Datum } from '../value.js';
import { Numeric } from '../numeric.js';
import type { FunctionDef } from './catalogue.js';
import { boundFn, contextFn, fn } from './define.js';
import type { EvalContext } from './evalcontext.js';

export const SERVER_VERSION = '15.0';

const SCHEMAS = ['pg_catalog', 'public', 'millrace'];
/** The bootstrap class oids that comments are asked for by. */
const PG_CLASS_OID = 1259;

function setting(ctx: EvalContext, name: string, missingOk: boolean): string | null {
  const v = ctx.catalog?.setting(name.toLowerCase()) ?? null;
  if (v === null && !missingOk) throw new SqlError('42704', `unrecognized configuration parameter "${name}"`);
  return v;
}

function typeName(oid: number, mod: number | null): string {
  if (oid === 0) return '-';
  const t = typeByOid(oid);
  return t === null ? '???' : formatType(mod === null || mod < 0 ? t : withMod(t, mod));
}

/** pg_size_pretty: bytes, kB from 10 kB on, and so forth; halves round away from zero. */
function sizePretty(v: Numeric): string {
  let n = v;
  const units = ['bytes', 'kB', 'MB', 'GB', 'TB', 'PB'];
  const limit = Numeric.of(10240, 0);
  if (n.abs().compare(limit) < 0) return `${n.toString()} bytes`;
  // Two more bits than shown, then one rounding, as PostgreSQL does it.
  n = n.divTrunc(Numeric.of(512, 0));
  let unit = 1;
  const half = (x: Numeric): Numeric => x.add(Numeric.of(x.sign() < 0 ? -1 : 1, 0)).divTrunc(Numeric.of(2, 0));
  while (unit < units.length - 1 && n.abs().compare(Numeric.of(20480 - 1, 0)) >= 0) {
    n = n.divTrunc(Numeric.of(1024, 0));
    unit++;
  }
  return `${half(n).toString()} ${units[unit]}`;
}

function sizeBytes(text: string): Numeric {
  const m = /^\s*([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)\s*([A-Za-z]*)\s*$/.exec(text);
  if (m === null) throw new SqlError('22023', `invalid size: "${text}"`);
  const power = ['bytes', 'kb', 'mb', 'gb', 'tb', 'pb'].indexOf(m[2] === '' || m[2].toLowerCase() === 'b' ? 'bytes' : m[2].toLowerCase());
  if (power < 0) throw new SqlError('22023', `invalid size: "${text}"`, { detail: `Invalid size unit: "${m[2]}".`, hint: 'Valid units are "bytes", "B", "kB", "MB", "GB", "TB", and "PB".' });
  return Numeric.parse(m[1]).mul(Numeric.of(1024n ** BigInt(power), 0)).round(0);
}

function userNames(): FunctionDef[] {
  return ['current_user', 'session_user', 'user', 'current_role', 'system_user'].map((name) => contextFn(`${name}()`, 'name', (ctx: EvalContext) => ctx.user));
}

/** has_*_privilege(…): the server has no grants; what exists may be used. */
function privileges(): FunctionDef[] {
  const out: FunctionDef[] = [];
  const objects: readonly (readonly [string, readonly string[]])[] = [
    ['table', ['text', 'oid']], ['sequence', ['text', 'oid']], ['any_column', ['text', 'oid']], ['schema', ['text', 'oid']], ['database', ['text', 'oid']], ['function', ['text', 'oid']],
    ['type', ['text', 'oid']], ['language', ['text', 'oid']], ['foreign_data_wrapper', ['text', 'oid']], ['server', ['text', 'oid']], ['tablespace', ['text', 'oid']],
  ];
  for (const [object, kinds] of objects) {
    for (const k of kinds) {
      out.push(fn(`has_${object}_privilege(${k},text)`, 'bool', () => true, { volatility: 'stable' }));
      for (const role of ['name', 'oid']) out.push(fn(`has_${object}_privilege(${role},${k},text)`, 'bool', () => true, { volatility: 'stable' }));
    }
  }
  for (const table of ['text', 'oid']) for (const column of ['text', 'int2']) out.push(fn(`has_column_privilege(${table},${column},text)`, 'bool', () => true, { volatility: 'stable' }));
  for (const role of ['name', 'oid']) out.push(fn(`pg_has_role(${role},text)`, 'bool', () => true, { volatility: 'stable' }), fn(`pg_has_role(name,${role},text)`, 'bool', () => true, { volatility: 'stable' }));
  return out;
}

/** pg_*_is_visible: all our names are in the search path unless the catalog says otherwise. */
function visibility(): FunctionDef[] {
  return [
    contextFn('pg_table_is_visible(oid)', 'bool', (ctx: EvalContext, oid: number) => ctx.catalog?.relationName(oid)?.visible ?? null),
    ...['type', 'function', 'operator', 'opclass', 'opfamily', 'collation', 'conversion', 'ts_config', 'ts_dict', 'ts_parser', 'ts_template', 'statistics_obj']
      .map((what) => fn(`pg_${what}_is_visible(oid)`, 'bool', () => true, { volatility: 'stable' })),
  ];
}

function definitions(): FunctionDef[] {
  const view = (ctx: EvalContext, oid: number): string | null => ctx.catalog?.viewDefinition(oid) ?? null;
  const nothing = (): null => null;
  return [
    contextFn('pg_get_viewdef(oid)', 'text', view),
    contextFn('pg_get_viewdef(oid,bool)', 'text', view),
    contextFn('pg_get_viewdef(oid,int4)', 'text', view),
    fn('pg_get_expr(text,oid)', 'text', (s: string) => s, { volatility: 'stable' }),
    fn('pg_get_expr(text,oid,bool)', 'text', (s: string) => s, { volatility: 'stable' }),
    contextFn('pg_get_indexdef(oid)', 'text', view),
    contextFn('pg_get_indexdef(oid,int4,bool)', 'text', (ctx: EvalContext, oid: number, column: number) => {
      const whole = view(ctx, oid);
      // Column n alone is asked for with n > 0.
      return whole === null || column === 0 ? whole : whole.slice(whole.lastIndexOf('(') + 1, -1).split(', ')[column - 1] ?? '';
    }),
    contextFn('pg_get_constraintdef(oid)', 'text', view),
    contextFn('pg_get_constraintdef(oid,bool)', 'text', view),
    ...['pg_get_functiondef(oid)', 'pg_get_function_arguments(oid)', 'pg_get_function_identity_arguments(oid)', 'pg_get_function_result(oid)', 'pg_get_function_sqlbody(oid)', 'pg_get_ruledef(oid)', 'pg_get_ruledef(oid,bool)',
      'pg_get_triggerdef(oid)', 'pg_get_triggerdef(oid,bool)', 'pg_get_partkeydef(oid)', 'pg_get_statisticsobjdef_columns(oid)', 'pg_get_partition_constraintdef(oid)', 'pg_get_statisticsobjdef(oid)']
      .map((id) => fn(id, 'text', nothing, { volatility: 'stable' })),
    fn('pg_get_serial_sequence(text,text)', 'text', nothing, { volatility: 'stable' }),
    contextFn('obj_description(oid,name)', 'text', (ctx: EvalContext, oid: number, cls: string) => ctx.catalog?.comment(oid, cls === 'pg_class' ? PG_CLASS_OID : 0, 0) ?? null),
    contextFn('obj_description(oid)', 'text', (ctx: EvalContext, oid: number) => ctx.catalog?.comment(oid, PG_CLASS_OID, 0) ?? null),
    contextFn('col_description(oid,int4)', 'text', (ctx: EvalContext, oid: number, column: number) => ctx.catalog?.comment(oid, PG_CLASS_OID, column) ?? null),
    fn('shobj_description(oid,name)', 'text', nothing, { volatility: 'stable' }),
  ];
}

const zeroSize = (): number => 0;

export const systemFunctions: readonly FunctionDef[] = [
  fn('version()', 'text', () => `PostgreSQL ${SERVER_VERSION} (Millrace 0.1.0)`, { volatility: 'stable' }),
  ...userNames(),
  ...privileges(),
  ...visibility(),
  ...definitions(),
  fn('pg_relation_is_publishable(regclass)', 'bool', () => false, { volatility: 'stable' }),
  contextFn('current_database()', 'name', (ctx: EvalContext) => ctx.database),
  contextFn('current_catalog()', 'name', (ctx: EvalContext) => ctx.database),
  fn('current_schema()', 'name', () => 'public', { volatility: 'stable' }),
  fn('current_schemas(bool)', 'name[]', (all: boolean) => SqlArray.of(all ? SCHEMAS : SCHEMAS.slice(1)), { volatility: 'stable' }),
  contextFn('current_setting(text)', 'text', (ctx: EvalContext, name: string) => setting(ctx, name, false)),
  contextFn('current_setting(text,bool)', 'text', (ctx: EvalContext, name: string, missingOk: boolean) => setting(ctx, name, missingOk)),
  contextFn('pg_backend_pid()', 'int4', (ctx: EvalContext) => Number(ctx.catalog?.setting('backend_pid') ?? 0)),
  fn('inet_server_addr()', 'text', () => null, { volatility: 'stable' }),
  fn('inet_server_port()', 'int4', () => null, { volatility: 'stable' }),
  fn('inet_client_addr()', 'text', () => null, { volatility: 'stable' }),
  fn('inet_client_port()', 'int4', () => null, { volatility: 'stable' }),
  contextFn('pg_get_userbyid(oid)', 'name', (ctx: EvalContext, oid: number) => (oid === OWNER_OID ? ctx.user : `unknown (OID=${oid})`)),
  fn('format_type(oid,int4)', 'text', (oid: number | null, mod: number | null) => (oid === null ? null : typeName(oid, mod)), { strict: false, volatility: 'stable' }),
  boundFn('pg_typeof(any)', 'regtype', (types) => () => typeOid(types[0]), { strict: false, volatility: 'stable' }),
  fn('pg_encoding_to_char(int4)', 'name', (n: number) => (n === 6 ? 'UTF8' : n === 0 ? 'SQL_ASCII' : ''), { volatility: 'stable' }),
  fn('pg_char_to_encoding(name)', 'int4', (s: string) => (/^utf-?8$/i.test(s) ? 6 : -1), { volatility: 'stable' }),
  fn('pg_client_encoding()', 'name', () => 'UTF8', { volatility: 'stable' }),
  contextFn('pg_postmaster_start_time()', 'timestamptz', (ctx: EvalContext) => Number(ctx.catalog?.setting('postmaster_start_time_us') ?? ctx.nowUs)),
  contextFn('pg_conf_load_time()', 'timestamptz', (ctx: EvalContext) => Number(ctx.catalog?.setting('postmaster_start_time_us') ?? ctx.nowUs)),
  fn('pg_is_in_recovery()', 'bool', () => false, { volatility: 'stable' }),
  fn('pg_is_wal_replay_paused()', 'bool', () => false, { volatility: 'stable' }),
  fn('pg_my_temp_schema()', 'oid', () => 0, { volatility: 'stable' }),
  fn('pg_is_other_temp_schema(oid)', 'bool', () => false, { volatility: 'stable' }),
  fn('txid_current()', 'int8', () => 1, { volatility: 'stable' }),
  fn('pg_current_xact_id()', 'int8', () => 1, { volatility: 'stable' }),
  ...['pg_relation_size(regclass)', 'pg_total_relation_size(regclass)', 'pg_table_size(regclass)', 'pg_indexes_size(regclass)', 'pg_database_size(oid)', 'pg_database_size(name)', 'pg_tablespace_size(oid)']
    .map((id) => fn(id, 'int8', zeroSize, { volatility: 'volatile' })),
  fn('pg_relation_size(regclass,text)', 'int8', zeroSize, { volatility: 'volatile' }),
  fn('pg_tablespace_location(oid)', 'text', () => '', { volatility: 'stable' }),
  fn('pg_relation_filenode(regclass)', 'oid', (oid: number) => oid, { volatility: 'stable' }),
  fn('pg_stat_get_numscans(oid)', 'int8', zeroSize, { volatility: 'stable' }),
  fn('pg_size_pretty(int8)', 'text', (v: number | bigint) => sizePretty(Numeric.fromInt(v))),
  fn('pg_size_pretty(numeric)', 'text', sizePretty),
  fn('pg_size_bytes(text)', 'int8', (s: string) => sizeBytes(s).toInt8()),
  boundFn('pg_column_size(any)', 'int4', () => () => 4, { volatility: 'stable' }),
  fn('gen_random_uuid()', 'uuid', () => randomUUID(), { volatility: 'volatile' }),
  contextFn('to_regclass(text)', 'regclass', (ctx: EvalContext, s: string) => {
    const parts = s.replace(/"/g, '').split('.');
    return ctx.catalog?.relationOid(parts.length > 1 ? parts[0] : null, parts[parts.length - 1]) ?? null;
  }),
  fn('num_nulls(any…)', 'int4', (...args: Datum[]) => args.filter((a) => a === null).length, { strict: false }),
  fn('num_nonnulls(any…)', 'int4', (...args: Datum[]) => args.filter((a) => a !== null).length, { strict: false }),
  fn('pg_advisory_lock(int8)', 'void', () => '', { volatility: 'volatile' }),
  fn('pg_advisory_unlock(int8)', 'bool', () => true, { volatility: 'volatile' }),
];

