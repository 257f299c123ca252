/**
 * Expressions as JavaScript text for one row `i` of a batch whose vectors have known forms. Each node gives a value and whether it is NULL as
 * two variables (a variable that is "number or null" would make V8 box every double); conditional evaluation is by nested blocks, so that
 * a branch not taken raises nothing. Constants are passed in an array, never spliced into the text.
 *
 * Value classes: 'num' double; 'bool'; 'str' JS string; 'dec' double unscaled with a static scale; 'datum' anything.
 * Integers past 2^53 do not fit 'num': the kernel throws INEXACT and the batch goes the exact way (interpret.ts).
 */
import type { Expr } from '../../types/expr.js';
import type { SqlType } from '../../types/sqltype.js';
import type { Datum } from '../../types/value.js';
import { castFor, functionById } from '../../types/functions/registry.js';
import { layoutOf } from '../../types/encoding/kinds.js';
import { Numeric } from '../../types/numeric.js';
import { Interval } from '../../types/interval.js';
import { Json } from '../../types/json.js';
import { SqlError } from '../../types/error.js';
import { utf8Text } from '../../types/encoding/bytes.js';
import { parseDatum } from '../../types/textio.js';
import type { Vector } from '../batch.js';
import { castFunction, interpret } from './interpret.js';
import type { SubplanRunner } from './subplan.js';
import { TimeTexts } from './timetexts.js';

/** Thrown by kernels for a value that compiled code cannot hold exactly. */
export const INEXACT = { inexact: true } as const;

/** A form of a vector as kernels see it; 'dec' with its scale. */
export interface ColumnForm { readonly form: Vector['form']; readonly nullable: boolean; readonly scale: number }

export type ValueClass = 'num' | 'bool' | 'str' | 'dec' | 'datum';
export interface Emitted { readonly cls: ValueClass; readonly v: string; /** 'false', 'true' or a variable */ readonly n: string; readonly scale: number }

/** The catalogue's helpers that kernels call, by name: passed as H. */
export const helpers = {
  INEXACT, utf8Text, Numeric, Json,
  divideByZero: (): never => { throw new SqlError('22012', 'division by zero'); },
  outOfRange: (name: string): never => { throw new SqlError('22003', `${name} out of range`); },
  sameBytes(data: Uint8Array, start: number, end: number, k: Uint8Array): boolean {
    if (end - start !== k.length) return false;
    for (let i = 0; i < k.length; i++) if (data[start + i] !== k[i]) return false;
    return true;
  },
  canonical: (b: bigint): number | bigint => (b >= -9007199254740992n && b <= 9007199254740992n ? Number(b) : b),
};

const COMPARISONS: Readonly<Record<string, string>> = { '=': '===', '<>': '!==', '<': '<', '<=': '<=', '>': '>', '>=': '>=' };
const RANGE: Readonly<Record<string, { readonly limit: number; readonly name: string }>> = { int2: { limit: 32767, name: 'smallint' }, int4: { limit: 2147483647, name: 'integer' } };
const EXACT_MAX = '9007199254740992';

export class Emitter {
  readonly constants: unknown[] = [];
  readonly #lines: string[] = [];
  readonly #forms: readonly ColumnForm[];
  readonly #types: readonly SqlType[];
  readonly #subplans: SubplanRunner | null;
  readonly #loaded = new Map<number, Emitted>();
  /** Columns used, by index. */
  readonly used = new Set<number>();
  #depth = 0;
  #next = 0;

  constructor(types: readonly SqlType[], forms: readonly ColumnForm[], subplans: SubplanRunner | null) {
    this.#types = types;
    this.#forms = forms;
    this.#subplans = subplans;
  }

  get text(): string { return this.#lines.join('\n'); }
  line(text: string): void { this.#lines.push(text); }
  #name(prefix: string): string { return `${prefix}${this.#next++}`; }
  constant(value: unknown): string { this.constants.push(value); return `K[${this.constants.length - 1}]`; }

  /** Declares a result filled in by nested code. */
  #result(cls: ValueClass, scale = 0): Emitted {
    const v = this.#name('v');
    const n = this.#name('n');
    this.line(`let ${v} = ${cls === 'num' || cls === 'dec' ? '0' : cls === 'bool' ? 'false' : cls === 'str' ? "''" : 'null'}; let ${n} = false;`);
    return { cls, v, n, scale };
  }
  #let(cls: ValueClass, code: string, n: string, scale = 0): Emitted {
    const v = this.#name('v');
    this.line(`const ${v} = ${code};`);
    return { cls, v, n, scale };
  }
  #block(head: string, body: () => void): void {
    this.line(`${head} {`);
    this.#depth++;
    body();
    this.#depth--;
    this.line('}');
  }

  emit(e: Expr): Emitted {
    switch (e.node) {
      case 'column': return this.#column(e.index);
      case 'literal': return this.#literal(e.text, e.type);
      case 'call': return this.#call(e);
      case 'cast': return this.#cast(e);
      case 'and': case 'or': return this.#connective(e.node === 'and', e.args);
      case 'not': { const a = this.bool(e.arg); return this.#let('bool', `!${a.v}`, a.n); }
      case 'isnull': { const a = this.emit(e.arg); return { cls: 'bool', v: a.n, n: 'false', scale: 0 }; }
      case 'case': return this.#case(e);
      case 'coalesce': return this.#coalesce(e);
      case 'in': return this.#in(e);
      default: return this.#interpreted(e);
    }
  }

  /** Brings a value to the class that its type has in results. */
  as(a: Emitted, cls: ValueClass): Emitted {
    if (a.cls === cls) return a;
    if (cls === 'datum') {
      if (a.cls === 'dec') return this.#let('datum', `H.Numeric.of(${a.v}, ${a.scale})`, a.n);
      return { ...a, cls: 'datum' };
    }
    if (a.cls === 'datum' && cls === 'num') {
      if (a.n === 'true') return { cls: 'num', v: '0', n: 'true', scale: 0 };
      const r = this.#result('num');
      this.#block(`if (${a.n}) ${r.n} = true; else`, () => { this.line(`if (typeof ${a.v} !== 'number') throw H.INEXACT; ${r.v} = ${a.v};`); });
      return r;
    }
    return { ...a, cls };
  }
  bool(e: Expr): Emitted { return this.as(this.emit(e), 'bool'); }
  /** The value as a datum or null, in one variable: for calls of the catalogue. */
  #argument(e: Expr): Emitted { return this.as(this.emit(e), 'datum'); }

  #column(index: number): Emitted {
    const known = this.#loaded.get(index);
    if (known !== undefined) return known;
    this.used.add(index);
    const { form, nullable, scale } = this.#forms[index];
    const type = this.#types[index];
    const n = form === 'datum' ? `(c${index}[i] === null)` : nullable ? `(z${index}[i] === 1)` : 'false';
    let e: Emitted;
    switch (form) {
      case 'f64': e = this.#let('num', `c${index}[i]`, n); break;
      case 'bool': e = this.#let('bool', `c${index}[i] === 1`, n); break;
      case 'dec': e = this.#let('dec', `c${index}[i]`, n, scale); break;
      case 'i64': e = this.#let('datum', `H.canonical(c${index}[i])`, n); break;
      case 'datum': e = this.#let('datum', `c${index}[i]`, n); break;
      case 'bytes':
        if (type.kind === 'bytea') e = this.#let('datum', `${n} ? null : d${index}.slice(s${index}[i], e${index}[i])`, n);
        else if (type.kind === 'jsonb' || type.kind === 'json') e = this.#let('datum', `${n} ? null : H.Json.${type.kind}(H.utf8Text(d${index}, s${index}[i], e${index}[i]))`, n);
        else e = this.#let('str', `${n} ? '' : H.utf8Text(d${index}, s${index}[i], e${index}[i])`, n);
        break;
    }
    // A value loaded inside a block is not visible after it.
    if (this.#depth === 0) this.#loaded.set(index, e);
    return e;
  }

  #literal(text: string | null, type: SqlType): Emitted {
    const cls = classOf(type);
    if (text === null) return { cls, v: cls === 'num' || cls === 'dec' ? '0' : cls === 'bool' ? 'false' : cls === 'str' ? "''" : 'null', n: 'true', scale: 0 };
    if (type.kind.startsWith('reg')) return this.#interpreted({ node: 'literal', text, type });
    const d: Datum = parseDatum(type, text);
    if (d instanceof Numeric && d.kind === 'finite' && typeof d.coef === 'number') return { cls: 'dec', v: numberText(d.coef), n: 'false', scale: d.scale };
    if (typeof d === 'number') return { cls: 'num', v: numberText(d), n: 'false', scale: 0 };
    if (typeof d === 'boolean') return { cls: 'bool', v: String(d), n: 'false', scale: 0 };
    return { cls: typeof d === 'string' ? 'str' : 'datum', v: this.constant(d), n: 'false', scale: 0 };
  }

  #call(e: Extract<Expr, { node: 'call' }>): Emitted {
    const def = functionById(e.fn);
    const inline = def === null ? null : def.id === 'to_char(timestamp,text)' ? this.#timeText(e) : this.#inline(def.name, e);
    if (inline !== null) return inline;
    if (def === null || !def.strict || e.args.some(a => a.node === 'subplan')) return this.#interpretedCall(e);
    const args = e.args.map(a => this.#argument(a));
    const n = anyOf(args.map(a => a.n));
    const f = this.constant(def.bind === undefined ? def.evaluate : def.bind(e.args.map(a => a.type)));
    const ctx = def.bind !== undefined || def.needsContext ? ['ctx'] : [];
    const code = `${f}(${[...ctx, ...args.map(a => a.v)].join(', ')})`;
    return this.#datumCall(e.type, n, code);
  }

  /** to_char with a constant template: texts are kept by what the template shows of the time, which neighbouring rows have in common. */
  #timeText(e: Extract<Expr, { node: 'call' }>): Emitted | null {
    const [time, template] = e.args;
    if (time === undefined || template?.node !== 'literal' || template.text === null) return null;
    const texts = TimeTexts.of(template.text);
    if (texts === null) return null;
    const a = this.as(this.emit(time), 'num');
    return this.#datumCall(e.type, a.n, `${this.constant(texts)}.at(${a.v})`);
  }

  /** `code` gives a datum (perhaps null) when `n` is false. */
  #datumCall(type: SqlType, n: string, code: string): Emitted {
    const cls = classOf(type);
    const r = this.#result(cls === 'dec' ? 'datum' : cls);
    const t = this.#name('t');
    const body = (): void => {
      this.line(`const ${t} = ${code};`);
      if (cls === 'num') this.line(`if (${t} === null) ${r.n} = true; else if (typeof ${t} === 'number') ${r.v} = ${t}; else throw H.INEXACT;`);
      else this.line(`if (${t} === null) ${r.n} = true; else ${r.v} = ${t};`);
    };
    if (n === 'false') this.#block('', body);
    else this.#block(`if (${n}) ${r.n} = true; else`, body);
    return r;
  }

  #interpretedCall(e: Expr): Emitted { return this.#interpreted(e); }

  /** Any expression through the exact path, one row at a time: what has no compiled form. */
  #interpreted(e: Expr): Emitted {
    const columns = [...columnsOf(e)];
    const values = columns.map(c => this.as(this.#column(c), 'datum'));
    const remapped = remap(e, new Map(columns.map((c, k) => [c, k])));
    const f = this.constant(interpret(remapped, this.#subplans));
    return this.#datumCall(e.type, 'false', `${f}([${values.map(a => (a.n === 'false' ? a.v : `${a.n} ? null : ${a.v}`)).join(', ')}], ctx)`);
  }

  #inline(name: string, e: Extract<Expr, { node: 'call' }>): Emitted | null {
    const [left, right] = e.args;
    if (left === undefined || right === undefined || e.args.length !== 2) return null;
    const lk = layoutOf(left.type);
    const rk = layoutOf(right.type);
    const integers = isInteger(left.type) && isInteger(right.type);
    const times = (lk === 'big' || lk === 'number') && (rk === 'big' || rk === 'number') && left.type.kind === right.type.kind;
    const comparison = COMPARISONS[name];
    if (comparison !== undefined) {
      if (integers || times) return this.#compareNumbers(left, right, comparison);
      if (lk === 'float' && rk === 'float') return this.#compareFloats(left, right, name, comparison);
      if (left.type.kind === 'numeric' && right.type.kind === 'numeric') return this.#compareDecimals(left, right, comparison);
      if ((name === '=' || name === '<>') && left.type.kind === 'text' && right.type.kind === 'text') return this.#compareText(left, right, name === '=');
      return null;
    }
    if (integers && (name === '+' || name === '-' || name === '*' || name === '%' || name === '/')) return this.#arithmetic(name, left, right, e.type);
    if (left.type.kind === 'numeric' && right.type.kind === 'numeric' && (name === '+' || name === '-' || name === '*')) return this.#decimal(name, left, right, e.type);
    if (left.type.kind === 'timestamp' && right.type.kind === 'interval' && (name === '+' || name === '-')) return this.#shift(name, left, right);
    return null;
  }

  #compareNumbers(left: Expr, right: Expr, operator: string): Emitted | null {
    const a = this.as(this.emit(left), 'num');
    const b = this.as(this.emit(right), 'num');
    return this.#let('bool', `${a.v} ${operator} ${b.v}`, anyOf([a.n, b.n]));
  }

  /** NaN is equal to itself and above every number. */
  #compareFloats(left: Expr, right: Expr, name: string, operator: string): Emitted {
    const a = this.as(this.emit(left), 'num');
    const b = this.as(this.emit(right), 'num');
    const nan = { '=': `${a.v} !== ${a.v} && ${b.v} !== ${b.v}`, '<>': `(${a.v} === ${a.v} || ${b.v} === ${b.v})`, '<': `${b.v} !== ${b.v} && ${a.v} === ${a.v}`, '<=': `${b.v} !== ${b.v}`, '>': `${a.v} !== ${a.v} && ${b.v} === ${b.v}`, '>=': `${a.v} !== ${a.v}` }[name];
    return this.#let('bool', `(${a.v} === ${a.v} && ${b.v} === ${b.v}) ? ${a.v} ${operator} ${b.v} : ${String(nan)}`, anyOf([a.n, b.n]));
  }

  #compareDecimals(left: Expr, right: Expr, operator: string): Emitted {
    const a = this.emit(left);
    const b = this.emit(right);
    const n = anyOf([a.n, b.n]);
    if (a.cls !== 'dec' || b.cls !== 'dec') {
      const x = this.as(a, 'datum');
      const y = this.as(b, 'datum');
      const r = this.#result('bool');
      this.line(`if (${n}) ${r.n} = true; else ${r.v} = ${x.v}.compare(${y.v}) ${operator} 0;`);
      return r;
    }
    const scale = Math.max(a.scale, b.scale);
    return this.#let('bool', `${this.#scaled(a, scale)} ${operator} ${this.#scaled(b, scale)}`, n);
  }

  /** The unscaled double at a larger scale; INEXACT past 2^53. */
  #scaled(a: Emitted, scale: number): string {
    if (a.scale === scale) return a.v;
    const t = this.#name('t');
    this.line(`const ${t} = ${a.v} * ${10 ** (scale - a.scale)}; if (${t} > ${EXACT_MAX} || ${t} < -${EXACT_MAX}) throw H.INEXACT;`);
    return t;
  }

  #compareText(left: Expr, right: Expr, equal: boolean): Emitted {
    // A text column against a constant: compared as bytes, no string is made.
    const [column, other] = left.node === 'column' ? [left, right] : [right, left];
    if (column.node === 'column' && other.node === 'literal' && other.text !== null && this.#forms[column.index].form === 'bytes') {
      const c = column.index;
      this.used.add(c);
      const n = this.#forms[c].nullable ? `(z${c}[i] === 1)` : 'false';
      const k = this.constant(Buffer.from(other.text, 'utf8'));
      return this.#let('bool', `${n === 'false' ? '' : `!${n} && `}${equal ? '' : '!'}H.sameBytes(d${c}, s${c}[i], e${c}[i], ${k})`, n);
    }
    const a = this.emit(left);
    const b = this.emit(right);
    return this.#let('bool', `${a.v} ${equal ? '===' : '!=='} ${b.v}`, anyOf([a.n, b.n]));
  }

  #arithmetic(name: string, left: Expr, right: Expr, type: SqlType): Emitted {
    const a = this.as(this.emit(left), 'num');
    const b = this.as(this.emit(right), 'num');
    const n = anyOf([a.n, b.n]);
    const r = this.#result('num');
    this.#block(n === 'false' ? '' : `if (${n}) ${r.n} = true; else`, () => {
      if (name === '/' || name === '%') {
        if (!isNonZero(right)) this.line(`if (${b.v} === 0) H.divideByZero();`);
        this.line(`${r.v} = ${name === '/' ? `Math.trunc(${a.v} / ${b.v})` : `${a.v} % ${b.v}`} + 0;`);
        // Division of large doubles may round across an integer.
        if (name === '/' && type.kind === 'int8') this.line(`if (${a.v} > 4503599627370496 || ${a.v} < -4503599627370496) throw H.INEXACT;`);
      } else this.line(`${r.v} = ${a.v} ${name} ${b.v} + 0;`);
      const range = RANGE[type.kind];
      if (range !== undefined) this.line(`if (${r.v} > ${range.limit} || ${r.v} < ${-range.limit - 1}) H.outOfRange('${range.name}');`);
      else if (name !== '%' && name !== '/') this.line(`if (${r.v} >= ${EXACT_MAX} || ${r.v} <= -${EXACT_MAX}) throw H.INEXACT;`);
    });
    return r;
  }

  #decimal(name: string, left: Expr, right: Expr, type: SqlType): Emitted {
    const a = this.emit(left);
    const b = this.emit(right);
    const n = anyOf([a.n, b.n]);
    if (a.cls !== 'dec' || b.cls !== 'dec') {
      const x = this.as(a, 'datum');
      const y = this.as(b, 'datum');
      return this.#datumCall(type, n, `${x.v}.${name === '+' ? 'add' : name === '-' ? 'sub' : 'mul'}(${y.v})`);
    }
    const scale = name === '*' ? a.scale + b.scale : Math.max(a.scale, b.scale);
    const code = name === '*' ? `${a.v} * ${b.v}` : `${this.#scaled(a, scale)} ${name} ${this.#scaled(b, scale)}`;
    const r = this.#let('dec', `${code} + 0`, n, scale);
    this.line(`if (${r.v} >= ${EXACT_MAX} || ${r.v} <= -${EXACT_MAX}) throw H.INEXACT;`);
    return r;
  }

  /** timestamp ± an interval constant of days and µs only. */
  #shift(name: string, left: Expr, right: Expr): Emitted | null {
    if (right.node !== 'literal' || right.text === null) return null;
    const interval = parseDatum(right.type, right.text);
    if (!(interval instanceof Interval) || interval.months !== 0) return null;
    const us = interval.days * 86_400_000_000 + interval.us;
    const a = this.as(this.emit(left), 'num');
    const r = this.#let('num', `${a.v} ${name} ${numberText(us)}`, a.n);
    this.line(`if (${r.v} > 9000000000000000 || ${r.v} < -9000000000000000) { if (${r.v} !== Infinity && ${r.v} !== -Infinity) throw H.INEXACT; }`);
    return r;
  }

  #cast(e: Extract<Expr, { node: 'cast' }>): Emitted {
    const from = e.arg.type;
    const to = e.type;
    if (isInteger(from) && to.kind === 'int8') return this.as(this.emit(e.arg), 'num');
    if (isInteger(from) && to.kind === 'numeric' && to.mod === undefined) { const a = this.as(this.emit(e.arg), 'num'); return { ...a, cls: 'dec', scale: 0 }; }
    if (from.kind === to.kind && from.kind !== 'array' && to.kind !== 'array' && (to.mod === undefined || to.mod === from.mod)) return this.emit(e.arg);
    if (to.kind === 'text' && (from.kind === 'varchar' || from.kind === 'name') || (to.kind === 'varchar' && to.mod === undefined && from.kind === 'text')) return this.emit(e.arg);
    if (castFor(from, to) === null) return this.#interpreted(e);
    const a = this.#argument(e.arg);
    return this.#datumCall(to, a.n, `${this.constant(castFunction(from, to, e.explicit))}(${a.v}, ctx)`);
  }

  #connective(and: boolean, args: readonly Expr[]): Emitted {
    const r = this.#result('bool');
    this.line(`${r.v} = ${String(and)};`);
    const one = (k: number): void => {
      if (k === args.length) return;
      const a = this.bool(args[k]);
      const decided = and ? `!${a.v}` : a.v;
      if (a.n === 'false') this.line(`if (${decided}) { ${r.v} = ${String(!and)}; ${r.n} = false; } else {`);
      else this.line(`if (!${a.n} && ${decided}) { ${r.v} = ${String(!and)}; ${r.n} = false; } else { if (${a.n}) ${r.n} = true;`);
      this.#depth++;
      one(k + 1);
      this.#depth--;
      this.line('}');
    };
    one(0);
    return r;
  }

  #assign(r: Emitted, e: Expr): void {
    const a = this.as(this.emit(e), r.cls);
    this.line(a.n === 'false' ? `${r.v} = ${a.v};` : `${r.n} = ${a.n}; if (!${r.n}) ${r.v} = ${a.v};`);
  }

  #case(e: Extract<Expr, { node: 'case' }>): Emitted {
    const cls = classOf(e.type);
    const r = this.#result(cls === 'dec' ? 'datum' : cls);
    const one = (k: number): void => {
      if (k === e.whens.length) {
        if (e.otherwise === null) this.line(`${r.n} = true;`);
        else this.#assign(r, e.otherwise);
        return;
      }
      const w = this.bool(e.whens[k].when);
      this.#block(`if (${w.n === 'false' ? '' : `!${w.n} && `}${w.v})`, () => { this.#assign(r, e.whens[k].then); });
      this.#block('else', () => { one(k + 1); });
    };
    this.#block('', () => { one(0); });
    return r;
  }

  #coalesce(e: Extract<Expr, { node: 'coalesce' }>): Emitted {
    const cls = classOf(e.type);
    const r = this.#result(cls === 'dec' ? 'datum' : cls);
    const one = (k: number): void => {
      if (k === e.args.length) { this.line(`${r.n} = true;`); return; }
      const a = this.as(this.emit(e.args[k]), r.cls);
      if (a.n === 'false') { this.line(`${r.v} = ${a.v};`); return; }
      this.line(`if (!${a.n}) ${r.v} = ${a.v};`);
      this.#block('else', () => { one(k + 1); });
    };
    this.#block('', () => { one(0); });
    return r;
  }

  /** Text and number constants without NULL: a set; otherwise the exact path. */
  #in(e: Extract<Expr, { node: 'in' }>): Emitted {
    const literals = e.list.every(x => x.node === 'literal' && x.text !== null);
    const kind = e.arg.type.kind;
    if (!literals || !(kind === 'text' || isInteger(e.arg.type)) || e.list.some(x => x.type.kind !== kind)) return this.#interpreted(e);
    const values = new Set(e.list.map(x => (x.node === 'literal' && x.text !== null ? parseDatum(x.type, x.text) : null)));
    const a = this.as(this.emit(e.arg), kind === 'text' ? 'str' : 'num');
    return this.#let('bool', `${this.constant(values)}.has(${a.v})`, a.n);
  }
}

const isInteger = (t: SqlType): boolean => t.kind === 'int2' || t.kind === 'int4' || t.kind === 'int8';
const isNonZero = (e: Expr): boolean => e.node === 'literal' && e.text !== null && Number(e.text) !== 0;

/** Class of a type's values in results. */
export function classOf(type: SqlType): ValueClass {
  switch (layoutOf(type)) {
    case 'number': case 'big': case 'float': return 'num';
    case 'bool': return 'bool';
    case 'bytes': return type.kind === 'bytea' ? 'datum' : 'str';
    case 'numeric': return 'dec';
    default: return 'datum';
  }
}

function anyOf(flags: readonly string[]): string {
  const open = flags.filter(f => f !== 'false');
  if (open.includes('true')) return 'true';
  return open.length === 0 ? 'false' : open.length === 1 ? open[0] : `(${open.join(' || ')})`;
}

function numberText(v: number): string {
  if (Number.isNaN(v)) return 'NaN';
  if (v === Infinity) return 'Infinity';
  if (v === -Infinity) return '(-Infinity)';
  return v < 0 || Object.is(v, -0) ? `(${Object.is(v, -0) ? '-0' : String(v)})` : String(v);
}

/** Input columns an expression reads; a subplan's own plan is not looked into, its outer values are. */
export function columnsOf(e: Expr, into: Set<number> = new Set()): Set<number> {
  if (e.node === 'column') { into.add(e.index); return into; }
  for (const child of childrenOf(e)) columnsOf(child, into);
  return into;
}

export function childrenOf(e: Expr): readonly Expr[] {
  switch (e.node) {
    case 'column': case 'literal': case 'param': case 'outer': return [];
    case 'call': case 'and': case 'or': case 'coalesce': return e.args;
    case 'cast': case 'not': case 'isnull': return [e.arg];
    case 'distinct': case 'anyall': return [e.left, e.right];
    case 'case': return [...e.whens.flatMap(w => [w.when, w.then]), ...(e.otherwise === null ? [] : [e.otherwise])];
    case 'in': return [e.arg, ...e.list];
    case 'array': return e.elems;
    case 'subplan': return [...e.outer, ...(e.left === null ? [] : [e.left])];
  }
}

/** The expression over other column numbers. */
export function remap(e: Expr, to: ReadonlyMap<number, number>): Expr {
  const go = (x: Expr): Expr => remap(x, to);
  switch (e.node) {
    case 'column': return { ...e, index: to.get(e.index) ?? e.index };
    case 'literal': case 'param': case 'outer': return e;
    case 'call': return { ...e, args: e.args.map(go) };
    case 'and': case 'or': return { ...e, args: e.args.map(go) };
    case 'coalesce': return { ...e, args: e.args.map(go) };
    case 'cast': return { ...e, arg: go(e.arg) };
    case 'not': return { ...e, arg: go(e.arg) };
    case 'isnull': return { ...e, arg: go(e.arg) };
    case 'distinct': return { ...e, left: go(e.left), right: go(e.right) };
    case 'anyall': return { ...e, left: go(e.left), right: go(e.right) };
    case 'case': return { ...e, whens: e.whens.map(w => ({ when: go(w.when), then: go(w.then) })), otherwise: e.otherwise === null ? null : go(e.otherwise) };
    case 'in': return { ...e, arg: go(e.arg), list: e.list.map(go) };
    case 'array': return { ...e, elems: e.elems.map(go) };
    case 'subplan': return { ...e, outer: e.outer.map(go), left: e.left === null ? null : go(e.left) };
  }
}
