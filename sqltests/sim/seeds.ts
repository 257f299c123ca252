/** Runs many seeds on all cores: each worker thread of this module takes the next one until none is left or one failed. */
import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { simulate } from './simulation.js';

export interface Totals { seeds: number; events: number; checkpoints: number; restarts: number; crashes: number; reads: number }
interface Share { readonly first: number; readonly count: number; readonly next: Int32Array }
type Answer = { readonly totals: Totals } | { readonly seed: number; readonly message: string };

/** Throws for the first seed found that fails, saying how to run it again. */
export async function runSeeds(first: number, count: number): Promise<Totals> {
  const share: Share = { first, count, next: new Int32Array(new SharedArrayBuffer(4)) };
  const totals: Totals = { seeds: 0, events: 0, checkpoints: 0, restarts: 0, crashes: 0, reads: 0 };
  const answers = await Promise.all(Array.from({ length: availableParallelism() }, () => new Promise<Answer>((resolve, reject) => {
    const thread = new Worker(fileURLToPath(import.meta.url), { workerData: share });
    thread.once('message', resolve);
    thread.once('error', reject);
  })));
  for (const a of answers) {
    if ('message' in a) throw new Error(`SIM_SEED=${a.seed} npm run test:sim: ${a.message}`);
    for (const key of Object.keys(totals) as (keyof Totals)[]) totals[key] += a.totals[key];
  }
  return totals;
}

async function work({ first, count, next }: Share): Promise<Answer> {
  const totals: Totals = { seeds: 0, events: 0, checkpoints: 0, restarts: 0, crashes: 0, reads: 0 };
  for (let k = Atomics.add(next, 0, 1); k < count; k = Atomics.add(next, 0, 1)) {
    try {
      const r = await simulate(first + k);
      totals.seeds++;
      totals.events += r.events;
      totals.checkpoints += r.checkpoints;
      totals.restarts += r.restarts;
      totals.crashes += r.crashes;
      totals.reads += r.reads;
    } catch (e) {
      Atomics.store(next, 0, count);
      return { seed: first + k, message: e instanceof Error ? e.message : String(e) };
    }
  }
  return { totals };
}

if (!isMainThread && parentPort !== null) parentPort.postMessage(await work(workerData as Share), []);
