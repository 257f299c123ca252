/** Bound expressions as SQL text, for EXPLAIN: operators infix, casts as ::, columns by name. */
import type { Expr } from '../../types/expr.js';
import { unreachable } from '../../types/error.js';
import { quoteIdentifier } from '../../types/textio.js';
import { formatType } from '../../types/typeinfo.js';

/** `name` gives a column's name by its position. */
export function exprText(e: Expr, name: (index: number) => string): string {
  const text = (x: Expr): string => exprText(x, name);
  const part = (x: Expr): string => (isAtom(x) ? text(x) : `(${text(x)})`);
  switch (e.node) {
    case 'column': return name(e.index);
    case 'outer': return `outer.${e.index}`;
    case 'param': return `$${e.index + 1}`;
    case 'literal': return literalText(e);
    case 'call': return callText(e, text, part);
    case 'cast': return `${part(e.arg)}::${formatType(e.type)}`;
    case 'and': return e.args.map((a) => (a.node === 'or' ? `(${text(a)})` : text(a))).join(' AND ');
    case 'or': return e.args.map((a) => (a.node === 'and' ? `(${text(a)})` : text(a))).join(' OR ');
    case 'not': return e.arg.node === 'isnull' ? `${part(e.arg.arg)} IS NOT NULL` : `NOT ${part(e.arg)}`;
    case 'isnull': return `${part(e.arg)} IS NULL`;
    case 'distinct': return `${part(e.left)} IS DISTINCT FROM ${part(e.right)}`;
    case 'case': return `CASE${e.whens.map((w) => ` WHEN ${text(w.when)} THEN ${text(w.then)}`).join('')}${e.otherwise === null ? '' : ` ELSE ${text(e.otherwise)}`} END`;
    case 'coalesce': return `coalesce(${e.args.map(text).join(', ')})`;
    case 'in': return `${part(e.arg)} IN (${e.list.map(text).join(', ')})`;
    case 'array': return `ARRAY[${e.elems.map(text).join(', ')}]`;
    case 'anyall': return `${part(e.left)} ${nameOf(e.fn)} ${e.all ? 'ALL' : 'ANY'} (${text(e.right)})`;
    case 'subplan': return `${e.left === null ? '' : `${part(e.left)} ${nameOf(e.fn ?? '=')} `}${e.form}(subplan)`;
    default: return unreachable(e);
  }
}

function isAtom(e: Expr): boolean {
  return e.node === 'column' || e.node === 'literal' || e.node === 'param' || e.node === 'outer' || e.node === 'coalesce' || e.node === 'array' || e.node === 'cast'
    || (e.node === 'call' && /^[a-z_]/.test(e.fn));
}

export const nameOf = (fn: string): string => fn.slice(0, Math.max(fn.lastIndexOf('('), 1));

function callText(e: Extract<Expr, { node: 'call' }>, text: (x: Expr) => string, part: (x: Expr) => string): string {
  const name = nameOf(e.fn);
  const [a, b] = e.args;
  if (name === 'array_subscript' && a !== undefined) return `${part(a)}${e.args.slice(1).map((i) => `[${text(i)}]`).join('')}`;
  if (/^[a-z_]/.test(name)) return `${name}(${e.args.map(text).join(', ')})`;
  if (e.args.length === 2 && a !== undefined && b !== undefined) return `${part(a)} ${name} ${part(b)}`;
  return a === undefined ? `${name}()` : `${name} ${part(a)}`;
}

const BARE: ReadonlySet<string> = new Set(['int2', 'int4', 'int8', 'numeric']);

function literalText(e: Extract<Expr, { node: 'literal' }>): string {
  if (e.text === null) return 'NULL';
  if (e.type.kind === 'bool') return e.text === 't' || e.text === 'true' ? 'true' : 'false';
  if (BARE.has(e.type.kind) && /^-?[\d.]+$/.test(e.text)) return e.text;
  const quoted = `'${e.text.replace(/'/g, "''")}'`;
  return e.type.kind === 'text' || e.type.kind === 'unknown' ? quoted : `${quoted}::${formatType(e.type)}`;
}

export const columnText = (name: string): string => quoteIdentifier(name);
