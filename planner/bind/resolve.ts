/**
 * Overload resolution: Postgres' algorithm of parse_func.c and parse_oper.c over the catalogue.
 *   1. an exact match of all argument types (for a binary operator, an unknown argument counts as the other's type);
 *   2. candidates that all arguments convert to implicitly;
 *   3. of these: most exact matches; then most exact-or-preferred; then the unknown arguments' category (string wins, else the
 *      category all candidates share), preferring preferred types; then, when all known arguments have one type, the candidate taking it.
 */
import type { ArgPattern } from '../../types/functions/catalogue.js';
import { arrayOf, sameType, type SqlType } from '../../types/sqltype.js';
import { canCoerce } from './coerce.js';
import { category, isPreferred, type Category } from './typename.js';

export interface Signature { readonly args: readonly ArgPattern[]; readonly variadic: boolean }

/** A candidate with its patterns repeated to the call's number of arguments, and the polymorphic types it binds. */
interface Candidate<D extends Signature> { readonly def: D; readonly types: readonly SqlType[]; readonly patterns: readonly ArgPattern[] }

const isPseudo = (p: ArgPattern): p is Exclude<ArgPattern, SqlType> => 'pseudo' in p;

export type Resolution<D> =
  | { readonly kind: 'found'; readonly def: D; /** Types to convert the arguments to. */ readonly types: readonly SqlType[]; /** anyelement's binding. */ readonly element: SqlType | null }
  | { readonly kind: 'none' }
  | { readonly kind: 'ambiguous' };

export function resolveOverload<D extends Signature>(defs: readonly D[], args: readonly SqlType[], operator: boolean): Resolution<D> {
  const arity: Candidate<D>[] = [];
  for (const def of defs) {
    const patterns = patternsFor(def, args.length);
    if (patterns === null) continue;
    const types = bindPolymorphic(patterns, args);
    if (types !== null) arity.push({ def, types, patterns });
  }
  const probe = operator && args.length === 2 ? assumeSame(args) : args;
  const exact = arity.find((c) => c.types.every((t, i) => sameType(t, probe[i] as SqlType)) && !c.patterns.some(isPseudo));
  if (exact !== undefined && !probe.some((t) => t.kind === 'unknown')) return found(exact, args);
  const fits = arity.filter((c) => c.types.every((t, i) => canCoerce(args[i] as SqlType, t, 'implicit')));
  if (fits.length === 0) return { kind: 'none' };
  const best = fits.length === 1 ? fits : select(fits, args);
  const only = best[0];
  return best.length === 1 && only !== undefined ? found(only, args) : { kind: 'ambiguous' };
}

function assumeSame(args: readonly SqlType[]): readonly SqlType[] {
  const [a, b] = args as readonly [SqlType, SqlType];
  if (a.kind === 'unknown' && b.kind !== 'unknown') return [b, b];
  if (b.kind === 'unknown' && a.kind !== 'unknown') return [a, a];
  return args;
}

function patternsFor(def: Signature, count: number): readonly ArgPattern[] | null {
  if (!def.variadic) return def.args.length === count ? def.args : null;
  const last = def.args[def.args.length - 1];
  if (last === undefined || count < def.args.length - 1) return null;
  const out: ArgPattern[] = def.args.slice(0, -1);
  while (out.length < count) out.push(last);
  return out;
}

/** Concrete types of the patterns for these arguments; null when anyelement & co. cannot be bound. */
function bindPolymorphic(patterns: readonly ArgPattern[], args: readonly SqlType[]): SqlType[] | null {
  const element = elementOf(patterns, args);
  if (element === 'conflict') return null;
  const out: SqlType[] = [];
  for (let i = 0; i < patterns.length; i++) {
    const p = patterns[i] as ArgPattern;
    const arg = args[i] as SqlType;
    if (!isPseudo(p)) { out.push(p); continue; }
    if (p.pseudo === 'any') { out.push(arg); continue; }
    if (element === null) {
      if (arg.kind !== 'unknown') return null;
      // Only unknown arguments: text, as Postgres resolves them for anycompatible and array literals.
      out.push(p.pseudo === 'anyarray' || p.pseudo === 'anycompatiblearray' ? arrayOf({ kind: 'text' }) : { kind: 'text' });
      continue;
    }
    if (p.pseudo === 'anynonarray' && element.kind === 'array') return null;
    out.push(p.pseudo === 'anyarray' || p.pseudo === 'anycompatiblearray' ? arrayOf(element) : element);
  }
  return out;
}

function elementOf(patterns: readonly ArgPattern[], args: readonly SqlType[]): SqlType | null | 'conflict' {
  let element: SqlType | null = null;
  for (let i = 0; i < patterns.length; i++) {
    const p = patterns[i] as ArgPattern;
    const arg = args[i] as SqlType;
    if (!isPseudo(p) || p.pseudo === 'any' || arg.kind === 'unknown') continue;
    const array = p.pseudo === 'anyarray' || p.pseudo === 'anycompatiblearray';
    if (array && arg.kind !== 'array') return 'conflict';
    const e: SqlType = array && arg.kind === 'array' ? arg.elem : arg;
    if (element === null || sameType(element, e)) { element ??= e; continue; }
    if (!p.pseudo.startsWith('anycompatible')) return 'conflict';
    if (canCoerce(element, e, 'implicit')) element = e;
    else if (!canCoerce(e, element, 'implicit')) return 'conflict';
  }
  return element;
}

function found<D extends Signature>(c: Candidate<D>, args: readonly SqlType[]): Resolution<D> {
  const patterns = patternsFor(c.def, args.length) ?? [];
  let element: SqlType | null = null;
  patterns.forEach((p, i) => {
    const t = c.types[i] as SqlType;
    if (!isPseudo(p) || p.pseudo === 'any') return;
    element ??= (p.pseudo === 'anyarray' || p.pseudo === 'anycompatiblearray') && t.kind === 'array' ? t.elem : t;
  });
  return { kind: 'found', def: c.def, types: c.types, element };
}

function keepBest<D extends Signature>(list: readonly Candidate<D>[], score: (c: Candidate<D>) => number): readonly Candidate<D>[] {
  let best = -1;
  let kept: Candidate<D>[] = [];
  for (const c of list) {
    const s = score(c);
    if (s > best) { best = s; kept = [c]; } else if (s === best) kept.push(c);
  }
  return kept;
}

function select<D extends Signature>(fits: readonly Candidate<D>[], args: readonly SqlType[]): readonly Candidate<D>[] {
  const isKnown = (i: number): boolean => (args[i] as SqlType).kind !== 'unknown';
  // A polymorphic argument fits anything, so it counts as no match.
  const concrete = (c: Candidate<D>, i: number): boolean => !isPseudo(c.patterns[i] as ArgPattern);
  const matches = (c: Candidate<D>, i: number): boolean => concrete(c, i) && sameType(c.types[i] as SqlType, args[i] as SqlType);
  let list = keepBest(fits, (c) => args.filter((_, i) => isKnown(i) && matches(c, i)).length);
  if (list.length === 1) return list;
  list = keepBest(list, (c) => args.filter((a, i) => isKnown(i)
    && (matches(c, i) || (concrete(c, i) && isPreferred(c.types[i] as SqlType) && category(c.types[i] as SqlType) === category(a)))).length);
  if (list.length === 1 || args.every((_, i) => isKnown(i))) return list;
  const resolved = byUnknownCategory(list, args);
  if (resolved.length === 1) return resolved;
  const kinds = args.filter((a) => a.kind !== 'unknown');
  const first = kinds[0];
  if (first === undefined || !kinds.every((k) => sameType(k, first))) return resolved;
  const same = resolved.filter((c) => c.types.every((t) => canCoerce(first, t, 'implicit')));
  return same.length === 1 ? same : resolved;
}

function byUnknownCategory<D extends Signature>(list: readonly Candidate<D>[], args: readonly SqlType[]): readonly Candidate<D>[] {
  const slots = new Map<number, { category: Category; preferred: boolean }>();
  for (let i = 0; i < args.length; i++) {
    if ((args[i] as SqlType).kind !== 'unknown') continue;
    const categories = list.map((c) => categoryAt(c, i));
    const first = categories[0] as Category;
    const cat: Category | null = categories.includes('S') ? 'S' : categories.every((x) => x === first) ? first : null;
    if (cat === null) return list;
    slots.set(i, { category: cat, preferred: list.some((c) => categoryAt(c, i) === cat && isPreferred(c.types[i] as SqlType)) });
  }
  const kept = list.filter((c) => [...slots].every(([i, s]) => categoryAt(c, i) === s.category && (!s.preferred || isPreferred(c.types[i] as SqlType))));
  return kept.length > 0 ? kept : list;
}

const categoryAt = (c: Candidate<Signature>, i: number): Category => (isPseudo(c.patterns[i] as ArgPattern) ? 'P' : category(c.types[i] as SqlType));

/** The result type of a signature's pattern. */
export function resultOf(pattern: ArgPattern, element: SqlType | null): SqlType {
  if (!isPseudo(pattern)) return pattern;
  const e = element ?? { kind: 'text' as const };
  return pattern.pseudo === 'anyarray' || pattern.pseudo === 'anycompatiblearray' ? arrayOf(e) : e;
}
