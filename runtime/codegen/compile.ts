/**
 * Compiled expressions: the one module that makes functions from text (`new Function`). A kernel is specialised on the forms of the vectors
 * it reads and cached by them; literals reach it in an array. A batch that a kernel cannot hold exactly (INEXACT, or vectors of bigints) is
 * computed row by row by the exact path; a property test holds both equal.
 *
 *   compileFilter(condition)    batch → indexes of the rows where it is true
 *   compileProject(expressions) batch → columns; plain columns pass through without being touched
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
import { classOf, type ColumnForm, columnsOf, Emitter, helpers, INEXACT } from './emit.js';
import { interpret, type RowFunction } from './interpret.js';
import type { SubplanRunner } from './subplan.js';

export interface Selection { readonly rows: Int32Array; readonly count: number }

type Kernel = (columns: readonly unknown[], n: number, rows: Int32Array | null, out: unknown, ctx: EvalContext, constants: readonly unknown[], h: typeof helpers) => number;

interface Compiled { readonly kernel: Kernel; readonly constants: readonly unknown[]; readonly form: OutForm }
type OutForm = { readonly cls: 'num' | 'bool' | 'str' | 'dec' | 'datum'; readonly scale: number };

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
    if (form === 'bytes') lines.push(`const d${c} = C[${c}].data, s${c} = C[${c}].start, e${c} = C[${c}].end;`);
    else lines.push(`const c${c} = C[${c}].values;`);
    if (nullable) lines.push(`const z${c} = C[${c}].nulls;`);
  }
  return lines.join('\n');
}

function build(body: string): Kernel {
  return new Function('C', 'n', 'R', 'out', 'ctx', 'K', 'H', body) as Kernel;
}

/** One expression, its specialisations and its exact twin. */
class Site {
  readonly expr: Expr;
  readonly #types: readonly SqlType[];
  readonly #columns: readonly number[];
  readonly #kernels = new Map<string, Compiled | null>();
  readonly #subplans: SubplanRunner | null;
  readonly #filter: boolean;
  #exact: RowFunction | null = null;

  constructor(expr: Expr, types: readonly SqlType[], filter: boolean, subplans: SubplanRunner | null) {
    this.expr = expr;
    this.#types = types;
    this.#columns = [...columnsOf(expr)].sort((a, b) => a - b);
    this.#subplans = subplans;
    this.#filter = filter;
  }

  compiled(batch: Batch): Compiled | null {
    const s = signature(batch, this.#columns);
    const known = this.#kernels.get(s);
    if (known !== undefined) return known;
    if (this.#kernels.size >= SPECIALISATIONS_MAX) return null;
    const made = this.#columns.some(c => batch.columns[c].form === 'i64') ? null : this.#compile(formsOf(batch));
    this.#kernels.set(s, made);
    return made;
  }

  #compile(forms: readonly ColumnForm[]): Compiled {
    const emitter = new Emitter(this.#types, forms, this.#subplans);
    const result = emitter.emit(this.expr);
    const value = this.#filter ? result : result.cls === 'datum' || result.cls === classOf(this.expr.type) ? result : emitter.as(result, classOf(this.expr.type));
    const write = this.#filter
      ? `if (${value.n === 'false' ? '' : `!${value.n} && `}${value.v}) out[k++] = i;`
      : value.cls === 'datum' || value.cls === 'str' ? `out.values[k] = ${value.n === 'false' ? value.v : `${value.n} ? null : ${value.v}`}; k++;`
        : `${value.n === 'false' ? '' : `if (${value.n}) { out.nulls[k] = 1; out.some = true; } else `}out.values[k] = ${value.cls === 'bool' ? `${value.v} ? 1 : 0` : value.v}; k++;`;
    const text = `"use strict"; ${prologue(emitter.used, forms)}
let k = 0;
if (R === null) { for (let i = 0; i < n; i++) { ${emitter.text}
${write} } }
else { for (let j = 0; j < n; j++) { const i = R[j]; ${emitter.text}
${write} } }
return k;`;
    return { kernel: build(text), constants: emitter.constants, form: { cls: value.cls, scale: value.scale } };
  }

  /** The exact value of row i. */
  exact(batch: Batch, i: number, ctx: EvalContext): Datum {
    this.#exact ??= interpret(this.expr, this.#subplans);
    const row: Datum[] = [];
    for (const c of this.#columns) row[c] = datumAt(this.#types[c], batch.columns[c], i);
    return this.#exact(row, ctx);
  }
}

export type FilterFunction = (batch: Batch, ctx: EvalContext) => Selection;

/** The rows' array is reused: valid until the next call. */
export function compileFilter(condition: Expr, types: readonly SqlType[], subplans: SubplanRunner | null = null): FilterFunction {
  const site = new Site(condition, types, true, subplans);
  let rows = new Int32Array(0);
  return (batch, ctx) => {
    if (rows.length < batch.length) rows = new Int32Array(batch.length);
    const compiled = site.compiled(batch);
    if (compiled !== null) {
      try {
        return { rows, count: compiled.kernel(batch.columns, batch.length, null, rows, ctx, compiled.constants, helpers) };
      } catch (e) {
        if (e !== INEXACT) throw e;
      }
    }
    let count = 0;
    for (let i = 0; i < batch.length; i++) if (site.exact(batch, i, ctx) === true) rows[count++] = i;
    return { rows, count };
  };
}

export type ProjectFunction = (batch: Batch, selection: Selection | null, ctx: EvalContext) => Vector[];

export function compileProject(exprs: readonly Expr[], types: readonly SqlType[], subplans: SubplanRunner | null = null): ProjectFunction {
  const sites = exprs.map(e => (e.node === 'column' ? null : new Site(e, types, false, subplans)));
  return (batch, selection, ctx) => exprs.map((e, k) => {
    const site = sites[k];
    if (site === null) {
      const v = batch.columns[e.node === 'column' ? e.index : 0];
      return selection === null ? v : gatherVector(v, selection.rows, selection.count);
    }
    return projectOne(site, batch, selection, ctx);
  });
}

function projectOne(site: Site, batch: Batch, selection: Selection | null, ctx: EvalContext): Vector {
  const n = selection === null ? batch.length : selection.count;
  const rows = selection === null ? null : selection.rows;
  const compiled = site.compiled(batch);
  if (compiled !== null) {
    try {
      return runKernel(compiled, site, batch, n, rows, ctx);
    } catch (e) {
      if (e !== INEXACT) throw e;
    }
  }
  const builder = new BatchBuilder([site.expr.type]);
  const row: Datum[] = [null];
  for (let k = 0; k < n; k++) {
    row[0] = site.exact(batch, rows === null ? k : rows[k], ctx);
    builder.appendDatums(row);
  }
  return builder.finish().columns[0];
}

function runKernel(compiled: Compiled, site: Site, batch: Batch, n: number, rows: Int32Array | null, ctx: EvalContext): Vector {
  const { cls, scale } = compiled.form;
  switch (cls) {
    case 'num': case 'dec': {
      const out = { values: new Float64Array(n), nulls: new Uint8Array(n), some: false };
      compiled.kernel(batch.columns, n, rows, out, ctx, compiled.constants, helpers);
      const nulls = out.some ? out.nulls : null;
      return cls === 'num' ? { form: 'f64', values: out.values, nulls } : { form: 'dec', values: out.values, scale, nulls };
    }
    case 'bool': {
      const out = { values: new Uint8Array(n), nulls: new Uint8Array(n), some: false };
      compiled.kernel(batch.columns, n, rows, out, ctx, compiled.constants, helpers);
      return { form: 'bool', values: out.values, nulls: out.some ? out.nulls : null };
    }
    case 'str': case 'datum': {
      const out: { values: Datum[] } = { values: [] };
      compiled.kernel(batch.columns, n, rows, out, ctx, compiled.constants, helpers);
      return fromDatums(site.expr.type, out.values);
    }
  }
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
