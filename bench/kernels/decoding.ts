/** The JSON decoder alone over Nexmark records: bids by themselves, and of mixed events all columns or those that a query over bids reads. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { newBlock } from '../../connectors/formats/format.js';
import { JsonDecoder } from '../../connectors/formats/json.js';
import { BATCH_ROWS_MAX } from '../../runtime/batch.js';
import type { SourceField } from '../../types/plan.js';
import type { SqlType } from '../../types/sqltype.js';
import { generateNexmark } from '../nexmark/generate.js';

const INT8: SqlType = { kind: 'int8' };
const TEXT: SqlType = { kind: 'text' };
const TIME: SqlType = { kind: 'timestamp' };
const BLOCK_BYTES = 1 << 20;

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

/** Records to decode into `fields`. */
export interface Records { readonly name: string; readonly fields: readonly SourceField[]; readonly bytes: Buffer }

/** Three kinds of records, of `events` Nexmark events. */
export async function nexmarkRecords(events: number): Promise<readonly Records[]> {
  const dir = mkdtempSync(path.join(tmpdir(), 'millrace-decode-'));
  try {
    const file = path.join(dir, 'events.ndjson');
    await generateNexmark({ events, file });
    const mixed = readFileSync(file);
    const bids = Buffer.from(mixed.toString('latin1').split('\n').filter((l) => l.startsWith('{"event_type":2')).map((l) => `${l.slice(l.indexOf('"bid":') + 6, -1)}\n`).join(''), 'latin1');
    return [
      { name: 'bids, 5 columns', fields: BID_ONLY, bytes: bids },
      { name: 'mixed, all columns', fields: ALL, bytes: mixed },
      { name: 'mixed, 6 columns of bids', fields: ALL.filter((f) => ['event_type', 'bid_auction', 'bid_bidder', 'bid_price', 'bid_dateTime', 'bid_extra'].includes(f.name)), bytes: mixed },
      wide(Math.ceil(events / 10)),
    ];
  } finally {
    rmSync(dir, { recursive: true });
  }
}

/** Records of 120 columns, four of which a query reads. */
function wide(records: number): Records {
  const lines = Array.from({ length: records }, (_, i) => `{${Array.from({ length: 120 }, (__, c) => `"column_${c}":${c % 3 === 0 ? `"text ${i} of ${c}"` : i * c}`).join(',')}}\n`);
  const fields = [15, 45, 75, 105].map((c) => field(`column_${c}`, c % 3 === 0 ? TEXT : INT8));
  return { name: '120 columns, 4 of them read', fields, bytes: Buffer.from(lines.join('')) };
}

/** Decodes all records; gives their number. With a decoder that did it before, the code is compiled. */
export function decodeAll({ fields, bytes }: Records, decoder = new JsonDecoder(fields)): number {
  let rows = 0;
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
  return rows;
}
