import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Barrier } from '../operator.js';
import { Alignment } from './alignment.js';

const light = (epoch: number): Barrier => ({ epoch, checkpoint: null, logPosition: 0, timeUs: 0 });
const checkpoint = (epoch: number): Barrier => ({ epoch, checkpoint: { id: epoch, since: 0 }, logPosition: 0, timeUs: 0 });
const epochs = (done: readonly { barrier: Barrier }[]): number[] => done.map(d => d.barrier.epoch);

test('one input: a barrier is complete at once and blocks nothing', () => {
  const a = new Alignment(1, true);
  assert.deepEqual(epochs(a.arrived(0, checkpoint(1), 0)), [1]);
  assert.equal(a.blocked(0), false);
});

test('exactly once: an input whose barrier came is blocked until it came on all', () => {
  const a = new Alignment(3, true);
  assert.deepEqual(a.arrived(1, checkpoint(1), 10), []);
  assert.deepEqual([0, 1, 2].map(i => a.blocked(i)), [false, true, false]);
  assert.deepEqual(a.arrived(0, checkpoint(1), 20), []);
  assert.deepEqual(a.arrived(2, checkpoint(1), 35), [{ barrier: checkpoint(1), alignmentMs: 25 }]);
  assert.deepEqual([0, 1, 2].map(i => a.blocked(i)), [false, false, false]);
});

test('at least once: a checkpoint barrier blocks no input, and barriers still complete in order', () => {
  const a = new Alignment(2, false);
  assert.deepEqual(a.arrived(0, checkpoint(1), 0), []);
  assert.equal(a.blocked(0), false);
  assert.deepEqual(a.arrived(0, checkpoint(2), 0), []);
  assert.deepEqual(epochs(a.arrived(1, checkpoint(1), 0)), [1]);
  assert.deepEqual(epochs(a.arrived(1, checkpoint(2), 0)), [2]);
});

test('at least once: light barriers block all the same', () => {
  const a = new Alignment(2, false);
  a.arrived(0, checkpoint(1), 0);
  a.arrived(0, light(2), 0);
  assert.equal(a.blocked(0), true);
  assert.deepEqual(epochs(a.arrived(1, checkpoint(1), 0)), [1]);
  assert.equal(a.blocked(0), true);
  assert.deepEqual(epochs(a.arrived(1, light(2), 0)), [2]);
  assert.equal(a.blocked(0), false);
});

test('a barrier on a blocked input is a bug', () => {
  const a = new Alignment(2, true);
  a.arrived(0, light(1), 0);
  assert.throws(() => a.arrived(0, light(2), 0), /blocked input/);
});
