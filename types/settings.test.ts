import { test } from 'node:test';
import assert from 'node:assert/strict';
import { Settings, jobSettings, nearest } from './settings.js';
import { SqlError } from './error.js';

const fails = (run: () => unknown, code: string, text: RegExp): void => {
  assert.throws(run, (e: unknown) => e instanceof SqlError && e.code === code && text.test(`${e.message} ${e.hint ?? ''}`));
};

test('a setting is one value under its own name and its Flink key', () => {
  const s = new Settings(null);
  s.set('execution.checkpointing.interval', '30s');
  assert.equal(s.show('checkpoint_interval'), '30s');
  s.set('checkpoint_interval', '250');
  assert.equal(s.show('checkpoint_interval'), '250ms');
  s.reset('checkpoint_interval');
  assert.equal(s.show('checkpoint_interval'), '10s');
});

test('a session value lies over the server value', () => {
  const server = new Settings(null), session = new Settings(server);
  server.set('retained_checkpoints', '5');
  assert.equal(session.show('retained_checkpoints'), '5');
  session.set('retained_checkpoints', '7');
  assert.equal(server.show('retained_checkpoints'), '5');
  session.resetAll();
  assert.equal(session.show('retained_checkpoints'), '5');
});

test('bad values are refused with the allowed range', () => {
  const s = new Settings(null);
  fails(() => s.set('checkpoint_interval', '9ms'), '22023', /10ms \.\. 365d, or 0/);
  fails(() => s.set('checkpoint_interval', 'soon'), '22023', /Allowed/);
  fails(() => s.set('checkpoint_interval', '5 parsecs'), '22023', /Units/);
  fails(() => s.set('checkpoint_mode', 'twice'), '22023', /exactly_once, at_least_once/);
  fails(() => s.set('tolerable_failed_checkpoints', '-1'), '22023', /0 \.\./);
  fails(() => s.set('chekpoint_interval', '1s'), '42704', /checkpoint_interval/);
  fails(() => s.set('unaligned_checkpoints', 'on'), '0A000', /not supported/);
  fails(() => s.set('server_version', '99'), '55P02', /cannot be changed/);
  s.set('checkpoint_interval', '0');
  s.set('checkpoint_mode', 'EXACTLY_ONCE');
  s.set('restart_strategy', 'fixed-delay');
  assert.equal(s.get('restart_strategy'), 'fixed_delay');
});

test('the old switch for failing on checkpoint errors is the tolerance', () => {
  const s = new Settings(null);
  s.set('fail_on_checkpointing_errors', 'off');
  assert.equal(s.get('tolerable_failed_checkpoints'), 2147483647);
});

test('contradictions are refused when a job takes the settings', () => {
  const s = new Settings(null);
  s.set('max_parallelism', '2');
  s.set('parallelism', '4');
  fails(() => jobSettings(s, 2), '22023', /max_parallelism/);
  s.reset('parallelism');
  assert.equal(jobSettings(s, 2).parallelism, 2);
});

test('the nearest name is found only when it is near', () => {
  assert.equal(nearest('topik', ['topic', 'format']), 'topic');
  assert.equal(nearest('zzzzzz', ['topic', 'format']), null);
});
