/**
 * Accumulators that keep their inputs: a group table of entries ordered by a subkey, with counts, so that any input can be taken back.
 *
 *   min, max     subkey = order encoding of the value; the result is the first or last entry. Over append-only input only the best entry is kept.
 *   lists        string_agg, array_agg, json aggregates: subkey = ORDER BY keys, then what makes the order total (the whole input row; in a
 *                batch query the arrival number, as PostgreSQL would have it; the arguments under DISTINCT); payload = the arguments' row
 *   DISTINCT     subkey = equality encoding of the arguments; the aggregate behind it sees only the changes 0 → n (+1) and n → 0 (−1)
 *
 * Cost: one add to the group's tree per input row; lists are made anew once an epoch per touched group.
 */
import type { AggregateCall } from '../../types/plan.js';
import type { SqlType } from '../../types/sqltype.js';
import type { Datum } from '../../types/value.js';
import { SqlArray, accumulateArrays } from '../../types/array.js';
import { SqlError } from '../../types/error.js';
import { ByteReader } from '../../types/encoding/identity.js';
import type { OrderOptions } from '../../types/encoding/order.js';
import { RowCodec } from '../../types/encoding/row.js';
import { keyText, toJsonText, toNode } from '../../types/functions/json.js';
import { type JsonNode, Json, JsonObject } from '../../types/json.js';
import type { Batch } from '../batch.js';
import type { ColumnBuilder } from '../batchbuilder.js';
import type { EvalContext } from '../codegen/context.js';
import { type KeyBatch, type KeyEncoder, keyEncoder, type RowBytes, rowEncoder } from '../keys.js';
import type { GroupTable } from '../state/table.js';
import { isNullAt } from '../vectors.js';
import { type Selection, weightAt } from './fixed.js';

const EMPTY = new Uint8Array(0);

export interface GroupAccumulator {
  readonly table: GroupTable;
  /** `keys`: the group keys of the batch's rows. */
  update(batch: Batch, selection: Selection, keys: KeyBatch): void;
  /** Appends the result for the group of row i of `keys`. `direct`: the call's direct arguments. */
  emit(keys: KeyBatch, i: number, column: ColumnBuilder, row: number, direct: readonly Datum[]): void;
}

/** min and max of any ordered type. */
export class OrderedExtreme implements GroupAccumulator {
  readonly table: GroupTable;
  readonly #column: number;
  readonly #max: boolean;
  readonly #appendOnly: boolean;
  readonly #order: KeyEncoder;
  readonly #rows: (batch: Batch) => RowBytes;
  readonly #reader = new ByteReader(EMPTY);

  constructor(table: GroupTable, types: readonly SqlType[], column: number, max: boolean, appendOnly: boolean) {
    this.table = table;
    this.#column = column;
    this.#max = max;
    this.#appendOnly = appendOnly;
    this.#order = keyEncoder(types, [column], 'order');
    this.#rows = rowEncoder(types, [column]);
  }

  update(batch: Batch, s: Selection, keys: KeyBatch): void {
    const order = this.#order(batch);
    const bytes = this.#rows(batch);
    const v = batch.columns[this.#column];
    for (let k = 0; k < s.count; k++) {
      const i = s.rows[k];
      if (isNullAt(v, i)) continue;
      if (this.#appendOnly) {
        const against = this.#compareToBest(keys, i, order);
        if (against !== null) {
          if (this.#max ? against <= 0 : against >= 0) continue;
          this.table.clear(keys, i);
        }
      }
      this.table.add(keys, i, order.data, order.start[i], order.end[i], bytes.data, bytes.start[i], bytes.end[i], weightAt(s, i));
    }
  }

  /** Sign of (row's value − best so far), or null in an empty group. */
  #compareToBest(keys: KeyBatch, i: number, order: KeyBatch): number | null {
    let sign: number | null = null;
    this.table.visit(keys, i, false, (data, subStart, subEnd) => {
      sign = Buffer.compare(order.data.subarray(order.start[i], order.end[i]), data.subarray(subStart, subEnd));
      return false;
    });
    return sign;
  }

  emit(keys: KeyBatch, i: number, column: ColumnBuilder, row: number): void {
    let found = false;
    this.table.visit(keys, i, this.#max, (data, _subStart, _subEnd, payStart, _payEnd, count) => {
      if (count <= 0) return true;
      // One column's row: a byte of NULL bitmap, then the value.
      this.#reader.reset(data, payStart + 1);
      column.appendStored(row, this.#reader);
      found = true;
      return false;
    });
    if (!found) column.appendNull(row);
  }
}

export type Finish = (rows: readonly (readonly Datum[])[]) => Datum;

/** Aggregates over the list of their inputs. */
export class ListAccumulator implements GroupAccumulator {
  readonly table: GroupTable;
  readonly #skipNull: number | null;
  readonly #order: KeyEncoder;
  readonly #rows: (batch: Batch) => RowBytes;
  readonly #codec: RowCodec;
  readonly #finish: Finish;
  readonly #arrival: boolean;
  #arrived = 0;
  #subkey = new Uint8Array(256);

  constructor(table: GroupTable, types: readonly SqlType[], call: AggregateCall, batchMode: boolean, finish: Finish, skipNull: number | null) {
    this.table = table;
    this.#skipNull = skipNull;
    this.#finish = finish;
    this.#arrival = batchMode && !call.distinct;
    const options: OrderOptions[] = call.orderBy.map((k) => ({ descending: k.descending, nullsFirst: k.nullsFirst }));
    const ties = this.#arrival ? [] : call.distinct ? call.args : types.map((_, c) => c);
    this.#order = keyEncoder(types, [...call.orderBy.map((k) => k.column), ...ties], 'order', options);
    this.#rows = rowEncoder(types, call.args);
    this.#codec = new RowCodec(call.args.map((c) => types[c]));
  }

  update(batch: Batch, s: Selection, keys: KeyBatch): void {
    const order = this.#order(batch);
    const bytes = this.#rows(batch);
    const skip = this.#skipNull === null ? null : batch.columns[this.#skipNull];
    for (let k = 0; k < s.count; k++) {
      const i = s.rows[k];
      if (skip !== null && isNullAt(skip, i)) continue;
      if (this.#arrival) {
        const end = this.#numbered(order, i);
        this.table.add(keys, i, this.#subkey, 0, end, bytes.data, bytes.start[i], bytes.end[i], weightAt(s, i));
      } else {
        this.table.add(keys, i, order.data, order.start[i], order.end[i], bytes.data, bytes.start[i], bytes.end[i], weightAt(s, i));
      }
    }
  }

  /** The row's order key followed by its arrival number; gives the length. */
  #numbered(order: KeyBatch, i: number): number {
    const length = order.end[i] - order.start[i];
    if (this.#subkey.length < length + 8) this.#subkey = new Uint8Array((length + 8) * 2);
    this.#subkey.set(order.data.subarray(order.start[i], order.end[i]));
    let n = this.#arrived++;
    for (let b = 7; b >= 0; b--) { this.#subkey[length + b] = n % 256; n = Math.floor(n / 256); }
    return length + 8;
  }

  emit(keys: KeyBatch, i: number, column: ColumnBuilder, row: number): void {
    const rows: Datum[][] = [];
    this.table.visit(keys, i, false, (data, _subStart, _subEnd, payStart, payEnd, count) => {
      for (let n = 0; n < count; n++) rows.push(this.#codec.decode(data, payStart, payEnd));
      return true;
    });
    if (rows.length === 0) column.appendNull(row);
    else column.appendDatum(row, this.#finish(rows));
  }
}

/** Turns the rows of a DISTINCT aggregate into changes of its set of values. */
export class DistinctSet {
  readonly table: GroupTable;
  readonly args: readonly number[];
  readonly #values: KeyEncoder;
  #rows = new Int32Array(0);
  #weights = new Int32Array(0);

  constructor(table: GroupTable, types: readonly SqlType[], args: readonly number[]) {
    this.table = table;
    this.args = args;
    this.#values = keyEncoder(types, args);
  }

  /** The selection of rows that bring a value in (+1) or take its last one away (−1). Valid until the next call. */
  changes(batch: Batch, s: Selection, keys: KeyBatch): Selection {
    if (this.#rows.length < batch.length) { this.#rows = new Int32Array(batch.length); this.#weights = new Int32Array(batch.length); }
    const values = this.#values(batch);
    let count = 0;
    for (let k = 0; k < s.count; k++) {
      const i = s.rows[k];
      const w = weightAt(s, i);
      if (w === 0) continue;
      const now = this.table.add(keys, i, values.data, values.start[i], values.end[i], EMPTY, 0, 0, w);
      // Counts may pass through negative values: a value is there while its count is above 0.
      const change = (now > 0 ? 1 : 0) - (now - w > 0 ? 1 : 0);
      if (change === 0) continue;
      this.#rows[count++] = i;
      this.#weights[i] = change;
    }
    return { rows: this.#rows, count, weights: this.#weights };
  }
}

/** What makes the result of a list aggregate from its rows (arguments, in order). `name` is the aggregate's, `argTypes` its arguments'. */
export function listFinish(name: string, argTypes: readonly SqlType[], context: EvalContext): Finish | null {
  switch (name) {
    case 'string_agg': return argTypes[0].kind === 'bytea' ? joinBytes : joinText;
    case 'array_agg': return argTypes[0].kind === 'array' ? (rows) => accumulateArrays(rows.map((r) => (r[0] instanceof SqlArray ? r[0] : null))) : (rows) => SqlArray.of(rows.map((r) => r[0]));
    case 'json_agg': return (rows) => Json.trusted(`[${rows.map((r) => (r[0] === null ? 'null' : toJsonText(argTypes[0], r[0], context))).join(', ')}]`, false);
    case 'jsonb_agg': return (rows) => Json.ofNode(rows.map((r) => (r[0] === null ? null : toNode(argTypes[0], r[0], context))));
    case 'json_object_agg': return (rows) => Json.trusted(`{ ${rows.map((r) => `${jsonKey(argTypes[0], r[0], context)} : ${r[1] === null ? 'null' : toJsonText(argTypes[1], r[1], context)}`).join(', ')} }`, false);
    case 'jsonb_object_agg': return (rows) => {
      const members = new Map<string, JsonNode>();
      for (const r of rows) members.set(keyText(argTypes[0], notNull(r[0]), context, null), r[1] === null ? null : toNode(argTypes[1], r[1], context));
      return Json.ofNode(JsonObject.canonical([...members.keys()], [...members.values()]));
    };
    default: return null;
  }
}

function notNull(v: Datum): Datum {
  if (v === null) throw new SqlError('22023', 'field name must not be null');
  return v;
}

function jsonKey(type: SqlType, v: Datum, context: EvalContext): string { return JSON.stringify(keyText(type, notNull(v), context, null)); }

function joinText(rows: readonly (readonly Datum[])[]): Datum {
  let text = '';
  for (let k = 0; k < rows.length; k++) text += (k === 0 || rows[k][1] === null ? '' : String(rows[k][1])) + String(rows[k][0]);
  return text;
}

function joinBytes(rows: readonly (readonly Datum[])[]): Datum {
  const parts: Uint8Array[] = [];
  rows.forEach((r, k) => {
    if (k > 0 && r[1] instanceof Uint8Array) parts.push(r[1]);
    if (r[0] instanceof Uint8Array) parts.push(r[0]);
  });
  return new Uint8Array(Buffer.concat(parts));
}
