/** What the system tables show of one task: rows of millrace.operators, tasks, channels, sources, sinks, watermarks and state_tables. */
import type { TaskInfos } from '../protocol.js';
import type { Task } from './task.js';

export function taskInfos(task: Task): TaskInfos {
  const { jobId, subtask, fragment, built, state, worker } = task.parts;
  const infos: { -readonly [K in keyof TaskInfos]: TaskInfos[K] } = { operators: [], tasks: [], channels: [], sources: [], sinks: [], watermarks: [], stateTables: [], restores: [] };
  let rowsOut = 0;
  for (const node of fragment.nodes) {
    const counts = built.driver.counts(node.id);
    const counters = Object.fromEntries(built.counters.get(node.id) ?? []);
    infos.operators.push({
      jobId, operatorId: node.id, operator: node.op, task: task.name, subtask, rowsIn: counts.rowsIn, rowsOut: counts.rowsOut,
      batchesIn: counts.batchesIn, busyMs: counts.busyMs, counters,
    });
    if (node.op === 'materialize' || node.op === 'sink') rowsOut += counts.rowsIn;
    const feed = built.feeds.find(f => f.nodeId === node.id);
    infos.watermarks.push({
      jobId, operatorId: node.id, operator: node.op, subtask, watermarkUs: Number.isFinite(counts.watermarkUs) ? counts.watermarkUs : null,
      lateRows: counters['late_rows'] ?? 0, nullEventTimes: feed?.nullEventTimes ?? counters['null_event_time'] ?? 0,
    });
  }
  infos.tasks.push({
    jobId, task: task.name, subtask, worker, status: task.status, rowsIn: task.rowsIn, rowsOut, busyMs: task.busyMs, idleMs: task.idleMs,
    backpressuredMs: task.backpressuredMs, stateBytes: state?.memoryUsed ?? 0, dirtyBytes: state?.dirtyBytes ?? 0,
  });
  for (const out of task.parts.outbound) {
    const [, toFragment, , toSubtask] = out.key.split(':');
    infos.channels.push({ jobId, fromTask: task.name, fromSubtask: subtask, toTask: `${toFragment}.${toSubtask}`, toSubtask: Number(toSubtask), queuedBytes: out.queuedBytes, backpressuredMs: task.backpressuredMs });
  }
  for (const feed of built.feeds) for (const row of feed.infos()) infos.sources.push({ jobId, subtask, ...row });
  for (const sink of built.sinks) infos.sinks.push({ jobId, ...sink.info() });
  for (const table of state?.stats() ?? []) {
    const nodeId = Math.floor((table.tableId % 0x80000000) / 16);
    const node = fragment.nodes.find(n => n.id === nodeId);
    infos.stateTables.push({
      jobId, operatorId: nodeId, operator: node?.op ?? '', tableId: table.tableId, subtask, entries: table.entries, residentEntries: table.residentEntries,
      bytes: table.memoryBytes, dirtyBytes: table.dirtyBytes,
    });
  }
  return infos;
}
