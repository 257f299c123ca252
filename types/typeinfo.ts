/**
 * Facts about the SQL types: oid, names, length, category; typmods; names ↔ types. The one table that type resolution, the
 * wire (RowDescription, parameter oids) and pg_type are derived from. Oids are PostgreSQL's.
 */
import { OWN_KEYS, SqlError, unsupported } from './error.js';
import type { ScalarKind, SqlType } from './sqltype.js';

export interface TypeInfo {
  readonly type: SqlType;
  readonly oid: number;
  /** 0 = there is none. */
  readonly arrayOid: number;
  /** Oid of an array type's elements; 0 for scalars. */
  readonly elementOid: number;
  /** Name in pg_type. */
  readonly name: string;
  /** Name as format_type prints it and error messages use it. */
  readonly sqlName: string;
  /** Bytes on the wire; −1 variable, −2 C string. */
  readonly length: number;
  readonly category: string;
  readonly preferred: boolean;
}

const ROWS: readonly (readonly [ScalarKind, number, number, string, string, number, string, boolean])[] = [
  ['bool', 16, 1000, 'bool', 'boolean', 1, 'B', true],
  ['bytea', 17, 1001, 'bytea', 'bytea', -1, 'U', false],
  ['char', 18, 1002, 'char', '"char"', 1, 'Z', false],
  ['name', 19, 1003, 'name', 'name', 64, 'S', false],
  ['int8', 20, 1016, 'int8', 'bigint', 8, 'N', false],
  ['int2', 21, 1005, 'int2', 'smallint', 2, 'N', false],
  ['int4', 23, 1007, 'int4', 'integer', 4, 'N', false],
  ['regproc', 24, 1008, 'regproc', 'regproc', 4, 'N', false],
  ['text', 25, 1009, 'text', 'text', -1, 'S', true],
  ['oid', 26, 1028, 'oid', 'oid', 4, 'N', true],
  ['json', 114, 199, 'json', 'json', -1, 'U', false],
  ['float4', 700, 1021, 'float4', 'real', 4, 'N', false],
  ['float8', 701, 1022, 'float8', 'double precision', 8, 'N', true],
  ['unknown', 705, 0, 'unknown', 'unknown', -2, 'X', false],
  ['bpchar', 1042, 1014, 'bpchar', 'character', -1, 'S', false],
  ['varchar', 1043, 1015, 'varchar', 'character varying', -1, 'S', false],
  ['date', 1082, 1182, 'date', 'date', 4, 'D', false],
  ['time', 1083, 1183, 'time', 'time without time zone', 8, 'D', false],
  ['timestamp', 1114, 1115, 'timestamp', 'timestamp without time zone', 8, 'D', false],
  ['timestamptz', 1184, 1185, 'timestamptz', 'timestamp with time zone', 8, 'D', true],
  ['interval', 1186, 1187, 'interval', 'interval', 16, 'T', true],
  ['numeric', 1700, 1231, 'numeric', 'numeric', -1, 'N', false],
  ['regclass', 2205, 2210, 'regclass', 'regclass', 4, 'N', false],
  ['regtype', 2206, 2211, 'regtype', 'regtype', 4, 'N', false],
  ['record', 2249, 2287, 'record', 'record', -1, 'P', false],
  ['void', 2278, 0, 'void', 'void', 4, 'P', false],
  ['uuid', 2950, 2951, 'uuid', 'uuid', 16, 'U', false],
  ['jsonb', 3802, 3807, 'jsonb', 'jsonb', -1, 'U', false],
  ['regnamespace', 4089, 4090, 'regnamespace', 'regnamespace', 4, 'N', false],
  ['regrole', 4096, 4097, 'regrole', 'regrole', 4, 'N', false],
];

const SCALARS: readonly TypeInfo[] = ROWS.map(([kind, oid, arrayOid, name, sqlName, length, category, preferred]) => (
  { type: { kind }, oid, arrayOid, elementOid: 0, name, sqlName, length, category, preferred }));
const ARRAYS: readonly TypeInfo[] = SCALARS.filter((i) => i.arrayOid !== 0).map((i) => (
  { type: { kind: 'array', elem: i.type }, oid: i.arrayOid, arrayOid: 0, elementOid: i.oid, name: `_${i.name}`, sqlName: `${i.sqlName}[]`, length: -1, category: 'A', preferred: false }));

/** Every type, arrays included: pg_type's rows. */
export const typeInfos: readonly TypeInfo[] = [...SCALARS, ...ARRAYS];

const BY_KIND: ReadonlyMap<string, TypeInfo> = new Map(SCALARS.map((i) => [i.type.kind, i]));
const ARRAY_OF: ReadonlyMap<string, TypeInfo> = new Map(ARRAYS.map((i) => [i.sqlName, i]));
const BY_OID: ReadonlyMap<number, SqlType> = new Map(typeInfos.map((i) => [i.oid, i.type]));
const BY_NAME = new Map<string, SqlType>(typeInfos.map((i) => [i.name, i.type]));

/** Other names that SQL text uses; the grammar turns most into pg_type's names already. */
const ALIASES: readonly (readonly [string, ScalarKind])[] = [
  ['boolean', 'bool'], ['int', 'int4'], ['integer', 'int4'], ['smallint', 'int2'], ['bigint', 'int8'], ['real', 'float4'], ['float', 'float8'],
  ['double precision', 'float8'], ['decimal', 'numeric'], ['dec', 'numeric'], ['character varying', 'varchar'], ['char varying', 'varchar'], ['character', 'bpchar'],
  ['timestamp without time zone', 'timestamp'], ['timestamp with time zone', 'timestamptz'], ['time without time zone', 'time'],
];
for (const [alias, kind] of ALIASES) BY_NAME.set(alias, { kind });

/** Types that exist in PostgreSQL and not here: 0A000 rather than "does not exist". */
const REFUSED = new Set(['timetz', 'time with time zone', 'bit', 'varbit', 'money', 'xml', 'inet', 'cidr', 'macaddr', 'macaddr8', 'point', 'line', 'lseg', 'box', 'path', 'polygon', 'circle',
  'tsvector', 'tsquery', 'int4range', 'int8range', 'numrange', 'tsrange', 'tstzrange', 'daterange', 'jsonpath', 'hstore', 'pg_lsn', 'xid8',
  'int4multirange', 'int8multirange', 'nummultirange', 'tsmultirange', 'tstzmultirange', 'datemultirange', 'regoper', 'regoperator', 'regprocedure', 'regconfig', 'regdictionary', 'regcollation']);

const SERIAL = new Set(['serial', 'bigserial', 'smallserial', 'serial2', 'serial4', 'serial8']);

/** Catalog types that are shown and compared as a type we have. */
const STAND_INS: readonly (readonly [string, SqlType])[] = [
  ['xid', { kind: 'int8' }], ['cid', { kind: 'int8' }], ['int2vector', { kind: 'array', elem: { kind: 'int2' } }], ['oidvector', { kind: 'array', elem: { kind: 'oid' } }],
  ['pg_node_tree', { kind: 'text' }], ['aclitem', { kind: 'text' }], ['_aclitem', { kind: 'array', elem: { kind: 'text' } }], ['cstring', { kind: 'text' }],
];
for (const [name, type] of STAND_INS) BY_NAME.set(name, type);

/** Facts about a type; nested arrays are the array type of their innermost element. */
export function typeInfo(t: SqlType): TypeInfo {
  let info: TypeInfo | undefined;
  if (t.kind === 'array') {
    if (t.elem.kind === 'array') return typeInfo(t.elem);
    info = ARRAY_OF.get(`${typeInfo(t.elem).sqlName}[]`);
  } else info = BY_KIND.get(t.kind);
  if (info === undefined) throw new SqlError('XX000', `internal error: no facts about type ${t.kind}`);
  return info;
}

export function typeOid(t: SqlType): number {
  return typeInfo(t).oid;
}

export function typeByOid(oid: number): SqlType | null {
  return BY_OID.get(oid) ?? null;
}

/** Bytes of a value on the wire (RowDescription's typlen). */
export function typeLength(t: SqlType): number {
  return typeInfo(t).length;
}

/** pg_type.typcategory. */
export function typeCategory(t: SqlType): string {
  return typeInfo(t).category;
}

/** PostgreSQL's typmod; −1 = none. */
export function typeMod(t: SqlType): number {
  if (t.kind === 'array') return typeMod(t.elem);
  return t.mod ?? -1;
}

/** The type without its typmod. */
export function bareType(t: SqlType): SqlType {
  if (t.kind === 'array') return { kind: 'array', elem: bareType(t.elem) };
  return t.mod === undefined ? t : { kind: t.kind };
}

export function withMod(t: SqlType, mod: number): SqlType {
  if (mod < 0) return bareType(t);
  if (t.kind === 'array') return { kind: 'array', elem: withMod(t.elem, mod) };
  return { kind: t.kind, mod };
}

/**
 * Type by the name parts of SQL text (['pg_catalog', 'int4'], ['varchar']) and its typmod arguments; null when there is no such
 * type (42704 is the binder's, which knows the position). 0A000 for types that PostgreSQL has and we do not; 22023 for bad typmods.
 */
export function typeByName(names: readonly string[], typmods: readonly number[] = []): SqlType | null {
  const schema = names.length > 1 ? names[names.length - 2] : null;
  if (schema !== null && schema !== 'pg_catalog' && schema !== 'public') return null;
  const name = names[names.length - 1];
  const base = BY_NAME.get(name);
  if (base === undefined) {
    if (SERIAL.has(name)) throw unsupported(`type ${name}`, undefined, OWN_KEYS);
    if (REFUSED.has(name) || REFUSED.has(name.replace(/^_/, ''))) throw unsupported(`type ${name.replace(/^_/, '')}`);
    return null;
  }
  // The grammar gives plain "char" (18) for the quoted name, bpchar for CHAR and CHARACTER.
  return typmods.length === 0 ? base : applyTypmods(base, typmods);
}

function applyTypmods(t: SqlType, mods: readonly number[]): SqlType {
  if (t.kind === 'array') return { kind: 'array', elem: applyTypmods(t.elem, mods) };
  const [a, b] = mods;
  switch (t.kind) {
    case 'numeric': {
      const scale = b ?? 0;
      if (a < 1 || a > 1000) throw new SqlError('22023', `NUMERIC precision ${a} must be between 1 and 1000`);
      if (scale < -1000 || scale > 1000) throw new SqlError('22023', `NUMERIC scale ${scale} must be between -1000 and 1000`);
      return { kind: 'numeric', mod: numericMod(a, scale) };
    }
    case 'varchar': case 'bpchar': {
      const word = t.kind === 'varchar' ? 'varchar' : 'char';
      if (mods.length > 1) throw new SqlError('22023', 'invalid type modifier');
      if (a < 1) throw new SqlError('22023', `length for type ${word} must be at least 1`);
      if (a > 10485760) throw new SqlError('22023', `length for type ${word} cannot exceed 10485760`);
      return { kind: t.kind, mod: a + 4 };
    }
    case 'time': case 'timestamp': case 'timestamptz':
      if (a < 0) throw new SqlError('22023', `${t.kind === 'time' ? 'TIME' : 'TIMESTAMP'}(${a})${t.kind === 'timestamptz' ? ' WITH TIME ZONE' : ''} precision must not be negative`);
      return { kind: t.kind, mod: Math.min(a, 6) };
    case 'interval':
      // [fields, precision] of the grammar: a range of fields as a bit mask, 32767 = all.
      return { kind: 'interval', mod: (a & 0x7fff) * 65536 + (b === undefined ? 0xffff : Math.min(b, 6)) };
    case 'float4': case 'float8':
      return t;
    default:
      throw new SqlError('42601', `type modifier is not allowed for type "${typeInfo(t).name}"`);
  }
}

export function numericMod(precision: number, scale: number): number {
  return precision * 65536 + (scale & 0x7ff) + 4;
}

/** Precision and scale of numeric's typmod. */
export function numericPrecision(mod: number): { precision: number; scale: number } {
  const m = mod - 4;
  const raw = m & 0x7ff;
  return { precision: (m >> 16) & 0xffff, scale: (raw ^ 1024) - 1024 };
}

const INTERVAL_FIELDS: readonly (readonly [number, string])[] = [
  [4, 'year'], [2, 'month'], [8, 'day'], [1024, 'hour'], [2048, 'minute'], [4096, 'second'], [6, 'year to month'], [1032, 'day to hour'], [3080, 'day to minute'],
  [7176, 'day to second'], [3072, 'hour to minute'], [7168, 'hour to second'], [6144, 'minute to second'],
];

/** Precision and range mask of interval's typmod; range 0x7fff = all fields, precision null = full. */
export function intervalMod(mod: number): { range: number; precision: number | null } {
  const precision = mod & 0xffff;
  return { range: (mod >> 16) & 0x7fff, precision: precision === 0xffff ? null : precision };
}

export function intervalFields(range: number): string | null {
  return INTERVAL_FIELDS.find(([mask]) => mask === range)?.[1] ?? null;
}

/** format_type: 'numeric(10,2)', 'character varying(5)', 'timestamp(3) without time zone', 'integer[]'. */
export function formatType(t: SqlType): string {
  if (t.kind === 'array') return `${formatType(t.elem)}[]`;
  const name = typeInfo(t).sqlName;
  const mod = t.mod;
  if (mod === undefined || mod < 0) return name;
  switch (t.kind) {
    case 'numeric': {
      const { precision, scale } = numericPrecision(mod);
      return `numeric(${precision},${scale})`;
    }
    case 'varchar': case 'bpchar': return `${name}(${mod - 4})`;
    case 'time': return `time(${mod}) without time zone`;
    case 'timestamp': return `timestamp(${mod}) without time zone`;
    case 'timestamptz': return `timestamp(${mod}) with time zone`;
    case 'interval': {
      const { range, precision } = intervalMod(mod);
      const fields = intervalFields(range);
      return `interval${fields === null ? '' : ` ${fields}`}${precision === null ? '' : `(${precision})`}`;
    }
    default: return name;
  }
}
