/**
 * `npm run demo`: a server with a generated auction stream and three views, its views and checkpoints redrawn in the terminal.
 * Everything shown is asked for over the Postgres protocol, as any client would. Starting again continues from the last checkpoint.
 */
import { parseArgs } from 'node:util';
import pg from 'pg';
import { open } from '../server/open.js';

const REFRESH_MS = 500;
/** Lines drawn at most for a view. */
const ROWS = 6;

const SETUP = `
SET checkpoint_interval = '2s';
CREATE STREAM event WITH (connector = 'nexmark', table = 'event', events_per_second = 2000, seed = 1);
CREATE VIEW auction AS SELECT auction_id AS id, item_name, category, seller, date_time, expires FROM event WHERE event_type = 1;
CREATE VIEW bid AS SELECT auction, bidder, price, date_time FROM event WHERE event_type = 2;
CREATE MATERIALIZED VIEW bids_per_window AS
  SELECT window_start, auction, count(*) AS bids FROM TUMBLE(bid, date_time, INTERVAL '10 seconds') GROUP BY window_start, auction;
CREATE MATERIALIZED VIEW highest_bid AS
  SELECT a.id, a.item_name, a.category, max(b.price) AS price FROM auction a JOIN bid b ON b.auction = a.id GROUP BY a.id, a.item_name, a.category;
CREATE MATERIALIZED VIEW top_categories AS
  SELECT category, count(*) AS auctions, round(avg(price)) AS average_price, max(price) AS best FROM highest_bid GROUP BY category;
`;

const PANELS: readonly { readonly title: string; readonly sql: string }[] = [
  { title: 'bids_per_window: busiest auctions of the newest 10 s window', sql: `SELECT window_start, auction, bids FROM bids_per_window ORDER BY window_start DESC, bids DESC, auction LIMIT ${ROWS}` },
  { title: 'highest_bid: auctions with the highest bids', sql: `SELECT id, item_name, category, price FROM highest_bid ORDER BY price DESC, id LIMIT ${ROWS}` },
  { title: 'top_categories', sql: 'SELECT category, auctions, average_price, best FROM top_categories ORDER BY average_price DESC' },
  { title: 'millrace.checkpoints', sql: 'SELECT job_name, checkpoint_id, status, duration, state_bytes FROM millrace.checkpoints ORDER BY trigger_time DESC LIMIT 5' },
];

function format(result: { fields: readonly { name: string }[]; rows: readonly (readonly (string | null)[])[] }): string[] {
  const cells = [result.fields.map(f => f.name), ...result.rows.map(r => r.map(v => (v === null ? '' : v)))];
  const widths = result.fields.map((_, c) => Math.max(...cells.map(row => (row[c] ?? '').length)));
  const lines = cells.map(row => `  ${row.map((v, c) => v.padEnd(widths[c] ?? 0)).join('  ')}`);
  lines.splice(1, 0, `  ${widths.map(w => '─'.repeat(w)).join('  ')}`);
  return lines;
}

async function main(): Promise<void> {
  const { values } = parseArgs({ options: { port: { type: 'string' }, data: { type: 'string' }, seconds: { type: 'string' } } });
  const server = await open({ data: values.data ?? './demo-data', port: Number(values.port ?? '5433'), logLevel: 'warn' });
  if (server.isNew) await server.execute(SETUP);
  const text = { getTypeParser: () => (value: string | Buffer): string => value.toString() };
  const client = new pg.Client({ host: '127.0.0.1', port: server.port, user: 'demo', database: 'demo', types: text as unknown as pg.CustomTypesConfig });
  await client.connect();

  const connect = `psql -h 127.0.0.1 -p ${server.port}`;
  const inPlace = process.stdout.isTTY;
  if (!inPlace) process.stdout.write(`Millrace demo. Connect with: ${connect}\n`);
  const started = Date.now();
  let stop = false;
  const ask = (): void => { stop = true; };
  process.on('SIGINT', ask);
  process.on('SIGTERM', ask);
  const until = values.seconds === undefined ? Infinity : started + Number(values.seconds) * 1000;
  while (!stop && Date.now() < until) {
    const lines: string[] = [];
    for (const panel of PANELS) {
      const result = await client.query({ text: panel.sql, rowMode: 'array' });
      lines.push('', panel.title, ...format(result as unknown as Parameters<typeof format>[0]));
    }
    if (inPlace) {
      const head = [`Millrace demo    connect:  ${connect}    try:  SELECT * FROM top_categories;    stop: Ctrl-C`];
      const height = process.stdout.rows > 0 ? process.stdout.rows - 1 : 60;
      process.stdout.write(`\x1b[H\x1b[2J${[...head, ...lines].slice(0, height).map(l => l.slice(0, process.stdout.columns)).join('\n')}\n`);
    } else {
      process.stdout.write(`${lines.join('\n')}\n`);
    }
    for (let waited = 0; waited < (inPlace ? REFRESH_MS : 4 * REFRESH_MS) && !stop; waited += 50) await new Promise(resolve => { setTimeout(resolve, 50); });
  }
  process.stdout.write('\nstopping: taking a last checkpoint …\n');
  await client.end();
  await server.close();
  process.stdout.write('stopped; `npm run demo` continues from here\n');
}

main().catch((e: unknown) => {
  process.stderr.write(`demo: ${e instanceof Error ? e.message : String(e)}\n`);
  process.exit(1);
});
