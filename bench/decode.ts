/**
 * Rows a second of the JSON decoder over Nexmark records, one core: 5 columns of bids alone (about 220 B a record), and all 26 columns,
 * or the 6 that a query over bids reads, of the mixed file (about 330 B a record).
 *
 *   node dist/bench/decode.js [--events 300000]
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { JsonDecoder } from '../connectors/formats/json.js';
import { newBlock } from '../connectors/formats/format.js';
import { BATCH_ROWS_MAX } from '../runtime/batch.js';
import type { SourceField } from '../types/plan.js';
import type { SqlType } from '../types/sqltype.js';
import { generateNexmark } from './nexmark/generate.js';

const INT8: SqlType = { kind: 'int8' };
const TEXT: SqlType = { kind: 'text' };
const TIME: SqlType = { kind: 'timestamp' };
const BLOCK_BYTES = 1 << 20;
const RUNS = 5;

const field = (name: string, type: SqlType, at: string | null = null): SourceField => ({ name, type, path: at, metadata: null, notNull: false, defaultExpr: null, ordinal: 0 });
const under = (prefix: string, columns: readonly (readonly [string, SqlType])[]): SourceField[] => columns.map(([key, type]) => field(`${prefix}_${key}`, type, `$.${prefix}.${key}`));
const BID_COLUMNS = [['auction', INT8], ['bidder', INT8], ['price', INT8], ['channel', TEXT], ['url', TEXT], ['dateTime', TIME], ['extra', TEXT]] as const;
const ALL: SourceField[] = [
  field('event_type', { kind: 'int4' }),
  ...under('person', [['id', INT8], ['name', TEXT], ['emailAddress', TEXT], ['creditCard', TEXT], ['city', TEXT], ['state', TEXT], ['dateTime', TIME], ['extra', TEXT]]),
  ...under('auction', [['id', INT8], ['itemName', TEXT], ['description', TEXT], ['initialBid', INT8], ['reserve', INT8], ['dateTime', TIME], ['expires', TIME], ['seller', INT8], ['category', INT8], ['extra', TEXT]]),
  ...under('bid', BID_COLUMNS),
];
const BID_ONLY = [field('auction', INT8), field('bidder', INT8), field('price', INT8), field('channel', TEXT), field('t', TIME, '$.dateTime')];

function run(name: string, fields: readonly SourceField[], bytes: Buffer): void {
  let best = 0;
  let rows = 0;
  for (let r = 0; r < RUNS; r++) {
    const decoder = new JsonDecoder(fields);
    const started = process.hrtime.bigint();
    rows = 0;
    for (let at = 0; at < bytes.length;) {
      const end = at + BLOCK_BYTES >= bytes.length ? bytes.length : bytes.lastIndexOf(10, at + BLOCK_BYTES) + 1;
      const block = newBlock(end - at);
      bytes.copy(block, 0, at, end);
      decoder.begin(block);
      for (let p = 0; p < end - at;) {
        p = decoder.decode(p, end - at, BATCH_ROWS_MAX, (s) => { throw new Error(s.reason); });
        rows += decoder.finish(() => { throw new Error('no metadata'); }).length;
      }
      at = end;
    }
    const seconds = Number(process.hrtime.bigint() - started) / 1e9;
    best = Math.max(best, rows / seconds);
  }
  console.log(`| ${name} | ${Math.round(bytes.length / rows)} | ${Math.round(best).toLocaleString('en')} | ${Math.round((best * bytes.length) / rows / 1e6)} |`);
}

const { values } = parseArgs({ options: { events: { type: 'string' } } });
const dir = mkdtempSync(path.join(tmpdir(), 'millrace-decode-'));
try {
  const file = path.join(dir, 'events.ndjson');
  await generateNexmark({ events: Number(values.events ?? '300000'), file });
  const mixed = readFileSync(file);
  const bids = Buffer.from(mixed.toString('latin1').split('\n').filter((l) => l.startsWith('{"event_type":2')).map((l) => `${l.slice(l.indexOf('"bid":') + 6, -1)}\n`).join(''), 'latin1');
  console.log('| records | bytes each | rows/s | MB/s |\n|---|---|---|---|');
  run('bids, 5 columns', BID_ONLY, bids);
  run('mixed, all columns', ALL, mixed);
  run('mixed, 6 columns of bids', ALL.filter((f) => ['event_type', 'bid_auction', 'bid_bidder', 'bid_price', 'bid_dateTime', 'bid_extra'].includes(f.name)), mixed);
} finally {
  rmSync(dir, { recursive: true });
}
