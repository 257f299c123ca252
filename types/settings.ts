/**
 * The settings table: the one source of every setting's name, Flink key, type, range, default and description.
 * SET / SHOW / pg_settings / docs are derived from it. Durations are stored in ms, sizes in bytes.
 */

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
  readonly idle_source_timeout: number;
}
