/**
 * Rows between batches and own functions: objects by column name with plain JavaScript values (runtime/functions/api.ts). What a function gives is checked
 * against the column's type as an assignment in SQL would be; errors are class 22 and name function and column.
 */
import { SqlError } from '../../types/error.js';
import type { Column, SqlType } from '../../types/sqltype.js';
import { applyTypmod, formatDatum, parseDatum } from '../../types/textio.js';
import { formatType } from '../../types/typeinfo.js';
import { SAFE_MAX, type Datum } from '../../types/value.js';
import type { Batch } from '../batch.js';
import type { BatchBuilder } from '../batchbuilder.js';
import { datumAt } from '../vectors.js';
import type { Field, Row, Value } from './api.js';

export const fieldsOf = (columns: readonly Column[]): Field[] => columns.map(c => ({ name: c.name, type: formatType(c.type) }));

/** Types whose datum is the value itself. */
function isPlain(type: SqlType): boolean {
  switch (type.kind) {
    case 'bool': case 'int2': case 'int4': case 'int8': case 'float4': case 'float8': case 'text': case 'varchar': case 'bpchar': case 'name': case 'char':
    case 'bytea': case 'uuid': case 'oid': case 'timestamp': case 'timestamptz': return true;
    default: return false;
  }
}

export function valueOf(type: SqlType, datum: Datum): Value {
  return datum === null ? null : isPlain(type) ? datum as Value : formatDatum(type, datum);
}

/** Makes rows of batches with these columns. */
export function rowReader(columns: readonly Column[]): (batch: Batch, i: number) => Row {
  const plain = columns.map(c => isPlain(c.type));
  return (batch, i) => {
    const row: Record<string, Value> = {};
    for (let c = 0; c < columns.length; c++) {
      const { name, type } = columns[c];
      const datum = datumAt(type, batch.columns[c], i);
      row[name] = plain[c] || datum === null ? datum as Value : formatDatum(type, datum);
    }
    return row;
  };
}

/** Appends rows that an own function gave. `what` names it in errors: 'function "f"'; `exact`: columns that are not known are an error. */
export function rowWriter(what: string, columns: readonly Column[], exact = true): (builder: BatchBuilder, row: Row, weight?: number) => void {
  const known = new Set(columns.map(c => c.name));
  return (builder, row, weight = 1) => {
    if (exact) for (const name of Object.keys(row)) {
      if (!known.has(name)) throw new SqlError('22023', `${what} gave a row with a column "${name}" that it has not`, { detail: `Its columns: ${[...known].join(', ')}.` });
    }
    // Converted first: a row that is refused must leave nothing in the builder.
    builder.appendDatums(columns.map(c => datumOf(what, c, row[c.name])), weight);
  };
}

function datumOf(what: string, { name, type }: Column, value: Value | undefined): Datum {
  if (value === null || value === undefined) return null;
  try {
    return applyTypmod(type, converted(type, value), false);
  } catch (e) {
    const code = e instanceof SqlError ? e.code : '22023';
    throw new SqlError(code, `${what}, column "${name}" of type ${formatType(type)}: ${e instanceof Error ? e.message : String(e)}`, { cause: e });
  }
}

const INTEGERS: Readonly<Record<string, number>> = { int2: 32767, int4: 2147483647, int8: Infinity, oid: 4294967295 };

function converted(type: SqlType, value: NonNullable<Value>): Datum {
  const wrong = (): never => { throw new SqlError('22P02', `a ${value instanceof Uint8Array ? 'Uint8Array' : typeof value} is no value of it: ${String(value)}`); };
  switch (type.kind) {
    case 'bool': return typeof value === 'boolean' ? value : wrong();
    case 'int2': case 'int4': case 'int8': case 'oid': {
      if (typeof value === 'string') return parseDatum(type, value);
      if (typeof value !== 'number' && typeof value !== 'bigint') return wrong();
      if (typeof value === 'number' && !Number.isInteger(value)) return wrong();
      const max = INTEGERS[type.kind];
      const low = type.kind === 'oid' ? 0 : -max - 1;
      if (value > max || value < low || (type.kind === 'int8' && (value > 9223372036854775807n || value < -9223372036854775808n))) throw new SqlError('22003', `${String(value)} is out of range`);
      return canonical(value);
    }
    case 'float4': return typeof value === 'number' ? Math.fround(value) : typeof value === 'string' ? parseDatum(type, value) : wrong();
    case 'float8': return typeof value === 'number' ? value : typeof value === 'string' ? parseDatum(type, value) : wrong();
    case 'timestamp': case 'timestamptz':
      if (typeof value === 'string') return parseDatum(type, value);
      if (typeof value === 'bigint') return canonical(value);
      return typeof value === 'number' && (Number.isInteger(value) || value === Infinity || value === -Infinity) ? value + 0 : wrong();
    case 'bytea': return value instanceof Uint8Array ? value : typeof value === 'string' ? parseDatum(type, value) : wrong();
    case 'text': case 'varchar': case 'bpchar': case 'name': case 'char':
      if (typeof value !== 'string') return wrong();
      if (value.includes('\0')) throw new SqlError('22021', 'text cannot hold a NUL character');
      return type.kind === 'text' ? value : parseDatum(type, value);
    default:
      if (value instanceof Uint8Array || typeof value === 'boolean') return wrong();
      return parseDatum(type, String(value));
  }
}

/** One form a number: a bigint only where a double cannot hold it. */
const canonical = (v: number | bigint): number | bigint => (typeof v === 'number' ? (Math.abs(v) <= SAFE_MAX ? v + 0 : BigInt(v)) : v >= -9007199254740992n && v <= 9007199254740992n ? Number(v) : v);
