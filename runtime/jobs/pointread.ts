/**
 * Point reads: a query that reads a view WHERE every column of its key = a constant needs one row of it. The filter stays in the plan; what is found
 * here only spares the rest of the view from being read. Looked for is `view → calc` with the equalities among the filter's conjuncts.
 */
import type { Expr } from '../../types/expr.js';
import type { Plan, ViewNode } from '../../types/plan.js';
import type { SqlType } from '../../types/sqltype.js';
import { parseDatum } from '../../types/textio.js';
import type { KeyValue } from '../protocol.js';

/** Values of the key's columns (indexes of the view's stored columns); null when the query wants more than one key. */
export function pointOf(plan: Plan, view: ViewNode): readonly KeyValue[] | null {
  if (view.key === null || view.key.length === 0) return null;
  const readers = plan.nodes.filter(n => n.inputs.includes(view.id));
  const [reader] = readers;
  if (readers.length !== 1 || reader?.op !== 'calc' || reader.filter === null || plan.roots.includes(view.id)) return null;
  const values = new Map<number, KeyValue>();
  for (const e of conjuncts(reader.filter)) {
    const equal = columnEqualsLiteral(e);
    if (equal === null || values.has(equal.column)) continue;
    const column = view.fields[equal.column];
    if (column !== undefined) values.set(equal.column, { column, text: equal.text, type: equal.type });
  }
  const found: KeyValue[] = [];
  for (const k of view.key) {
    const value = values.get(k);
    if (value === undefined) return null;
    found.push(value);
  }
  return found;
}

function conjuncts(e: Expr): readonly Expr[] { return e.node === 'and' ? e.args.flatMap(conjuncts) : [e]; }

/** Types whose text forms depend on no setting, and whose `=` is the equality of keys. */
const KINDS: ReadonlySet<SqlType['kind']> = new Set(['int2', 'int4', 'int8', 'numeric', 'text', 'varchar', 'uuid', 'bool']);

function columnEqualsLiteral(e: Expr): KeyValue | null {
  if (e.node !== 'call' || !e.fn.startsWith('=(') || e.args.length !== 2) return null;
  const [a, b] = e.args;
  const column = a.node === 'column' ? a : b.node === 'column' ? b : null;
  const literal = a.node === 'literal' ? a : b.node === 'literal' ? b : null;
  if (column === null || literal === null || literal.text === null) return null;
  if (column.type.kind !== literal.type.kind || !KINDS.has(column.type.kind)) return null;
  try {
    parseDatum(column.type, literal.text);
  } catch {
    // A parameter's text that is no value: the query's own evaluation says so.
    return null;
  }
  return { column: column.index, text: literal.text, type: column.type };
}
