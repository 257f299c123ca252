/** Checkpoint interval: Nexmark q4 (join and two aggregates, state that grows) with a checkpoint every 50 ms to every minute, and with none. */
import { eventsFile, runQuery } from '../nexmark/runquery.js';
import type { Curve } from './curve.js';

const INTERVALS_MS = [50, 100, 200, 500, 1000, 2000, 5000, 10_000, 60_000];
const QUICK_MS = [50, 500, 5000];

export const checkpoints: Curve = {
  name: 'checkpoints',
  pictures: [{
    name: 'checkpoints', title: 'Checkpoint interval, Nexmark q4', xLabel: 'interval, ms', yLabel: 'events per CPU second', yLog: false, series: ['exactly once', 'no checkpoints'],
  }],
  async run(scale, give) {
    const file = await eventsFile(scale.events);
    const run = async (interval: string): Promise<[number, Record<string, number>]> => {
      const r = await runQuery({ query: 'q4', source: { kind: 'file', file }, events: scale.events, checkpointInterval: interval });
      return [r.eventsPerCpuSecond, { eventsPerSecond: r.eventsPerSecond, completed: r.checkpointsCompleted, p50Ms: r.checkpointP50Ms ?? 0, maxMs: r.checkpointMaxMs ?? 0, peakRssMb: r.peakRssMb }];
    };
    const intervals = scale.quick ? QUICK_MS : INTERVALS_MS;
    for (const ms of intervals) give('exactly once', ms, ...await run(`${ms}ms`));
    const [y, more] = await run('0');
    for (const ms of [intervals[0], intervals[intervals.length - 1]]) give('no checkpoints', ms, y, more);
  },
};
