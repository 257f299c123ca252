/** Operator state of restored subtasks at the same parallelism. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TaskMetadata } from '../../storage/checkpoint/metadata.js';
import type { Json } from '../../types/connect.js';
import type { PlanNode } from '../../types/plan.js';
import type { SinkDefinition } from '../functions/api.js';
import { ownSink } from '../functions/ownsink.js';
import { operatorStates } from './redistribute.js';

test('an own sink at the same parallelism gets its own list state and the union list state of all', () => {
  const definition: SinkDefinition = { name: 'mine', description: '', guarantee: 'exactly_once', acceptsUpdates: false, createFunction: () => ({ write: () => undefined }) };
  const node = { op: 'sink', id: 5, inputs: [4], connector: 'mine' } as unknown as PlanNode;
  const task = (subtask: number): TaskMetadata => ({
    subtask, nodeIds: [5], files: [], operators: { 5: { rows: subtask, sink: { list: { l: [subtask] }, union: { u: [`u${subtask}`] }, broadcast: {} } } as Json },
  }) as unknown as TaskMetadata;
  const tasks = [task(0), task(1), task(2)];
  for (const subtask of [0, 1, 2]) {
    const states = operatorStates(tasks, { moved: false, nodes: [node], subtask, parallelism: 3, sinks: [ownSink(definition)] });
    assert.deepEqual(states, { 5: { rows: subtask, sink: { list: { l: [subtask] }, union: { u: ['u0', 'u1', 'u2'] }, broadcast: {} } } });
  }
});
