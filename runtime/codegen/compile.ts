/**
 * Compiled expressions: the one module that makes functions from text (`new Function`). A kernel is specialised on the forms of the vectors
 * it reads and cached by them; literals reach it in an array. A filter and the expressions over the rows it keeps are one kernel, so that
 * what stands in both is evaluated once. A batch that a kernel cannot hold exactly (INEXACT, or vectors of bigints) goes on expression
 * by expression, and those that still do not fit row by row on the exact path; a property test holds all ways equal.
 *
 *   compileFilter(condition)           batch → indexes of the rows where it is true
 *   compileProject(expressions)        batch → columns; plain columns pass through without being touched
 *   compileCalc(condition, expressions) both: batch → the kept rows' columns
 */
import type { Expr } from '../../types/expr.js';
import type { SqlType } from '../../types/sqltype.js';
import type { Datum } from '../../types/value.js';
import type { EvalContext } from '../../types/functions/evalcontext.js';
import { layoutOf } from '../../types/encoding/kinds.js';
import { Numeric } from '../../types/numeric.js';
import type { Batch, Vector } from '../batch.js';
import { BatchBuilder } from '../batchbuilder.js';
import { datumAt, gatherVector } from '../vectors.js';
import { Emitter, helpers, INEXACT } from './emit.js';
import { classOf, type ColumnForm, type Emitted } from './emitted.js';
import { columnsOf } from './expressions.js';
import { interpret, type RowFunction } from './interpret.js';
import type { SubplanRunner } from './subplan.js';
import { TextOut } from './text.js';

export interface Selection { readonly rows: Int32Array; readonly count: number }

type Kernel = (columns: readonly unknown[], n: number, rows: Int32Array | null, kept: Int32Array | null, out: readonly unknown[], ctx: EvalContext, constants: readonly unknown[], h: typeof helpers) => number;
type OutForm = { readonly cls: 'num' | 'bool' | 'text' | 'dec' | 'datum'; readonly scale: number; readonly nullable: boolean };
interface Compiled { readonly kernel: Kernel; readonly constants: readonly unknown[]; readonly forms: readonly OutForm[] }

/** Kernels one call site may specialise to; past it the exact path serves (forms that change all the time are a bug upstream). */
const SPECIALISATIONS_MAX = 64;

function formsOf(batch: Batch): ColumnForm[] {
  return batch.columns.map(v => ({ form: v.form, nullable: v.form !== 'datum' && v.nulls !== null, scale: v.form === 'dec' ? v.scale : 0 }));
}

function signature(batch: Batch, columns: readonly number[]): string {
  let s = '';
  for (const c of columns) {
    const v = batch.columns[c];
    s += v.form === 'dec' ? `d${v.scale}` : v.form[0] + (v.form[1] ?? '');
    s += v.form !== 'datum' && v.nulls !== null ? '?' : '!';
  }
  return s;
}

/** Declarations of the arrays of the columns a kernel reads. */
function prologue(used: ReadonlySet<number>, forms: readonly ColumnForm[]): string {
  const lines: string[] = [];
  for (const c of used) {
    const { form, nullable } = forms[c];
    if (form === 'bytes') lines.push(`const d${c} = C[${c}].data, s${c} = C[${c}].start, e${c} = C[${c}].end, y${c} = C[${c}].ascii === true;`);
    else lines.push(`const c${c} = C[${c}].values;`);
    if (nullable) lines.push(`const z${c} = C[${c}].nulls;`);
  }
  return lines.join('\n');
}

/** What a kernel writes of a fixed width; reused, the batch gets copies of what was written. */
class FixedOut {
  values: Float64Array | Uint8Array;
  nulls: Uint8Array = new Uint8Array(0);
  some = false;
  readonly #form: OutForm;

  constructor(form: OutForm) {
    this.#form = form;
    this.values = new Float64Array(0);
  }

  begin(rows: number): void {
    if (this.values.length < rows) {
      this.values = this.#form.cls === 'bool' ? new Uint8Array(rows) : new Float64Array(rows);
      if (this.#form.nullable) this.nulls = new Uint8Array(rows);
    } else if (this.some) this.nulls.fill(0);
    this.some = false;
  }

  take(rows: number): Vector {
    const nulls = this.some ? this.nulls.slice(0, rows) : null;
    const values = this.values.slice(0, rows);
    if (values instanceof Uint8Array) return { form: 'bool', values, nulls };
    return this.#form.cls === 'dec' ? { form: 'dec', values, scale: this.#form.scale, nulls } : { form: 'f64', values, nulls };
  }
}

class DatumOut {
  values: Datum[] = [];
  readonly #type: SqlType;

  constructor(type: SqlType) {
    this.#type = type;
  }

  begin(): void { this.values = []; }
  take(): Vector { return fromDatums(this.#type, this.values); }
}

type Out = FixedOut | TextOut | DatumOut;

/** Named limit: expressions in one kernel. The time to compile a function grows faster than its length, and very long ones the engine does not compile at all. */
const FUSED_MAX = 16;

/** A filter (or none) and expressions in one kernel; null where the batch does not fit one. */
class Fused {
  readonly #filter: Expr | null;
  readonly #exprs: readonly Expr[];
  readonly #types: readonly SqlType[];
  readonly #columns: readonly number[];
  readonly #subplans: SubplanRunner | null;
  readonly #kernels = new Map<string, { readonly compiled: Compiled; readonly out: readonly Out[] } | null>();
  /** Rows kept by the last run: valid until the next. */
  rows: Int32Array = new Int32Array(0);
  count = 0;

  constructor(filter: Expr | null, exprs: readonly Expr[], types: readonly SqlType[], subplans: SubplanRunner | null) {
    this.#filter = filter;
    this.#exprs = exprs;
    this.#types = types;
    this.#subplans = subplans;
    const columns = new Set<number>();
    for (const e of exprs) columnsOf(e, columns);
    if (filter !== null) columnsOf(filter, columns);
    this.#columns = [...columns].sort((a, b) => a - b);
  }

  #specialised(batch: Batch): { readonly compiled: Compiled; readonly out: readonly Out[] } | null {
    const s = signature(batch, this.#columns);
    const known = this.#kernels.get(s);
    if (known !== undefined) return known;
    if (this.#kernels.size >= SPECIALISATIONS_MAX) return null;
    const compiled = this.#columns.some(c => batch.columns[c].form === 'i64') ? null : compile(this.#filter, this.#exprs, this.#types, formsOf(batch), this.#subplans);
    const made = compiled === null ? null : { compiled, out: compiled.forms.map((f, k) => (f.cls === 'text' ? new TextOut() : f.cls === 'datum' ? new DatumOut(this.#exprs[k].type) : new FixedOut(f))) };
    this.#kernels.set(s, made);
    return made;
  }

  run(batch: Batch, selection: Selection | null, ctx: EvalContext): Vector[] | null {
    const made = this.#specialised(batch);
    if (made === null) return null;
    const { compiled, out } = made;
    const n = selection === null ? batch.length : selection.count;
    if (this.#filter !== null && this.rows.length < n) this.rows = new Int32Array(n);
    for (const o of out) o.begin(n);
    try {
      this.count = compiled.kernel(batch.columns, n, selection === null ? null : selection.rows, this.#filter === null ? null : this.rows, out, ctx, compiled.constants, helpers);
    } catch (e) {
      if (e === INEXACT) return null;
      throw e;
    }
    return out.map(o => o.take(this.count));
  }
}

function compile(filter: Expr | null, exprs: readonly Expr[], types: readonly SqlType[], forms: readonly ColumnForm[], subplans: SubplanRunner | null): Compiled {
  const emitter = new Emitter(types, forms, subplans);
  if (filter !== null) {
    const f = emitter.emit(filter);
    emitter.line(`if (!(${f.n === 'false' ? '' : `!${f.n} && `}${f.v})) continue; W[k] = i;`);
  }
  const outs: OutForm[] = [];
  const after: string[] = [];
  exprs.forEach((expr, k) => {
    const value = outValue(emitter, expr);
    outs.push({ cls: value.cls === 'str' || value.cls === 'span' ? 'text' : value.cls, scale: value.scale, nullable: value.n !== 'false' });
    emitter.once(value.cls === 'datum' ? `const o${k} = out[${k}].values;` : `const o${k} = out[${k}];`);
    if (value.cls === 'num' || value.cls === 'dec' || value.cls === 'bool') emitter.once(`const w${k} = o${k}.values, u${k} = o${k}.nulls;`);
    // Spans within bytes that are there already are pointed to.
    const base = value.span?.base ?? null;
    if (value.span !== undefined && base !== null && base !== '') {
      emitter.once(`const w${k} = o${k}.start, u${k} = o${k}.end;`);
      after.push(`o${k}.data = ${base};`);
    }
    emitter.line(writing(value, k));
  });
  const text = `"use strict"; ${prologue(emitter.used, forms)}
${emitter.declarations}
let k = 0;
for (let j = 0; j < n; j++) { const i = R === null ? j : R[j];
${emitter.text}
k++; }
${after.join('\n')}
return k;`;
  return { kernel: kernelOf(text), constants: emitter.constants, forms: outs };
}

/** Named limit: kernels kept by their text. */
const KERNELS_MAX = 512;
const kernels = new Map<string, Kernel>();

/** A kernel holds nothing of its own: expressions of the same text share one, and what the engine has learnt and compiled of it (a query that comes again). */
function kernelOf(text: string): Kernel {
  let kernel = kernels.get(text);
  if (kernel === undefined) {
    kernel = new Function('C', 'n', 'R', 'W', 'out', 'ctx', 'K', 'H', text) as Kernel;
    if (kernels.size >= KERNELS_MAX) kernels.clear();
    kernels.set(text, kernel);
  }
  return kernel;
}

/** An expression in the class its column is written from. */
function outValue(emitter: Emitter, expr: Expr): Emitted {
  const e = emitter.emit(expr);
  const cls = classOf(expr.type);
  if (e.cls === 'datum' || e.cls === cls || (cls === 'span' && e.cls === 'str')) return e;
  return emitter.as(e, cls);
}

function writing(a: Emitted, k: number): string {
  const unless = (nothing: string, write: string): string => (a.n === 'false' ? write : a.n === 'true' ? nothing : `if (${a.n}) { ${nothing} } else { ${write} }`);
  if (a.cls === 'datum') return `o${k}.push(${a.n === 'false' ? a.v : `${a.n} ? null : ${a.v}`});`;
  if (a.cls === 'str') return unless(`o${k}.setNull(k);`, `o${k}.text(k, ${a.v});`);
  if (a.span !== undefined) {
    const { d, s, e, base } = a.span;
    return unless(`o${k}.setNull(k);`, base !== null && base !== '' ? `w${k}[k] = ${s}; u${k}[k] = ${e};` : `o${k}.span(k, ${d}, ${s}, ${e});`);
  }
  return unless(`u${k}[k] = 1; o${k}.some = true;`, `w${k}[k] = ${a.cls === 'bool' ? `${a.v} ? 1 : 0` : a.v};`);
}

/** The exact value of an expression for row i. */
class Exact {
  readonly expr: Expr;
  readonly #types: readonly SqlType[];
  readonly #columns: readonly number[];
  readonly #subplans: SubplanRunner | null;
  #function: RowFunction | null = null;

  constructor(expr: Expr, types: readonly SqlType[], subplans: SubplanRunner | null) {
    this.expr = expr;
    this.#types = types;
    this.#columns = [...columnsOf(expr)];
    this.#subplans = subplans;
  }

  at(batch: Batch, i: number, ctx: EvalContext): Datum {
    this.#function ??= interpret(this.expr, this.#subplans);
    const row: Datum[] = [];
    for (const c of this.#columns) row[c] = datumAt(this.#types[c], batch.columns[c], i);
    return this.#function(row, ctx);
  }
}

export type FilterFunction = (batch: Batch, ctx: EvalContext) => Selection;

/** The rows' array is reused: valid until the next call. */
export function compileFilter(condition: Expr, types: readonly SqlType[], subplans: SubplanRunner | null = null): FilterFunction {
  const fused = new Fused(condition, [], types, subplans);
  const exact = new Exact(condition, types, subplans);
  let rows = new Int32Array(0);
  return (batch, ctx) => {
    if (fused.run(batch, null, ctx) !== null) return { rows: fused.rows, count: fused.count };
    if (rows.length < batch.length) rows = new Int32Array(batch.length);
    let count = 0;
    for (let i = 0; i < batch.length; i++) if (exact.at(batch, i, ctx) === true) rows[count++] = i;
    return { rows, count };
  };
}

export type ProjectFunction = (batch: Batch, selection: Selection | null, ctx: EvalContext) => Vector[];

export function compileProject(exprs: readonly Expr[], types: readonly SqlType[], subplans: SubplanRunner | null = null): ProjectFunction {
  const computed = exprs.filter(e => e.node !== 'column');
  const fused = Array.from({ length: Math.ceil(computed.length / FUSED_MAX) }, (_, g) => new Fused(null, computed.slice(g * FUSED_MAX, (g + 1) * FUSED_MAX), types, subplans));
  const singles = computed.length === 1 ? fused : computed.map(e => new Fused(null, [e], types, subplans));
  const exact = computed.map(e => new Exact(e, types, subplans));
  return (batch, selection, ctx) => {
    const groups = fused.map(f => f.run(batch, selection, ctx));
    let next = 0;
    return exprs.map(e => {
      if (e.node === 'column') return plainColumn(batch, e.index, selection);
      const k = next++;
      const group = groups[Math.floor(k / FUSED_MAX)];
      if (group !== null) return group[k % FUSED_MAX];
      const one = singles.length === 1 ? null : singles[k].run(batch, selection, ctx);
      return one === null ? exactColumn(exact[k], batch, selection, ctx) : one[0];
    });
  };
}

export interface Calculated { readonly columns: readonly Vector[]; /** Rows that passed the filter; null = all of the batch. */ readonly selection: Selection | null }
/** Null when no row passes. */
export type CalcFunction = (batch: Batch, ctx: EvalContext) => Calculated | null;

/** A filter and a projection in one pass. The selection's rows are valid until the next call. */
export function compileCalc(condition: Expr, exprs: readonly Expr[], types: readonly SqlType[], subplans: SubplanRunner | null = null): CalcFunction {
  const computed = exprs.filter(e => e.node !== 'column');
  const fused = computed.length > FUSED_MAX ? null : new Fused(condition, computed, types, subplans);
  const filter = compileFilter(condition, types, subplans);
  const project = compileProject(exprs, types, subplans);
  return (batch, ctx) => {
    const made = fused?.run(batch, null, ctx) ?? null;
    if (fused === null || made === null) {
      const selection = filter(batch, ctx);
      if (selection.count === 0) return null;
      const some = selection.count === batch.length ? null : selection;
      return { columns: project(batch, some, ctx), selection: some };
    }
    if (fused.count === 0) return null;
    const selection = fused.count === batch.length ? null : { rows: fused.rows, count: fused.count };
    let next = 0;
    return { columns: exprs.map(e => (e.node === 'column' ? plainColumn(batch, e.index, selection) : made[next++])), selection };
  };
}

function plainColumn(batch: Batch, index: number, selection: Selection | null): Vector {
  const v = batch.columns[index];
  return selection === null ? v : gatherVector(v, selection.rows, selection.count);
}

function exactColumn(exact: Exact, batch: Batch, selection: Selection | null, ctx: EvalContext): Vector {
  const n = selection === null ? batch.length : selection.count;
  const builder = new BatchBuilder([exact.expr.type]);
  const row: Datum[] = [null];
  for (let k = 0; k < n; k++) {
    row[0] = exact.at(batch, selection === null ? k : selection.rows[k], ctx);
    builder.appendDatums(row);
  }
  return builder.finish().columns[0];
}

/** Datums in their type's best form: text as bytes, small numerics of one scale as dec. */
function fromDatums(type: SqlType, values: readonly Datum[]): Vector {
  if (type.kind === 'numeric' && values.length > 0 && !(values[0] instanceof Numeric)) return { form: 'datum', values, nulls: null };
  const builder = new BatchBuilder([type]);
  const [column] = builder.columns;
  // Texts that repeat (literals of a CASE, days) are one string: compared by address, mostly.
  const texts = layoutOf(type) === 'bytes';
  let last: Datum = null;
  for (let k = 0; k < values.length; k++) {
    const v = values[k];
    if (typeof v === 'string' && v === last && texts) column.appendSameText(k);
    else column.appendDatum(k, v);
    last = v;
  }
  return column.finish();
}
