/** EXPLAIN ANALYZE CHECKPOINT JOB j [n]: where the time and the bytes of a checkpoint went, task by task and operator by operator. */
import { operatorTitle } from '../../planner/explain/explain.js';
import type { CheckpointRow, CheckpointTaskRow } from '../../runtime/engine.js';
import type { CheckpointContent } from '../../runtime/jobs/checkpointcontent.js';
import { SqlError } from '../../types/error.js';
import type { Database } from '../database.js';
import { jobNamed } from './jobs.js';
import { PLAN_COLUMNS, type TextTable } from './show.js';

const ms = (n: number): string => `${n < 10 ? Math.round(n * 10) / 10 : Math.round(n)} ms`;

function size(bytes: number): string {
  for (const [unit, factor] of [['GB', 2 ** 30], ['MB', 2 ** 20], ['kB', 1024]] as const) if (bytes >= factor) return `${Math.round(bytes / factor * 10) / 10} ${unit}`;
  return `${bytes} bytes`;
}

export async function explainCheckpoint(database: Database, name: string, checkpoint: number | null, position: number): Promise<TextTable> {
  const job = jobNamed(database, name, position);
  const own = database.engine.checkpoints().filter(c => c.jobId === job.jobId);
  const checkpoints = own.filter(c => c.kind === 'checkpoint');
  // A savepoint has its number in the same row of numbers.
  const row = checkpoint === null ? checkpoints.findLast(c => c.status === 'completed') ?? checkpoints.at(-1) : own.find(c => c.checkpointId === checkpoint);
  if (row === undefined) {
    throw new SqlError('42704', checkpoint === null ? `job "${job.name}" has had no checkpoint` : `job "${job.name}" has no checkpoint ${checkpoint} in its history`, { position, hint: checkpoint === null ? `CHECKPOINT JOB ${name};` : `SELECT checkpoint_id, status FROM checkpoints WHERE job_name = '${job.name}';` });
  }
  const tasks = (await database.engine.checkpointTasks()).filter(t => t.jobId === job.jobId && t.checkpointId === row.checkpointId);
  const content = row.kind === 'checkpoint' && row.status === 'completed' && !row.discarded ? await database.engine.checkpointContent(job.jobId, row.checkpointId).catch(() => null) : null;
  return { columns: PLAN_COLUMNS, rows: [...head(row, tasks), ...tasks.flatMap(t => taskLines(t, row, content)), ...tail(row, content)].map(line => [line]) };
}

function head(row: CheckpointRow, tasks: readonly CheckpointTaskRow[]): string[] {
  const lines = [`${row.kind === 'savepoint' ? 'Savepoint' : 'Checkpoint'} ${row.checkpointId} of job "${row.jobName}": ${row.status}, ${row.mode}, ${row.unaligned ? 'unaligned' : 'aligned'}${row.incremental ? ', incremental' : ''}`];
  if (row.failureReason !== null) lines.push(`  ${row.failureReason}: ${row.failureMessage ?? ''}`);
  if (row.completionMs !== null) {
    const last = Math.max(...tasks.map(t => t.ackMs ?? row.triggerMs));
    const acknowledged = tasks.length === 0 ? '' : `: ${ms(Math.max(0, last - row.triggerMs))} to the last of ${tasks.length} acknowledgements, ${ms(Math.max(0, row.completionMs - last))} to complete`;
    lines.push(`  Total ${ms(row.completionMs - row.triggerMs)}${acknowledged}`);
  }
  lines.push(`  Wrote ${size(row.checkpointedBytes)} of ${size(row.stateBytes)} of state${row.persistedInflightBytes > 0 ? `, and ${size(row.persistedInflightBytes)} in flight` : ''}`);
  return lines;
}

function taskLines(t: CheckpointTaskRow, row: CheckpointRow, content: CheckpointContent | null): string[] {
  const since = t.ackMs === null ? t.status : `${ms(t.ackMs - row.triggerMs)} after the trigger`;
  const lines = [`  -> Task ${t.task}: ${since} (start delay ${ms(t.startDelayMs)}, alignment ${ms(t.alignmentMs)}, sync ${ms(t.syncMs)}, async ${ms(t.asyncMs)}), ${size(t.checkpointedBytes)}`];
  if (content === null) return lines;
  const own = content.operators.filter(o => o.task === t.task);
  const all = own.reduce((sum, o) => sum + o.bytes, 0);
  for (const o of own) lines.push(`       ${operatorTitle(content.metadata.plan, o.nodeId)} (operator ${o.nodeId}): ${o.entries} entries, ${size(o.bytes)}, ${Math.round(o.bytes / all * 100)} %`);
  return lines;
}

function tail(row: CheckpointRow, content: CheckpointContent | null): string[] {
  if (row.discarded) return ['  Its files are gone: bytes by operator are not known any more.'];
  return content?.partial === true ? ['  Larger files were not counted by operator.'] : [];
}
