import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Expr } from '../../types/expr.js';
import type { Plan, PlanNode, ViewNode } from '../../types/plan.js';
import { BOOL, INT4, INT8, TEXT, type Column, type SqlType } from '../../types/sqltype.js';
import { pointOf } from './pointread.js';

const columns: Column[] = [{ name: 'k', type: INT4 }, { name: 's', type: TEXT }];
const column = (index: number, type: SqlType): Expr => ({ node: 'column', index, type });
const literal = (text: string | null, type: SqlType): Expr => ({ node: 'literal', text, type });
const equal = (a: Expr, b: Expr): Expr => ({ node: 'call', fn: `=(${a.type.kind},${b.type.kind})`, args: [a, b], type: BOOL });
const all = (...args: Expr[]): Expr => ({ node: 'and', args, type: BOOL });

function read(filter: Expr | null, key: readonly number[] | null, more: readonly PlanNode[] = []): ReturnType<typeof pointOf> {
  const view: ViewNode = { op: 'view', id: 1, inputs: [], columns, appendOnly: true, key, relationId: 5, relationName: 'v', jobId: 1, nodeId: 3, fields: [2, 0] };
  const plan: Plan = { version: 1, nodes: [view, { op: 'calc', id: 2, inputs: [1], columns, appendOnly: true, key, filter, project: [] }, ...more], roots: [2] };
  return pointOf(plan, view);
}

test('equality of every key column with a constant is a point, by the view’s stored columns', () => {
  assert.deepEqual(read(equal(column(0, INT4), literal('7', INT4)), [0]), [{ column: 2, text: '7', type: INT4 }]);
  assert.deepEqual(read(all(equal(literal('a', TEXT), column(1, TEXT)), equal(column(0, INT4), literal('7', INT4))), [0, 1])?.map(v => v.column), [2, 0]);
});

test('anything less or other is none', () => {
  const k = equal(column(0, INT4), literal('7', INT4));
  assert.equal(read(k, [0, 1]), null, 'a part of the key');
  assert.equal(read(k, null), null, 'no key');
  assert.equal(read(k, []), null, 'one row only');
  assert.equal(read(null, [0]), null, 'no filter');
  assert.equal(read({ node: 'or', args: [k, k], type: BOOL }, [0]), null, 'OR');
  assert.equal(read(equal(column(0, INT4), literal('7', INT8)), [0]), null, 'another type');
  assert.equal(read(equal(column(0, INT4), literal(null, INT4)), [0]), null, 'NULL');
  assert.equal(read(equal(column(0, INT4), literal('x', INT4)), [0]), null, 'no value of the type');
  assert.equal(read(k, [0], [{ op: 'output', id: 3, inputs: [1], columns, appendOnly: true, key: [0], visible: 2 }]), null, 'two readers');
});
