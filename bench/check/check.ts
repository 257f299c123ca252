/**
 * `npm run bench:check`: guards against slower code. Each kernel (../kernels) is timed next to a fixed yardstick (references.ts), in turn in the
 * same rounds; its ratio (best time of the kernel per row / geometric mean of the yardstick's best times) is held against the stored
 * one in bench/check/ratios.json. Fails when a ratio is more than 1.5 times the stored one (2 times in the short form) in each of three
 * tries. Absolute times are never compared.
 *
 *   node dist/bench/check/check.js [--short] [--only TEXT] [--write] [--ratios FILE]
 *
 * --short (CI): fewer rounds. --write stores the ratios measured, after a change that is meant to cost or that gained.
 * Ratios are stored per major version of Node, whose compilers differ; for a version without any, the check says so and passes.
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { decodeAll, nexmarkRecords } from '../kernels/decoding.js';
import { kernels, rowsOut } from '../kernels/cases.js';
import type { Kernel } from '../kernels/cases.js';
import { timed, timesFor } from '../kernels/time.js';
import { references, referencesOut } from './references.js';

/** A kernel may take this many times its stored ratio. Two runs of one build differ by up to 1.3; few rounds on a busy machine by up to 1.5. */
const BOUND = 1.5;
const BOUND_SHORT = 2;
const TRIES = 3;
const ROUND_MS = 12;
const RATIOS = fileURLToPath(new URL('../../../bench/check/ratios.json', import.meta.url));

type Ratios = Readonly<Record<string, number>>;

const { values } = parseArgs({ options: { short: { type: 'boolean', default: false }, only: { type: 'string', default: '' }, write: { type: 'boolean', default: false }, ratios: { type: 'string', default: RATIOS } } });
const bound = values.short ? BOUND_SHORT : BOUND;
const rounds = values.short ? 9 : 31;
const major = `node ${process.versions.node.split('.')[0] ?? ''}`;
const stored: Readonly<Record<string, Ratios>> = existsSync(values.ratios) ? JSON.parse(readFileSync(values.ratios, 'utf8')) as Record<string, Ratios> : {};

/** ns a row of the kernel / ns of the yardstick, ×1000. */
function ratioOf({ run, rows }: Kernel): number {
  const steps = [run, ...references];
  const times = steps.map(step => timesFor(step, ROUND_MS));
  const best = steps.map(() => Infinity);
  for (let round = 0; round < rounds; round++) {
    for (let k = 0; k < steps.length; k++) best[k] = Math.min(best[k], timed(steps[k], times[k]));
  }
  const [kernel, ...yardstick] = best;
  const reference = Math.exp(yardstick.reduce((sum, ns) => sum + Math.log(ns), 0) / yardstick.length);
  return 1e6 * kernel / rows / reference;
}

async function allKernels(): Promise<readonly Kernel[]> {
  const decoders = (await nexmarkRecords(4000)).map((records): Kernel => ({ name: `decode ${records.name}`, rows: decodeAll(records), run: () => { decodeAll(records); } }));
  return [...decoders, ...kernels].filter(k => k.name.includes(values.only));
}

function judge(list: readonly Kernel[], known: Ratios): number {
  let slower = 0;
  console.log(`| kernel | ratio | stored | change |\n|---|---|---|---|`);
  for (const kernel of list) {
    const before = known[kernel.name];
    if (before === undefined) {
      console.log(`| ${kernel.name} | ${ratioOf(kernel).toFixed(1)} | — | new: store it with --write |`);
      slower++;
      continue;
    }
    let ratio = Infinity;
    for (let attempt = 0; attempt < TRIES && ratio > before * bound; attempt++) ratio = Math.min(ratio, ratioOf(kernel));
    const bad = ratio > before * bound;
    if (bad) slower++;
    console.log(`| ${kernel.name} | ${ratio.toFixed(1)} | ${before.toFixed(1)} | ${bad ? 'SLOWER ' : ''}× ${(ratio / before).toFixed(2)} |`);
  }
  return slower;
}

const list = await allKernels();
const known = stored[major];
if (values.write) {
  const ratios = Object.fromEntries(list.map(k => [k.name, Math.round(ratioOf(k) * 10) / 10]));
  writeFileSync(values.ratios, `${JSON.stringify({ ...stored, [major]: values.only === '' ? ratios : { ...known, ...ratios } }, null, 2)}\n`);
  console.log(`stored ${list.length} ratios for ${major}`);
} else if (known === undefined) {
  console.log(`SKIPPED: bench:check has no stored ratios for ${major}; npm run bench:check -- --write stores them`);
} else {
  const slower = judge(list, known);
  console.log(slower === 0 ? `${list.length} kernels within ${bound} × of their stored ratios` : `${slower} kernels past ${bound} × of their stored ratios: see docs/performance.md, "Regression guard"`);
  if (slower > 0) process.exitCode = 1;
}
if (rowsOut() + referencesOut() === 0) throw new Error('nothing was computed');
