/**
 * Expressions as JavaScript text for one row `i` of a batch whose vectors have known forms. Each node gives a value and whether it is NULL as
 * two variables (a variable that is "number or null" would make V8 box every double); conditional evaluation is by nested blocks, so that
 * a branch not taken raises nothing. Constants are passed in an array, never spliced into the text. An expression that stands twice is
 * evaluated once where the first place is evaluated whenever the second is (the block it stands in, or one around it).
 *
 * Value classes: 'num' double; 'bool'; 'str' JS string; 'span' UTF-8 bytes d[s, e) (text.ts); 'dec' double unscaled with a static scale;
 * 'datum' anything. Integers past 2^53 do not fit 'num': the kernel throws INEXACT and the batch goes the exact way (interpret.ts).
 */
import type { Expr } from '../../types/expr.js';
import type { SqlType } from '../../types/sqltype.js';
import type { Datum } from '../../types/value.js';
import type { EvalContext } from '../../types/functions/evalcontext.js';
import { castFor, functionById } from '../../types/functions/registry.js';
import { layoutOf } from '../../types/encoding/kinds.js';
import { Numeric, pow10 } from '../../types/numeric.js';
import { Interval } from '../../types/interval.js';
import { Json } from '../../types/json.js';
import { SqlError } from '../../types/error.js';
import { utf8Text } from '../../types/encoding/bytes.js';
import { parseDatum } from '../../types/textio.js';
import { anyOf, classOf, type ColumnForm, type Emitted, isInteger, numberText, sameText, type Span, spanText, type ValueClass } from './emitted.js';
import { emitFunction } from './emitfunctions.js';
import { columnsOf, remap, repeatable } from './expressions.js';
import { castFunction, interpret } from './interpret.js';
import type { SubplanRunner } from './subplan.js';
import * as text from './text.js';

/** Thrown by kernels for a value that compiled code cannot hold exactly. */
export const INEXACT = { inexact: true } as const;

/** The catalogue's helpers that kernels call, by name: passed as H. */
export const helpers = {
  ...text,
  INEXACT, utf8Text, Numeric, Json, truncated,
  divideByZero: (): never => { throw new SqlError('22012', 'division by zero'); },
  outOfRange: (name: string): never => { throw new SqlError('22003', `${name} out of range`); },
  canonical: (b: bigint): number | bigint => (b >= -9007199254740992n && b <= 9007199254740992n ? Number(b) : b),
};

/** A finite numeric cut to a whole number, as a double; null when it takes more than 53 bits or is not finite. */
function truncated(v: Numeric): number | null {
  const { coef, scale } = v;
  if (v.kind !== 'finite') return null;
  if (typeof coef === 'bigint') {
    const whole = coef / pow10(scale);
    return whole <= 9007199254740992n && whole >= -9007199254740992n ? Number(whole) : null;
  }
  if (scale > TRUNCATED_SCALE_MAX) return null;
  const unit = 10 ** scale;
  const whole = Math.trunc(coef / unit);
  // A quotient may round up to the next whole number.
  const rest = coef - whole * unit;
  return (coef < 0 ? (rest > 0 ? whole + 1 : whole) : rest < 0 ? whole - 1 : whole) + 0;
}

const COMPARISONS: Readonly<Record<string, string>> = { '=': '===', '<>': '!==', '<': '<', '<=': '<=', '>': '>', '>=': '>=' };
const RANGE: Readonly<Record<string, { readonly limit: number; readonly name: string }>> = { int2: { limit: 32767, name: 'smallint' }, int4: { limit: 2147483647, name: 'integer' } };
const EXACT_MAX = '9007199254740992';
/** Texts of an IN list that are compared one by one; more go to a set of strings. */
const IN_COMPARED_MAX = 8;
/** Powers of ten up to it times a quotient stay below 2^53. */
const TRUNCATED_SCALE_MAX = 15;

export class Emitter {
  readonly constants: unknown[] = [];
  readonly #lines: string[] = [];
  readonly #forms: readonly ColumnForm[];
  readonly #types: readonly SqlType[];
  readonly #subplans: SubplanRunner | null;
  /** What was evaluated in the open blocks, the innermost last. */
  readonly #scopes: Map<string, Emitted>[] = [new Map()];
  readonly #shared = new Map<string, string>();
  /** Columns used, by index. */
  readonly used = new Set<number>();
  /** Code before the loop over the rows. */
  readonly #before: string[] = [];
  /** Texts of constants, in one array: results that are all constants point into it. */
  readonly #pool: Buffer[] = [];
  #poolBytes = 0;
  #scratch = false;
  #next = 0;

  constructor(types: readonly SqlType[], forms: readonly ColumnForm[], subplans: SubplanRunner | null) {
    this.#types = types;
    this.#forms = forms;
    this.#subplans = subplans;
    // K[0]: bytes of the constants; K[1]: scratch.
    this.constants.push(Buffer.alloc(0), null);
  }

  /** Code of the rows' loop. */
  get text(): string { return `${this.#scratch ? 'A.used = 0;\n' : ''}${this.#lines.join('\n')}`; }

  /** Declarations before the loop, once everything is emitted. */
  get declarations(): string {
    this.constants[0] = Buffer.concat(this.#pool);
    if (this.#scratch) this.constants[1] = new text.TextScratch();
    return ['const L = K[0];', ...(this.#scratch ? ['const A = K[1];'] : []), ...this.#before].join('\n');
  }

  line(code: string): void { this.#lines.push(code); }
  /** A line before the loop. */
  once(code: string): void { this.#before.push(code); }
  name(prefix: string): string { return `${prefix}${this.#next++}`; }
  constant(value: unknown): string { this.constants.push(value); return `K[${this.constants.length - 1}]`; }
  /** A constant as a variable of its own. */
  object(value: unknown): string {
    const name = this.name('k');
    this.once(`const ${name} = ${this.constant(value)};`);
    return name;
  }
  /** A constant as a variable that all places of the kernel with this key use; `once` is a line before the loop. */
  shared(key: string, make: () => unknown, once: (name: string) => string): string {
    let name = this.#shared.get(key);
    if (name === undefined) {
      name = this.object(make());
      this.once(once(name));
      this.#shared.set(key, name);
    }
    return name;
  }
  /** The scratch for texts made in a row. */
  scratch(): string { this.#scratch = true; return 'A'; }

  known(key: string): Emitted | undefined {
    for (let k = this.#scopes.length - 1; k >= 0; k--) {
      const found = this.#scopes[k].get(key);
      if (found !== undefined) return found;
    }
    return undefined;
  }
  remember<T extends Emitted>(key: string, e: T): T {
    this.#scopes[this.#scopes.length - 1].set(key, e);
    return e;
  }

  /** Declares a result filled in by nested code. */
  result(cls: ValueClass, scale = 0): Emitted {
    const v = this.name('v');
    const n = this.name('n');
    if (cls === 'span') {
      this.line(`let ${v}d = L, ${v}s = 0, ${v}e = 0; let ${n} = false;`);
      return { cls, v: '', n, scale, span: { d: `${v}d`, s: `${v}s`, e: `${v}e`, base: '', ascii: '' } };
    }
    this.line(`let ${v} = ${cls === 'num' || cls === 'dec' ? '0' : cls === 'bool' ? 'false' : cls === 'str' ? "''" : 'null'}; let ${n} = false;`);
    return { cls, v, n, scale };
  }
  let(cls: Exclude<ValueClass, 'span'>, code: string, n: string, scale = 0): Emitted {
    const v = this.name('v');
    this.line(`const ${v} = ${code};`);
    return { cls, v, n, scale };
  }
  block(head: string, body: () => void): void {
    this.line(`${head} {`);
    this.#scopes.push(new Map());
    body();
    this.#scopes.pop();
    this.line('}');
  }

  /** `body` for rows where `n` is false; `r` is NULL in the others. */
  unless(n: string, r: Emitted, body: () => void): void {
    if (n === 'true') this.line(`${r.n} = true;`);
    else this.block(n === 'false' ? '' : `if (${n}) ${r.n} = true; else`, body);
  }

  /** Gives a span result its bytes. */
  setSpan(r: Emitted, d: string, s: string, e: string, base: string | null, ascii: string): void {
    const { span } = r;
    if (span === undefined) throw new Error('internal error: not a span');
    this.line(`${span.d} = ${d}; ${span.s} = ${s}; ${span.e} = ${e};`);
    span.base = span.base === '' || span.base === base ? base : null;
    span.ascii = span.ascii === '' || span.ascii === ascii ? ascii : 'false';
  }

  emit(e: Expr): Emitted {
    if (e.node === 'column' || e.node === 'literal' || !repeatable(e)) return this.#emit(e);
    const key = JSON.stringify(e);
    return this.known(key) ?? this.remember(key, this.#emit(e));
  }

  #emit(e: Expr): Emitted {
    switch (e.node) {
      case 'column': return this.#column(e.index);
      case 'literal': return this.#literal(e.text, e.type);
      case 'call': return this.#call(e);
      case 'cast': return this.#cast(e);
      case 'and': case 'or': return this.#connective(e.node === 'and', e.args);
      case 'not': { const a = this.bool(e.arg); return this.let('bool', `!${a.v}`, a.n); }
      case 'isnull': { const a = this.emit(e.arg); return { cls: 'bool', v: a.n, n: 'false', scale: 0 }; }
      case 'case': return this.#case(e);
      case 'coalesce': return this.#coalesce(e);
      case 'in': return this.#in(e);
      default: return this.#interpreted(e);
    }
  }

  /** Brings a value to another class that can hold it. */
  as(a: Emitted, cls: ValueClass): Emitted {
    if (a.cls === cls) return a;
    if (a.span !== undefined) {
      const str = this.#string(a, a.span);
      return cls === 'str' ? str : { ...str, cls: 'datum' };
    }
    if (cls === 'span') return this.#bytes(a);
    if (cls === 'datum') {
      if (a.cls === 'dec') return this.let('datum', `H.Numeric.of(${a.v}, ${a.scale})`, a.n);
      return { ...a, cls: 'datum' };
    }
    if (a.cls === 'datum' && cls === 'num') {
      if (a.n === 'true') return { cls: 'num', v: '0', n: 'true', scale: 0 };
      const r = this.result('num');
      this.block(`if (${a.n}) ${r.n} = true; else`, () => { this.line(`if (typeof ${a.v} !== 'number') throw H.INEXACT; ${r.v} = ${a.v};`); });
      return r;
    }
    return { ...a, cls };
  }

  #string(a: Emitted, span: Span): Emitted {
    if (span.literal !== undefined) return { cls: 'str', v: this.constant(span.literal), n: a.n, scale: 0 };
    const key = `text ${span.d} ${span.s}`;
    return this.known(key) ?? this.remember(key, this.let('str', `${a.n === 'false' ? '' : `${a.n} ? '' : `}H.utf8Text(${span.d}, ${span.s}, ${span.e})`, a.n));
  }

  #bytes(a: Emitted): Emitted {
    const r = this.result('span');
    this.unless(a.n, r, () => {
      const t = this.scratch();
      this.line(`${t}.put(${a.v});`);
      this.setSpan(r, `${t}.d`, `${t}.s`, `${t}.e`, null, 'false');
    });
    return r;
  }

  bool(e: Expr): Emitted { return this.as(this.emit(e), 'bool'); }
  num(e: Expr): Emitted { return this.as(this.emit(e), 'num'); }
  /** Text as bytes. */
  span(e: Expr): Emitted & { readonly span: Span } {
    const a = this.as(this.emit(e), 'span');
    if (a.span === undefined) throw new Error('internal error: not a span');
    return { ...a, span: a.span };
  }
  /** The value as a datum or null, in one variable: for calls of the catalogue. */
  #argument(e: Expr): Emitted { return this.as(this.emit(e), 'datum'); }

  #column(index: number): Emitted {
    const key = `column ${index}`;
    return this.known(key) ?? this.remember(key, this.#load(index));
  }

  #load(index: number): Emitted {
    this.used.add(index);
    const { form, nullable, scale } = this.#forms[index];
    const type = this.#types[index];
    const n = form === 'datum' ? `(c${index}[i] === null)` : nullable ? `(z${index}[i] === 1)` : 'false';
    switch (form) {
      case 'f64': return this.let('num', `c${index}[i]`, n);
      case 'bool': return this.let('bool', `c${index}[i] === 1`, n);
      case 'dec': return this.let('dec', `c${index}[i]`, n, scale);
      case 'i64': return this.let('datum', `H.canonical(c${index}[i])`, n);
      case 'datum': return this.let('datum', `c${index}[i]`, n);
      case 'bytes': {
        if (type.kind === 'bytea') return this.let('datum', `${n} ? null : d${index}.slice(s${index}[i], e${index}[i])`, n);
        if (type.kind === 'jsonb' || type.kind === 'json') return this.let('datum', `${n} ? null : H.Json.${type.kind}(H.utf8Text(d${index}, s${index}[i], e${index}[i]))`, n);
        const v = this.name('v');
        this.line(`const ${v}s = s${index}[i], ${v}e = e${index}[i];`);
        return { cls: 'span', v: '', n, scale: 0, span: { d: `d${index}`, s: `${v}s`, e: `${v}e`, base: `d${index}`, ascii: `y${index}` } };
      }
    }
  }

  /** The text of a constant. */
  textConstant(value: string): Emitted & { readonly span: Span } {
    const bytes = Buffer.from(value, 'utf8');
    this.#pool.push(bytes);
    const s = this.#poolBytes;
    this.#poolBytes += bytes.length;
    return { cls: 'span', v: '', n: 'false', scale: 0, span: { d: 'L', s: String(s), e: String(this.#poolBytes), base: 'L', ascii: String(bytes.length === value.length), literal: value } };
  }

  #literal(value: string | null, type: SqlType): Emitted {
    const cls = classOf(type);
    if (value === null && cls === 'span') return { ...this.textConstant(''), n: 'true' };
    if (value === null) return { cls, v: cls === 'num' || cls === 'dec' ? '0' : cls === 'bool' ? 'false' : 'null', n: 'true', scale: 0 };
    if (type.kind.startsWith('reg')) return this.#interpreted({ node: 'literal', text: value, type });
    const d: Datum = parseDatum(type, value);
    if (d instanceof Numeric && d.kind === 'finite' && typeof d.coef === 'number') return { cls: 'dec', v: numberText(d.coef), n: 'false', scale: d.scale };
    if (typeof d === 'number') return { cls: 'num', v: numberText(d), n: 'false', scale: 0 };
    if (typeof d === 'boolean') return { cls: 'bool', v: String(d), n: 'false', scale: 0 };
    if (typeof d === 'string') return this.textConstant(d);
    return { cls: 'datum', v: this.constant(d), n: 'false', scale: 0 };
  }

  #call(e: Extract<Expr, { node: 'call' }>): Emitted {
    const def = functionById(e.fn);
    const inline = def === null ? null : this.#inline(def.name, e) ?? emitFunction(this, def, e);
    if (inline !== null) return inline;
    if (def === null || !def.strict || e.args.some(a => a.node === 'subplan')) return this.#interpretedCall(e);
    const args = e.args.map(a => this.#argument(a));
    const n = anyOf(args.map(a => a.n));
    const f = this.constant(def.bind === undefined ? def.evaluate : def.bind(e.args.map(a => a.type)));
    const ctx = def.bind !== undefined || def.needsContext ? ['ctx'] : [];
    const code = `${f}(${[...ctx, ...args.map(a => a.v)].join(', ')})`;
    return this.#datumCall(e.type, n, code);
  }

  /** `code` gives a datum (perhaps null) when `n` is false. */
  #datumCall(type: SqlType, n: string, code: string): Emitted {
    const cls = classOf(type);
    const r = this.result(cls === 'dec' ? 'datum' : cls === 'span' ? 'str' : cls);
    const t = this.name('t');
    this.unless(n, r, () => {
      this.line(`const ${t} = ${code};`);
      if (cls === 'num') this.line(`if (${t} === null) ${r.n} = true; else if (typeof ${t} === 'number') ${r.v} = ${t}; else throw H.INEXACT;`);
      else this.line(`if (${t} === null) ${r.n} = true; else ${r.v} = ${t};`);
    });
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
      if (left.type.kind === 'text' && right.type.kind === 'text') return this.#compareText(left, right, name, comparison);
      return null;
    }
    if (integers && (name === '+' || name === '-' || name === '*' || name === '%' || name === '/')) return this.#arithmetic(name, left, right, e.type);
    if (left.type.kind === 'numeric' && right.type.kind === 'numeric' && (name === '+' || name === '-' || name === '*')) return this.#decimal(name, left, right, e.type);
    if (left.type.kind === 'timestamp' && right.type.kind === 'interval' && (name === '+' || name === '-')) return this.#shift(name, left, right);
    return null;
  }

  #compareNumbers(left: Expr, right: Expr, operator: string): Emitted | null {
    const a = this.num(left);
    const b = this.num(right);
    return this.let('bool', `${a.v} ${operator} ${b.v}`, anyOf([a.n, b.n]));
  }

  /** NaN is equal to itself and above every number. */
  #compareFloats(left: Expr, right: Expr, name: string, operator: string): Emitted {
    const a = this.num(left);
    const b = this.num(right);
    const nan = { '=': `${a.v} !== ${a.v} && ${b.v} !== ${b.v}`, '<>': `(${a.v} === ${a.v} || ${b.v} === ${b.v})`, '<': `${b.v} !== ${b.v} && ${a.v} === ${a.v}`, '<=': `${b.v} !== ${b.v}`, '>': `${a.v} !== ${a.v} && ${b.v} === ${b.v}`, '>=': `${a.v} !== ${a.v}` }[name];
    return this.let('bool', `(${a.v} === ${a.v} && ${b.v} === ${b.v}) ? ${a.v} ${operator} ${b.v} : ${String(nan)}`, anyOf([a.n, b.n]));
  }

  #compareDecimals(left: Expr, right: Expr, operator: string): Emitted {
    const a = this.emit(left);
    const b = this.emit(right);
    const n = anyOf([a.n, b.n]);
    if (a.cls !== 'dec' || b.cls !== 'dec') {
      const x = this.as(a, 'datum');
      const y = this.as(b, 'datum');
      const r = this.result('bool');
      this.line(`if (${n}) ${r.n} = true; else ${r.v} = ${x.v}.compare(${y.v}) ${operator} 0;`);
      return r;
    }
    const scale = Math.max(a.scale, b.scale);
    return this.let('bool', `${this.#scaled(a, scale)} ${operator} ${this.#scaled(b, scale)}`, n);
  }

  /** The unscaled double at a larger scale; INEXACT past 2^53. */
  #scaled(a: Emitted, scale: number): string {
    if (a.scale === scale) return a.v;
    const t = this.name('t');
    this.line(`const ${t} = ${a.v} * ${10 ** (scale - a.scale)}; if (${t} > ${EXACT_MAX} || ${t} < -${EXACT_MAX}) throw H.INEXACT;`);
    return t;
  }

  #compareText(left: Expr, right: Expr, name: string, operator: string): Emitted {
    const a = this.span(left);
    const b = this.span(right);
    const n = anyOf([a.n, b.n]);
    const equality = name === '=' || name === '<>';
    const code = equality ? `${name === '=' ? '' : '!'}${sameText(a.span, b.span)}` : `H.compare(${spanText(a.span)}, ${spanText(b.span)}) ${operator} 0`;
    // The bounds of a NULL say nothing.
    return this.let('bool', n === 'false' ? code : `!${n} && ${code}`, n);
  }

  #arithmetic(name: string, left: Expr, right: Expr, type: SqlType): Emitted {
    const a = this.num(left);
    const b = this.num(right);
    const n = anyOf([a.n, b.n]);
    const r = this.result('num');
    this.unless(n, r, () => {
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
    const r = this.let('dec', `${code} + 0`, n, scale);
    this.line(`if (${r.v} >= ${EXACT_MAX} || ${r.v} <= -${EXACT_MAX}) throw H.INEXACT;`);
    return r;
  }

  /** timestamp ± an interval constant of days and µs only. */
  #shift(name: string, left: Expr, right: Expr): Emitted | null {
    if (right.node !== 'literal' || right.text === null) return null;
    const interval = parseDatum(right.type, right.text);
    if (!(interval instanceof Interval) || interval.months !== 0) return null;
    const us = interval.days * 86_400_000_000 + interval.us;
    const a = this.num(left);
    const r = this.let('num', `${a.v} ${name} ${numberText(us)}`, a.n);
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
    if (from.kind === 'numeric' && to.kind === 'int8') return this.#wholeNumber(e.arg, castFunction(from, to, e.explicit));
    const a = this.#argument(e.arg);
    return this.#datumCall(to, a.n, `${this.constant(castFunction(from, to, e.explicit))}(${a.v}, ctx)`);
  }

  /** numeric → int8; of trunc(…) in one step. */
  #wholeNumber(arg: Expr, cast: ReturnType<typeof castFunction>): Emitted {
    const truncates = arg.node === 'call' && arg.fn === 'trunc(numeric)';
    const a = this.emit(truncates ? arg.args[0] : arg);
    if (a.cls === 'dec' && a.scale === 0) return { ...a, cls: 'num' };
    const x = truncates ? this.as(a, 'datum') : this.#argument(arg);
    return this.#datumCall({ kind: 'int8' }, x.n, truncates ? `H.truncated(${x.v}) ?? ${this.constant((v: Numeric, ctx: EvalContext) => cast(v.trunc(0), ctx))}(${x.v}, ctx)` : `${this.constant(cast)}(${x.v}, ctx)`);
  }

  #connective(and: boolean, args: readonly Expr[]): Emitted {
    const r = this.result('bool');
    this.line(`${r.v} = ${String(and)};`);
    const one = (k: number): void => {
      if (k === args.length) return;
      const a = this.bool(args[k]);
      const decided = and ? `!${a.v}` : a.v;
      if (a.n === 'false') this.line(`if (${decided}) { ${r.v} = ${String(!and)}; ${r.n} = false; } else {`);
      else this.line(`if (!${a.n} && ${decided}) { ${r.v} = ${String(!and)}; ${r.n} = false; } else { if (${a.n}) ${r.n} = true;`);
      this.#scopes.push(new Map());
      one(k + 1);
      this.#scopes.pop();
      this.line('}');
    };
    one(0);
    return r;
  }

  #assign(r: Emitted, a: Emitted): void {
    const { span } = a;
    const set = (): void => {
      if (span === undefined) this.line(`${r.v} = ${a.v};`);
      else this.setSpan(r, span.d, span.s, span.e, span.base, span.ascii);
    };
    if (a.n === 'false') set();
    else if (a.n === 'true') this.line(`${r.n} = true;`);
    else this.block(`if (${a.n}) ${r.n} = true; else`, set);
  }

  #case(e: Extract<Expr, { node: 'case' }>): Emitted {
    const cls = classOf(e.type);
    const r = this.result(cls === 'dec' ? 'datum' : cls);
    const one = (k: number): void => {
      if (k === e.whens.length) {
        if (e.otherwise === null) this.line(`${r.n} = true;`);
        else this.#assign(r, this.as(this.emit(e.otherwise), r.cls));
        return;
      }
      const w = this.bool(e.whens[k].when);
      this.block(`if (${w.n === 'false' ? '' : `!${w.n} && `}${w.v})`, () => { this.#assign(r, this.as(this.emit(e.whens[k].then), r.cls)); });
      this.block('else', () => { one(k + 1); });
    };
    this.block('', () => { one(0); });
    return r;
  }

  #coalesce(e: Extract<Expr, { node: 'coalesce' }>): Emitted {
    const cls = classOf(e.type);
    const r = this.result(cls === 'dec' ? 'datum' : cls);
    const one = (k: number): void => {
      if (k === e.args.length) { this.line(`${r.n} = true;`); return; }
      const a = this.as(this.emit(e.args[k]), r.cls);
      if (a.n === 'false') { this.#assign(r, a); return; }
      if (a.n === 'true') { one(k + 1); return; }
      this.block(`if (!${a.n})`, () => { this.#assign(r, { ...a, n: 'false' }); });
      this.block('else', () => { one(k + 1); });
    };
    this.block('', () => { one(0); });
    return r;
  }

  /** Text and number constants without NULL: a set; otherwise the exact path. */
  #in(e: Extract<Expr, { node: 'in' }>): Emitted {
    const literals = e.list.every(x => x.node === 'literal' && x.text !== null);
    const kind = e.arg.type.kind;
    if (!literals || !(kind === 'text' || isInteger(e.arg.type)) || e.list.some(x => x.type.kind !== kind)) return this.#interpreted(e);
    const list = e.list.map(x => (x.node === 'literal' && x.text !== null ? parseDatum(x.type, x.text) : null));
    if (kind === 'text' && list.length <= IN_COMPARED_MAX) {
      const a = this.span(e.arg);
      const tests = list.map(x => sameText(a.span, this.textConstant(String(x)).span));
      return this.let('bool', `${a.n === 'false' ? '' : `!${a.n} && `}(${tests.join(' || ')})`, a.n);
    }
    const values = new Set(list);
    const a = this.as(this.emit(e.arg), kind === 'text' ? 'str' : 'num');
    return this.let('bool', `${this.constant(values)}.has(${a.v})`, a.n);
  }
}

const isNonZero = (e: Expr): boolean => e.node === 'literal' && e.text !== null && Number(e.text) !== 0;
