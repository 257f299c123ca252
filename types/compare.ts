/**
 * Order and equality of datums: PostgreSQL's btree order of each type under C collation. NaN equals itself and is larger than
 * every number; −0 = 0; bpchar ignores trailing blanks; arrays compare element by element, then by dimensions. Neither side is NULL
 * (inside arrays NULL sorts last and equals NULL).
 */
import { SqlArray } from './array.js';
import { unsupported } from './error.js';
import { Interval } from './interval.js';
import { Json } from './json.js';
import { Numeric } from './numeric.js';
import type { SqlType } from './sqltype.js';
import { compareStrings } from './strings.js';
import { formatType } from './typeinfo.js';
import type { Datum } from './value.js';

export type Comparator = (a: Datum, b: Datum) => number;

function bug(): never {
  throw new Error('internal error: datum is not of its type');
}

/** Numbers, bigints and mixtures; NaN last. */
export function compareNumbers(a: Datum, b: Datum): number {
  if ((typeof a !== 'number' && typeof a !== 'bigint') || (typeof b !== 'number' && typeof b !== 'bigint')) return bug();
  if (a < b) return -1;
  if (a > b) return 1;
  if (a == b) return 0;
  const an = a !== a;
  const bn = b !== b;
  return an === bn ? 0 : an ? 1 : -1;
}

export function compareText(a: Datum, b: Datum): number {
  return typeof a === 'string' && typeof b === 'string' ? compareStrings(a, b) : bug();
}

/** Without the trailing blanks that bpchar does not count. */
export function trimBlanks(s: string): string {
  let n = s.length;
  while (n > 0 && s.charCodeAt(n - 1) === 32) n--;
  return n === s.length ? s : s.slice(0, n);
}

export function compareBpchar(a: Datum, b: Datum): number {
  return typeof a === 'string' && typeof b === 'string' ? compareStrings(trimBlanks(a), trimBlanks(b)) : bug();
}

export function compareBytes(a: Datum, b: Datum): number {
  if (!(a instanceof Uint8Array && b instanceof Uint8Array)) return bug();
  const n = Math.min(a.length, b.length);
  for (let i = 0; i < n; i++) if (a[i] !== b[i]) return a[i] < b[i] ? -1 : 1;
  return a.length === b.length ? 0 : a.length < b.length ? -1 : 1;
}

function compareArrays(elem: Comparator): Comparator {
  return (a, b) => {
    if (!(a instanceof SqlArray && b instanceof SqlArray)) return bug();
    const n = Math.min(a.elems.length, b.elems.length);
    for (let i = 0; i < n; i++) {
      const x = a.elems[i];
      const y = b.elems[i];
      if (x === null || y === null) {
        if (x === y) continue;
        return x === null ? 1 : -1;
      }
      const c = elem(x, y);
      if (c !== 0) return c;
    }
    if (a.elems.length !== b.elems.length) return a.elems.length < b.elems.length ? -1 : 1;
    if (a.dims.length !== b.dims.length) return a.dims.length < b.dims.length ? -1 : 1;
    for (let d = 0; d < a.dims.length; d++) if (a.dims[d] !== b.dims[d]) return a.dims[d] < b.dims[d] ? -1 : 1;
    for (let d = 0; d < a.dims.length; d++) if (a.lower[d] !== b.lower[d]) return a.lower[d] < b.lower[d] ? -1 : 1;
    return 0;
  };
}

/** Comparator of a type; 0A000 for types without an order (json). */
export function comparatorOf(t: SqlType): Comparator {
  switch (t.kind) {
    case 'bool':
      return (a, b) => Number(a) - Number(b);
    case 'int2': case 'int4': case 'int8': case 'float4': case 'float8': case 'oid': case 'date': case 'time': case 'timestamp': case 'timestamptz':
    case 'regclass': case 'regtype': case 'regproc': case 'regnamespace': case 'regrole':
      return compareNumbers;
    case 'numeric':
      return (a, b) => (a instanceof Numeric && b instanceof Numeric ? a.compare(b) : bug());
    case 'text': case 'varchar': case 'name': case 'char': case 'uuid': case 'unknown':
      return compareText;
    case 'bpchar':
      return compareBpchar;
    case 'bytea':
      return compareBytes;
    case 'interval':
      return compareIntervals;
    case 'jsonb':
      return (a, b) => (a instanceof Json && b instanceof Json ? a.compare(b) : bug());
    case 'array':
      return compareArrays(comparatorOf(t.elem));
    case 'json': case 'record': case 'void':
      throw unsupported(`ordering of type ${formatType(t)}`);
  }
}

export function compareIntervals(a: Datum, b: Datum): number {
  if (!(a instanceof Interval && b instanceof Interval)) return bug();
  const x = a.span();
  const y = b.span();
  return x < y ? -1 : x > y ? 1 : 0;
}

export function compareDatum(t: SqlType, a: Datum, b: Datum): number {
  return comparatorOf(t)(a, b);
}

/** SQL equality of two non-null datums (as '=' of the type). */
export function equalDatum(t: SqlType, a: Datum, b: Datum): boolean {
  return comparatorOf(t)(a, b) === 0;
}
