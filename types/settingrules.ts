/**
 * Rules between settings: pairs of values that contradict each other. Each rule names the values that would settle it, from which the hint is made:
 * the statement to type before the one that was refused.
 */
import { SqlError } from './error.js';

type Value = number | string | boolean | null;
/** Present values by setting name. */
export type SettingLookup = (name: string) => Value;
/** Writes the statement that sets `name` to `value` (a literal): SET, ALTER SYSTEM SET or ALTER JOB. */
export type SetStatement = (name: string, value: string) => string;

interface Rule {
  readonly broken: (get: SettingLookup) => boolean;
  readonly message: (get: SettingLookup) => string;
  /** The settings of the rule, each with the value that keeps it while the other stays. */
  readonly fixes: Readonly<Record<string, (get: SettingLookup) => string>>;
}

const ms = (value: Value): string => `'${String(value)}ms'`;

const rules: readonly Rule[] = [
  {
    broken: get => get('unaligned_checkpoints') === true && get('checkpoint_mode') === 'at_least_once',
    message: () => 'unaligned_checkpoints need checkpoint_mode exactly_once',
    fixes: { unaligned_checkpoints: () => 'off', checkpoint_mode: () => 'exactly_once' },
  },
  {
    broken: get => get('unaligned_checkpoints') === true && Number(get('max_concurrent_checkpoints')) > 1,
    message: get => `unaligned_checkpoints allow one checkpoint at a time, max_concurrent_checkpoints is ${String(get('max_concurrent_checkpoints'))}`,
    fixes: { unaligned_checkpoints: () => 'off', max_concurrent_checkpoints: () => '1' },
  },
  {
    broken: get => Number(get('checkpoint_min_pause')) > Number(get('checkpoint_timeout')),
    message: () => 'checkpoint_min_pause is above checkpoint_timeout',
    fixes: { checkpoint_min_pause: () => '0', checkpoint_timeout: get => ms(get('checkpoint_min_pause')) },
  },
  {
    // 0 = none in backlog, -1 = the same; with checkpoint_interval 0 there are none at all.
    broken: get => Number(get('checkpoint_interval_during_backlog')) > 0 && Number(get('checkpoint_interval_during_backlog')) < Number(get('checkpoint_interval')),
    message: () => 'checkpoint_interval_during_backlog is below checkpoint_interval',
    fixes: { checkpoint_interval_during_backlog: get => ms(get('checkpoint_interval')), checkpoint_interval: get => ms(get('checkpoint_interval_during_backlog')) },
  },
  {
    broken: get => Number(get('restart_backoff_initial')) > Number(get('restart_backoff_max')),
    message: () => 'restart_backoff_initial is above restart_backoff_max',
    fixes: { restart_backoff_max: get => ms(get('restart_backoff_initial')), restart_backoff_initial: get => ms(get('restart_backoff_max')) },
  },
  {
    broken: get => Number(get('parallelism')) > Number(get('max_parallelism')),
    message: get => `parallelism (${String(get('parallelism'))}) is above max_parallelism (${String(get('max_parallelism'))})`,
    fixes: { max_parallelism: get => String(get('parallelism')), parallelism: get => String(get('max_parallelism')) },
  },
];

/**
 * The error (22023) of the first broken rule; null when all hold. With `changed`, only rules that this setting is part of, and the hint settles the
 * other setting; without, the first setting that the rule names.
 */
export function brokenRule(get: SettingLookup, changed: string | null, statement: SetStatement): SqlError | null {
  for (const rule of rules) {
    if (changed !== null && !(changed in rule.fixes)) continue;
    if (!rule.broken(get)) continue;
    const [name, fix] = Object.entries(rule.fixes).find(([n]) => n !== changed) ?? [];
    return new SqlError('22023', rule.message(get), { hint: name === undefined || fix === undefined ? undefined : statement(name, fix(get)) });
  }
  return null;
}
