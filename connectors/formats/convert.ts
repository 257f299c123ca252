/**
 * One value of a JSON record → a datum of a column's type: the exact, slow half of the decoders.
 *
 *   JSON            accepted by
 *   string          every type, read as the type's text form (as PostgreSQL reads a quoted literal); timestamps without zone are UTC
 *   number          integers (a fraction must be zero), floats, numeric, text (as written); with timestamp_format 'seconds', 'millis' or 'micros', timestamps
 *   true / false    boolean, text
 *   object          json, jsonb, text (as written)
 *   array           array types (element by element, nested ones as dimensions), json, jsonb, text (as written)
 *   null            NULL
 *
 * Anything else is a wrong type. Errors are thrown as BadValue, which the decoder turns into a bad record.
 */
import { SqlArray, stackArrays } from '../../types/array.js';
import { SqlError } from '../../types/error.js';
import { JsonObject, isArray } from '../../types/json.js';
import type { JsonNode } from '../../types/json.js';
import { Numeric } from '../../types/numeric.js';
import type { SqlType } from '../../types/sqltype.js';
import { parseDatum } from '../../types/textio.js';
import { formatType } from '../../types/typeinfo.js';
import { SAFE_MAX } from '../../types/value.js';
import type { Datum } from '../../types/value.js';

export type TimestampFormat = 'text' | 'seconds' | 'millis' | 'micros';

export class BadValue extends Error {}

/** Characters of a wrong value that a message shows. */
const SHOWN_MAX = 40;

function shown(text: string): string {
  return text.length > SHOWN_MAX ? `${text.slice(0, SHOWN_MAX)}…` : text;
}

const ZONE = { timeZone: 'UTC', nowUs: 0 } as const;

/** The type's text form, or BadValue naming what PostgreSQL says about it. */
export function fromText(type: SqlType, text: string): Datum {
  try {
    return parseDatum(type, text, ZONE);
  } catch (e) {
    if (e instanceof SqlError && e.code.startsWith('22')) throw new BadValue(`expected ${formatType(type)}, found "${shown(text)}" (${e.message})`);
    throw e;
  }
}

/** `raw` is the value's source text, its syntax already checked. */
export function fromJson(type: SqlType, raw: string, timestamps: TimestampFormat): Datum {
  const c = raw.charCodeAt(0);
  if (c === 110) return null;
  if (type.kind === 'json' || type.kind === 'jsonb') return jsonText(type, raw);
  if (c === 34) return fromText(type, parseString(raw));
  if (type.kind === 'text' || type.kind === 'varchar' || type.kind === 'bpchar' || type.kind === 'name' || type.kind === 'char') return fromText(type, raw);
  if (c === 116 || c === 102) {
    if (type.kind === 'bool') return c === 116;
    throw wrong(type, 'boolean', raw);
  }
  if (c === 123) throw wrong(type, 'object', raw);
  if (c === 91) {
    if (type.kind === 'array') return arrayOf(type.elem, parseDatumTree(raw), timestamps);
    throw wrong(type, 'array', raw);
  }
  return fromNumber(type, raw, timestamps);
}

function jsonText(type: SqlType, raw: string): Datum {
  try {
    return parseDatum(type, raw, ZONE);
  } catch (e) {
    if (e instanceof SqlError) throw new BadValue(`${e.message}${e.detail === undefined ? '' : `: ${e.detail}`}`);
    throw e;
  }
}

function wrong(type: SqlType, found: string, raw: string): BadValue {
  return new BadValue(`expected ${formatType(type)}, found ${found} ${shown(raw)}`);
}

const MICROS: Readonly<Record<TimestampFormat, number>> = { text: 0, seconds: 1_000_000, millis: 1000, micros: 1 };

function fromNumber(type: SqlType, raw: string, timestamps: TimestampFormat): Datum {
  switch (type.kind) {
    case 'int2': case 'int4': case 'int8': case 'oid': {
      if (/^-?\d+$/.test(raw)) return fromText(type, raw);
      const n = Numeric.parse(raw);
      const whole = integerText(n);
      if (whole === null) throw wrong(type, 'number', raw);
      return fromText(type, whole);
    }
    case 'float4': case 'float8': case 'numeric':
      return fromText(type, raw);
    case 'timestamp': case 'timestamptz': {
      if (timestamps === 'text') throw new BadValue(`expected ${formatType(type)} as text, found number ${shown(raw)} (see option timestamp_format)`);
      const us = Number(raw) * MICROS[timestamps];
      if (!Number.isFinite(us) || Math.abs(us) > SAFE_MAX) throw wrong(type, 'number', raw);
      return Math.round(us);
    }
    default:
      throw wrong(type, 'number', raw);
  }
}

/** Digits of an integral numeric (1e3, 5.0), or null. */
function integerText(n: Numeric): string | null {
  const text = n.toString();
  const m = /^(-?\d+)(?:\.0*)?$/.exec(text);
  return m === null ? null : m[1];
}

function parseDatumTree(raw: string): readonly JsonNode[] {
  const v = jsonText({ kind: 'jsonb' }, raw);
  const root = v !== null && typeof v === 'object' && 'root' in v ? v.root : null;
  return isArray(root) ? root : [];
}

function arrayOf(elem: SqlType, nodes: readonly JsonNode[], timestamps: TimestampFormat): SqlArray {
  if (nodes.length > 0 && nodes.every((n) => isArray(n)) && elem.kind !== 'json' && elem.kind !== 'jsonb') {
    try {
      return stackArrays(nodes.map((n) => arrayOf(elem, isArray(n) ? n : [], timestamps)));
    } catch (e) {
      if (e instanceof SqlError) throw new BadValue(e.message);
      throw e;
    }
  }
  return SqlArray.of(nodes.map((n) => fromNode(elem, n, timestamps)));
}

function fromNode(type: SqlType, n: JsonNode, timestamps: TimestampFormat): Datum {
  if (n === null) return null;
  if (typeof n === 'string' && type.kind !== 'json' && type.kind !== 'jsonb') return fromText(type, n);
  return fromJson(type, nodeText(n), timestamps);
}

function nodeText(n: JsonNode): string {
  if (n === null || typeof n === 'boolean') return String(n);
  if (n instanceof Numeric) return n.toString();
  if (typeof n === 'string') return JSON.stringify(n);
  if (n instanceof JsonObject) return `{${n.keys.map((k, i) => `${JSON.stringify(k)}: ${nodeText(n.values[i])}`).join(', ')}}`;
  return `[${n.map(nodeText).join(', ')}]`;
}

/** A JSON string literal, syntax already checked, as text. \u0000 has no place in PostgreSQL's text. */
export function parseString(raw: string): string {
  if (!raw.includes('\\')) return raw.slice(1, -1);
  // Raw control characters are let through by the decoders; JSON.parse wants them escaped.
  // eslint-disable-next-line no-control-regex
  const text: unknown = JSON.parse(raw.replace(/[\u0000-\u001f]/g, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`));
  if (typeof text !== 'string') throw new BadValue(`expected a string, found ${shown(raw)}`);
  if (/\p{Surrogate}/u.test(text)) throw new BadValue('a Unicode surrogate without its other half cannot be converted to text');
  if (text.includes('\u0000')) throw new BadValue('\\u0000 cannot be converted to text');
  return text;
}
