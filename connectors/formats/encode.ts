/**
 * Rows → text lines for sinks and the log.
 *
 *   json  one object a line, keys in column order, values as PostgreSQL's row_to_json writes them: numbers unquoted (NaN and infinities
 *         quoted), timestamps in ISO 8601 with 'T', arrays as arrays, json and jsonb as they are, bytea and the rest as text
 *   csv   RFC 4180, values in their text form; NULL is null_text, and a value equal to it is quoted
 *
 * A changelog (rows with weights) is written with a leading field or column `op`: 'insert', 'delete', and for an update, whose old and new row
 * stand next to each other with equal key, 'update_before', 'update_after'. A weight of n is n lines.
 */
import type { Batch } from '../../runtime/batch.js';
import { datumAt } from '../../runtime/vectors.js';
import { SqlArray } from '../../types/array.js';
import { Json, quoteJson } from '../../types/json.js';
import { Numeric } from '../../types/numeric.js';
import type { Column, SqlType } from '../../types/sqltype.js';
import { formatDatum } from '../../types/textio.js';
import type { Datum } from '../../types/value.js';

export type RowOp = 'insert' | 'delete' | 'update_before' | 'update_after';

/** Text of rows, without the line end. */
export interface RowEncoder {
  /** Line before all rows (csv's header), or null. */
  readonly header: string | null;
  encode(batch: Batch, row: number, op: RowOp | null): string;
}

export function jsonValue(type: SqlType, v: Datum): string {
  if (v === null) return 'null';
  switch (type.kind) {
    case 'bool': return v === true ? 'true' : 'false';
    case 'int2': case 'int4': case 'int8': case 'oid': return String(v);
    case 'float4': case 'float8': {
      const text = formatDatum(type, v);
      return typeof v === 'number' && Number.isFinite(v) ? text : `"${text}"`;
    }
    case 'numeric': return v instanceof Numeric && v.kind === 'finite' ? v.toString() : quoteJson(formatDatum(type, v));
    case 'json': case 'jsonb': return v instanceof Json ? v.toString() : quoteJson(String(v));
    case 'timestamp': return quoteJson(formatDatum(type, v).replace(' ', 'T'));
    case 'timestamptz': return quoteJson(formatDatum(type, v).replace(' ', 'T').replace(/([+-]\d\d)$/, '$1:00'));
    case 'array': return v instanceof SqlArray ? arrayText(type.elem, v, 0, 0, v.elems.length) : 'null';
    default: return quoteJson(formatDatum(type, v));
  }
}

function arrayText(elem: SqlType, a: SqlArray, dim: number, from: number, to: number): string {
  const parts: string[] = [];
  if (dim >= a.dims.length - 1) for (let i = from; i < to; i++) parts.push(jsonValue(elem, a.elems[i]));
  else {
    const step = (to - from) / a.dims[dim];
    for (let i = 0; i < a.dims[dim]; i++) parts.push(arrayText(elem, a, dim + 1, from + i * step, from + (i + 1) * step));
  }
  return `[${parts.join(',')}]`;
}

export function jsonEncoder(columns: readonly Column[]): RowEncoder {
  const keys = columns.map((c, i) => `${i > 0 ? ',' : ''}${quoteJson(c.name)}:`);
  return {
    header: null,
    encode(batch, row, op): string {
      let line = op === null ? '{' : `{"op":"${op}"${columns.length > 0 ? ',' : ''}`;
      for (let c = 0; c < columns.length; c++) line += keys[c] + jsonValue(columns[c].type, datumAt(columns[c].type, batch.columns[c], row));
      return `${line}}`;
    },
  };
}

export interface CsvEncodeOptions { readonly delimiter: string; readonly nullText: string; readonly header: boolean; readonly changelog: boolean }

export function csvEncoder(columns: readonly Column[], options: CsvEncodeOptions): RowEncoder {
  const special = new RegExp(`["\\r\\n${options.delimiter.replace(/[\\\]^-]/g, '\\$&')}]`);
  const quoted = (s: string): string => (special.test(s) || s === options.nullText ? `"${s.replaceAll('"', '""')}"` : s);
  return {
    header: options.header ? [...(options.changelog ? ['op'] : []), ...columns.map((c) => quoted(c.name))].join(options.delimiter) : null,
    encode(batch, row, op): string {
      const cells = columns.map((c, i) => {
        const v = datumAt(c.type, batch.columns[i], row);
        return v === null ? options.nullText : quoted(formatDatum(c.type, v));
      });
      return (op === null ? cells : [op, ...cells]).join(options.delimiter);
    },
  };
}

/**
 * Each line to write of a consolidated batch, in order, with its op. `key` (stream key columns) tells an update: a deletion
 * directly followed by an insertion of the same key.
 */
export function eachChange(columns: readonly Column[], batch: Batch, key: readonly number[] | null, visit: (row: number, op: RowOp) => void): void {
  const w = batch.weights;
  for (let i = 0; i < batch.length; i++) {
    const weight = w === null ? 1 : w[i];
    if (weight === -1 && w !== null && i + 1 < batch.length && w[i + 1] === 1 && key !== null && sameKey(columns, batch, key, i, i + 1)) {
      visit(i, 'update_before');
      visit(i + 1, 'update_after');
      i++;
      continue;
    }
    for (let k = Math.abs(weight); k > 0; k--) visit(i, weight < 0 ? 'delete' : 'insert');
  }
}

function sameKey(columns: readonly Column[], batch: Batch, key: readonly number[], a: number, b: number): boolean {
  for (const c of key) {
    const type = columns[c].type;
    const x = datumAt(type, batch.columns[c], a);
    const y = datumAt(type, batch.columns[c], b);
    if (x === null || y === null ? x !== y : formatDatum(type, x) !== formatDatum(type, y)) return false;
  }
  return true;
}
