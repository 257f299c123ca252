import { test } from 'node:test';
import assert from 'node:assert/strict';
import { Settings, jobSettings, nearest, storedJobSettings } from './settings.js';
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

const statement = (name: string, value: string): string => `SET ${name} = ${value};`;

test('a value that contradicts another setting is refused with the statement that settles the other', () => {
  const refused = (first: [string, string][], name: string, value: string, hint: string): void => {
    const s = new Settings(null);
    for (const [n, v] of first) s.setChecked(n, v, statement);
    assert.throws(() => s.setChecked(name, value, statement), (e: unknown) => e instanceof SqlError && e.code === '22023' && e.hint === hint, `${name} = ${value}`);
    const before = s.show(name);
    // What the hint says makes the refused value possible.
    const [, other, literal] = /^SET (\w+) = (.*);$/.exec(hint) ?? [];
    s.setChecked(other ?? '', (literal ?? '').replace(/'/g, ''), statement);
    s.setChecked(name, value, statement);
    assert.notEqual(s.show(name), before);
    jobSettings(s, 2);
  };
  refused([['checkpoint_mode', 'at_least_once']], 'unaligned_checkpoints', 'on', 'SET checkpoint_mode = exactly_once;');
  refused([['unaligned_checkpoints', 'on']], 'execution.checkpointing.mode', 'AT_LEAST_ONCE', 'SET unaligned_checkpoints = off;');
  refused([['max_concurrent_checkpoints', '2']], 'execution.checkpointing.unaligned.enabled', 'true', 'SET max_concurrent_checkpoints = 1;');
  refused([['unaligned_checkpoints', 'on']], 'max_concurrent_checkpoints', '2', 'SET unaligned_checkpoints = off;');
  refused([], 'checkpoint_min_pause', '11min', "SET checkpoint_timeout = '660000ms';");
  refused([['checkpoint_min_pause', '1min']], 'checkpoint_timeout', '59s', 'SET checkpoint_min_pause = 0;');
  refused([], 'checkpoint_interval_during_backlog', '9s', "SET checkpoint_interval = '9000ms';");
  refused([['checkpoint_interval_during_backlog', '10s']], 'checkpoint_interval', '11s', "SET checkpoint_interval_during_backlog = '11000ms';");
  refused([], 'restart_backoff_initial', '2min', "SET restart_backoff_max = '120000ms';");
  refused([['parallelism', '4']], 'max_parallelism', '2', 'SET parallelism = 2;');
});

test('no checkpoints in backlog, and the same interval there, contradict nothing', () => {
  const s = new Settings(null);
  s.setChecked('checkpoint_interval_during_backlog', '0', statement);
  s.setChecked('checkpoint_interval', '1h', statement);
  s.setChecked('checkpoint_interval_during_backlog', '-1', statement);
  assert.equal(s.show('checkpoint_interval_during_backlog'), '-1');
  fails(() => s.set('checkpoint_interval_during_backlog', '-1s'), '22023', /or 0, or -1/);
  fails(() => s.set('checkpoint_interval', '-1'), '22023', /or 0/);
});

test('Flink\'s keys, old keys and words are understood; what has another name here is said', () => {
  const s = new Settings(null);
  const is = (name: string, text: string, own: string, shown: string): void => { s.set(name, text); assert.equal(s.show(own), shown, `${name} = ${text}`); };
  is('execution.checkpointing.mode', 'AT_LEAST_ONCE', 'checkpoint_mode', 'at_least_once');
  is('execution.checkpointing.externalized-checkpoint-retention', 'RETAIN_ON_CANCELLATION', 'externalized_checkpoints', 'retain_on_cancellation');
  is('execution.checkpointing.timeout', '10 min', 'checkpoint_timeout', '10min');
  is('Execution.Checkpointing.Unaligned', 'TRUE', 'unaligned_checkpoints', 'on');
  is('state.checkpoints.dir', 's3://bucket/checkpoints', 'checkpoint_storage', 's3://bucket/checkpoints');
  is('execution.state-recovery.claim-mode', 'CLAIM', 'restore_claim_mode', 'claim');
  is('restart-strategy', 'exponential-delay', 'restart_strategy', 'exponential_delay');
  is('restart-strategy.type', 'disable', 'restart_strategy', 'none');
  is('table.exec.state.ttl', '36 h', 'state_ttl', '36h');
  is('table.exec.state.ttl', '0 ms', 'state_ttl', '0');
  is('table.exec.state.ttl', '36 h', 'state_ttl', '36h');
  is('table.exec.state.ttl', '0 ms', 'state_ttl', '0');
  is('execution.checkpointing.prefer-checkpoint-for-recovery', 'false', 'prefer_checkpoint_for_recovery', 'off');
  is('checkpoint_min_pause', '1.1s', 'checkpoint_min_pause', '1100ms');
  is('checkpoint_timeout', '2 minutes', 'checkpoint_timeout', '2min');
  is('checkpoint_timeout', '1h 30min', 'checkpoint_timeout', '90min');
  is('checkpoint_timeout', '1d2h', 'checkpoint_timeout', '26h');
  is('checkpoint_timeout', 'PT1M30.5S', 'checkpoint_timeout', '90500ms');
  fails(() => s.set('checkpoint_timeout', '1h 30 parsecs'), '22023', /Allowed/);
  fails(() => s.set('checkpoint_timeout', 'PT'), '22023', /Allowed/);
  fails(() => s.set('checkpoint_timeout', '1h-30min'), '22023', /Allowed/);
  fails(() => s.set('state.backend.type', 'rocksdb'), '22023', /leveldb/);
  fails(() => s.set('execution.checkpointing.externalized-checkpoint-retention', 'NO_EXTERNALIZED_CHECKPOINTS'), '22023', /delete_on_cancellation/);
  fails(() => s.set('restore_claim_mode', 'LEGACY'), '22023', /no_claim/);
  fails(() => s.set('checkpoint_storage', 'hdfs://host/x'), '22023', /s3:\/\/bucket/);
  fails(() => s.set('savepoint_directory', 'here'), '22023', /absolute/);
  fails(() => s.set('s3_endpoint', 'localhost:9000'), '22023', /http/);
  fails(() => s.set('execution.checkpointing.intervall', '1s'), '42704', /execution.checkpointing.interval"/);
  assert.equal(s.show('fail_on_checkpointing_errors'), 'on');
});

test('fallback takes the strategy of the server, and of it the default', () => {
  const server = new Settings(null, 'configuration file');
  const session = new Settings(server);
  session.set('restart_strategy', 'fallback');
  assert.equal(jobSettings(session, 1).restart_strategy, 'exponential_delay');
  server.set('restart_strategy', 'failure_rate');
  assert.equal(jobSettings(session, 1).restart_strategy, 'failure_rate');
  server.set('restart_strategy', 'fallback');
  assert.equal(jobSettings(session, 1).restart_strategy, 'exponential_delay');
});

test('every value says which level it comes from', () => {
  const file = new Settings(null, 'configuration file'), session = new Settings(file);
  assert.equal(session.sourceOf('checkpoint_interval'), 'default');
  file.set('checkpoint_interval', '3s');
  assert.equal(session.sourceOf('checkpoint_interval'), 'configuration file');
  session.set('execution.checkpointing.interval', '4s');
  assert.equal(session.sourceOf('checkpoint_interval'), 'session');
  assert.equal(session.resetValue('checkpoint_interval'), 3000);
});

test('a job stored before a setting existed has its default', () => {
  const stored: Partial<Record<string, unknown>> = { ...jobSettings(new Settings(null), 3), checkpoint_interval: 7 };
  delete stored['unaligned_checkpoints'];
  delete stored['checkpoint_interval_during_backlog'];
  const settings = storedJobSettings(stored);
  assert.equal(settings.unaligned_checkpoints, false);
  assert.equal(settings.checkpoint_interval_during_backlog, -1);
  assert.equal(settings.checkpoint_interval, 7);
  assert.equal(settings.parallelism, 3);
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
