import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Barrier } from '../operator.js';
import type { Injected } from '../protocol.js';
import { Alignment, CheckpointAlignment } from './alignment.js';

const injected = (barrier: Barrier): Injected => ({ barrier, pins: [], taps: [], tablesRead: false });
const light = (epoch: number): Injected => injected({ epoch, checkpoint: null, logPosition: 0, timeUs: 0 });
/** Triggered at 0 ms. `after`: start delay in ms from which on it overtakes; null = at least once. */
const checkpoint = (id: number, after: number | null): Injected => injected({ epoch: 1, checkpoint: { id, since: 0 }, logPosition: 0, timeUs: 0, midEpoch: { unalignedAfterMs: after } });
const idOf = (done: { readonly injected: Injected } | null): number | null => done?.injected.barrier.checkpoint?.id ?? null;

test('one input: a barrier is complete at once and blocks nothing', () => {
  const a = new Alignment(1);
  assert.equal(a.arrived(0, light(1), 0, 0)?.injected.barrier.epoch, 1);
  assert.equal(a.blocked(0), false);
});

test('an input whose epoch barrier came is blocked until it came on all', () => {
  const a = new Alignment(3);
  assert.equal(a.arrived(1, light(1), 10, 500), null);
  assert.deepEqual([0, 1, 2].map(i => a.blocked(i)), [false, true, false]);
  assert.equal(a.arrived(0, light(1), 20, 600), null);
  const done = a.arrived(2, light(1), 35, 700);
  assert.deepEqual([done?.firstMs, done?.takenBytes], [10, 500]);
  assert.deepEqual([0, 1, 2].map(i => a.blocked(i)), [false, false, false]);
});

test('a barrier on a blocked input is a bug', () => {
  const a = new Alignment(2);
  a.arrived(0, light(1), 0, 0);
  assert.throws(() => a.arrived(0, light(2), 0, 0), /blocked input/);
});

test('at least once: a checkpoint barrier blocks no input and is never due, and barriers complete in order', () => {
  const a = new CheckpointAlignment(2);
  assert.equal(a.announced(checkpoint(1, null), 0, 0), null);
  assert.equal(a.arrived(0, checkpoint(1, null), 0, 0), null);
  assert.equal(a.blocked(0), false);
  assert.equal(a.arrived(0, checkpoint(2, null), 0, 0), null);
  assert.equal(a.due(1e9), null);
  assert.equal(idOf(a.arrived(1, checkpoint(1, null), 0, 0)), 1);
  assert.equal(idOf(a.arrived(1, checkpoint(2, null), 0, 0)), 2);
});

test('unaligned: a checkpoint is due once announced, and its barriers are passed over afterwards', () => {
  const a = new CheckpointAlignment(2);
  assert.equal(a.announced(checkpoint(1, 0), 7, 100), 0);
  const due = a.due(7);
  assert.deepEqual([idOf(due), due?.firstMs, due?.takenBytes], [1, 7, 100]);
  assert.equal(a.due(7), null);
  assert.equal(a.announced(checkpoint(1, 0), 8, 100), null);
  assert.equal(a.arrived(0, checkpoint(1, 0), 8, 100), null);
  assert.deepEqual([a.blocked(0), a.blocked(1), a.waiting], [false, false, false]);
});

test('aligned with a limit: blocks like an epoch barrier, and completes as one, while the limit is not reached', () => {
  const a = new CheckpointAlignment(2);
  assert.equal(a.announced(checkpoint(1, 50), 20, 0), 30);
  assert.equal(a.arrived(1, checkpoint(1, 50), 22, 0), null);
  assert.deepEqual([a.blocked(0), a.blocked(1)], [false, true]);
  assert.equal(a.due(49), null);
  assert.equal(idOf(a.arrived(0, checkpoint(1, 50), 49, 0)), 1);
  assert.equal(a.due(1000), null);
});

test('aligned with a limit: past it the checkpoint is due, and nothing stays blocked', () => {
  const a = new CheckpointAlignment(2);
  a.announced(checkpoint(1, 50), 20, 0);
  a.arrived(1, checkpoint(1, 50), 22, 0);
  const due = a.due(50);
  assert.deepEqual([idOf(due), [...due?.arrived ?? []]], [1, [1]], 'which inputs have no barrier to wait for');
  assert.deepEqual([a.blocked(0), a.blocked(1)], [false, false]);
  assert.equal(a.arrived(0, checkpoint(1, 50), 60, 0), null);
});

test('a checkpoint that was given up blocks nothing, and the rest of its barriers is passed over', () => {
  const a = new CheckpointAlignment(2);
  a.announced(checkpoint(1, 50), 0, 0);
  a.arrived(0, checkpoint(1, 50), 0, 0);
  a.aborted(1);
  assert.equal(a.blocked(0), false);
  assert.equal(a.arrived(1, checkpoint(1, 50), 60, 0), null);
  assert.equal(a.due(1000), null);
  // The next one is not held up by what is left of it.
  assert.equal(a.announced(checkpoint(2, 0), 1000, 0), 0);
  assert.equal(idOf(a.due(1000)), 2);
});

test('of two checkpoints the newer one ends what is left of the older', () => {
  const a = new CheckpointAlignment(2);
  a.announced(checkpoint(1, 1000), 0, 0);
  a.arrived(0, checkpoint(1, 1000), 0, 0);
  a.announced(checkpoint(2, 0), 1, 0);
  assert.equal(idOf(a.due(1)), 2);
  assert.equal(a.waiting, false);
});
