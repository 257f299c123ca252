/**
 * The state of operators as tables: what `millrace.state(…)` shows. Which tables a node keeps and their columns follow from the plan alone (the
 * planner needs them); an operator over a restored state gives their rows (`Operator.readState`).
 */
import type { PlanNode } from '../../types/plan.js';
import { INT4, JSONB, TEXT, type Column } from '../../types/sqltype.js';

export interface StateTableShape { readonly name: string; readonly columns: readonly Column[] }

/** Columns before a table's own in the rows of `millrace.state`. */
export const STATE_HEAD: readonly Column[] = [{ name: 'subtask', type: INT4 }, { name: 'state_table', type: TEXT }];

/** Small state kept beside the tables: positions of a source, prepared output of a sink. */
const POSITION: StateTableShape = { name: 'position', columns: [{ name: 'state', type: JSONB }] };

/** Of an own function, beside its key. */
const OWN_STATE: readonly Column[] = [{ name: 'state_name', type: TEXT }, { name: 'map_key', type: JSONB }, { name: 'value', type: JSONB }];

/** Tables of a node over inputs of these columns, in the order of `readState`; none = it keeps nothing. */
export function stateTablesOf(node: PlanNode, inputs: readonly (readonly Column[])[]): readonly StateTableShape[] {
  switch (node.op) {
    case 'source': case 'table': case 'sink': return [POSITION];
    case 'aggregate': return [{ name: 'groups', columns: node.columns }];
    case 'sessionaggregate': return [{ name: 'sessions', columns: node.columns }];
    case 'session': case 'materialize': return [{ name: 'rows', columns: node.columns }];
    case 'extremerows': case 'topn': case 'over': return [{ name: 'rows', columns: inputs[0] }];
    case 'process': return [...(node.partition.length === 0 ? [] : [{ name: 'keys', columns: [...node.partition.map(c => inputs[0][c]), ...OWN_STATE] }]), POSITION];
    case 'join': return [{ name: 'left', columns: inputs[0] }, { name: 'right', columns: inputs[1] }];
    default: return [];
  }
}

/** One table in place of several: columns of the same name and type are one. `places`: where each table's columns are in it. */
export interface StateUnion { readonly columns: readonly Column[]; readonly places: readonly (readonly number[])[] }

export function stateUnion(tables: readonly StateTableShape[]): StateUnion {
  const columns: Column[] = [];
  const places = tables.map(table => {
    const taken = new Set<number>();
    return table.columns.map(c => {
      let at = columns.findIndex((known, k) => !taken.has(k) && known.name === c.name && JSON.stringify(known.type) === JSON.stringify(c.type));
      if (at < 0) at = columns.push({ name: c.name, type: c.type }) - 1;
      taken.add(at);
      return at;
    });
  });
  return { columns, places };
}
