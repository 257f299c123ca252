/**
 * Frames of window functions: { ROWS | GROUPS | RANGE } BETWEEN … AND … EXCLUDE ….
 *
 * RANGE with an offset compares values of the one ORDER BY column: `limits` are the row's value and where its frame starts and ends (value ∓ offset), as
 * expressions of a type in which the sum has room (PostgreSQL's in_range functions: an offset beyond the type's range is no error).
 */
import type { Node, WindowDef } from 'libpg-query';
import type { Expr } from '../../types/expr.js';
import type { Frame, FrameBound, RangeLimits } from '../../types/plan.js';
import { FLOAT8, INT8, INTERVAL, NUMERIC, type SqlType, type TypeKind } from '../../types/sqltype.js';
import { compareDatum } from '../../types/compare.js';
import { parseDatum } from '../../types/textio.js';
import { formatType } from '../../types/typeinfo.js';
import { canCoerce, coerce, known } from './coerce.js';
import { bindExpr } from './expr.js';
import { locationOf } from './exprs.js';
import { callOperator } from './operator.js';
import type { OrderItem } from './rel.js';
import type { Env } from './scope.js';

export interface BoundFrame { readonly frame: Frame; readonly limits: RangeLimits<Expr> | null }

// Bits of WindowDef.frameOptions (nodes/parsenodes.h).
const ROWS = 0x4;
const GROUPS = 0x8;
const BOUNDS: readonly (readonly [start: number, end: number, at: FrameBound['at']])[] = [
  [0x20, 0x40, 'unbounded preceding'], [0x80, 0x100, 'unbounded following'], [0x200, 0x400, 'current row'], [0x800, 0x1000, 'preceding'], [0x2000, 0x4000, 'following'],
];
const EXCLUDES: readonly (readonly [number, Frame['exclude']])[] = [[0x8000, 'current row'], [0x10000, 'group'], [0x20000, 'ties']];

/** By the type of the order column: the type that its values and limits are compared in, and that of the offset. */
interface RangeType { readonly value: SqlType; readonly offset: SqlType }
const TIMESTAMP_RANGE: RangeType = { value: { kind: 'timestamp' }, offset: INTERVAL };
const RANGE_TYPES: Readonly<Partial<Record<TypeKind, RangeType>>> = {
  int2: { value: NUMERIC, offset: INT8 }, int4: { value: NUMERIC, offset: INT8 }, int8: { value: NUMERIC, offset: INT8 },
  float4: { value: FLOAT8, offset: FLOAT8 }, float8: { value: FLOAT8, offset: FLOAT8 }, numeric: { value: NUMERIC, offset: NUMERIC },
  date: TIMESTAMP_RANGE, timestamp: TIMESTAMP_RANGE, timestamptz: { value: { kind: 'timestamptz' }, offset: INTERVAL }, interval: { value: INTERVAL, offset: INTERVAL },
};

/** From here on a sum may be beyond the largest double: an error of the operator, infinity in PostgreSQL's in_range. */
const FLOAT_OFFSET_MAX = 1e292;

const WHICH = ['starting', 'ending'] as const;

export function bindFrame(env: Env, def: WindowDef, order: readonly OrderItem[]): BoundFrame {
  const { ctx } = env;
  const options = def.frameOptions ?? 0;
  const mode: Frame['mode'] = (options & ROWS) !== 0 ? 'rows' : (options & GROUPS) !== 0 ? 'groups' : 'range';
  const bound = (which: 0 | 1, node: Node | undefined): FrameBound => {
    const at = BOUNDS.find((b) => (options & b[which]) !== 0)?.[2] ?? 'current row';
    return { at, offset: mode !== 'range' && hasOffset({ at }) ? rowsOffset(env, node, mode.toUpperCase(), WHICH[which]) : 0 };
  };
  if (mode === 'groups' && order.length === 0) throw ctx.error('42P20', 'GROUPS mode requires an ORDER BY clause', def.location);
  const frame: Frame = { mode, start: bound(0, def.startOffset), end: bound(1, def.endOffset), exclude: EXCLUDES.find(([bit]) => (options & bit) !== 0)?.[1] ?? 'none' };
  return { frame, limits: mode === 'range' && (hasOffset(frame.start) || hasOffset(frame.end)) ? rangeLimits(env, def, frame, order) : null };
}

const hasOffset = ({ at }: Pick<FrameBound, 'at'>): boolean => at === 'preceding' || at === 'following';

function rowsOffset(env: Env, node: Node | undefined, mode: string, which: string): number {
  const { ctx } = env;
  const e = node === undefined ? null : coerce(ctx, offsetExpr(env, node, mode), INT8, 'assignment');
  const text = constantOf(env, e, which);
  const n = Number(text);
  if (n < 0) throw ctx.error('22013', `frame ${which} offset must not be negative`, undefined);
  return n;
}

const offsetExpr = (env: Env, node: Node, mode: string): Expr => bindExpr({ ...env, clause: `window ${mode}`, aggregates: null, windows: null }, node);

function constantOf(env: Env, e: Expr | null, which: string): string {
  if (e === null || e.node !== 'literal') throw env.ctx.unsupported('a frame offset that is not constant', e === null ? undefined : locationOf(e));
  if (e.text === null) throw env.ctx.error('22004', `frame ${which} offset must not be null`, undefined);
  return e.text;
}

function rangeLimits(env: Env, def: WindowDef, frame: Frame, order: readonly OrderItem[]): RangeLimits<Expr> {
  const { ctx } = env;
  const [by] = order;
  if (by === undefined || order.length > 1) throw ctx.error('42P20', 'RANGE with offset PRECEDING/FOLLOWING requires exactly one ORDER BY column', def.location);
  const types = RANGE_TYPES[by.expr.type.kind];
  if (types === undefined) {
    const node = def.startOffset ?? def.endOffset;
    throw ctx.error('0A000', `RANGE with offset PRECEDING/FOLLOWING is not supported for column type ${formatType(by.expr.type)}`, node === undefined ? def.location : locationOf(offsetExpr(env, node, 'RANGE')));
  }
  const value = coerce(ctx, by.expr, types.value, 'explicit');
  const limit = (bound: FrameBound, node: Node | undefined, which: 'starting' | 'ending'): Expr | null => {
    if (!hasOffset(bound) || node === undefined) return null;
    const offset = rangeOffset(env, node, by.expr.type, types.offset, which);
    // What precedes is smaller in ascending order.
    return callOperator(env, (bound.at === 'preceding') === by.descending ? '+' : '-', [value, offset], locationOf(offset) ?? def.location ?? 0);
  };
  return { value, start: limit(frame.start, def.startOffset, 'starting'), end: limit(frame.end, def.endOffset, 'ending'), descending: by.descending };
}

function rangeOffset(env: Env, node: Node, column: SqlType, type: SqlType, which: string): Expr {
  const { ctx } = env;
  const e = offsetExpr(env, node, 'RANGE');
  const at = locationOf(e);
  if (e.type.kind !== 'unknown' && !canCoerce(e.type, type, 'implicit')) {
    throw ctx.error('0A000', `RANGE with offset PRECEDING/FOLLOWING is not supported for column type ${formatType(column)} and offset type ${formatType(e.type)}`, at, { hint: 'Cast the offset value to an appropriate type.' });
  }
  // A literal without a type has the column's where that is a number's.
  const typed = e.type.kind === 'unknown' && type.kind !== 'interval' ? coerce(ctx, e, column, 'implicit') : e;
  const offset = known(ctx, coerce(ctx, typed, type, 'implicit'));
  const text = constantOf(env, offset, which);
  const zero = parseDatum(type, type.kind === 'interval' ? '0 s' : '0');
  if (compareDatum(type, parseDatum(type, text), zero) < 0) throw ctx.error('22013', 'invalid preceding or following size in window function', at);
  if (/^(-?infinity|nan)$/i.test(text)) throw ctx.unsupported('an infinite frame offset', at);
  if (type.kind === 'float8' && Number(text) >= FLOAT_OFFSET_MAX) throw ctx.unsupported('a frame offset of 1e292 or more over floating-point numbers', at);
  return offset;
}
