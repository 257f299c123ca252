import { test } from 'node:test';
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { kindOf, NexmarkModel } from '../../connectors/nexmark/model.js';
import { generateNexmark, sideInputBeside } from './generate.js';

const EVENTS = 5000;
const START_MS = Date.UTC(2023, 11, 31, 23, 59, 58);
const OPTIONS = { events: EVENTS, seed: 7, rate: 1000, startMs: START_MS };

async function inFolder(run: (folder: string) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(path.join(tmpdir(), 'millrace-generate-'));
  try { await run(folder); } finally { rmSync(folder, { recursive: true, force: true }); }
}

test('the events of the file are those of the nexmark connector with the same seed, rate and start', () => inFolder(async folder => {
  const file = path.join(folder, 'events.ndjson');
  await generateNexmark({ ...OPTIONS, file });
  const model = new NexmarkModel(OPTIONS.seed, START_MS * 1000, OPTIONS.rate);
  const text = (choose: () => void): string => { choose(); return model.corpus.toString('latin1', model.from, model.to); };
  const time = (us: number): string => new Date(us / 1000).toISOString().replace('T', ' ').slice(0, 23);
  const lines = readFileSync(file, 'utf8').trimEnd().split('\n');
  assert.equal(lines.length, EVENTS);
  lines.forEach((line, n) => {
    const at = { dateTime: time(model.timeUs(n)), extra: text(() => { model.extra(n); }) };
    const person = {
      id: model.personId(n), name: text(() => { model.name(n); }), emailAddress: text(() => { model.email(n); }), creditCard: text(() => { model.creditCard(n); }),
      city: text(() => { model.city(n); }), state: text(() => { model.state(n); }), ...at,
    };
    const auction = {
      id: model.auctionId(n), itemName: text(() => { model.itemName(n); }), description: text(() => { model.description(n); }), initialBid: model.initialBid(n), reserve: model.reserve(n),
      expires: time(model.expiresUs(n)), seller: model.seller(n), category: model.category(n), ...at,
    };
    const bid = { auction: model.bidAuction(n), bidder: model.bidder(n), price: model.bidPrice(n), channel: text(() => { model.bidChannel(n); }), url: text(() => { model.bidUrl(n); }), ...at };
    const kind = kindOf(n);
    assert.deepEqual(JSON.parse(line), { event_type: kind, person: kind === 0 ? person : null, auction: kind === 1 ? auction : null, bid: kind === 2 ? bid : null }, `event ${n}`);
  });
}));

test('parts hold the events of the one file, and the same options give the same bytes', () => inFolder(async folder => {
  const file = path.join(folder, 'events.ndjson');
  await generateNexmark({ ...OPTIONS, file });
  await generateNexmark({ ...OPTIONS, file: path.join(folder, 'p'), parts: 3 });
  const lines = (name: string): string[] => readFileSync(path.join(folder, name), 'utf8').trimEnd().split('\n');
  assert.deepEqual(['p.0', 'p.1', 'p.2'].flatMap(lines).sort(), lines('events.ndjson').sort());
  await generateNexmark({ ...OPTIONS, file: path.join(folder, 'again') });
  assert.ok(readFileSync(file).equals(readFileSync(path.join(folder, 'again'))));
}));

test('the side input has each key once', () => inFolder(async folder => {
  const side = sideInputBeside(path.join(folder, 'events.ndjson'));
  const keys = readFileSync(side, 'utf8').trimEnd().split('\n').map(line => (JSON.parse(line) as { key: number }).key);
  assert.deepEqual(keys, Array.from({ length: 10_000 }, (_, i) => i));
  assert.equal(sideInputBeside(path.join(folder, 'other.ndjson')), side);
}));
