/**
 * Compares Millrace's results of the Nexmark queries with another system's: `node dist/bench/nexmark/check.js DIR`, where DIR holds
 * events-100k.ndjson.gz and expected/q<N>.csv.gz (first line: column names). Rows are compared as multisets after normalising
 * timestamps (T for the blank) and trailing zeros. Ends with "N passed, N failed".
 */
import { createReadStream, createWriteStream, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { pipeline } from 'node:stream/promises';
import { createGunzip, gunzipSync } from 'node:zlib';
import pg from 'pg';
import { open } from '../../server/open.js';
import { eventFile, nexmarkQueries } from './queries.js';

const FINISH_TIMEOUT_MS = 120_000;

/** One value as both systems would write it. */
export function normalise(value: string | null): string {
  if (value === null) return '';
  if (/^\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(\.\d+)?$/.test(value)) return value.replace(' ', 'T').replace(/(\.\d*?)0+$/, '$1').replace(/\.$/, '');
  if (/^-?\d+\.\d+$/.test(value)) return value.replace(/0+$/, '').replace(/\.$/, '');
  return value;
}

/** Fields of one CSV line (RFC 4180, no newlines inside fields). */
function csvFields(line: string): string[] {
  const fields: string[] = [];
  let at = 0;
  while (at <= line.length) {
    if (line[at] === '"') {
      let text = '';
      at++;
      for (;;) {
        const quote = line.indexOf('"', at);
        text += line.slice(at, quote);
        at = quote + 1;
        if (line[at] !== '"') break;
        text += '"';
        at++;
      }
      fields.push(text);
      at++;
    } else {
      const comma = line.indexOf(',', at);
      const end = comma < 0 ? line.length : comma;
      fields.push(line.slice(at, end));
      at = end + 1;
    }
  }
  return fields;
}

function compare(actual: readonly string[], expected: readonly string[]): string | null {
  const counts = new Map<string, number>();
  for (const row of expected) counts.set(row, (counts.get(row) ?? 0) + 1);
  for (const row of actual) counts.set(row, (counts.get(row) ?? 0) - 1);
  const wrong = [...counts].filter(([, n]) => n !== 0);
  if (wrong.length === 0) return null;
  return `${actual.length} rows, expected ${expected.length}; e.g. ${wrong.slice(0, 3).map(([row, n]) => `${n > 0 ? 'missing' : 'extra'} ${row.slice(0, 160)}`).join('; ')}`;
}

async function main(): Promise<void> {
  const dir = process.argv[2];
  if (dir === undefined) throw new Error('usage: check.js DIR');
  const only = process.argv.slice(3);
  const work = mkdtempSync(path.join(tmpdir(), 'millrace-nexmark-'));
  let passed = 0;
  let failed = 0;
  try {
    const file = path.join(work, 'events.ndjson');
    await pipeline(createReadStream(path.join(dir, 'events-100k.ndjson.gz')), createGunzip(), createWriteStream(file));
    const server = await open({ data: path.join(work, 'data'), port: 0, logLevel: 'error' });
    const text = { getTypeParser: () => (value: string | Buffer): string => value.toString() };
    const client = new pg.Client({ host: '127.0.0.1', port: server.port, user: 'bench', database: 'bench', types: text as unknown as pg.CustomTypesConfig });
    await client.connect();
    await client.query(`SET checkpoint_interval = '1s'; ${eventFile(file)}`);
    for (const [name, sql] of Object.entries(nexmarkQueries)) {
      if (name === 'q0' || (only.length > 0 && !only.includes(name))) continue;
      const started = Date.now();
      let verdict: string | null;
      try {
        await client.query(`CREATE MATERIALIZED VIEW ${name} AS ${sql}`);
        await finished(client, name);
        const result = await client.query({ text: `SELECT * FROM ${name}`, rowMode: 'array' });
        const actual = (result.rows as (string | null)[][]).map(r => r.map(normalise).join('|'));
        const lines = gunzipSync(readFileSync(path.join(dir, 'expected', `${name}.csv.gz`))).toString('utf8').trimEnd().split('\n').slice(1);
        verdict = compare(actual, lines.map(l => csvFields(l.replace(/\r$/, '')).map(normalise).join('|')));
        await client.query(`DROP MATERIALIZED VIEW ${name}`);
      } catch (e) {
        verdict = e instanceof Error ? e.message : String(e);
      }
      if (verdict === null) passed++; else failed++;
      console.log(`${name.padEnd(4)} ${verdict === null ? 'equal' : `DIFFERENT: ${verdict}`} (${Date.now() - started} ms)`);
    }
    await client.end();
    await server.close();
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
  console.log(`${passed} passed, ${failed} failed`);
  if (failed > 0) process.exitCode = 1;
}

async function finished(client: pg.Client, job: string): Promise<void> {
  const end = Date.now() + FINISH_TIMEOUT_MS;
  for (;;) {
    const { rows } = await client.query<{ status: string; failure: string | null }>(`SELECT status, failure FROM millrace.jobs WHERE job_name = '${job}'`);
    const status = rows[0]?.status;
    if (status === 'finished') return;
    if (status === 'failed' || Date.now() > end) throw new Error(`job is ${status ?? 'gone'}: ${rows[0]?.failure ?? ''}`);
    await new Promise(resolve => { setTimeout(resolve, 50); });
  }
}

main().catch((e: unknown) => { console.error(e); process.exit(1); });
