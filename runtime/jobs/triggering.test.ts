import assert from 'node:assert/strict';
import { test } from 'node:test';
import { nextTriggerMs, type TriggerSettings, type TriggerState } from './triggering.js';

const SETTINGS: TriggerSettings = { checkpoint_interval: 1000, checkpoint_min_pause: 0, checkpoint_interval_during_backlog: -1, max_concurrent_checkpoints: 1 };
const STATE: TriggerState = { nowMs: 10_000, lastTriggerMs: 9_500, lastCompletionMs: 9_600, inProgress: 0, awaitsBarrier: false, changed: true, backlog: false, early: false, requested: false, lastAttempts: null };
const at = (settings: Partial<TriggerSettings>, state: Partial<TriggerState>): number | null => nextTriggerMs({ ...SETTINGS, ...settings }, { ...STATE, ...state });

test('the interval runs from the trigger of the checkpoint before', () => { assert.equal(at({}, {}), 10_500); });
test('an interval that is over: at once', () => { assert.equal(at({}, { lastTriggerMs: 1 }), 10_000); });
test('the minimum pause runs from the completion of the checkpoint before', () => {
  assert.equal(at({ checkpoint_min_pause: 2000 }, {}), 11_600);
  assert.equal(at({ checkpoint_min_pause: 100 }, {}), 10_500, 'the interval is longer');
});
test('interval 0: none by itself, also not for memory; CHECKPOINT and the last one come nevertheless', () => {
  assert.equal(at({ checkpoint_interval: 0 }, {}), null);
  assert.equal(at({ checkpoint_interval: 0 }, { early: true }), null);
  assert.equal(at({ checkpoint_interval: 0, checkpoint_interval_during_backlog: 10 }, { backlog: true }), null);
  assert.equal(at({ checkpoint_interval: 0 }, { requested: true }), 10_000);
  assert.equal(at({ checkpoint_interval: 0 }, { lastAttempts: 0 }), 10_000);
});
test('nothing went through the job: none', () => { assert.equal(at({}, { changed: false, lastTriggerMs: 1 }), null); });
test('none while as many as allowed are in progress, or one waits for its barrier', () => {
  assert.equal(at({}, { inProgress: 1, requested: true }), null);
  assert.equal(at({ max_concurrent_checkpoints: 2 }, { inProgress: 1 }), 10_500);
  assert.equal(at({ max_concurrent_checkpoints: 2 }, { inProgress: 2, lastAttempts: 0 }), null);
  assert.equal(at({ max_concurrent_checkpoints: 2 }, { inProgress: 1, awaitsBarrier: true, requested: true }), null);
});
test('CHECKPOINT waits for neither interval nor pause', () => { assert.equal(at({ checkpoint_min_pause: 5000 }, { requested: true }), 10_000); });
test('a checkpoint for memory comes before its interval, but minds the pause', () => {
  assert.equal(at({}, { early: true }), 10_000);
  assert.equal(at({ checkpoint_min_pause: 2000 }, { early: true }), 11_600);
});
test('in backlog its own interval holds; 0 = none, -1 = the usual one; memory still asks', () => {
  assert.equal(at({ checkpoint_interval_during_backlog: 60_000 }, { backlog: true }), 69_500);
  assert.equal(at({ checkpoint_interval_during_backlog: 0 }, { backlog: true }), null);
  assert.equal(at({}, { backlog: true }), 10_500);
  assert.equal(at({ checkpoint_interval_during_backlog: 0 }, { backlog: true, early: true }), 10_000);
  assert.equal(at({ checkpoint_interval_during_backlog: 60_000 }, { backlog: false, lastTriggerMs: 5000 }), 10_000, 'the backlog ended: soon');
});
test('the last checkpoint of an ended job is tried again until it completes, not in a hurry', () => {
  assert.equal(at({ checkpoint_min_pause: 5000 }, { lastAttempts: 0, changed: false }), 10_000);
  assert.equal(at({}, { lastAttempts: 1 }), 10_500);
  assert.equal(at({ checkpoint_interval: 0 }, { lastAttempts: 3 }), 10_500, 'without an interval: a second apart');
});
