/**
 * The exact path: an expression as a closure over one row of datums. Used where compiled kernels do not go (values past 2^53, types without
 * a compiled form), for constants, and as the reference that kernels are tested against.
 */
import type { Expr, SubplanExpr } from '../../types/expr.js';
import type { Datum } from '../../types/value.js';
import type { SqlType } from '../../types/sqltype.js';
import type { EvalContext } from '../../types/functions/evalcontext.js';
import { castFor, functionById } from '../../types/functions/registry.js';
import { SqlArray, stackArrays } from '../../types/array.js';
import { SqlError, assert, unreachable } from '../../types/error.js';
import { parseDatum } from '../../types/textio.js';
import type { SubplanRunner } from './subplan.js';

export type RowFunction = (row: readonly Datum[], ctx: EvalContext) => Datum;

/** Types whose text form is a name to look up. */
const REG: ReadonlySet<string> = new Set(['regclass', 'regtype', 'regproc', 'regnamespace', 'regrole']);

/** Surroundings for constants that ask for nothing: time zone UTC, the epoch's beginning. */
export const CONSTANT_CONTEXT: EvalContext = { nowUs: 0, timeZone: 'UTC', user: '', database: '', outer: [], catalog: null, random: () => 0 };

export function interpret(expr: Expr, subplans: SubplanRunner | null = null): RowFunction {
  switch (expr.node) {
    case 'column': { const { index } = expr; return row => row[index]; }
    case 'outer': { const { index } = expr; return (_row, ctx) => ctx.outer[index] ?? null; }
    case 'literal': return literal(expr.text, expr.type);
    case 'param': throw new SqlError('42P02', `there is no parameter $${expr.index + 1}`);
    case 'call': return call(expr.fn, expr.args.map(a => interpret(a, subplans)), expr.args.map(a => a.type));
    case 'cast': return cast(expr.arg.type, expr.type, expr.explicit, interpret(expr.arg, subplans));
    case 'and': case 'or': return connective(expr.node === 'and', expr.args.map(a => interpret(a, subplans)));
    case 'not': { const arg = interpret(expr.arg, subplans); return (row, ctx) => { const v = arg(row, ctx); return v === null ? null : v !== true; }; }
    case 'isnull': { const arg = interpret(expr.arg, subplans); return (row, ctx) => arg(row, ctx) === null; }
    case 'distinct': {
      const left = interpret(expr.left, subplans);
      const right = interpret(expr.right, subplans);
      const equal = caller(expr.equal, [expr.left.type, expr.right.type]);
      return (row, ctx) => {
        const a = left(row, ctx);
        const b = right(row, ctx);
        return a === null || b === null ? a !== b : equal(ctx, [a, b]) !== true;
      };
    }
    case 'case': {
      const whens = expr.whens.map(w => ({ when: interpret(w.when, subplans), then: interpret(w.then, subplans) }));
      const otherwise = expr.otherwise === null ? (): null => null : interpret(expr.otherwise, subplans);
      return (row, ctx) => {
        for (const w of whens) if (w.when(row, ctx) === true) return w.then(row, ctx);
        return otherwise(row, ctx);
      };
    }
    case 'coalesce': {
      const args = expr.args.map(a => interpret(a, subplans));
      return (row, ctx) => {
        for (const a of args) { const v = a(row, ctx); if (v !== null) return v; }
        return null;
      };
    }
    case 'in': return inList(interpret(expr.arg, subplans), expr.list.map(e => interpret(e, subplans)), expr.list.map(e => caller(expr.equal, [expr.arg.type, e.type])));
    case 'array': {
      const elems = expr.elems.map(e => interpret(e, subplans));
      const nested = expr.elems.length > 0 && expr.elems.every(e => e.type.kind === 'array') && expr.type.kind === 'array' && expr.type.elem.kind !== 'array';
      return (row, ctx) => {
        const values = elems.map(e => e(row, ctx));
        return nested ? stackArrays(values as (SqlArray | null)[]) : SqlArray.of(values);
      };
    }
    case 'anyall': return anyAll(expr.all, expr.fn, expr.left, expr.right, subplans);
    case 'subplan': return subplan(expr, subplans);
    default: return unreachable(expr);
  }
}

/** Value of an expression without columns; errors are the expression's own. */
export function evaluateConstant(expr: Expr, ctx: EvalContext = CONSTANT_CONTEXT): Datum { return interpret(expr)([], ctx); }

/** A literal's datum; text forms that depend on the session (time zone) were resolved by the planner. */
function literal(text: string | null, type: SqlType): RowFunction {
  if (text !== null && REG.has(type.kind)) return (_row, ctx) => parseDatum(type, text, ctx);
  const v = text === null ? null : parseDatum(type, text);
  return () => v;
}

/** Function of the catalogue as (ctx, args) → value, its NULL rule included. */
export function caller(id: string, argTypes: readonly SqlType[]): (ctx: EvalContext, args: readonly Datum[]) => Datum {
  const def = functionById(id);
  assert(def !== null && def !== undefined, `function ${id} is not in the catalogue`);
  const { strict } = def;
  const nullIn = (args: readonly Datum[]): boolean => { for (const a of args) if (a === null) return true; return false; };
  if (def.bind !== undefined) {
    const f = def.bind(argTypes);
    return (ctx, args) => (strict && nullIn(args) ? null : f(ctx, ...args));
  }
  const f = def.evaluate;
  if (def.needsContext) return (ctx, args) => (strict && nullIn(args) ? null : f(ctx, ...args));
  return (_ctx, args) => (strict && nullIn(args) ? null : f(...args));
}

function call(id: string, args: readonly RowFunction[], types: readonly SqlType[]): RowFunction {
  const f = caller(id, types);
  return (row, ctx) => f(ctx, args.map(a => a(row, ctx)));
}

function cast(from: SqlType, to: SqlType, explicit: boolean, arg: RowFunction): RowFunction {
  const f = castFunction(from, to, explicit);
  return (row, ctx) => { const v = arg(row, ctx); return v === null ? null : f(v, ctx); };
}

export function castFunction(from: SqlType, to: SqlType, explicit: boolean): (v: Exclude<Datum, null>, ctx: EvalContext) => Datum {
  const def = castFor(from, to);
  assert(def !== null && def !== undefined, `no cast from ${from.kind} to ${to.kind}`);
  return (v, ctx) => def.evaluate(v, to, explicit, ctx, from);
}

function connective(and: boolean, args: readonly RowFunction[]): RowFunction {
  return (row, ctx) => {
    let unknown = false;
    for (const a of args) {
      const v = a(row, ctx);
      if (v === null) unknown = true;
      else if ((v === true) !== and) return !and;
    }
    return unknown ? null : and;
  };
}

function inList(arg: RowFunction, list: readonly RowFunction[], equals: readonly ((ctx: EvalContext, args: readonly Datum[]) => Datum)[]): RowFunction {
  return (row, ctx) => {
    const v = arg(row, ctx);
    if (v === null) return null;
    let unknown = false;
    for (let i = 0; i < list.length; i++) {
      const r = equals[i](ctx, [v, list[i](row, ctx)]);
      if (r === true) return true;
      if (r === null) unknown = true;
    }
    return unknown ? null : false;
  };
}

function anyAll(all: boolean, fn: string, left: Expr, right: Expr, subplans: SubplanRunner | null): RowFunction {
  const l = interpret(left, subplans);
  const r = interpret(right, subplans);
  const f = caller(fn, [left.type, right.type.kind === 'array' ? right.type.elem : right.type]);
  return (row, ctx) => {
    const array = r(row, ctx);
    if (array === null) return null;
    const v = l(row, ctx);
    let unknown = false;
    for (const e of (array as SqlArray).elems) {
      const x = f(ctx, [v, e]);
      if (x === null) unknown = true;
      else if ((x === true) !== all) return !all;
    }
    return unknown ? null : all;
  };
}

function subplan(expr: SubplanExpr, subplans: SubplanRunner | null): RowFunction {
  assert(subplans !== null, 'a subquery where there is no runner for it');
  const outer = expr.outer.map(o => interpret(o, subplans));
  const left = expr.left === null ? (): null => null : interpret(expr.left, subplans);
  return (row, ctx) => subplans.run(expr, outer.map(o => o(row, ctx)), left(row, ctx));
}
