/**
 * Datum: one SQL value as a JavaScript value. The one canonical form of each type:
 *
 *   bool                    boolean
 *   int2 int4 oid reg*      number
 *   int8                    number when |v| <= 2^53, else bigint (never a bigint within that range)
 *   float4 float8           number (float4 already rounded by Math.fround)
 *   numeric                 Numeric (types/numeric.ts)
 *   text varchar bpchar name char unknown   string (bpchar padded to its length as Postgres stores it)
 *   bytea                   Uint8Array
 *   date                    number: days since 1970-01-01, ±Infinity
 *   time                    number: microseconds since midnight
 *   timestamp timestamptz   microseconds since 1970-01-01 UTC as number when |v| <= 2^53, else bigint; ±Infinity
 *   interval                Interval (types/interval.ts)
 *   json jsonb              Json (types/json.ts)
 *   uuid                    string, canonical lower case
 *   array                   SqlArray (types/array.ts)
 *   SQL NULL                null
 *
 * These never cross a thread as objects: batches carry them in vectors, plans carry literals as text.
 */
import type { Numeric } from './numeric.js';
import type { Interval } from './interval.js';
import type { Json } from './json.js';
import type { SqlArray } from './array.js';

export type Datum = null | boolean | number | bigint | string | Uint8Array | Numeric | Interval | Json | SqlArray;

/** Largest magnitude up to which an int8 or a timestamp is a JavaScript number. */
export const SAFE_MAX = 9007199254740992;
