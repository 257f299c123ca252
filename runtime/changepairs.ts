/**
 * Changes of results: −old and +new of a key, next to each other. What operators that give one result a key say at a barrier.
 * Rows are compared column by column, in loops over typed arrays.
 */
import type { SqlType } from '../types/sqltype.js';
import { copyBytes } from '../types/encoding/bytes.js';
import type { Batch, BytesVector, NullMap, Vector } from './batch.js';
import { BatchBuilder } from './batchbuilder.js';
import { valuesEqual } from './rowsequal.js';
import { gather } from './vectors.js';

/**
 * Of n results: row oldRow[k] of `old` was, row newRow[k] of `now` is (−1 = none). Gives −old, +new of each that differs, in order; null when none does.
 * The rows of `now` stand there once each and in order: when nothing was before, they are the changes. The first `keys` columns are the same in both.
 */
export function changePairs(types: readonly SqlType[], old: Batch, oldRow: Int32Array, now: Batch, newRow: Int32Array, n: number, keys: number): Batch | null {
  const differs = new Uint8Array(n);
  let fresh = true;
  for (let k = 0; k < n; k++) {
    if (oldRow[k] < 0 || newRow[k] < 0) differs[k] = 1;
    if (oldRow[k] >= 0) fresh = false;
  }
  if (!fresh) for (let c = keys; c < types.length; c++) markDifferent(types[c], old.columns[c], oldRow, now.columns[c], newRow, n, differs);
  const picks = new Int32Array(2 * n);
  const weights = new Int32Array(2 * n);
  let count = 0;
  for (let k = 0; k < n; k++) {
    if (differs[k] === 0) continue;
    if (oldRow[k] >= 0) { picks[count] = oldRow[k]; weights[count++] = -1; }
    if (newRow[k] >= 0) { picks[count] = ~newRow[k]; weights[count++] = 1; }
  }
  if (count === 0) return null;
  if (!fresh) return gatherOfTwo(types, old, now, picks, weights, count);
  if (count === now.length) return now;
  for (let i = 0; i < count; i++) picks[i] = ~picks[i];
  return gather(now, picks, count);
}

/** A batch of changes in pairs, without those of equal rows. */
export function withoutEqualPairs(types: readonly SqlType[], batch: Batch): Batch {
  const { weights, length } = batch;
  if (weights === null) return batch;
  const first = new Int32Array(length >> 1);
  const second = new Int32Array(length >> 1);
  let n = 0;
  for (let i = 1; i < length; i++) if (weights[i - 1] < 0 && weights[i] > 0) { first[n] = i - 1; second[n++] = i; }
  const differs = new Uint8Array(n);
  for (let c = 0; c < types.length; c++) markDifferent(types[c], batch.columns[c], first, batch.columns[c], second, n, differs);
  const rows = new Int32Array(length);
  let count = 0;
  for (let i = 0, k = 0; i < length; i++) {
    if (k < n && first[k] === i && differs[k++] === 0) i++;
    else rows[count++] = i;
  }
  return count === length ? batch : gather(batch, rows, count);
}

/** Sets differs[k] where a's row rowA[k] and b's row rowB[k] are not the same; where it is set already they are not looked at. */
function markDifferent(type: SqlType, a: Vector, rowA: Int32Array, b: Vector, rowB: Int32Array, n: number, differs: Uint8Array): void {
  if (a.form === 'f64' && b.form === 'f64' && a.nulls === null && b.nulls === null) {
    const x = a.values;
    const y = b.values;
    for (let k = 0; k < n; k++) if (differs[k] === 0 && !Object.is(x[rowA[k]], y[rowB[k]])) differs[k] = 1;
  } else for (let k = 0; k < n; k++) if (differs[k] === 0 && !valuesEqual(type, a, rowA[k], b, rowB[k])) differs[k] = 1;
}

/** Rows of two batches as one: a pick from 0 is a row of `a`, below 0 row ~pick of `b`. */
function gatherOfTwo(types: readonly SqlType[], a: Batch, b: Batch, picks: Int32Array, weights: Int32Array, count: number): Batch {
  const columns: Vector[] = [];
  for (let c = 0; c < types.length; c++) {
    const v = pickColumn(a.columns[c], b.columns[c], picks, count);
    if (v === null) return appendOfTwo(types, a, b, picks, weights, count);
    columns.push(v);
  }
  return { length: count, columns, weights: weights.subarray(0, count) };
}

/** null: the two have it in different forms. */
function pickColumn(a: Vector, b: Vector, picks: Int32Array, count: number): Vector | null {
  if (a.form === 'f64' && b.form === 'f64') return { form: 'f64', values: pickDoubles(a.values, b.values, picks, count), nulls: pickNulls(a.nulls, b.nulls, picks, count) };
  if (a.form === 'dec' && b.form === 'dec' && a.scale === b.scale) return { form: 'dec', scale: a.scale, values: pickDoubles(a.values, b.values, picks, count), nulls: pickNulls(a.nulls, b.nulls, picks, count) };
  if (a.form === 'bytes' && b.form === 'bytes') return pickBytes(a, b, picks, count);
  return null;
}

function pickDoubles(a: Float64Array, b: Float64Array, picks: Int32Array, count: number): Float64Array {
  const out = new Float64Array(count);
  for (let i = 0; i < count; i++) { const p = picks[i]; out[i] = p >= 0 ? a[p] : b[~p]; }
  return out;
}

function pickNulls(a: NullMap, b: NullMap, picks: Int32Array, count: number): NullMap {
  if (a === null && b === null) return null;
  const out = new Uint8Array(count);
  for (let i = 0; i < count; i++) { const p = picks[i]; out[i] = p >= 0 ? (a === null ? 0 : a[p]) : b === null ? 0 : b[~p]; }
  return out;
}

function pickBytes(a: BytesVector, b: BytesVector, picks: Int32Array, count: number): BytesVector {
  const start = new Int32Array(count);
  const end = new Int32Array(count);
  let bytes = 0;
  const nulls = pickNulls(a.nulls, b.nulls, picks, count);
  for (let i = 0; i < count; i++) { const p = picks[i]; if (nulls === null || nulls[i] === 0) bytes += p >= 0 ? a.end[p] - a.start[p] : b.end[~p] - b.start[~p]; }
  const data = new Uint8Array(bytes);
  for (let i = 0, at = 0; i < count; i++) {
    if (nulls !== null && nulls[i] === 1) continue;
    const p = picks[i];
    const from = p >= 0 ? a : b;
    const r = p >= 0 ? p : ~p;
    copyBytes(from.data, from.start[r], from.end[r], data, at);
    start[i] = at;
    at += from.end[r] - from.start[r];
    end[i] = at;
  }
  return { form: 'bytes', data, start, end, nulls };
}

function appendOfTwo(types: readonly SqlType[], a: Batch, b: Batch, picks: Int32Array, weights: Int32Array, count: number): Batch {
  const builder = new BatchBuilder(types);
  for (let i = 0; i < count; i++) {
    const p = picks[i];
    if (p >= 0) builder.appendRow(a, p, weights[i]);
    else builder.appendRow(b, ~p, weights[i]);
  }
  return builder.finish();
}
