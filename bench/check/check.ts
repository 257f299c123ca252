/**
 * `npm run bench:check`: guards against slower code. Each kernel (../kernels) is timed next to a fixed yardstick (references.ts), in turn in the
 * same rounds; its ratio (best time of the kernel per row / geometric mean of the yardstick's best times) is held against the stored
 * one in bench/check/ratios.json. Fails when a ratio is more than 1.5 times the stored one (2.5 times in the short form) in each of three
 * tries. Absolute times are never compared. The long form does the same with CPU seconds of whole Nexmark queries, each in a server of its own.
 *
 *   node dist/bench/check/check.js [--short] [--only TEXT] [--write] [--ratios FILE]
 *
 * --short (CI): kernels only, fewer rounds. --write stores the ratios measured, after a change that is meant to cost or that gained.
 * Ratios are stored per major version of Node, whose compilers differ; for a version without any, the check says so and passes.
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { JsonDecoder } from '../../connectors/formats/json.js';
import { decodeAll, nexmarkRecords } from '../kernels/decoding.js';
import { kernels, rowsOut } from '../kernels/cases.js';
import type { Kernel } from '../kernels/cases.js';
import { eventsFile, runQuery } from '../nexmark/runquery.js';
import { timed, timesFor } from '../kernels/time.js';
import { references, referencesOut } from './references.js';

/** A kernel may take this many times its stored ratio. Two runs of one build differ by up to 1.3; few rounds on a busy machine by up to 1.5. */
const BOUND = 1.5;
const BOUND_SHORT = 2.5;
const TRIES = 3;
const ROUNDS = 31;
const ROUNDS_SHORT = 9;
const ROUND_MS = 12;
const DECODED_EVENTS = 4000;
const RATIOS = fileURLToPath(new URL('../../../bench/check/ratios.json', import.meta.url));

/** Stateless, aggregates, windows, distinct counts, joins and Top-N. */
const QUERIES = ['q0', 'q4', 'q5', 'q16', 'q17', 'q18', 'q20'];
const QUERY_EVENTS = 500_000;

type Ratios = Readonly<Record<string, number>>;

/** Something with a ratio to the yardstick. */
interface Measure { readonly name: string; readonly ratio: () => number | Promise<number> }

const { values } = parseArgs({ options: { short: { type: 'boolean', default: false }, only: { type: 'string', default: '' }, write: { type: 'boolean', default: false }, ratios: { type: 'string', default: RATIOS } } });
const bound = values.short ? BOUND_SHORT : BOUND;
const major = `node ${process.versions.node.split('.')[0] ?? ''}`;
const stored: Readonly<Record<string, Ratios>> = existsSync(values.ratios) ? JSON.parse(readFileSync(values.ratios, 'utf8')) as Record<string, Ratios> : {};

/** Best times of the steps in ns, measured in turn in each of `rounds`. */
function bestTimes(steps: readonly (() => void)[], rounds: number): readonly number[] {
  const times = steps.map(step => timesFor(step, ROUND_MS));
  const best = steps.map(() => Infinity);
  for (let round = 0; round < rounds; round++) {
    for (let k = 0; k < steps.length; k++) best[k] = Math.min(best[k], timed(steps[k], times[k]));
  }
  return best;
}

/** Geometric mean of the references' times, ns. */
function yardstick(times: readonly number[]): number {
  return Math.exp(times.reduce((sum, ns) => sum + Math.log(ns), 0) / times.length);
}

/** ns a row of the kernel / ns of the yardstick, ×10⁶. */
function kernelRatio({ run, rows }: Kernel): number {
  const [kernel, ...reference] = bestTimes([run, ...references], values.short ? ROUNDS_SHORT : ROUNDS);
  return 1e6 * kernel / rows / yardstick(reference);
}

/** CPU ns an event of a query / ns of the yardstick measured before and after it, ×10⁶. */
async function queryRatio(query: string, file: string): Promise<number> {
  const before = bestTimes(references, ROUNDS);
  const { cpuSeconds } = await runQuery({ query, source: { kind: 'file', file }, events: QUERY_EVENTS });
  const after = bestTimes(references, ROUNDS);
  return 1e15 * cpuSeconds / QUERY_EVENTS / yardstick(before.map((ns, k) => Math.min(ns, after[k])));
}

async function measures(): Promise<readonly Measure[]> {
  const decoders = (await nexmarkRecords(DECODED_EVENTS)).map((records): Kernel => {
    const decoder = new JsonDecoder(records.fields);
    return { name: `decode ${records.name}`, rows: decodeAll(records, decoder), run: () => { decodeAll(records, decoder); } };
  });
  const list: Measure[] = [...decoders, ...kernels].map(kernel => ({ name: kernel.name, ratio: () => kernelRatio(kernel) }));
  if (!values.short) {
    const file = await eventsFile(QUERY_EVENTS);
    for (const query of QUERIES) list.push({ name: `Nexmark ${query}`, ratio: () => queryRatio(query, file) });
  }
  return list.filter(m => m.name.includes(values.only));
}

/** Number of measures that are past the bound, or not stored. */
async function judge(list: readonly Measure[], known: Ratios): Promise<number> {
  let slower = 0;
  console.log(`| measure | ratio | stored | change |\n|---|---|---|---|`);
  for (const { name, ratio } of list) {
    const before = known[name];
    if (before === undefined) {
      console.log(`| ${name} | ${(await ratio()).toFixed(1)} | — | NEW: store it with --write |`);
      slower++;
      continue;
    }
    let best = Infinity;
    for (let attempt = 0; attempt < TRIES && best > before * bound; attempt++) best = Math.min(best, await ratio());
    const bad = best > before * bound;
    if (bad) slower++;
    console.log(`| ${name} | ${best.toFixed(1)} | ${before.toFixed(1)} | ${bad ? 'SLOWER ' : ''}× ${(best / before).toFixed(2)} |`);
  }
  return slower;
}

const list = await measures();
const known = stored[major];
if (values.write) {
  const ratios: Record<string, number> = {};
  for (const { name, ratio } of list) ratios[name] = Math.round(await ratio() * 10) / 10;
  writeFileSync(values.ratios, `${JSON.stringify({ ...stored, [major]: { ...known, ...ratios } }, null, 2)}\n`);
  console.log(`stored ${list.length} ratios for ${major}`);
} else if (known === undefined) {
  console.log(`SKIPPED: bench:check has no stored ratios for ${major}; npm run bench:check -- --write stores them`);
} else {
  const slower = await judge(list, known);
  console.log(slower === 0 ? `${list.length} measures within ${bound} × of their stored ratios` : `${slower} measures past ${bound} × of their stored ratios: see docs/performance.md, "Regression guard"`);
  if (slower > 0) process.exitCode = 1;
}
if (rowsOut() + referencesOut() === 0) throw new Error('nothing was computed');
