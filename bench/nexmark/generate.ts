/**
 * Writes Nexmark events as NDJSON, one `{"event_type":2,"person":null,"auction":null,"bid":{…}}` a line, about 330 bytes each:
 * the input of benches and kill tests. The same (events, seed, rate) give the same bytes. About 700,000 events a second on one core.
 *
 *   node dist/bench/nexmark/generate.js EVENTS FILE [--seed 42] [--rate 10000] [--start 2024-01-01T00:00:00Z] [--parts 1]
 *
 * With --parts P > 1 the epochs of 50 events go round robin to FILE.0 … FILE.<P−1>. `rate` is in events a second of event time.
 */
import { closeSync, existsSync, openSync, renameSync, writeFileSync, writeSync } from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { EPOCH_EVENTS, NexmarkModel, kindOf } from '../../connectors/nexmark/model.js';

export interface GenerateOptions {
  readonly events: number;
  /** Path of the file; with parts > 1 the files are `<file>.<part>`. Written under another name first, so a file that exists is whole. */
  readonly file: string;
  readonly seed?: number;
  readonly rate?: number;
  /** Time of the first event, in milliseconds since 1970. */
  readonly startMs?: number;
  readonly parts?: number;
}

const START_MS = Date.UTC(2024, 0, 1);
const SIDE_KEYS = 10_000;
const BLOCK_BYTES = 1 << 20;
const EVENT_BYTES_MAX = 4096;

class LineWriter {
  readonly #model: NexmarkModel;
  readonly #fd: number;
  readonly #block = Buffer.allocUnsafe(BLOCK_BYTES);
  #at = 0;

  constructor(model: NexmarkModel, file: string) {
    this.#model = model;
    this.#fd = openSync(file, 'w');
  }

  #ascii(s: string): void {
    this.#at += this.#block.write(s, this.#at, 'latin1');
  }

  /** The model's last span as a JSON string (its corpus needs no escapes). */
  #span(key: string): void {
    this.#ascii(key);
    const { corpus, from, to } = this.#model;
    this.#at += corpus.copy(this.#block, this.#at, from, to);
    this.#block[this.#at++] = 34;
  }

  event(n: number): void {
    if (this.#at > BLOCK_BYTES - EVENT_BYTES_MAX) this.flush();
    const m = this.#model;
    const kind = kindOf(n);
    const time = timeText(m.timeUs(n));
    if (kind === 0) {
      this.#ascii(`{"event_type":0,"person":{"id":${m.personId(n)}`);
      m.name(n); this.#span(',"name":"');
      m.email(n); this.#span(',"emailAddress":"');
      m.creditCard(n); this.#span(',"creditCard":"');
      m.city(n); this.#span(',"city":"');
      m.state(n); this.#span(',"state":"');
      this.#ascii(`,"dateTime":"${time}"`);
      m.extra(n); this.#span(',"extra":"');
      this.#ascii('},"auction":null,"bid":null}\n');
    } else if (kind === 1) {
      this.#ascii(`{"event_type":1,"person":null,"auction":{"id":${m.auctionId(n)}`);
      m.itemName(n); this.#span(',"itemName":"');
      m.description(n); this.#span(',"description":"');
      this.#ascii(`,"initialBid":${m.initialBid(n)},"reserve":${m.reserve(n)},"dateTime":"${time}","expires":"${timeText(m.expiresUs(n))}","seller":${m.seller(n)},"category":${m.category(n)}`);
      m.extra(n); this.#span(',"extra":"');
      this.#ascii('},"bid":null}\n');
    } else {
      this.#ascii(`{"event_type":2,"person":null,"auction":null,"bid":{"auction":${m.bidAuction(n)},"bidder":${m.bidder(n)},"price":${m.bidPrice(n)}`);
      m.bidChannel(n); this.#span(',"channel":"');
      m.bidUrl(n); this.#span(',"url":"');
      this.#ascii(`,"dateTime":"${time}"`);
      m.extra(n); this.#span(',"extra":"');
      this.#ascii('}}\n');
    }
  }

  flush(): void {
    for (let from = 0; from < this.#at;) from += writeSync(this.#fd, this.#block, from, this.#at - from);
    this.#at = 0;
  }

  close(): void {
    this.flush();
    closeSync(this.#fd);
  }
}

const MS = Array.from({ length: 1000 }, (_, i) => String(i).padStart(3, '0'));
let secondCached = -1;
let secondText = '';

/** 'YYYY-MM-DD HH:MM:SS.mmm'; the second is remembered. */
function timeText(us: number): string {
  const ms = Math.floor(us / 1000);
  const second = Math.floor(ms / 1000);
  if (second !== secondCached) {
    secondCached = second;
    secondText = `${new Date(second * 1000).toISOString().slice(0, 19).replace('T', ' ')}.`;
  }
  return secondText + MS[ms - second * 1000];
}

/** Yields to the event loop now and then, so that a test that generates its input keeps its timers. */
export async function generateNexmark(options: GenerateOptions): Promise<void> {
  const { events, file, seed = 42, rate = 10_000, startMs = START_MS, parts = 1 } = options;
  const model = new NexmarkModel(seed, startMs * 1000, rate);
  const paths = parts === 1 ? [file] : Array.from({ length: parts }, (_, i) => `${file}.${i}`);
  const writers = paths.map((p) => new LineWriter(model, `${p}.partial`));
  for (let n = 0; n < events; n++) {
    writers[Math.floor(n / EPOCH_EVENTS) % parts].event(n);
    if (n % 100_000 === 99_999) await new Promise((resolve) => setImmediate(resolve));
  }
  for (const w of writers) w.close();
  for (const p of paths) renameSync(`${p}.partial`, p);
}

/** Writes the side input of q13 beside `eventsFile` when it is not there yet; returns its path. */
export function sideInputBeside(eventsFile: string): string {
  const file = path.join(path.dirname(eventsFile), 'nexmark-side-input.ndjson');
  if (!existsSync(file)) {
    const lines = Array.from({ length: SIDE_KEYS }, (_, key) => `{"key":${key},"value":"side-${(key * 7919) % SIDE_KEYS}"}\n`);
    writeFileSync(`${file}.partial`, lines.join(''));
    renameSync(`${file}.partial`, file);
  }
  return file;
}

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({ allowPositionals: true, options: { seed: { type: 'string' }, rate: { type: 'string' }, start: { type: 'string' }, parts: { type: 'string' } } });
  const [events, file] = positionals;
  if (events === undefined || file === undefined || !Number.isInteger(Number(events))) throw new Error('usage: generate EVENTS FILE [--seed 42] [--rate 10000] [--start 2024-01-01T00:00:00Z] [--parts 1]');
  await generateNexmark({ events: Number(events), file, seed: Number(values.seed ?? 42), rate: Number(values.rate ?? 10_000), startMs: values.start === undefined ? START_MS : Date.parse(values.start), parts: Number(values.parts ?? 1) });
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  main().catch((e: unknown) => {
    console.error(e instanceof Error ? e.message : e);
    process.exitCode = 1;
  });
}
