/** Where the tasks of a job run, and the ports of channels that go from one worker to another. */
import type { Pool } from '../pool.js';
import type { PortSpec, TaskSpec } from '../protocol.js';
import { channelKey, channelPairs, type Fragment, workerOf } from '../task/fragment.js';

export interface WorkerShare { readonly tasks: TaskSpec[]; readonly ports: PortSpec[] }

export interface Placement { readonly byWorker: ReadonlyMap<number, WorkerShare>; readonly totalTasks: number }

export function placeTasks(jobId: number, fragments: readonly Fragment[], pool: Pick<Pool, 'size' | 'channel'>): Placement {
  const workers = pool.size;
  const byWorker = new Map<number, WorkerShare>();
  const at = (worker: number): WorkerShare => {
    let w = byWorker.get(worker);
    if (w === undefined) { w = { tasks: [], ports: [] }; byWorker.set(worker, w); }
    return w;
  };
  const place = (subtask: number): number => workerOf(jobId, subtask, workers);
  let totalTasks = 0;
  for (const f of fragments) {
    for (let s = 0; s < f.parallelism; s++) { at(place(s)).tasks.push({ fragment: f.id, subtask: s }); totalTasks++; }
    for (const edge of f.outbound) {
      for (const { from, to } of channelPairs(edge, fragments)) {
        if (place(from) === place(to)) continue;
        const [port1, port2] = pool.channel();
        const key = channelKey(edge, from, to);
        at(place(from)).ports.push({ key, port: port1 });
        at(place(to)).ports.push({ key, port: port2 });
      }
    }
  }
  return { byWorker, totalTasks };
}
