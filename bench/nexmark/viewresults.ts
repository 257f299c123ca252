/**
 * Final results of the Nexmark queries in Millrace: each query as a materialized view over the NDJSON file, read when its job has finished. For the
 * comparisons with other systems (check.ts, expected.test.ts).
 */
import { createReadStream } from 'node:fs';
import { createInterface } from 'node:readline';
import pg from 'pg';
import { sideInputBeside } from './generate.js';
import { eventFile, nexmarkQueries, sideInputFile } from './queries.js';
import { BID_FIELDS, normalise, type Result } from './results.js';

const FINISH_TIMEOUT_MS = 120_000;
const POLL_MS = 10;
// Every value as the server's text.
const asText = { getTypeParser: () => (value: string | Buffer): string => value.toString() };

/** A session with the stream, the views and the side input declared; `events` declares stream and views otherwise than over the file. */
export async function nexmarkSession(port: number, file: string, events = eventFile(file)): Promise<pg.Client> {
  const client = new pg.Client({ host: '127.0.0.1', port, user: 'bench', database: 'bench', types: asText as unknown as pg.CustomTypesConfig });
  await client.connect();
  await client.query(`SET checkpoint_interval = '1s'; ${events} ${sideInputFile(sideInputBeside(file))}`);
  return client;
}

export async function viewResult(client: pg.Client, query: string): Promise<Result> {
  await client.query(`CREATE MATERIALIZED VIEW ${query} AS ${nexmarkQueries[query]}`);
  try {
    await finished(client, query);
    const result = await client.query<(string | null)[]>({ text: `SELECT * FROM ${query}`, rowMode: 'array' });
    return { columns: result.fields.map(f => f.name), rows: result.rows.map(row => row.map(normalise)) };
  } finally {
    await client.query(`DROP MATERIALIZED VIEW ${query}`);
  }
}

async function finished(client: pg.Client, job: string): Promise<void> {
  const end = Date.now() + FINISH_TIMEOUT_MS;
  for (;;) {
    const { rows } = await client.query<{ status: string; failure: string | null }>(`SELECT status, failure FROM millrace.jobs WHERE job_name = '${job}'`);
    const status = rows[0]?.status;
    if (status === 'finished') return;
    if (status === 'failed' || Date.now() > end) throw new Error(`job is ${status ?? 'gone'}: ${rows[0]?.failure ?? ''}`);
    await new Promise(resolve => { setTimeout(resolve, POLL_MS); });
  }
}

/** The file's bids by BID_FIELDS, normalised. */
export async function bidsOf(file: string): Promise<string[][]> {
  const bids: string[][] = [];
  for await (const line of createInterface({ input: createReadStream(file) })) {
    const { bid } = JSON.parse(line) as { bid: Record<(typeof BID_FIELDS)[number], string | number> | null };
    if (bid !== null) bids.push(BID_FIELDS.map(name => normalise(String(bid[name]))));
  }
  return bids;
}
