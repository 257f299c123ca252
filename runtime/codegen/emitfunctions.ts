/**
 * Functions of the catalogue that kernels hold themselves: text as UTF-8 spans, fields of timestamps by arithmetic. Each gives what the
 * catalogue's function gives; where an argument must be a constant and is not, null: the function is then called row by row.
 */
import type { Expr } from '../../types/expr.js';
import type { FunctionDef } from '../../types/functions/catalogue.js';
import { functionById } from '../../types/functions/registry.js';
import { templateUnit } from '../../types/functions/formatdatetime.js';
import { regex } from '../../types/functions/regex.js';
import { extractTimestamp, truncTimestamp } from '../../types/datetime.js';
import { SqlError } from '../../types/error.js';
import { US_PER_DAY } from '../../types/interval.js';
import { anyOf, type Emitted, isInteger, type Span, spanText } from './emitted.js';
import type { Emitter } from './emit.js';
import { spanPattern, textPattern } from './pattern.js';
import { CharPool, DayFunction, Needle } from './text.js';

type Call = Extract<Expr, { node: 'call' }>;
type Emission = (em: Emitter, e: Call, def: FunctionDef) => Emitted | null;

const textOf = (e: Expr | undefined): string | null => (e?.node === 'literal' ? e.text : null);
/** A constant whole number, within int4. */
function intOf(e: Expr | undefined): number | null {
  const text = e?.node === 'literal' && isInteger(e.type) ? e.text : null;
  return text === null ? null : Number(text);
}

export function emitFunction(em: Emitter, def: FunctionDef | null, e: Call): Emitted | null {
  return def === null ? null : EMISSIONS[def.id]?.(em, e, def) ?? null;
}

/** A span that a helper leaves in the scratch. */
function made(em: Emitter, n: string, code: (t: string) => string): Emitted {
  const r = em.result('span');
  em.unless(n, r, () => {
    const t = em.scratch();
    em.line(`${code(t)};`);
    em.setSpan(r, `${t}.d`, `${t}.s`, `${t}.e`, null, 'false');
  });
  return r;
}

/** A span within the bytes of `a`. */
function within(em: Emitter, a: Emitted & { readonly span: Span }, code: (t: string) => string): Emitted {
  const r = em.result('span');
  em.unless(a.n, r, () => {
    const t = em.scratch();
    em.line(`${code(t)};`);
    em.setSpan(r, a.span.d, `${t}.s`, `${t}.e`, a.span.base, a.span.ascii);
  });
  return r;
}

function guarded(em: Emitter, cls: 'num' | 'bool', n: string, code: string): Emitted {
  if (n === 'false') return em.let(cls, code, n);
  return em.let(cls, `${n} ? ${cls === 'num' ? '0' : 'false'} : ${code}`, n);
}

// ---- text ----

const changeCase = (lower: boolean): Emission => (em, e, def) => {
  const a = em.span(e.args[0]);
  const convert = em.object(def.evaluate);
  return made(em, a.n, t => `H.changeCase(${t}, ${spanText(a.span)}, ${String(lower)}, ${convert})`);
};

const length: Emission = (em, e) => {
  // length(replace(x, a, b)) is counted, not built.
  const [arg] = e.args;
  if (arg.node === 'call' && arg.fn === 'replace(text,text,text)') {
    const from = textOf(arg.args[1]);
    const to = textOf(arg.args[2]);
    if (from !== null && from !== '' && to !== null) {
      const a = em.span(arg.args[0]);
      const chars = em.num({ ...e, args: [arg.args[0]] });
      const grows = Array.from(to).length - Array.from(from).length;
      return guarded(em, 'num', a.n, `${chars.v} + ${em.object(new Needle(from))}.count(${spanText(a.span)}) * ${grows}`);
    }
  }
  const a = em.span(arg);
  const bytes = `${a.span.e} - ${a.span.s}`;
  const { ascii } = a.span;
  const counted = `H.charLength(${spanText(a.span)})`;
  return guarded(em, 'num', a.n, ascii === 'true' ? bytes : ascii === 'false' ? counted : `(${ascii} ? ${bytes} : ${counted})`);
};

const octetLength: Emission = (em, e) => {
  const a = em.span(e.args[0]);
  return guarded(em, 'num', a.n, `${a.span.e} - ${a.span.s}`);
};

const replace: Emission = (em, e) => {
  const from = textOf(e.args[1]);
  const to = textOf(e.args[2]);
  if (from === null || from === '' || to === null) return null;
  const a = em.span(e.args[0]);
  return made(em, a.n, t => `H.replace(${t}, ${spanText(a.span)}, ${em.object(new Needle(from))}, ${em.constant(Buffer.from(to, 'utf8'))})`);
};

/** How many parts back one that is known is looked for. */
const PARTS_BACK_MAX = 8;

/** Parts of one text with rising numbers go on from the last. */
const splitPart: Emission = (em, e) => {
  const separator = textOf(e.args[1]);
  const n = intOf(e.args[2]);
  if (separator === null || separator === '' || n === null || n < 1) return null;
  const a = em.span(e.args[0]);
  const key = (k: number): string => `part ${k} ${separator} ${JSON.stringify(e.args[0])}`;
  let before: Emitted | undefined;
  let skipped = 0;
  for (let k = n - 1; k >= Math.max(n - PARTS_BACK_MAX, 1) && before === undefined; k--) {
    before = em.known(key(k));
    skipped = k;
  }
  const needle = em.object(new Needle(separator));
  const bytes = Buffer.byteLength(separator);
  const from = before?.span;
  const r = within(em, a, t => (from === undefined
    ? `H.part(${t}, ${spanText(a.span)}, ${needle}, ${n})`
    : `H.part(${t}, ${a.span.d}, ${from.e} === ${a.span.e} ? ${from.e} : ${from.e} + ${bytes}, ${a.span.e}, ${needle}, ${n - skipped})`));
  return em.remember(key(n), r);
};

const substring: Emission = (em, e) => {
  const start = intOf(e.args[1]);
  const count = e.args.length > 2 ? intOf(e.args[2]) : Infinity;
  if (start === null || count === null) return null;
  const a = em.span(e.args[0]);
  return within(em, a, t => `H.substring(${t}, ${spanText(a.span)}, ${start}, ${count}, ${a.span.ascii})`);
};

const left: Emission = (em, e) => {
  const count = intOf(e.args[1]);
  if (count === null || count < 0) return null;
  const a = em.span(e.args[0]);
  return within(em, a, t => `H.substring(${t}, ${spanText(a.span)}, 1, ${count}, ${a.span.ascii})`);
};

const position: Emission = (em, e) => {
  const part = textOf(e.args[1]);
  if (part === null || part === '') return null;
  const a = em.span(e.args[0]);
  const at = em.name('t');
  const r = em.result('num');
  em.unless(a.n, r, () => {
    em.line(`const ${at} = ${em.object(new Needle(part))}.find(${spanText(a.span)});`);
    em.line(`${r.v} = ${at} < 0 ? 0 : 1 + (${a.span.ascii} ? ${at} - ${a.span.s} : H.charLength(${a.span.d}, ${a.span.s}, ${at}));`);
  });
  return r;
};

const startsWith: Emission = (em, e) => {
  const a = em.span(e.args[0]);
  const b = em.span(e.args[1]);
  return guarded(em, 'bool', anyOf([a.n, b.n]), `H.startsWith(${spanText(a.span)}, ${spanText(b.span)})`);
};

/** LIKE with a constant of plain letters and %, as searches. */
const like = (wanted: boolean): Emission => (em, e) => {
  const pattern = textOf(e.args[1]);
  if (pattern === null || /[_\\]/.test(pattern)) return null;
  const parts = pattern.split('%');
  const a = em.span(e.args[0]);
  const { d, s, e: end } = a.span;
  const head = em.textConstant(parts[0]).span;
  let code: string;
  if (parts.length === 1) code = `H.same(${spanText(a.span)}, ${spanText(head)})`;
  else {
    const tail = em.textConstant(parts[parts.length - 1]).span;
    const headBytes = Buffer.byteLength(parts[0]);
    const tailBytes = Buffer.byteLength(parts[parts.length - 1]);
    const middle = parts.slice(1, -1).filter(p => p !== '');
    const tests = [`${end} - ${s} >= ${headBytes + tailBytes}`];
    if (headBytes > 0) tests.push(`H.startsWith(${spanText(a.span)}, ${spanText(head)})`);
    if (tailBytes > 0) tests.push(`H.endsWith(${spanText(a.span)}, ${spanText(tail)})`);
    if (middle.length > 0) {
      const at = em.name('t');
      em.line(`let ${at} = 0;`);
      middle.forEach((p, k) => {
        const from = k === 0 ? `${s} + ${headBytes}` : `${at} + ${Buffer.byteLength(middle[k - 1])}`;
        tests.push(`(${at} = ${em.object(new Needle(p))}.find(${d}, ${from}, ${end} - ${tailBytes})) >= 0`);
      });
    }
    code = tests.join(' && ');
  }
  return guarded(em, 'bool', a.n, `${wanted ? '' : '!'}(${code})`);
};

const concat: Emission = (em, e) => {
  const [a, b] = [em.span(e.args[0]), em.span(e.args[1])];
  return made(em, anyOf([a.n, b.n]), t => `${t}.begin(); ${t}.add(${spanText(a.span)}); ${t}.add(${spanText(b.span)}); ${t}.end()`);
};

/** (regexp_match(text, constant))[k]: the array is not made (pattern.ts). */
const subscript: Emission = (em, e) => {
  const [call, index] = e.args;
  const k = intOf(index);
  if (e.args.length !== 2 || k === null || call.node !== 'call' || functionById(call.fn)?.name !== 'regexp_match') return null;
  const pattern = textOf(call.args[1]);
  const flags = call.args.length > 2 ? textOf(call.args[2]) : '';
  if (pattern === null || flags === null || flags.includes('g')) return null;
  let re: RegExp;
  try {
    re = regex(pattern, flags);
  } catch (cause) {
    // The error is the rows', not the statement's.
    if (cause instanceof SqlError) return null;
    throw cause;
  }
  const groups = new RegExp(`${re.source}|`, 'u').exec('')?.length ?? 1;
  const group = groups === 1 && k === 1 ? 0 : k;
  if (k < 1 || group >= groups) return { ...em.textConstant(''), n: 'true' };
  const a = em.span(call.args[0]);
  const spans = spanPattern(re);
  // Of the call, in whatever block of the kernel it stands.
  const m = em.shared(`pattern ${JSON.stringify(call)}`, () => spans ?? textPattern(re, flags === '' ? pattern : null), name => `${name}.begin();`);
  const found = `${m}.at(i, ${spanText(a.span)})`;
  if (spans === null) {
    const r = em.result('str');
    const g = em.name('t');
    em.unless(a.n, r, () => {
      em.line(`const ${g} = ${found} ? ${m}.group(${group}) : undefined;`);
      em.line(`if (${g} === undefined) ${r.n} = true; else ${r.v} = ${g};`);
    });
    return r;
  }
  const r = em.result('span');
  em.unless(a.n, r, () => {
    em.block(`if (${found})`, () => { em.setSpan(r, a.span.d, `${m}.from(${group})`, `${m}.to(${group})`, a.span.base, a.span.ascii); });
    em.line(`else ${r.n} = true;`);
  });
  return r;
};

// ---- times ----

/** Rows of one unit of time share the text's bytes. */
const toChar: Emission = (em, e) => {
  const template = textOf(e.args[1]);
  if (template === null) return null;
  const unitUs = templateUnit(template);
  if (unitUs < KEPT_UNIT_US_MIN) return null;
  const a = em.num(e.args[0]);
  const pool = em.object(new CharPool(template, unitUs));
  em.once(`${pool}.begin();`);
  const r = em.result('span');
  em.unless(a.n, r, () => {
    em.block(`if (${pool}.at(${a.v}))`, () => { em.setSpan(r, `${pool}.bytes`, `${pool}.s`, `${pool}.e`, `${pool}.bytes`, 'false'); });
    em.line(`else ${r.n} = true;`);
  });
  return r;
};

/** Times of events differ in smaller units: texts would not be met again. */
const KEPT_UNIT_US_MIN = 1_000_000;

/** Units within a day: µs in the unit, µs of what it is counted in. */
const CLOCK: Readonly<Record<string, readonly [unit: number, within: number]>> = {
  hour: [3_600_000_000, US_PER_DAY], hours: [3_600_000_000, US_PER_DAY], minute: [60_000_000, 3_600_000_000], minutes: [60_000_000, 3_600_000_000],
};
const DAY_FIELDS: ReadonlySet<string> = new Set(['day', 'month', 'quarter', 'year', 'dow', 'isodow', 'doy', 'week', 'isoyear', 'decade', 'century', 'millennium']);
const DAY_UNITS: ReadonlySet<string> = new Set(['day', 'week', 'month', 'quarter', 'year', 'decade', 'century', 'millennium']);

/** extract and date_part of clock and calendar fields. */
const extract = (cls: 'dec' | 'num'): Emission => (em, e) => {
  const unit = textOf(e.args[0])?.toLowerCase() ?? '';
  const clock = Object.hasOwn(CLOCK, unit) ? CLOCK[unit] : undefined;
  if (clock === undefined && !DAY_FIELDS.has(unit)) return null;
  const a = em.num(e.args[1]);
  const r = em.result(cls);
  em.unless(a.n, r, () => {
    // ±infinity: some fields are NULL, some infinite.
    em.line(`if (${a.v} - ${a.v} !== 0) throw H.INEXACT;`);
    if (clock !== undefined) {
      const rest = em.name('t');
      em.line(`const ${rest} = H.rest(${a.v}, ${clock[1]});`);
      em.line(`${r.v} = Math.floor(${rest} / ${clock[0]});`);
    } else {
      const f = em.object(new DayFunction(days => extractTimestamp(unit, days * US_PER_DAY)?.toNumber() ?? 0));
      em.line(`${r.v} = ${f}.at((${a.v} - H.rest(${a.v}, ${US_PER_DAY})) / ${US_PER_DAY});`);
    }
  });
  return r;
};

/** date_trunc of a timestamp without time zone. */
const trunc: Emission = (em, e) => {
  const unit = textOf(e.args[0])?.toLowerCase() ?? '';
  const clock = unit === 'hour' ? 3_600_000_000 : unit === 'minute' ? 60_000_000 : unit === 'second' ? 1_000_000 : 0;
  if (clock === 0 && !DAY_UNITS.has(unit)) return null;
  const a = em.num(e.args[1]);
  const r = em.result('num');
  em.unless(a.n, r, () => {
    em.line(`if (${a.v} - ${a.v} !== 0) throw H.INEXACT;`);
    if (clock !== 0) em.line(`${r.v} = ${a.v} - H.rest(${a.v}, ${clock});`);
    else {
      const f = em.object(new DayFunction(days => Number(truncTimestamp(unit, days * US_PER_DAY, 'timestamp without time zone'))));
      em.line(`${r.v} = ${f}.at((${a.v} - H.rest(${a.v}, ${US_PER_DAY})) / ${US_PER_DAY});`);
    }
  });
  return r;
};

const EMISSIONS: Readonly<Record<string, Emission>> = {
  'lower(text)': changeCase(true), 'upper(text)': changeCase(false),
  'length(text)': length, 'char_length(text)': length, 'character_length(text)': length, 'octet_length(text)': octetLength,
  'replace(text,text,text)': replace, 'split_part(text,text,int4)': splitPart,
  'substring(text,int4)': substring, 'substring(text,int4,int4)': substring, 'substr(text,int4)': substring, 'substr(text,int4,int4)': substring, 'left(text,int4)': left,
  'position(text,text)': position, 'strpos(text,text)': position, 'starts_with(text,text)': startsWith, '^@(text,text)': startsWith,
  '~~(text,text)': like(true), '!~~(text,text)': like(false), 'like(text,text)': like(true), 'notlike(text,text)': like(false),
  '||(text,text)': concat, 'array_subscript(anyarray,int4…)': subscript,
  'to_char(timestamp,text)': toChar, 'extract(text,timestamp)': extract('dec'), 'date_part(text,timestamp)': extract('num'), 'date_trunc(text,timestamp)': trunc,
};
