/**
 * SQL types as plain data, so that plans can be stored and sent between threads.
 *
 * `mod` is Postgres' typmod of the type (numeric precision and scale, varchar length, time precision),
 * or absent when the type has none. An array type has kind 'array' and its element type in `elem`.
 * Facts about each kind (oid, name, category, length) stand in the one table `typeInfo` of types/typeinfo.ts.
 */
export type ScalarKind =
  | 'bool' | 'int2' | 'int4' | 'int8' | 'float4' | 'float8' | 'numeric'
  | 'text' | 'varchar' | 'bpchar' | 'name' | 'char' | 'bytea'
  | 'date' | 'time' | 'timestamp' | 'timestamptz' | 'interval'
  | 'json' | 'jsonb' | 'uuid'
  | 'oid' | 'regclass' | 'regtype' | 'regproc' | 'regnamespace' | 'regrole'
  | 'record' | 'void' | 'unknown';

export type SqlType =
  | { readonly kind: ScalarKind; readonly mod?: number }
  | { readonly kind: 'array'; readonly elem: SqlType };

export type TypeKind = SqlType['kind'];

/** A named, typed column of a relation or of a batch's schema. */
export interface Column {
  readonly name: string;
  readonly type: SqlType;
}

export const BOOL: SqlType = { kind: 'bool' };
export const INT2: SqlType = { kind: 'int2' };
export const INT4: SqlType = { kind: 'int4' };
export const INT8: SqlType = { kind: 'int8' };
export const FLOAT4: SqlType = { kind: 'float4' };
export const FLOAT8: SqlType = { kind: 'float8' };
export const NUMERIC: SqlType = { kind: 'numeric' };
export const TEXT: SqlType = { kind: 'text' };
export const VARCHAR: SqlType = { kind: 'varchar' };
export const BPCHAR: SqlType = { kind: 'bpchar' };
export const NAME: SqlType = { kind: 'name' };
export const BYTEA: SqlType = { kind: 'bytea' };
export const DATE: SqlType = { kind: 'date' };
export const TIME: SqlType = { kind: 'time' };
export const TIMESTAMP: SqlType = { kind: 'timestamp' };
export const TIMESTAMPTZ: SqlType = { kind: 'timestamptz' };
export const INTERVAL: SqlType = { kind: 'interval' };
export const JSON_T: SqlType = { kind: 'json' };
export const JSONB: SqlType = { kind: 'jsonb' };
export const UUID: SqlType = { kind: 'uuid' };
export const OID: SqlType = { kind: 'oid' };
export const REGCLASS: SqlType = { kind: 'regclass' };
export const VOID: SqlType = { kind: 'void' };
export const RECORD: SqlType = { kind: 'record' };
export const UNKNOWN: SqlType = { kind: 'unknown' };
export const arrayOf = (elem: SqlType): SqlType => ({ kind: 'array', elem });

/** Same type, ignoring typmod. */
export function sameType(a: SqlType, b: SqlType): boolean {
  if (a.kind === 'array') return b.kind === 'array' && sameType(a.elem, b.elem);
  return a.kind === b.kind;
}
