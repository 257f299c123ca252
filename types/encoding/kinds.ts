/** How a type's values are laid out by the encodings: the classes that types fall into. */
import type { SqlType, TypeKind } from '../sqltype.js';

/**
 * number: doubles (integers up to 2^53, floats); big: doubles, or bigints beyond 2^53 (int8, timestamps); bool; bytes: UTF-8 text or raw bytes;
 * other: numeric, interval, json, array, each with its own form.
 */
export type Layout = 'number' | 'big' | 'float' | 'bool' | 'bytes' | 'numeric' | 'interval' | 'json' | 'array';

export function layoutOf(type: SqlType): Layout { return LAYOUT[type.kind]; }

const LAYOUT: Readonly<Record<TypeKind, Layout>> = {
  bool: 'bool', int2: 'number', int4: 'number', int8: 'big', float4: 'float', float8: 'float', numeric: 'numeric', text: 'bytes', varchar: 'bytes', bpchar: 'bytes', name: 'bytes', char: 'bytes',
  bytea: 'bytes', date: 'number', time: 'number', timestamp: 'big', timestamptz: 'big', interval: 'interval', json: 'json', jsonb: 'json', uuid: 'bytes', oid: 'number', regclass: 'number',
  regtype: 'number', regproc: 'number', regnamespace: 'number', regrole: 'number', record: 'bytes', void: 'bytes', unknown: 'bytes', array: 'array',
};
