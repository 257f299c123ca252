/** Statistics over a job's completed checkpoints, as Flink's summary: least, mean, quantiles (nearest rank) and greatest of each figure. Pure. */
import type { CheckpointMetric, CheckpointRow, CheckpointSummaryRow } from '../engine.js';

const figures: readonly (readonly [CheckpointMetric, (c: CheckpointRow) => number])[] = [
  ['duration_ms', c => (c.completionMs ?? c.triggerMs) - c.triggerMs],
  ['alignment_ms', c => c.alignmentMs],
  ['state_bytes', c => c.stateBytes],
  ['checkpointed_bytes', c => c.checkpointedBytes],
  ['processed_inflight_bytes', c => c.processedInflightBytes],
  ['persisted_inflight_bytes', c => c.persistedInflightBytes],
];

/** One row a metric; none when no checkpoint completed. Savepoints are no checkpoints of the rhythm, and are left out. */
export function summarize(rows: readonly CheckpointRow[]): CheckpointSummaryRow[] {
  const completed = rows.filter(r => r.status === 'completed' && r.kind === 'checkpoint');
  const [first] = completed;
  if (first === undefined) return [];
  return figures.map(([metric, of]) => {
    const values = Float64Array.from(completed, of).sort();
    const rank = (share: number): number => values[Math.max(0, Math.ceil(share * values.length) - 1)];
    return {
      jobId: first.jobId, jobName: first.jobName, metric, checkpoints: values.length,
      min: values[0], avg: values.reduce((sum, v) => sum + v, 0) / values.length, p50: rank(0.5), p90: rank(0.9), p95: rank(0.95), p99: rank(0.99), max: values[values.length - 1],
    };
  });
}
