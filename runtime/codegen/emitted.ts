/** What the emission of an expression gives: names of variables and facts known when code is made; small functions over them. */
import type { SqlType } from '../../types/sqltype.js';
import { layoutOf } from '../../types/encoding/kinds.js';
import type { Vector } from '../batch.js';

/** A form of a vector as kernels see it; 'dec' with its scale. */
export interface ColumnForm { readonly form: Vector['form']; readonly nullable: boolean; readonly scale: number }

export type ValueClass = 'num' | 'bool' | 'str' | 'span' | 'dec' | 'datum';

/** Names of a span's array and bounds. */
export interface Span {
  readonly d: string;
  readonly s: string;
  readonly e: string;
  /** Expression of the bytes that this value lies in for every row of a batch, so that the result can point into them; null = differs. */
  base: string | null;
  /** Whether all bytes are below 128, as code; 'false' = unknown. */
  ascii: string;
  /** The text of a constant. */
  readonly literal?: string;
}

/** `n`: 'false', 'true' or code without side effects. */
export interface Emitted { readonly cls: ValueClass; readonly v: string; readonly n: string; readonly scale: number; readonly span?: Span }

export const isInteger = (t: SqlType): boolean => t.kind === 'int2' || t.kind === 'int4' || t.kind === 'int8';

/** Class of a type's values in results. */
export function classOf(type: SqlType): ValueClass {
  switch (layoutOf(type)) {
    case 'number': case 'big': case 'float': return 'num';
    case 'bool': return 'bool';
    case 'bytes': return type.kind === 'bytea' ? 'datum' : 'span';
    case 'numeric': return 'dec';
    default: return 'datum';
  }
}

export function anyOf(flags: readonly string[]): string {
  const open = flags.filter(f => f !== 'false');
  if (open.includes('true')) return 'true';
  return open.length === 0 ? 'false' : open.length === 1 ? open[0] : `(${open.join(' || ')})`;
}

export function numberText(v: number): string {
  if (Number.isNaN(v)) return 'NaN';
  if (v === Infinity) return 'Infinity';
  if (v === -Infinity) return '(-Infinity)';
  return v < 0 || Object.is(v, -0) ? `(${Object.is(v, -0) ? '-0' : String(v)})` : String(v);
}

export const spanText = (a: Span): string => `${a.d}, ${a.s}, ${a.e}`;

/** Test that two spans are equal: a constant's length and first byte are looked at in place. */
export function sameText(x: Span, y: Span): string {
  const [a, b] = x.literal === undefined ? [x, y] : [y, x];
  const { literal } = b;
  if (literal === undefined) return `H.same(${spanText(a)}, ${spanText(b)})`;
  const bytes = Buffer.from(literal, 'utf8');
  if (bytes.length === 0) return `(${a.s} === ${a.e})`;
  return `(${a.e} - ${a.s} === ${bytes.length} && ${a.d}[${a.s}] === ${bytes[0]} && H.same(${spanText(a)}, ${spanText(b)}))`;
}
