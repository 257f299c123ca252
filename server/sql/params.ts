/** Puts the values of a prepared statement's parameters into its plan: every `param` node becomes a literal of the parameter's type. */
import type { Plan } from '../../types/plan.js';
import { SqlError } from '../../types/error.js';

export function withParams(plan: Plan, values: readonly (string | null)[]): Plan {
  return values.length === 0 ? plan : replace(plan, values) as Plan;
}

function replace(node: unknown, values: readonly (string | null)[]): unknown {
  if (Array.isArray(node)) {
    let changed = false;
    const items = node.map((item: unknown) => { const r = replace(item, values); if (r !== item) changed = true; return r; });
    return changed ? items : node;
  }
  if (node === null || typeof node !== 'object') return node;
  const record = node as Readonly<Record<string, unknown>>;
  if (record['node'] === 'param') {
    const text = values[Number(record['index'])];
    if (text === undefined) throw new SqlError('08P01', `bind message supplies ${values.length} parameters, but the statement requires more`);
    return { node: 'literal', text, type: record['type'] };
  }
  let copy: Record<string, unknown> | null = null;
  for (const key of Object.keys(record)) {
    const r = replace(record[key], values);
    if (r !== record[key]) { copy ??= { ...record }; copy[key] = r; }
  }
  return copy ?? node;
}
