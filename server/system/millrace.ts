/** Schema millrace: jobs, operators, tasks, checkpoints and the rest, as rows. What the columns mean stands in docs/system-tables.md. */
import type { Datum } from '../../types/value.js';
import { Interval } from '../../types/interval.js';
import { SqlArray } from '../../types/array.js';
import { formatSetting, settingSpecs, type JobSettings, type SettingSpec, type SettingValue } from '../../types/settings.js';
import type { StoredJob } from '../catalog/relation.js';
import { secretUsers } from '../catalog/secretusers.js';
import { type SystemContext, type SystemTable, parseColumns, rowsOf, timestampOf } from './systemtable.js';

const milliseconds = (ms: number | null): Datum => (ms === null ? null : new Interval(0, 0, Math.round(ms * 1000)));

type Objects = readonly Readonly<Record<string, Datum>>[];

let nextId = 15000;
function define(name: string, description: string, columns: string, objects: (context: SystemContext) => Objects | Promise<Objects>): SystemTable {
  const parsed = parseColumns(columns);
  return { schema: 'millrace', name, id: nextId++, columns: parsed, description, rows: async context => rowsOf(parsed, await objects(context)) };
}

const jobName = (context: SystemContext, jobId: number): string => context.catalog.job(jobId)?.name ?? String(jobId);

/** The values a setting of a job had, oldest first: what it was created with, then what ALTER JOB made of it. */
function settingHistory(job: StoredJob, spec: SettingSpec): Readonly<Record<string, Datum>>[] {
  const changes = (job.settingChanges ?? []).filter(c => c.name === spec.name);
  const row = (value: SettingValue, since: number, until: number | null, by: string | null): Readonly<Record<string, Datum>> =>
    ({ name: spec.name, flink_key: spec.flinkKey, setting: formatSetting(spec, value), since: timestampOf(since), until: timestampOf(until), changed_by: by });
  const first = row(changes[0]?.from ?? job.settings[spec.name as keyof JobSettings], job.createdMs, changes[0]?.ms ?? null, null);
  return [first, ...changes.map((c, i) => row(c.to, c.ms, changes[i + 1]?.ms ?? null, c.by))];
}

export const millraceTables: readonly SystemTable[] = [
  define('jobs', 'one row a job: a connected dataflow of one or more views or sinks',
    'job_id int8, job_name text, relations text[], kind text, status text, sql text, parallelism int4, created_at timestamptz, started_at timestamptz, finished_at timestamptz, restarts int8, rows_in int8, rows_out int8, last_checkpoint_id int8, failure text',
    context => context.engine.jobs().map(j => {
      const stored = context.catalog.job(j.jobId);
      const relations = (stored?.relations ?? []).flatMap(id => { const r = context.catalog.relationById(id); return r === null ? [] : [r]; });
      return {
        job_id: j.jobId, job_name: j.name, relations: SqlArray.of(relations.map(r => r.name)), kind: relations[0]?.kind ?? null, status: j.status, sql: stored?.sql ?? null,
        parallelism: j.parallelism, created_at: timestampOf(j.createdMs), started_at: timestampOf(j.startedMs), finished_at: timestampOf(j.finishedMs),
        restarts: j.restarts, rows_in: j.rowsIn, rows_out: j.rowsOut, last_checkpoint_id: j.lastCheckpointId, failure: j.failure,
      };
    })),
  define('operators', 'one row an operator and subtask of a running job',
    'job_id int8, job_name text, operator_id int8, operator text, task text, subtask int4, rows_in int8, rows_out int8, batches_in int8, busy_ms float8, late_rows int8, null_event_times int8, sync_reads int8',
    async context => (await context.engine.operators()).map(o => ({
      job_id: o.jobId, job_name: jobName(context, o.jobId), operator_id: o.operatorId, operator: o.operator, task: o.task, subtask: o.subtask, rows_in: o.rowsIn, rows_out: o.rowsOut,
      batches_in: o.batchesIn, busy_ms: o.busyMs, late_rows: o.counters['late_rows'] ?? 0, null_event_times: o.counters['null_event_time'] ?? 0, sync_reads: o.counters['sync_reads'] ?? 0,
    }))),
  define('tasks', 'one row a task (subtask of a chain of operators)',
    'job_id int8, job_name text, task text, subtask int4, worker int4, status text, rows_in int8, rows_out int8, busy_ms float8, idle_ms float8, backpressured_ms float8, state_bytes int8, dirty_bytes int8',
    async context => (await context.engine.tasks()).map(t => ({
      job_id: t.jobId, job_name: jobName(context, t.jobId), task: t.task, subtask: t.subtask, worker: t.worker, status: t.status, rows_in: t.rowsIn, rows_out: t.rowsOut,
      busy_ms: t.busyMs, idle_ms: t.idleMs, backpressured_ms: t.backpressuredMs, state_bytes: t.stateBytes, dirty_bytes: t.dirtyBytes,
    }))),
  define('channels', 'one row a bounded queue between two tasks',
    'job_id int8, job_name text, from_task text, from_subtask int4, to_task text, to_subtask int4, queued_bytes int8, backpressured_ms float8',
    async context => (await context.engine.channels()).map(c => ({
      job_id: c.jobId, job_name: jobName(context, c.jobId), from_task: c.fromTask, from_subtask: c.fromSubtask, to_task: c.toTask, to_subtask: c.toSubtask,
      queued_bytes: c.queuedBytes, backpressured_ms: c.backpressuredMs,
    }))),
  define('sources', 'one row a split that a job reads: its position and how far it is behind',
    'job_id int8, job_name text, relation text, operator_id int8, subtask int4, split text, position text, lag int8, rows int8, skipped_records int8, watermark timestamp',
    async context => (await context.engine.sources()).map(s => ({
      job_id: s.jobId, job_name: jobName(context, s.jobId), relation: s.relationName, operator_id: s.operatorId, subtask: s.subtask, split: s.split, position: s.position,
      lag: s.lag, rows: s.rows, skipped_records: s.skipped, watermark: s.watermarkUs,
    }))),
  define('sinks', 'one row a sink and subtask',
    'job_id int8, job_name text, relation text, operator_id int8, subtask int4, connector text, rows int8, committed_checkpoint int8',
    async context => (await context.engine.sinks()).map(s => ({
      job_id: s.jobId, job_name: jobName(context, s.jobId), relation: s.relationName, operator_id: s.operatorId, subtask: s.subtask, connector: s.connector, rows: s.rows, committed_checkpoint: s.committedCheckpoint,
    }))),
  define('watermarks', 'one row an operator and subtask: its event time, and rows that came too late',
    'job_id int8, job_name text, operator_id int8, operator text, subtask int4, watermark timestamp, late_rows int8, null_event_times int8',
    async context => (await context.engine.watermarks()).map(w => ({
      job_id: w.jobId, job_name: jobName(context, w.jobId), operator_id: w.operatorId, operator: w.operator, subtask: w.subtask, watermark: w.watermarkUs, late_rows: w.lateRows, null_event_times: w.nullEventTimes,
    }))),
  define('restore_progress', 'one row a task that gets its state back: what a job that is starting, restarting or being rescaled still has to do',
    'job_id int8, job_name text, task text, subtask int4, worker int4, checkpoint_id int8, phase text, started_at timestamptz, bytes_done int8, bytes_total int8, entries_done int8, entries_total int8',
    async context => (await context.engine.restores()).map(r => ({
      job_id: r.jobId, job_name: jobName(context, r.jobId), task: r.task, subtask: r.subtask, worker: r.worker, checkpoint_id: r.checkpointId, phase: r.phase, started_at: timestampOf(r.startedMs),
      bytes_done: r.bytesDone, bytes_total: r.bytesTotal, entries_done: r.entriesDone, entries_total: r.entriesTotal,
    }))),
  define('state_tables', 'one row a state table and subtask',
    'job_id int8, job_name text, operator_id int8, operator text, table_id int8, subtask int4, entries int8, resident_entries int8, bytes int8, dirty_bytes int8',
    async context => (await context.engine.stateTables()).map(t => ({
      job_id: t.jobId, job_name: jobName(context, t.jobId), operator_id: t.operatorId, operator: t.operator, table_id: t.tableId, subtask: t.subtask,
      entries: t.entries, resident_entries: t.residentEntries, bytes: t.bytes, dirty_bytes: t.dirtyBytes,
    }))),
  define('checkpoints', 'one row a checkpoint, in progress or ended; kept over restarts',
    'job_id int8, job_name text, checkpoint_id int8, kind text, status text, mode text, unaligned bool, incremental bool, trigger_time timestamptz, completion_time timestamptz, duration interval, age interval, alignment_duration interval, acknowledged_tasks int4, total_tasks int4, state_bytes int8, checkpointed_bytes int8, processed_inflight_bytes int8, persisted_inflight_bytes int8, path text, discarded bool, failure_reason text, failure_message text',
    context => context.engine.checkpoints().map(c => ({
      job_id: c.jobId, job_name: c.jobName, checkpoint_id: c.checkpointId, kind: c.kind, status: c.status, mode: c.mode, unaligned: c.unaligned, incremental: c.incremental,
      trigger_time: timestampOf(c.triggerMs), completion_time: timestampOf(c.completionMs), duration: c.completionMs === null ? null : milliseconds(c.completionMs - c.triggerMs),
      age: c.status === 'in_progress' ? milliseconds(Date.now() - c.triggerMs) : null, alignment_duration: milliseconds(c.alignmentMs),
      acknowledged_tasks: c.acknowledgedTasks, total_tasks: c.totalTasks, state_bytes: c.stateBytes, checkpointed_bytes: c.checkpointedBytes, processed_inflight_bytes: c.processedInflightBytes, persisted_inflight_bytes: c.persistedInflightBytes,
      path: c.path, discarded: c.discarded, failure_reason: c.failureReason, failure_message: c.failureMessage,
    }))),
  define('checkpoint_tasks', 'one row a task of a checkpoint: where its time went',
    'job_id int8, checkpoint_id int8, task text, subtask int4, status text, ack_time timestamptz, start_delay interval, alignment_duration interval, sync_duration interval, async_duration interval, checkpointed_bytes int8, processed_inflight_bytes int8, persisted_inflight_bytes int8, unaligned bool',
    async context => (await context.engine.checkpointTasks()).map(t => ({
      job_id: t.jobId, checkpoint_id: t.checkpointId, task: t.task, subtask: t.subtask, status: t.status, ack_time: timestampOf(t.ackMs), start_delay: milliseconds(t.startDelayMs),
      alignment_duration: milliseconds(t.alignmentMs), sync_duration: milliseconds(t.syncMs), async_duration: milliseconds(t.asyncMs),
      checkpointed_bytes: t.checkpointedBytes, processed_inflight_bytes: t.processedInflightBytes, persisted_inflight_bytes: t.persistedInflightBytes, unaligned: t.unaligned ?? null,
    }))),
  define('checkpoint_summary', 'one row a job and metric: its spread over the completed checkpoints that the history holds',
    'job_id int8, job_name text, metric text, checkpoints int8, min float8, avg float8, p50 float8, p90 float8, p95 float8, p99 float8, max float8',
    context => context.engine.checkpointSummary().map(s => ({
      job_id: s.jobId, job_name: s.jobName, metric: s.metric, checkpoints: s.checkpoints, min: s.min, avg: s.avg, p50: s.p50, p90: s.p90, p95: s.p95, p99: s.p99, max: s.max,
    }))),
  define('checkpoint_counts', 'one row a job: how its checkpoints ended since it was created, also those its history holds no more',
    'job_id int8, job_name text, restored int8, total int8, in_progress int8, completed int8, failed int8',
    context => context.engine.checkpointCounts().map(c => ({ job_id: c.jobId, job_name: c.jobName, restored: c.restored, total: c.total, in_progress: c.inProgress, completed: c.completed, failed: c.failed }))),
  define('checkpoint_settings', 'one row a job, setting and time it held; until is null for the value of now',
    'job_id int8, job_name text, name text, flink_key text, setting text, since timestamptz, until timestamptz, changed_by text',
    context => context.engine.jobs().flatMap(j => {
      const stored = context.catalog.job(j.jobId);
      return stored === null ? [] : settingSpecs.filter(s => s.scope === 'job').flatMap(s => settingHistory(stored, s)).map(row => ({ job_id: j.jobId, job_name: j.name, ...row }));
    })),
  define('job_failures', 'one row a failure of a job, newest last; kept over restarts',
    'job_id int8, job_name text, failure_time timestamptz, task text, sqlstate text, message text, detail text, restarts int8, action text',
    context => context.engine.failures().map(f => ({
      job_id: f.jobId, job_name: f.jobName, failure_time: timestampOf(f.timeMs), task: f.task, sqlstate: f.code, message: f.message, detail: f.detail, restarts: f.restarts, action: f.action,
    }))),
  define('dead_letters', 'one row a bad record kept by on_error = \'dead_letter\'',
    'job_id int8, job_name text, relation text, split text, position text, reason text, record bytea, received_at timestamptz',
    context => context.engine.deadLetters().map(d => ({
      job_id: d.jobId, job_name: jobName(context, d.jobId), relation: d.relationName, split: d.split, position: d.position, reason: d.reason, record: d.raw, received_at: timestampOf(d.timeMs),
    }))),
  define('secrets', 'one row a secret: its keys and who uses it, never its values',
    'name text, keys text[], used_by text[], created_at timestamptz',
    context => [...context.catalog.secrets()].map(s => ({ name: s.name, keys: SqlArray.of(Object.keys(s.values)), used_by: SqlArray.of(secretUsers(context.catalog, s.name)), created_at: timestampOf(s.createdMs) }))),
  define('savepoints', 'one row a savepoint, until DROP SAVEPOINT, whatever becomes of its job',
    'savepoint_id int8, job_id int8, job_name text, path text, checkpoint_id int8, status text, trigger_time timestamptz, completion_time timestamptz, duration interval, bytes int8, failure_message text',
    context => context.engine.savepoints().map(p => ({
      savepoint_id: p.savepointId, job_id: p.jobId, job_name: p.jobName, path: p.path, checkpoint_id: p.checkpointId, status: p.status, trigger_time: timestampOf(p.triggerMs), completion_time: timestampOf(p.completionMs),
      duration: milliseconds(p.completionMs === null ? null : p.completionMs - p.triggerMs), bytes: p.bytes, failure_message: p.failureMessage,
    }))),
];
