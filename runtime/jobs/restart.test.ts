import assert from 'node:assert/strict';
import { test } from 'node:test';
import { jobSettings, Settings } from '../../types/settings.js';
import { isUserError, restartStrategy, type RestartSettings } from './restart.js';

const settings = (changes: Partial<RestartSettings>): RestartSettings => ({ ...jobSettings(new Settings(null), 1), ...changes });
const MIDDLE = 0.5;

test('none: never again', () => {
  assert.equal(restartStrategy(settings({ restart_strategy: 'none' })).next(0, MIDDLE), null);
});

test('fixed_delay: so many attempts, each after the delay', () => {
  const s = restartStrategy(settings({ restart_strategy: 'fixed_delay', restart_attempts: 2, restart_delay: 70 }));
  assert.deepEqual([s.next(0, MIDDLE), s.next(1, MIDDLE), s.next(2, MIDDLE)], [70, 70, null]);
});

test('exponential_delay: grows to the maximum, and starts anew after a quiet time', () => {
  const s = restartStrategy(settings({ restart_strategy: 'exponential_delay', restart_backoff_initial: 100, restart_backoff_multiplier: 2, restart_backoff_max: 350, restart_backoff_reset: 10_000, restart_backoff_jitter: 0.1 }));
  assert.deepEqual([s.next(0, MIDDLE), s.next(200, MIDDLE), s.next(500, MIDDLE), s.next(900, MIDDLE)], [100, 200, 350, 350]);
  assert.equal(s.next(900 + 10_349, MIDDLE), 350, 'not quiet for long enough');
  assert.equal(s.next(900 + 10_349 + 10_350, MIDDLE), 100);
});

test('exponential_delay: chance moves a delay by the jitter at most', () => {
  const make = (): number | null => restartStrategy(settings({ restart_backoff_initial: 1000, restart_backoff_jitter: 0.1 })).next(0, 0);
  assert.equal(make(), 900);
  assert.equal(restartStrategy(settings({ restart_backoff_initial: 1000, restart_backoff_jitter: 0.1 })).next(0, 1), 1100);
});

test('failure_rate: fails past so many failures within the interval, and forgets older ones', () => {
  const s = restartStrategy(settings({ restart_strategy: 'failure_rate', restart_max_failures: 2, restart_failure_interval: 1000, restart_failure_delay: 5 }));
  assert.deepEqual([s.next(0, MIDDLE), s.next(600, MIDDLE), s.next(1100, MIDDLE), s.next(1200, MIDDLE)], [5, 5, 5, null]);
});

test('errors of data and statements are the user\'s; connections, disks and bugs are not', () => {
  assert.deepEqual(['22012', '22P02', '42883', '0A000'].map(isUserError), [true, true, true, true]);
  assert.deepEqual(['08006', '53100', '58030', 'XX000'].map(isUserError), [false, false, false, false]);
});
