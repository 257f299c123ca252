/** Random datums of every type for property tests: many equal and near values, NULLs, extremes. */
import { SqlArray } from '../array.js';
import { Interval } from '../interval.js';
import { Json } from '../json.js';
import { Numeric } from '../numeric.js';
import type { SqlType } from '../sqltype.js';
import type { Datum } from '../value.js';

export type Random = (n: number) => number;

/** A seeded generator of integers in [0, n): mulberry32. */
export function seeded(seed: number): Random {
  let a = seed | 0;
  return (n) => {
    a = (a + 0x6d2b79f5) | 0;
    let t = Math.imul(a ^ (a >>> 15), 1 | a);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return Math.floor((((t ^ (t >>> 14)) >>> 0) / 4294967296) * n);
  };
}

const SAFE = 9007199254740992;
const INT8: readonly (number | bigint)[] = [0, 1, -1, 2, 7, -7, 255, 256, -256, 63, 64, -64, -65, 8191, 8192, -8192, 1048575, 1048576, 134217727, 134217728, 1073741823, -1073741823, 1073741824, -1073741824, 2147483647, -2147483648, 4294967296, -4294967297, SAFE, -SAFE, 9007199254740993n, -9007199254740993n, 9223372036854775807n, -9223372036854775808n];
const TIMES: readonly (number | bigint)[] = [0, 1, -1, 1.6e15, 1600000000000001, -86400000000, SAFE, 9007199254740993n, -9007199254740994n, Infinity, -Infinity];
const FLOATS: readonly number[] = [0, -0, 1, -1, 0.5, -0.5, 1e300, -1e300, 5e-324, -5e-324, NaN, Infinity, -Infinity, 3.25, 1.5];
const STRINGS: readonly string[] = ['', 'a', 'b', 'ab', 'a ', 'a\u0001', 'A', 'é', '日本', '\u{1F600}', '\uffee', 'a longer text that is past the length of the short paths of the encoders', '0', 'null', 'zz'];
const NUMERICS: readonly string[] = ['0', '0.0', '0.00', '1', '1.0', '1.00', '-1', '-1.0', '10', '100', '0.1', '0.01', '0.010', '-0.1', '12.34', '12.340', '99999999999999999999', '-99999999999999999999.5', '9007199254740993', '1e100', '-1e-50', 'NaN', 'Infinity', '-Infinity'];
const INTERVALS: readonly (readonly [number, number, number])[] = [[0, 0, 0], [1, 0, 0], [0, 30, 0], [0, 0, 2592000000000], [0, 1, 0], [0, 0, 86400000000], [-1, 30, 0], [12, 0, 0], [0, -1, 1], [0, 0, -86399999999], [2147483647, 2147483647, 0], [-2147483648, 0, -1]];
const JSONS: readonly string[] = ['null', 'true', 'false', '1', '1.0', '1.00', '-3', '"a"', '"b"', '""', '[]', '[1]', '[1.0]', '[1,2]', '["a",null]', '{}', '{"a":1}', '{"a":1.0}', '{"b":1}', '{"a":1,"b":[true]}', '[[]]', '[{}]', '2', '[0]', '"é"'];

const pick = <T>(r: Random, all: readonly T[]): T => all[r(all.length)];

export function randomDatum(t: SqlType, r: Random): Exclude<Datum, null> {
  switch (t.kind) {
    case 'bool': return r(2) === 1;
    case 'int2': return pick(r, [0, 1, -1, 7, -7, 100, 32767, -32768]);
    case 'int4': return pick(r, [0, 1, -1, 7, -7, 46341, 2147483647, -2147483648]);
    case 'int8': return pick(r, INT8);
    case 'oid': case 'regclass': return pick(r, [0, 1, 16384, 2147483648, 4294967295]);
    case 'float4': return Math.fround(pick(r, FLOATS));
    case 'float8': return pick(r, FLOATS);
    case 'numeric': return Numeric.parse(pick(r, NUMERICS));
    case 'bpchar': return pick(r, ['a', 'a ', 'a  ', '', '  ', 'b', 'é ', 'ab']);
    case 'bytea': return Uint8Array.from(pick(r, [[], [0], [0, 0], [255], [0, 255], [1, 2, 3], [0, 1], [97]]));
    case 'date': return pick(r, [0, 1, -1, 18000, -719162, 2932896, Infinity, -Infinity]);
    case 'time': return pick(r, [0, 1, 86400000000, 43200000001]);
    case 'timestamp': case 'timestamptz': return pick(r, TIMES);
    case 'interval': { const [m, d, us] = pick(r, INTERVALS); return new Interval(m, d, us); }
    case 'json': return Json.json(pick(r, JSONS));
    case 'jsonb': return Json.jsonb(pick(r, JSONS));
    case 'uuid': return pick(r, ['00000000-0000-0000-0000-000000000000', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a12']);
    case 'array': {
      const { elem } = t;
      const elems = Array.from({ length: r(4) }, () => maybeNull(elem, r));
      if (elems.length === 0) return SqlArray.EMPTY;
      if (elems.length === 2 && r(3) === 0) return new SqlArray(elems, [2, 1], [1, 1]);
      return r(5) === 0 ? new SqlArray(elems, [elems.length], [0]) : SqlArray.of(elems);
    }
    default: return pick(r, STRINGS);
  }
}

export function maybeNull(t: SqlType, r: Random): Datum {
  return r(6) === 0 ? null : randomDatum(t, r);
}
