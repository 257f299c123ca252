/**
 * The settings table: the one source of every setting's name, Flink key, kind, unit, range, default and description.
 * SET, SHOW, RESET, current_setting(), pg_settings, `millrace.checkpoint_settings` and docs/settings.md are all derived from it.
 *
 * Values: durations are kept in ms, sizes in bytes, booleans as true/false. In SQL a duration is written with its unit in quotes
 * ('30s', '1min'); a bare number is milliseconds (or bytes). Source of the names and meanings: Apache Flink's configuration.
 */
import { SqlError } from './error.js';
import { brokenRule, type SetStatement } from './settingrules.js';
import { findTimeZone } from './timezone.js';

/**
 * Settings of a job: taken when it is created (the session's SET values, over ALTER SYSTEM's, over the defaults), changed by ALTER JOB. A running job
 * reads each where it needs it and copies none, so that a change holds from then on.
 */
export interface JobSettings {
  readonly checkpoint_interval: number;
  readonly checkpoint_mode: 'exactly_once' | 'at_least_once';
  readonly checkpoint_timeout: number;
  readonly tolerable_failed_checkpoints: number;
  readonly checkpoint_min_pause: number;
  readonly max_concurrent_checkpoints: number;
  /** While a source is far behind; -1 = as checkpoint_interval, 0 = no periodic ones. */
  readonly checkpoint_interval_during_backlog: number;
  /** The barrier overtakes queued batches, which go into the snapshot. */
  readonly unaligned_checkpoints: boolean;
  /** With unaligned_checkpoints: aligned until the start delay exceeds it; 0 = unaligned at once. */
  readonly aligned_checkpoint_timeout: number;
  readonly incremental_checkpoints: boolean;
  /** s3:// or file:// URL, or path, of the folder that holds `<job id>/chk-<N>`; '' = `<data dir>/checkpoints`. */
  readonly checkpoint_storage: string;
  /** Where CREATE SAVEPOINT without TO writes; '' = `<data dir>/savepoints`. */
  readonly savepoint_directory: string;
  /** Of checkpoint_storage and savepoint paths under s3://; '' = Amazon's endpoint of the region. */
  readonly s3_endpoint: string;
  readonly s3_region: string;
  /** https://host/bucket/key in place of https://bucket.host/key. */
  readonly s3_path_style: boolean;
  /** Name of the secret with access_key_id and secret_access_key; '' = the environment's. */
  readonly s3_secret: string;
  readonly retained_checkpoints: number;
  readonly externalized_checkpoints: 'delete_on_cancellation' | 'retain_on_cancellation';
  readonly checkpoint_history: number;
  readonly state_backend: 'leveldb' | 'memory';
  /** Recovery from the job's LevelDB where it is whole; off = always from checkpoint storage. */
  readonly local_recovery: boolean;
  /** Recovery goes back to the newest checkpoint even when a savepoint is newer. */
  readonly prefer_checkpoint_for_recovery: boolean;
  /** State not touched for this long is dropped; 0 = never. */
  readonly state_ttl: number;
  readonly restore_claim_mode: 'no_claim' | 'claim';
  readonly allow_non_restored_state: boolean;
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
  /** -1 is allowed beside [min, max] (as another setting). */
  readonly minusOne?: boolean;
  /** Other keys that Flink has, or had, for it. */
  readonly otherKeys?: readonly string[];
  /** Other words for a value: Flink's names. */
  readonly words?: Readonly<Record<string, string>>;
  /** Words that are no value here, and what to say of them. */
  readonly refused?: Readonly<Record<string, string>>;
  /** Of a text: what is wrong with it, as a hint; null = nothing. */
  readonly check?: (text: string) => string | null;
  readonly default: SettingValue;
  readonly description: string;
  /** job: copied into jobs created afterwards; session: of the connection; server: at start-up only; postgres: accepted for compatibility. */
  readonly scope: 'job' | 'session' | 'server' | 'postgres';
  /** Of a job's setting: paused = ALTER JOB takes it while the job does not run; fixed = never after its creation. Without: at any time. */
  readonly alter?: 'paused' | 'fixed';
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
  { name: 'max_concurrent_checkpoints', flinkKey: `${X}max-concurrent-checkpoints`, kind: 'integer', min: 1, max: 100, default: 1, scope: 'job', description: 'Checkpoints of one job that may be in progress at a time; 1 with unaligned_checkpoints, and in effect with checkpoint_min_pause.' },
  { name: 'checkpoint_interval_during_backlog', flinkKey: `${X}interval-during-backlog`, kind: 'duration', min: 10, max: 365 * DAY, zero: true, minusOne: true, default: -1, scope: 'job', description: 'checkpoint_interval while a source is far behind; 0 = no periodic checkpoints until it caught up, -1 = checkpoint_interval.' },
  { name: 'unaligned_checkpoints', flinkKey: `${X}unaligned.enabled`, otherKeys: [`${X}unaligned`], kind: 'boolean', default: false, scope: 'job', description: 'Barriers overtake queued batches, which become part of the checkpoint: quick also under backpressure. Needs exactly_once and one checkpoint at a time.' },
  { name: 'aligned_checkpoint_timeout', flinkKey: `${X}aligned-checkpoint-timeout`, otherKeys: [`${X}alignment-timeout`], kind: 'duration', min: 0, max: 365 * DAY, default: 0, scope: 'job', description: 'With unaligned_checkpoints: a checkpoint begins aligned and goes on unaligned when its start delay exceeds this; 0 = unaligned at once.' },
  { name: 'incremental_checkpoints', flinkKey: `${X}incremental`, otherKeys: ['state.backend.incremental'], kind: 'boolean', default: true, scope: 'job', description: 'A checkpoint writes what changed since the one before; off = each one is whole.' },
  { name: 'checkpoint_storage', flinkKey: `${X}dir`, otherKeys: ['state.checkpoints.dir'], kind: 'text', check: checkFolder, default: '', scope: 'job', alter: 'fixed', description: 'Folder for checkpoints: a path, file:// or s3://bucket/prefix; empty = checkpoints/ in the data directory.' },
  { name: 'savepoint_directory', flinkKey: `${X}savepoint-dir`, otherKeys: ['state.savepoints.dir'], kind: 'text', check: checkFolder, default: '', scope: 'job', description: 'Folder of savepoints that name no other (path, file:// or s3://); empty = savepoints/ in the data directory.' },
  { name: 's3_endpoint', flinkKey: 's3.endpoint', kind: 'text', check: checkEndpoint, default: '', scope: 'job', alter: 'fixed', description: 'URL of an S3-compatible server for s3:// folders; empty = Amazon S3 in s3_region.' },
  { name: 's3_region', flinkKey: 's3.endpoint.region', otherKeys: ['s3.region'], kind: 'text', default: '', scope: 'job', alter: 'fixed', description: 'Region of s3:// folders; empty = AWS_REGION of the environment, or us-east-1.' },
  { name: 's3_path_style', flinkKey: 's3.path.style.access', otherKeys: ['s3.path-style-access'], kind: 'boolean', default: false, scope: 'job', alter: 'fixed', description: 'The bucket stands in the path, not in the host name: what most S3-compatible servers need.' },
  { name: 's3_secret', flinkKey: null, kind: 'text', default: '', scope: 'job', alter: 'fixed', description: 'Secret (CREATE SECRET) with access_key_id, secret_access_key and session_token for s3:// folders; empty = AWS_ACCESS_KEY_ID and the like of the environment.' },
  { name: 'retained_checkpoints', flinkKey: `${X}num-retained`, otherKeys: ['state.checkpoints.num-retained'], kind: 'integer', min: 1, max: 1000, default: 3, scope: 'job', description: 'Completed checkpoints kept; older ones are deleted.' },
  { name: 'externalized_checkpoints', flinkKey: `${X}externalized-checkpoint-retention`, kind: 'enum', values: ['delete_on_cancellation', 'retain_on_cancellation'], refused: { no_externalized_checkpoints: 'Checkpoints of a failed job are always kept here; delete_on_cancellation is the nearest.' }, default: 'delete_on_cancellation', scope: 'job', description: 'What happens to checkpoints when the job is cancelled.' },
  { name: 'checkpoint_history', flinkKey: null, kind: 'integer', min: 1, max: 1_000_000, default: 1000, scope: 'job', description: 'Rows of millrace.checkpoints kept for each job.' },
  { name: 'state_backend', flinkKey: 'state.backend.type', otherKeys: ['state.backend'], kind: 'enum', values: ['leveldb', 'memory'], refused: { rocksdb: 'Flink\'s rocksdb is leveldb here.', forst: 'Flink\'s forst is leveldb here.', hashmap: 'Flink\'s hashmap is memory here.', filesystem: 'Flink\'s filesystem is memory here.' }, default: 'leveldb', scope: 'job', alter: 'fixed', description: 'leveldb: state may exceed memory and recovers locally; memory: checkpoint files only.' },
  { name: 'local_recovery', flinkKey: 'execution.state-recovery.from-local', otherKeys: ['state.backend.local-recovery'], kind: 'boolean', default: true, scope: 'job', description: 'A restart uses the state on the local disk where it is whole; off = checkpoint storage is always read.' },
  { name: 'prefer_checkpoint_for_recovery', flinkKey: `${X}prefer-checkpoint-for-recovery`, kind: 'boolean', default: true, scope: 'job', description: 'on: a recovery goes back to the newest checkpoint, also when a savepoint of the job is newer; off: to the newest of both.' },
  { name: 'state_ttl', flinkKey: 'table.exec.state.ttl', kind: 'duration', min: 0, max: 36500 * DAY, default: 0, scope: 'job', alter: 'fixed', description: 'State of a key that was not written for this long is dropped at some time after; 0 = never.' },
  { name: 'restore_claim_mode', flinkKey: 'execution.state-recovery.claim-mode', otherKeys: ['execution.savepoint-restore-mode'], kind: 'enum', values: ['no_claim', 'claim'], refused: { legacy: 'Flink\'s LEGACY leaves files without an owner; use no_claim.' }, default: 'no_claim', scope: 'job', alter: 'fixed', description: 'restore_from: claim = the new job owns the checkpoint and deletes it when it is no longer needed; no_claim = it is never touched.' },
  { name: 'allow_non_restored_state', flinkKey: 'execution.state-recovery.ignore-unclaimed-state', otherKeys: ['execution.savepoint.ignore-unclaimed-state'], kind: 'boolean', default: false, scope: 'job', alter: 'fixed', description: 'restore_from: state that matches no operator of the new statement is dropped in place of an error.' },
  { name: 'state_memory', flinkKey: null, kind: 'size', min: 1 << 20, max: 2 ** 42, zero: true, default: 0, scope: 'job', alter: 'paused', description: 'Memory for the hot state of a job; 0 = a fair share of memory_limit.' },
  { name: 'barrier_interval', flinkKey: null, kind: 'duration', min: 1, max: 3_600_000, default: 100, scope: 'job', description: 'Time between light barriers: how soon results become visible.' },
  { name: 'parallelism', flinkKey: 'parallelism.default', kind: 'integer', min: 1, max: 128, default: 0, scope: 'job', alter: 'fixed', description: 'Subtasks of each operator of a job; default: the number of cores.' },
  { name: 'max_parallelism', flinkKey: 'pipeline.max-parallelism', kind: 'integer', min: 1, max: 32768, default: 128, scope: 'job', alter: 'fixed', description: 'Key groups of a job: the most parallelism it can ever have; fixed at its creation.' },
  { name: 'restart_strategy', flinkKey: `${R}type`, otherKeys: ['restart-strategy'], kind: 'enum', values: ['none', 'fixed_delay', 'exponential_delay', 'failure_rate', 'fallback'], words: { disable: 'none', disabled: 'none', off: 'none', fixeddelay: 'fixed_delay', exponentialdelay: 'exponential_delay', failurerate: 'failure_rate' }, default: 'exponential_delay', scope: 'job', description: 'What a job does after a failure of its environment or of a task.' },
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
  { name: 'idle_source_timeout', flinkKey: 'table.exec.source.idle-timeout', kind: 'duration', min: 0, max: 365 * DAY, default: 0, scope: 'job', alter: 'paused', description: 'A split silent for this long stops holding the watermark back; 0 = never.' },
  { name: 'shared_reading', flinkKey: null, kind: 'boolean', default: true, scope: 'job', alter: 'paused', description: 'Jobs of one worker that read the same stream share one read and one decode of it; off = the job reads for itself.' },
  { name: 'memory_limit', flinkKey: null, kind: 'size', min: 64 << 20, max: 2 ** 42, zero: true, default: 0, scope: 'server', description: 'Memory for the state of all jobs; 0 = half of the machine. Set at start-up (--config).' },
  { name: 'workers', flinkKey: null, kind: 'integer', min: 1, max: 128, default: 0, scope: 'server', description: 'Worker threads of the server; default: the number of cores. Set at start-up (--config).' },
  { name: 'statement_timeout', flinkKey: null, kind: 'duration', min: 0, max: 2147483647, default: 0, scope: 'session', description: 'A statement running longer is cancelled (57014); 0 = never.' },
  { name: 'search_path', flinkKey: null, kind: 'text', default: '"$user", public', scope: 'session', description: 'Schemas looked into for unqualified names; millrace and pg_catalog always are.' },
  { name: 'TimeZone', flinkKey: 'table.local-time-zone', kind: 'text', check: checkTimeZone, default: 'UTC', scope: 'session', description: 'Time zone of timestamptz values as text; a view or sink is computed in that of the session that created it.' },
  { name: 'application_name', flinkKey: null, kind: 'text', default: '', scope: 'postgres', description: 'Name the client gives itself.' },
  { name: 'client_encoding', flinkKey: null, kind: 'enum', values: ['UTF8', 'UTF-8', 'UNICODE', 'utf8', 'utf-8', 'unicode', 'SQL_ASCII'], default: 'UTF8', scope: 'postgres', description: 'Always UTF8.' },
  { name: 'client_min_messages', flinkKey: null, kind: 'text', default: 'notice', scope: 'postgres', description: 'Accepted; notices are always sent.' },
  { name: 'DateStyle', flinkKey: null, kind: 'text', check: checkDateStyle, default: 'ISO, MDY', scope: 'postgres', description: 'Output is always ISO, dates written 1/2/2024 are month first.' },
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

/** A folder of checkpoints or savepoints. Functions below the table are hoisted. */
function checkFolder(text: string): string | null {
  const scheme = /^([a-z][a-z0-9+.-]*):/i.exec(text)?.[1]?.toLowerCase();
  if (text === '' || text.startsWith('/') || (scheme === 'file' && text.slice(5, 8) === '///') || ((scheme === 's3' || scheme === 's3a') && /^s3a?:\/\/[^/]+/i.test(text))) return null;
  return scheme === undefined ? 'A path is absolute: /path, file:///path or s3://bucket/prefix.' : 'Allowed: /path, file:///path, s3://bucket/prefix.';
}

function checkEndpoint(text: string): string | null {
  if (text === '') return null;
  return /^https?:\/\/[^/\s]+\/?$/i.test(text) ? null : 'A URL without path: http://127.0.0.1:9000.';
}

function checkDateStyle(text: string): string | null { return /^\s*(iso|mdy|iso\s*,\s*mdy|mdy\s*,\s*iso)\s*$/i.test(text) ? null : 'ISO, or ISO, MDY: the others are not there.'; }
function checkTimeZone(text: string): string | null { return findTimeZone(text) === null ? 'A name, as Europe/Berlin or UTC.' : null; }

/** Aliases whose meaning is another setting's value (Flink's old setters). */
const FAIL_ON_ERRORS = 'fail_on_checkpointing_errors';
const READ_ONLY = new Set(['max_identifier_length', 'server_version', 'server_version_num', 'server_encoding', 'integer_datetimes', 'is_superuser', 'session_authorization']);

/** A fact that no statement changes. */
export function isReadOnly(spec: SettingSpec): boolean { return READ_ONLY.has(spec.name); }

const byName = new Map<string, SettingSpec>();
for (const spec of settingSpecs) {
  byName.set(spec.name.toLowerCase(), spec);
  for (const key of [...(spec.flinkKey === null ? [] : [spec.flinkKey]), ...(spec.otherKeys ?? [])]) byName.set(key, spec);
}

const DURATION_MS: Readonly<Record<string, number>> = {
  us: 0.001, micro: 0.001, micros: 0.001, microsecond: 0.001, microseconds: 0.001, ms: 1, milli: 1, millis: 1, millisecond: 1, milliseconds: 1, s: 1000, sec: 1000, secs: 1000, second: 1000, seconds: 1000, m: 60_000, min: 60_000, mins: 60_000, minute: 60_000, minutes: 60_000,
  h: 3_600_000, hour: 3_600_000, hours: 3_600_000, d: DAY, day: DAY, days: DAY,
};
const SIZE_BYTES: Readonly<Record<string, number>> = { b: 1, bytes: 1, kb: 1024, k: 1024, kib: 1024, mb: 1 << 20, m: 1 << 20, mib: 1 << 20, gb: 1 << 30, g: 1 << 30, gib: 1 << 30, tb: 2 ** 40 };

/** The setting of this name or Flink key, or null. */
export function knownSetting(name: string): SettingSpec | null {
  const lower = name.toLowerCase();
  return byName.get(lower === FAIL_ON_ERRORS ? 'tolerable_failed_checkpoints' : lower) ?? null;
}

/** The setting of this name or Flink key; 42704 with the nearest name. */
export function settingSpec(name: string): SettingSpec {
  const spec = knownSetting(name);
  if (spec !== null) return spec;
  const near = nearest(name.toLowerCase(), byName.keys());
  throw new SqlError('42704', `unrecognized configuration parameter "${name}"`, { hint: near === null ? 'SELECT name, description FROM pg_settings lists all.' : `Perhaps you meant "${near}".` });
}

/** Parses a setting's value as SET receives it; 22023 with the allowed range on anything else. */
export function parseSetting(spec: SettingSpec, text: string): SettingValue {
  if (READ_ONLY.has(spec.name)) throw new SqlError('55P02', `parameter "${spec.name}" cannot be changed`);
  const bad = (hint: string): SqlError => new SqlError('22023', `invalid value for parameter "${spec.name}": "${text}"`, { hint });
  const range = rangeText(spec);
  switch (spec.kind) {
    case 'text': {
      const wrong = spec.check?.(text) ?? null;
      if (wrong !== null) throw bad(wrong);
      return text;
    }
    case 'boolean': {
      const v = parseBoolean(text);
      if (v === null) throw bad('Allowed: on, off.');
      return v;
    }
    case 'enum': {
      const word = text.trim().toLowerCase().replace(/-/g, '_');
      const found = spec.values?.find(v => v.toLowerCase() === word || v.toLowerCase() === text.trim().toLowerCase()) ?? spec.words?.[word];
      if (found === undefined) throw bad(`Allowed: ${(spec.values ?? []).join(', ')}.${spec.refused?.[word] === undefined ? '' : ` ${spec.refused[word]}`}`);
      return found;
    }
    case 'duration': case 'size': case 'integer': case 'number': {
      const parts = spec.kind === 'duration' ? durationParts(text) : null;
      const m = parts !== null ? [text, String(parts), 'ms'] : /^\s*([+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:e[+-]?\d+)?)\s*([a-zµ]*)\s*$/i.exec(text);
      if (m === null) throw bad(`Allowed: ${range}.`);
      const unit = (m[2] ?? '').toLowerCase().replace('µ', 'u');
      const units = spec.kind === 'duration' ? DURATION_MS : spec.kind === 'size' ? SIZE_BYTES : {};
      const factor = unit === '' ? 1 : units[unit];
      if (factor === undefined) throw bad(spec.kind === 'duration' ? 'Units: us, ms, s, min, h, d.' : spec.kind === 'size' ? 'Units: B, kB, MB, GB, TB.' : `Allowed: ${range}, without a unit.`);
      // '1.1s' is 1100 ms, whatever binary fractions make of it.
      const product = Number(m[1]) * factor;
      const value = spec.kind === 'number' || Math.abs(product - Math.round(product)) > 1e-6 ? product : Math.round(product);
      if (value === -1 && unit === '' && spec.minusOne === true) return -1;
      if (spec.kind !== 'number' && !Number.isInteger(value)) throw bad(`Allowed: ${range}.`);
      if (value === 0 && spec.zero === true) return 0;
      if (value < (spec.min ?? -Infinity) || value > (spec.max ?? Infinity)) throw new SqlError('22023', `${text} is outside the valid range for parameter "${spec.name}"`, { hint: `Allowed: ${range}.` });
      return value;
    }
  }
}

/** Milliseconds of a duration of several parts ('1h 30min') or in ISO 8601 ('PT1H30M'); null for every other text. */
function durationParts(text: string): number | null {
  const iso = /^\s*P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+(?:\.\d+)?)S)?)?\s*$/i.exec(text);
  if (iso !== null && iso.slice(1).some(p => p !== undefined)) return Number(iso[1] ?? 0) * DAY + Number(iso[2] ?? 0) * 3_600_000 + Number(iso[3] ?? 0) * 60_000 + Math.round(Number(iso[4] ?? 0) * 1000);
  if (!/^\s*(?:\d+\s*[a-z]+\s*){2,}$/i.test(text)) return null;
  let sum = 0;
  for (const [, amount, unit] of text.matchAll(/(\d+)\s*([a-z]+)/gi)) {
    const factor = DURATION_MS[unit.toLowerCase()];
    if (factor === undefined) return null;
    sum += Number(amount) * factor;
  }
  return sum;
}

/** "10ms .. 365d, or 0", for hints and docs. */
export function rangeText(spec: SettingSpec): string {
  if (spec.kind === 'enum') return (spec.values ?? []).join(', ');
  if (spec.kind === 'boolean') return 'on, off';
  if (spec.kind === 'text') return 'any text';
  const show = (v: number): string => formatSetting(spec, v);
  return `${show(spec.min ?? 0)} .. ${show(spec.max ?? 0)}${spec.zero === true ? ', or 0' : ''}${spec.minusOne === true ? ', or -1' : ''}`;
}

/** A value as SHOW prints it: the largest unit that keeps it whole. */
export function formatSetting(spec: SettingSpec, value: SettingValue): string {
  if (typeof value === 'boolean') return value ? 'on' : 'off';
  if (typeof value === 'string') return value;
  if (value === 0 || (value === -1 && spec.minusOne === true)) return String(value);
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

/** Where a value comes from, in pg_settings' words. */
export type SettingSource = 'default' | 'configuration file' | 'client' | 'session';

/**
 * Values of one level over those of the level below: defaults, the configuration file, ALTER SYSTEM, what the client sent at its start, SET. Names are
 * the specs' own. A value that breaks a rule between settings is refused where it is set (`check`); a job that takes the settings checks them all.
 */
export class Settings {
  readonly source: SettingSource;
  readonly #values = new Map<string, SettingValue>();
  readonly #below: Settings | null;

  constructor(below: Settings | null, source: SettingSource = 'session') {
    this.#below = below;
    this.source = source;
  }

  get(name: string): SettingValue {
    const spec = settingSpec(name);
    return this.#values.get(spec.name) ?? this.#below?.get(spec.name) ?? spec.default;
  }
  /** Sets by name or Flink key from SQL text; returns the spec and the value. */
  set(name: string, text: string): { spec: SettingSpec; value: SettingValue } {
    const { spec, value } = parseNamed(name, text);
    this.#values.set(spec.name, value);
    return { spec, value };
  }
  /** As `set`, refused (22023) when the value contradicts another setting's; `statement` writes what the hint says to type. */
  setChecked(name: string, text: string, statement: SetStatement): { spec: SettingSpec; value: SettingValue } {
    const { spec, value } = parseNamed(name, text);
    const broken = brokenRule(n => (n === spec.name ? value : this.get(n)), spec.name, statement);
    if (broken !== null) throw broken;
    this.#values.set(spec.name, value);
    return { spec, value };
  }
  /** For facts that SET may not change (session_authorization, the pool's size). */
  force(name: string, value: SettingValue): void { this.#values.set(settingSpec(name).name, value); }
  reset(name: string): SettingSpec {
    const spec = settingSpec(name);
    if (READ_ONLY.has(spec.name)) throw new SqlError('55P02', `parameter "${spec.name}" cannot be changed`);
    this.#values.delete(spec.name);
    return spec;
  }
  resetAll(): void { this.#values.clear(); }
  /** This level's values as `own` gave them before. */
  replace(values: ReadonlyMap<string, SettingValue>): void {
    this.#values.clear();
    for (const [name, value] of values) this.#values.set(name, value);
  }
  show(name: string): string {
    const spec = settingSpec(name);
    if (name.toLowerCase() === FAIL_ON_ERRORS) return this.get(spec.name) === 0 ? 'on' : 'off';
    return formatSetting(spec, this.get(spec.name));
  }
  /** The level that a value comes from. */
  sourceOf(name: string): SettingSource {
    const spec = settingSpec(name);
    return this.#values.has(spec.name) ? this.source : this.#below?.sourceOf(spec.name) ?? 'default';
  }
  /** The value that RESET would bring back. */
  resetValue(name: string): SettingValue {
    const spec = settingSpec(name);
    return this.#below?.get(spec.name) ?? spec.default;
  }
  /** The value of the first level from below this one for which `accepted` holds; the default when none. */
  fallback(name: string, accepted: (value: SettingValue) => boolean): SettingValue {
    const spec = settingSpec(name);
    const value = this.#below?.own().get(spec.name);
    if (value !== undefined && accepted(value)) return value;
    return this.#below?.fallback(spec.name, accepted) ?? spec.default;
  }
  /** Values set at this level, by name. */
  own(): ReadonlyMap<string, SettingValue> { return this.#values; }
}

/** A value by name, Flink key or alias. */
export function parseNamed(name: string, text: string): { spec: SettingSpec; value: SettingValue } {
  if (name.toLowerCase() === FAIL_ON_ERRORS) {
    const on = parseBoolean(text);
    if (on === null) throw new SqlError('22023', `invalid value for parameter "${name}": "${text}"`, { hint: 'Allowed: on, off.' });
    return { spec: settingSpec('tolerable_failed_checkpoints'), value: on ? 0 : 2147483647 };
  }
  const spec = settingSpec(name);
  return { spec, value: parseSetting(spec, text) };
}

/** Copies the settings a new job takes; refuses contradictions between them (22023). `cores` is the default parallelism. */
export function jobSettings(settings: Settings, cores: number): JobSettings {
  const out: Record<string, SettingValue> = {};
  for (const spec of settingSpecs) if (spec.scope === 'job') out[spec.name] = settings.get(spec.name);
  if (out['parallelism'] === 0) out['parallelism'] = cores;
  if (out['restart_strategy'] === 'fallback') out['restart_strategy'] = settings.fallback('restart_strategy', value => value !== 'fallback');
  const broken = brokenRule(name => out[name] ?? null, null, (name, value) => `SET ${name} = ${value};`);
  if (broken !== null) throw broken;
  return out as unknown as JobSettings;
}

/** Settings of a stored job: what its version did not know has its default. */
export function storedJobSettings(stored: Readonly<Partial<Record<string, unknown>>>): JobSettings {
  const out: Record<string, unknown> = {};
  for (const spec of settingSpecs) if (spec.scope === 'job') out[spec.name] = stored[spec.name] ?? spec.default;
  return out as unknown as JobSettings;
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
