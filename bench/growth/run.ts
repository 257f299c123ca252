/**
 * `npm run bench:growth`: how throughput and latency change as one thing grows: keys, jobs, connections, views on one stream, the checkpoint
 * interval. Each curve is a file of JSON lines in bench-data/growth/ and a picture in docs/pictures/.
 *
 *   node dist/bench/growth/run.js [--only keys,jobs,views,connections,checkpoints] [--quick] [--events 1000000] [--draw]
 *
 * --quick: fewer and smaller points, to try it out. --draw: only draws the pictures anew from the JSON lines.
 */
import { appendFileSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { lineChart } from '../charts/linechart.js';
import type { Curve, Point, Scale } from './curve.js';
import { checkpoints } from './checkpoints.js';
import { connections } from './connections.js';
import { keys } from './keys.js';
import { manyJobs } from './manyjobs.js';
import { views } from './views.js';

const CURVES: readonly Curve[] = [keys, manyJobs, views, connections, checkpoints];
const QUICK_EVENTS = 200_000;

function draw(curve: Curve, file: string, folder: string): void {
  const points = readFileSync(file, 'utf8').split('\n').filter(l => l !== '').map(l => JSON.parse(l) as Point);
  for (const picture of curve.pictures) {
    const series = picture.series.map(name => ({ name, points: points.filter(p => p.series === name).map(p => ({ x: p.x, y: p.y })) }));
    writeFileSync(path.join(folder, `growth-${picture.name}.svg`), lineChart({ ...picture, series }));
  }
}

async function main(): Promise<void> {
  const { values } = parseArgs({ options: { only: { type: 'string' }, quick: { type: 'boolean' }, events: { type: 'string' }, draw: { type: 'boolean' } } });
  const only = values.only?.split(',') ?? CURVES.map(c => c.name);
  const unknown = only.find(n => !CURVES.some(c => c.name === n));
  if (unknown !== undefined) throw new Error(`no curve "${unknown}"; there are ${CURVES.map(c => c.name).join(', ')}`);
  const quick = values.quick === true;
  const scale: Scale = { quick, events: Number(values.events ?? (quick ? QUICK_EVENTS : 1_000_000)) };
  const results = path.resolve('bench-data/growth');
  const pictures = path.resolve('docs/pictures');
  mkdirSync(results, { recursive: true });
  mkdirSync(pictures, { recursive: true });
  for (const curve of CURVES.filter(c => only.includes(c.name))) {
    const file = path.join(results, `${curve.name}.jsonl`);
    if (values.draw !== true) {
      rmSync(file, { force: true });
      console.log(`\n${curve.name}`);
      await curve.run(scale, (series, x, y, more) => {
        appendFileSync(file, `${JSON.stringify({ series, x, y, more } satisfies Point)}\n`);
        console.log(`  ${series}, ${x}: ${(Math.round(y * 100) / 100).toLocaleString('en')}  ${Object.entries(more).map(([k, v]) => `${k} ${Math.round(v * 100) / 100}`).join(', ')}`);
      });
    }
    if (existsSync(file)) draw(curve, file, pictures);
  }
}

main().catch((e: unknown) => { console.error(e); process.exit(1); });
