/**
 * The settings table: the one source of every setting's name, Flink key, kind, unit, range, default and description.
 * SET, SHOW, RESET, current_setting(), pg_settings, `millrace.checkpoint_settings` and docs/settings.md are all derived from it.
 *
 * Values: durations are kept in ms, sizes in bytes, booleans as true/false. In SQL a duration is written with its unit in quotes
 * ('30s', '1min'); a bare number is milliseconds (or bytes). Source of the names and meanings: Apache Flink's configuration.
 */
import { SqlError } from './error.js';

/** Settings of a job, fixed when it is created (from the session's SET values, over ALTER SYSTEM's, over the defaults). */
export interface JobSettings {
  readonly checkpoint_interval: number;
  readonly checkpoint_mode: 'exactly_once' | 'at_least_once';
  readonly checkpoint_timeout: number;
  readonly tolerable_failed_checkpoints: number;
  readonly checkpoint_min_pause: number;
  readonly max_concurrent_checkpoints: number;
  /** file:// URL or path of the folder that holds `<job id>/chk-<N>`; '' = `<data dir>/checkpoints`. */
  readonly checkpoint_storage: string;
  readonly retained_checkpoints: number;
  readonly externalized_checkpoints: 'delete_on_cancellation' | 'retain_on_cancellation';
  readonly checkpoint_history: number;
  readonly state_backend: 'leveldb' | 'memory';
  /** 0 = a fair share of memory_limit. */
  readonly state_memory: number;
  readonly barrier_interval: number;
  readonly parallelism: number;
  readonly max_parallelism: number;
  readonly restart_strategy: 'none' | 'fixed_delay' | 'exponential_delay' | 'failure_rate' | 'fallback';
  readonly restart_attempts: number;
  readonly restart_delay: number;
  readonly restart_backoff_initial: number;
  readonly restart_backoff_max: number;
  readonly restart_backoff_multiplier: number;
  readonly restart_backoff_reset: number;
  readonly restart_backoff_jitter: number;
  readonly restart_max_failures: number;
  readonly restart_failure_interval: number;
  readonly restart_failure_delay: number;
  readonly idle_source_timeout: number;
  readonly shared_reading: boolean;
}

export type SettingValue = number | string | boolean;

export interface SettingSpec {
  readonly name: string;
  /** Flink's key, without the prefix `execution.checkpointing.` only in docs; here it is whole. null = Millrace's own. */
  readonly flinkKey: string | null;
  readonly kind: 'duration' | 'size' | 'integer' | 'number' | 'boolean' | 'enum' | 'text';
  readonly values?: readonly string[];
  readonly min?: number;
  readonly max?: number;
  /** 0 is allowed beside [min, max] (off). */
  readonly zero?: boolean;
  readonly default: SettingValue;
  readonly description: string;
  /** job: copied into jobs created afterwards; session: of the connection; server: at start-up only; postgres: accepted for compatibility. */
  readonly scope: 'job' | 'session' | 'server' | 'postgres';
}

const X = 'execution.checkpointing.';
const R = 'restart-strategy.';
const DAY = 86_400_000;

export const settingSpecs: readonly SettingSpec[] = [
  { name: 'checkpoint_interval', flinkKey: `${X}interval`, kind: 'duration', min: 10, max: 365 * DAY, zero: true, default: 10_000, scope: 'job', description: 'Time between the triggers of two checkpoints; 0 = no periodic checkpoints.' },
  { name: 'checkpoint_mode', flinkKey: `${X}mode`, kind: 'enum', values: ['exactly_once', 'at_least_once'], default: 'exactly_once', scope: 'job', description: 'exactly_once: tasks align barriers; at_least_once: checkpoint barriers do not block.' },
  { name: 'checkpoint_timeout', flinkKey: `${X}timeout`, kind: 'duration', min: 10, max: 365 * DAY, default: 600_000, scope: 'job', description: 'A checkpoint that has not completed after this time is discarded (status expired).' },
  { name: 'tolerable_failed_checkpoints', flinkKey: `${X}tolerable-failed-checkpoints`, kind: 'integer', min: 0, max: 2147483647, default: 0, scope: 'job', description: 'Consecutive failed checkpoints a job survives; one more and it fails over.' },
  { name: 'checkpoint_min_pause', flinkKey: `${X}min-pause`, kind: 'duration', min: 0, max: 365 * DAY, default: 0, scope: 'job', description: 'Least time from the completion of a checkpoint to the trigger of the next.' },
  { name: 'max_concurrent_checkpoints', flinkKey: `${X}max-concurrent-checkpoints`, kind: 'integer', min: 1, max: 1, default: 1, scope: 'job', description: 'Checkpoints of one job in progress at a time (only 1 in this version).' },
  { name: 'checkpoint_storage', flinkKey: `${X}dir`, kind: 'text', default: '', scope: 'job', description: 'Folder (path or file:// URL) for checkpoints; empty = checkpoints/ in the data directory.' },
  { name: 'retained_checkpoints', flinkKey: `${X}num-retained`, kind: 'integer', min: 1, max: 1000, default: 3, scope: 'job', description: 'Completed checkpoints kept; older ones are deleted.' },
  { name: 'externalized_checkpoints', flinkKey: `${X}externalized-checkpoint-retention`, kind: 'enum', values: ['delete_on_cancellation', 'retain_on_cancellation'], default: 'delete_on_cancellation', scope: 'job', description: 'What happens to checkpoints when the job is cancelled.' },
  { name: 'checkpoint_history', flinkKey: null, kind: 'integer', min: 1, max: 1_000_000, default: 1000, scope: 'job', description: 'Rows of millrace.checkpoints kept for each job.' },
  { name: 'state_backend', flinkKey: 'state.backend.type', kind: 'enum', values: ['leveldb', 'memory'], default: 'leveldb', scope: 'job', description: 'leveldb: state may exceed memory and recovers locally; memory: checkpoint files only.' },
  { name: 'state_memory', flinkKey: null, kind: 'size', min: 1 << 20, max: 2 ** 42, zero: true, default: 0, scope: 'job', description: 'Memory for the hot state of a job; 0 = a fair share of memory_limit.' },
  { name: 'barrier_interval', flinkKey: null, kind: 'duration', min: 1, max: 3_600_000, default: 100, scope: 'job', description: 'Time between light barriers: how soon results become visible.' },
  { name: 'parallelism', flinkKey: 'parallelism.default', kind: 'integer', min: 1, max: 128, default: 0, scope: 'job', description: 'Subtasks of each operator of a job; default: the number of cores.' },
  { name: 'max_parallelism', flinkKey: 'pipeline.max-parallelism', kind: 'integer', min: 1, max: 32768, default: 128, scope: 'job', description: 'Key groups of a job: the most parallelism it can ever have; fixed at its creation.' },
  { name: 'restart_strategy', flinkKey: `${R}type`, kind: 'enum', values: ['none', 'fixed_delay', 'exponential_delay', 'failure_rate', 'fallback'], default: 'exponential_delay', scope: 'job', description: 'What a job does after a failure of its environment or of a task.' },
  { name: 'restart_attempts', flinkKey: `${R}fixed-delay.attempts`, kind: 'integer', min: 0, max: 2147483647, default: 3, scope: 'job', description: 'fixed_delay: restarts before the job is failed.' },
  { name: 'restart_delay', flinkKey: `${R}fixed-delay.delay`, kind: 'duration', min: 0, max: 30 * DAY, default: 10_000, scope: 'job', description: 'fixed_delay: wait before a restart.' },
  { name: 'restart_backoff_initial', flinkKey: `${R}exponential-delay.initial-backoff`, kind: 'duration', min: 1, max: 30 * DAY, default: 1000, scope: 'job', description: 'exponential_delay: first wait.' },
  { name: 'restart_backoff_max', flinkKey: `${R}exponential-delay.max-backoff`, kind: 'duration', min: 1, max: 30 * DAY, default: 60_000, scope: 'job', description: 'exponential_delay: longest wait.' },
  { name: 'restart_backoff_multiplier', flinkKey: `${R}exponential-delay.backoff-multiplier`, kind: 'number', min: 1, max: 1000, default: 1.5, scope: 'job', description: 'exponential_delay: growth of the wait.' },
  { name: 'restart_backoff_reset', flinkKey: `${R}exponential-delay.reset-backoff-threshold`, kind: 'duration', min: 1, max: 365 * DAY, default: 3_600_000, scope: 'job', description: 'exponential_delay: running this long without failure resets the wait.' },
  { name: 'restart_backoff_jitter', flinkKey: `${R}exponential-delay.jitter-factor`, kind: 'number', min: 0, max: 1, default: 0.1, scope: 'job', description: 'exponential_delay: random share added to or taken from the wait.' },
  { name: 'restart_max_failures', flinkKey: `${R}failure-rate.max-failures-per-interval`, kind: 'integer', min: 1, max: 2147483647, default: 3, scope: 'job', description: 'failure_rate: failures within the interval before the job is failed.' },
  { name: 'restart_failure_interval', flinkKey: `${R}failure-rate.failure-rate-interval`, kind: 'duration', min: 1, max: 365 * DAY, default: 300_000, scope: 'job', description: 'failure_rate: the interval.' },
  { name: 'restart_failure_delay', flinkKey: `${R}failure-rate.delay`, kind: 'duration', min: 0, max: 30 * DAY, default: 10_000, scope: 'job', description: 'failure_rate: wait before a restart.' },
  { name: 'idle_source_timeout', flinkKey: 'table.exec.source.idle-timeout', kind: 'duration', min: 0, max: 365 * DAY, default: 0, scope: 'job', description: 'A split silent for this long stops holding the watermark back; 0 = never.' },
  { name: 'shared_reading', flinkKey: null, kind: 'boolean', default: true, scope: 'job', description: 'Jobs of one worker that read the same stream share one read and one decode of it; off = the job reads for itself.' },
  { name: 'memory_limit', flinkKey: null, kind: 'size', min: 64 << 20, max: 2 ** 42, zero: true, default: 0, scope: 'server', description: 'Memory for the state of all jobs; 0 = half of the machine. Set at start-up (--config).' },
  { name: 'workers', flinkKey: null, kind: 'integer', min: 1, max: 128, default: 0, scope: 'server', description: 'Worker threads of the server; default: the number of cores. Set at start-up (--config).' },
  { name: 'statement_timeout', flinkKey: null, kind: 'duration', min: 0, max: 2147483647, default: 0, scope: 'session', description: 'A statement running longer is cancelled (57014); 0 = never.' },
  { name: 'search_path', flinkKey: null, kind: 'text', default: '"$user", public', scope: 'session', description: 'Schemas looked into for unqualified names; millrace and pg_catalog always are.' },
  { name: 'TimeZone', flinkKey: null, kind: 'text', default: 'UTC', scope: 'session', description: 'Time zone of timestamptz values as text.' },
  { name: 'application_name', flinkKey: null, kind: 'text', default: '', scope: 'postgres', description: 'Name the client gives itself.' },
  { name: 'client_encoding', flinkKey: null, kind: 'enum', values: ['UTF8', 'UTF-8', 'UNICODE', 'utf8', 'utf-8', 'unicode', 'SQL_ASCII'], default: 'UTF8', scope: 'postgres', description: 'Always UTF8.' },
  { name: 'client_min_messages', flinkKey: null, kind: 'text', default: 'notice', scope: 'postgres', description: 'Accepted; notices are always sent.' },
  { name: 'DateStyle', flinkKey: null, kind: 'text', default: 'ISO, MDY', scope: 'postgres', description: 'Output is always ISO.' },
  { name: 'IntervalStyle', flinkKey: null, kind: 'enum', values: ['postgres'], default: 'postgres', scope: 'postgres', description: 'Output is always postgres.' },
  { name: 'extra_float_digits', flinkKey: null, kind: 'integer', min: -15, max: 3, default: 1, scope: 'postgres', description: 'Accepted; output is always the shortest exact form.' },
  { name: 'standard_conforming_strings', flinkKey: null, kind: 'enum', values: ['on'], default: 'on', scope: 'postgres', description: 'Always on.' },
  { name: 'bytea_output', flinkKey: null, kind: 'enum', values: ['hex'], default: 'hex', scope: 'postgres', description: 'Always hex.' },
  { name: 'default_transaction_isolation', flinkKey: null, kind: 'text', default: 'read committed', scope: 'postgres', description: 'Accepted.' },
  { name: 'transaction_isolation', flinkKey: null, kind: 'text', default: 'read committed', scope: 'postgres', description: 'Accepted.' },
  { name: 'default_transaction_read_only', flinkKey: null, kind: 'boolean', default: false, scope: 'postgres', description: 'Accepted.' },
  { name: 'transaction_read_only', flinkKey: null, kind: 'boolean', default: false, scope: 'postgres', description: 'Accepted.' },
  { name: 'lock_timeout', flinkKey: null, kind: 'duration', min: 0, max: 2147483647, default: 0, scope: 'postgres', description: 'Accepted; there are no lock waits.' },
  { name: 'idle_in_transaction_session_timeout', flinkKey: null, kind: 'duration', min: 0, max: 2147483647, default: 0, scope: 'postgres', description: 'Accepted.' },
  { name: 'row_security', flinkKey: null, kind: 'boolean', default: true, scope: 'postgres', description: 'Accepted.' },
  { name: 'synchronize_seqscans', flinkKey: null, kind: 'boolean', default: true, scope: 'postgres', description: 'Accepted.' },
  { name: 'max_identifier_length', flinkKey: null, kind: 'integer', min: 63, max: 63, default: 63, scope: 'postgres', description: 'Longest identifier in bytes.' },
  { name: 'server_version', flinkKey: null, kind: 'text', default: '15.0', scope: 'postgres', description: 'Version of Postgres whose dialect is spoken.' },
  { name: 'server_version_num', flinkKey: null, kind: 'text', default: '150000', scope: 'postgres', description: 'server_version as a number.' },
  { name: 'server_encoding', flinkKey: null, kind: 'text', default: 'UTF8', scope: 'postgres', description: 'Always UTF8.' },
  { name: 'integer_datetimes', flinkKey: null, kind: 'text', default: 'on', scope: 'postgres', description: 'Always on.' },
  { name: 'is_superuser', flinkKey: null, kind: 'text', default: 'on', scope: 'postgres', description: 'Every user is a superuser in this version.' },
  { name: 'session_authorization', flinkKey: null, kind: 'text', default: '', scope: 'postgres', description: 'The connected user.' },
];

/** Aliases whose meaning is another setting's value (Flink's old setters). */
const FAIL_ON_ERRORS = 'fail_on_checkpointing_errors';
const READ_ONLY = new Set(['max_identifier_length', 'server_version', 'server_version_num', 'server_encoding', 'integer_datetimes', 'is_superuser', 'session_authorization']);

/** Settings design.md names that later versions bring: refused by name, not as unknown. */
const LATER = new Set(['checkpoint_interval_during_backlog', 'savepoint_directory', 'unaligned_checkpoints', 'aligned_checkpoint_timeout', 'incremental_checkpoints', 'local_recovery',
  'prefer_checkpoint_for_recovery', 'state_ttl', 'restore_claim_mode', 'allow_non_restored_state']);

const byName = new Map<string, SettingSpec>();
for (const spec of settingSpecs) {
  byName.set(spec.name.toLowerCase(), spec);
  if (spec.flinkKey !== null) byName.set(spec.flinkKey, spec);
}

const DURATION_MS: Readonly<Record<string, number>> = {
  us: 0.001, ms: 1, s: 1000, sec: 1000, second: 1000, seconds: 1000, m: 60_000, min: 60_000, minute: 60_000, minutes: 60_000,
  h: 3_600_000, hour: 3_600_000, hours: 3_600_000, d: DAY, day: DAY, days: DAY,
};
const SIZE_BYTES: Readonly<Record<string, number>> = { b: 1, bytes: 1, kb: 1024, k: 1024, kib: 1024, mb: 1 << 20, m: 1 << 20, mib: 1 << 20, gb: 1 << 30, g: 1 << 30, gib: 1 << 30, tb: 2 ** 40 };

/** The setting of this name or Flink key; 42704 with the nearest name, 0A000 for one that later versions bring. */
export function settingSpec(name: string): SettingSpec {
  const spec = byName.get(name.toLowerCase());
  if (spec !== undefined) return spec;
  if (LATER.has(name.toLowerCase())) throw new SqlError('0A000', `setting "${name}" is not supported in this version`);
  const near = nearest(name.toLowerCase(), byName.keys());
  throw new SqlError('42704', `unrecognized configuration parameter "${name}"`, { hint: near === null ? 'SELECT name, description FROM pg_settings lists all.' : `Perhaps you meant "${near}".` });
}

/** Parses a setting's value as SET receives it; 22023 with the allowed range on anything else. */
export function parseSetting(spec: SettingSpec, text: string): SettingValue {
  if (READ_ONLY.has(spec.name)) throw new SqlError('55P02', `parameter "${spec.name}" cannot be changed`);
  const bad = (hint: string): SqlError => new SqlError('22023', `invalid value for parameter "${spec.name}": "${text}"`, { hint });
  const range = rangeText(spec);
  switch (spec.kind) {
    case 'text': return text;
    case 'boolean': {
      const v = parseBoolean(text);
      if (v === null) throw bad('Allowed: on, off.');
      return v;
    }
    case 'enum': {
      const word = text.toLowerCase().replace(/-/g, '_');
      const found = spec.values?.find(v => v.toLowerCase() === word || v.toLowerCase() === text.toLowerCase());
      if (found === undefined) {
        if (spec.name === 'restart_strategy' && (word === 'disable' || word === 'off')) return 'none';
        throw bad(`Allowed: ${(spec.values ?? []).join(', ')}.`);
      }
      return found;
    }
    case 'duration': case 'size': case 'integer': case 'number': {
      const m = /^\s*([+-]?\d+(?:\.\d+)?(?:e[+-]?\d+)?)\s*([a-z]*)\s*$/i.exec(text);
      if (m === null) throw bad(`Allowed: ${range}.`);
      const unit = (m[2] ?? '').toLowerCase();
      const units = spec.kind === 'duration' ? DURATION_MS : spec.kind === 'size' ? SIZE_BYTES : {};
      const factor = unit === '' ? 1 : units[unit];
      if (factor === undefined) throw bad(spec.kind === 'duration' ? 'Units: us, ms, s, min, h, d.' : spec.kind === 'size' ? 'Units: B, kB, MB, GB, TB.' : `Allowed: ${range}, without a unit.`);
      const value = Number(m[1]) * factor;
      if (spec.kind !== 'number' && !Number.isInteger(value)) throw bad(`Allowed: ${range}.`);
      if (value === 0 && spec.zero === true) return 0;
      if (value < (spec.min ?? -Infinity) || value > (spec.max ?? Infinity)) throw new SqlError('22023', `${text} is outside the valid range for parameter "${spec.name}"`, { hint: `Allowed: ${range}.` });
      return value;
    }
  }
}

/** "10ms .. 365d, or 0", for hints and docs. */
export function rangeText(spec: SettingSpec): string {
  if (spec.kind === 'enum') return (spec.values ?? []).join(', ');
  if (spec.kind === 'boolean') return 'on, off';
  if (spec.kind === 'text') return 'any text';
  const show = (v: number): string => formatSetting(spec, v);
  return `${show(spec.min ?? 0)} .. ${show(spec.max ?? 0)}${spec.zero === true ? ', or 0' : ''}`;
}

/** A value as SHOW prints it: the largest unit that keeps it whole. */
export function formatSetting(spec: SettingSpec, value: SettingValue): string {
  if (typeof value === 'boolean') return value ? 'on' : 'off';
  if (typeof value === 'string') return value;
  if (value === 0) return '0';
  if (spec.kind === 'duration') return largestUnit(value, [['d', DAY], ['h', 3_600_000], ['min', 60_000], ['s', 1000], ['ms', 1]]);
  if (spec.kind === 'size') return largestUnit(value, [['TB', 2 ** 40], ['GB', 1 << 30], ['MB', 1 << 20], ['kB', 1024], ['B', 1]]);
  return String(value);
}

function largestUnit(value: number, units: readonly (readonly [string, number])[]): string {
  for (const [name, factor] of units) if (value % factor === 0) return `${value / factor}${name}`;
  return String(value);
}

export function parseBoolean(text: string): boolean | null {
  const t = text.trim().toLowerCase();
  if (t === '') return null;
  if (t === 'on' || t === '1' || 'true'.startsWith(t) || 'yes'.startsWith(t)) return true;
  if (t === 'off' || t === 'of' || t === '0' || 'false'.startsWith(t) || 'no'.startsWith(t)) return false;
  return null;
}

/** Bytes of a size in words ('64MB'); null when it is none. For options outside the settings table. */
export function parseSize(text: string): number | null {
  const m = /^\s*(\d+(?:\.\d+)?)\s*([a-z]*)\s*$/i.exec(text);
  if (m === null) return null;
  const factor = m[2] === '' ? 1 : SIZE_BYTES[(m[2] ?? '').toLowerCase()];
  return factor === undefined ? null : Number(m[1]) * factor;
}

/** Milliseconds of a duration in words ('30s'); null when it is none. */
export function parseDuration(text: string): number | null {
  const m = /^\s*(\d+(?:\.\d+)?)\s*([a-z]*)\s*$/i.exec(text);
  if (m === null) return null;
  const factor = m[2] === '' ? 1 : DURATION_MS[(m[2] ?? '').toLowerCase()];
  return factor === undefined ? null : Number(m[1]) * factor;
}

/**
 * Values of one level (a session, or the server's ALTER SYSTEM) over those of the level below. Names are the specs' own.
 * Rules between settings are checked when a job takes them (`jobSettings`), since their order of SET is free.
 */
export class Settings {
  readonly #values = new Map<string, SettingValue>();
  readonly #below: Settings | null;

  constructor(below: Settings | null) { this.#below = below; }

  get(name: string): SettingValue {
    const spec = settingSpec(name);
    return this.#values.get(spec.name) ?? this.#below?.get(spec.name) ?? spec.default;
  }
  /** Sets by name or Flink key from SQL text; returns the spec and the value. */
  set(name: string, text: string): { spec: SettingSpec; value: SettingValue } {
    if (name.toLowerCase() === FAIL_ON_ERRORS) {
      const on = parseBoolean(text);
      if (on === null) throw new SqlError('22023', `invalid value for parameter "${name}": "${text}"`, { hint: 'Allowed: on, off.' });
      return this.set('tolerable_failed_checkpoints', on ? '0' : '2147483647');
    }
    const spec = settingSpec(name);
    const value = parseSetting(spec, text);
    this.#values.set(spec.name, value);
    return { spec, value };
  }
  /** For facts of the session that SET may not change (session_authorization). */
  force(name: string, value: SettingValue): void { this.#values.set(settingSpec(name).name, value); }
  reset(name: string): SettingSpec {
    const spec = settingSpec(name);
    this.#values.delete(spec.name);
    return spec;
  }
  resetAll(): void { this.#values.clear(); }
  show(name: string): string {
    const spec = settingSpec(name);
    return formatSetting(spec, this.get(spec.name));
  }
  /** Values set at this level, by name. */
  own(): ReadonlyMap<string, SettingValue> { return this.#values; }
}

/** Copies the settings a new job takes; refuses contradictions between them (22023). `cores` is the default parallelism. */
export function jobSettings(settings: Settings, cores: number): JobSettings {
  const out: Record<string, SettingValue> = {};
  for (const spec of settingSpecs) if (spec.scope === 'job') out[spec.name] = settings.get(spec.name);
  if (out['parallelism'] === 0) out['parallelism'] = cores;
  if (out['restart_strategy'] === 'fallback') out['restart_strategy'] = 'exponential_delay';
  const s = out as unknown as JobSettings;
  if (s.parallelism > s.max_parallelism) throw new SqlError('22023', `parallelism (${s.parallelism}) is above max_parallelism (${s.max_parallelism})`, { hint: `SET max_parallelism = ${s.parallelism};` });
  if (s.checkpoint_min_pause > s.checkpoint_timeout) throw new SqlError('22023', 'checkpoint_min_pause is above checkpoint_timeout', { hint: 'SET checkpoint_min_pause = 0;' });
  if (s.restart_backoff_initial > s.restart_backoff_max) throw new SqlError('22023', 'restart_backoff_initial is above restart_backoff_max', { hint: `SET restart_backoff_max = '${s.restart_backoff_initial}ms';` });
  return s;
}

/** The candidate with the smallest edit distance, when it is near enough to be a slip; null otherwise. */
export function nearest(word: string, candidates: Iterable<string>): string | null {
  let best: string | null = null;
  let bestDistance = Math.max(2, Math.floor(word.length / 3)) + 1;
  for (const c of candidates) {
    if (Math.abs(c.length - word.length) >= bestDistance) continue;
    const d = editDistance(word, c.toLowerCase());
    if (d < bestDistance) { best = c; bestDistance = d; }
  }
  return best;
}

function editDistance(a: string, b: string): number {
  let previous = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const change = (previous[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      row.push(Math.min(change, (previous[j] ?? 0) + 1, (row[j - 1] ?? 0) + 1));
    }
    previous = row;
  }
  return previous[b.length] ?? 0;
}
