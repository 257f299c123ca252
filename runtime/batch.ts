/**
 * Batch: some rows in columns, each row with an integer weight (+n insert, −n delete). The unit that operators, channels,
 * decoders and clients exchange.
 *
 * A vector's form is chosen per batch, not per type; readers specialise on it (runtime/codegen) or call datumAt.
 *
 *   form    layout                                   types
 *   f64     Float64Array                             int2 int4 int8 float4 float8 oid reg* date time timestamp timestamptz
 *   i64     BigInt64Array                            int8, timestamps: only for a batch with a value beyond ±2^53
 *   bool    Uint8Array of 0/1                        bool
 *   bytes   data + start/end spans (not contiguous)  text varchar bpchar name char uuid json (UTF-8), bytea (raw)
 *   dec     Float64Array unscaled + one scale        numeric, while every |unscaled| <= 2^53; value = unscaled / 10^scale
 *   datum   array of Datum (null = NULL, no map)     every type; always for interval, jsonb, array; numeric beyond dec
 *
 * `nulls` has one byte a row (1 = NULL); null = no NULL in the vector. A NULL row's value bytes are unspecified.
 * A `bytes` vector's `data` may be shared by several vectors and batches (the input block of a decoder) and is immutable.
 * Batches are immutable once emitted; an operator may keep a reference until the epoch ends, but not change it.
 */
import type { Datum } from '../types/value.js';

export type NullMap = Uint8Array | null;

export interface F64Vector { readonly form: 'f64'; readonly values: Float64Array; readonly nulls: NullMap }
export interface I64Vector { readonly form: 'i64'; readonly values: BigInt64Array; readonly nulls: NullMap }
export interface BoolVector { readonly form: 'bool'; readonly values: Uint8Array; readonly nulls: NullMap }
/** `ascii`: every value is known to be ASCII (bytes = characters); absent = not known. */
export interface BytesVector { readonly form: 'bytes'; readonly data: Uint8Array; readonly start: Int32Array; readonly end: Int32Array; readonly nulls: NullMap; readonly ascii?: true }
export interface DecVector { readonly form: 'dec'; readonly values: Float64Array; readonly scale: number; readonly nulls: NullMap }
export interface DatumVector { readonly form: 'datum'; readonly values: readonly Datum[]; readonly nulls: null }
export type Vector = F64Vector | I64Vector | BoolVector | BytesVector | DecVector | DatumVector;

export interface Batch {
  readonly length: number;
  readonly columns: readonly Vector[];
  /** null = every weight is +1. Arrays may be longer than `length`. */
  readonly weights: Int32Array | null;
}

/** Named limit: rows a source or an operator puts into one batch. */
export const BATCH_ROWS_MAX = 4096;
