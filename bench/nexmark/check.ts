/**
 * Compares Millrace's results of the Nexmark queries with another system's: `node dist/bench/nexmark/check.js [--source file|kafka]
 * [--parallelism 1] DIR [q1 …]`, where DIR holds
 * events-100k.ndjson.gz and expected/q<N>.csv.gz (first line: column names; NULL as nothing). Queries without such a file only run. Rows are
 * compared as multisets after normalising, of q9, q18 and q19 the columns that do not depend on ties. Ends with "N passed, N failed".
 */
import { createReadStream, createWriteStream, existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { pipeline } from 'node:stream/promises';
import { parseArgs } from 'node:util';
import { createGunzip, gunzipSync } from 'node:zlib';
import { open } from '../../server/open.js';
import { benchKafka, fillTopic } from './kafka.js';
import { nexmarkQueries } from './queries.js';
import { determined, difference, fromCsv, inventedBid, NULL_TEXT, type Result } from './results.js';
import { streams } from './runquery.js';
import { bidsOf, nexmarkSession, viewResult } from './viewresults.js';

/** In events-100k.ndjson.gz. */
const EVENTS = 100_000;

/** As a CSV file that does not tell NULL from ''; columns by position. */
function withoutNulls(query: string, result: Result, columns: readonly string[]): Result {
  return determined(query, { columns, rows: result.rows.map(row => row.map(value => (value === NULL_TEXT ? '' : value))) });
}

async function main(): Promise<void> {
  const { values, positionals: [dir, ...only] } = parseArgs({ allowPositionals: true, options: { source: { type: 'string', default: 'file' }, parallelism: { type: 'string', default: '1' } } });
  if (dir === undefined) throw new Error('usage: check.js [--source file|kafka] [--parallelism 1] DIR [QUERY …]');
  const kafka = values.source === 'kafka' ? await benchKafka(undefined) : null;
  const work = mkdtempSync(path.join(tmpdir(), 'millrace-nexmark-'));
  let passed = 0;
  let failed = 0;
  try {
    const file = path.join(work, 'events.ndjson');
    await pipeline(createReadStream(path.join(dir, 'events-100k.ndjson.gz')), createGunzip(), createWriteStream(file));
    const bids = await bidsOf(file);
    const server = await open({ data: path.join(work, 'data'), port: 0, logLevel: 'error' });
    const topic = kafka === null ? null : await fillTopic(kafka.servers, file, EVENTS, { partitions: Number(values.parallelism) });
    const client = await nexmarkSession(server.port, file, streams('', kafka === null || topic === null ? { kind: 'file', file } : { kind: 'kafka', file, servers: kafka.servers, topic }));
    await client.query(`SET parallelism = ${values.parallelism}`);
    for (const query of only.length > 0 ? only : Object.keys(nexmarkQueries)) {
      const expectedFile = path.join(dir, 'expected', `${query}.csv.gz`);
      const started = Date.now();
      let verdict: string | null;
      try {
        const actual = await viewResult(client, query);
        const invented = inventedBid(query, actual, bids);
        if (invented !== null) verdict = `no bid of the input: ${invented.join('|')}`;
        else if (!existsSync(expectedFile)) verdict = query === 'q0' ? difference(actual, { columns: actual.columns, rows: bids.map(b => [b[0], b[1], b[2], b[5], b[6]]) }) : null;
        else {
          const expected = fromCsv(gunzipSync(readFileSync(expectedFile)).toString('utf8'));
          verdict = difference(withoutNulls(query, actual, actual.columns), withoutNulls(query, expected, actual.columns));
        }
      } catch (e) {
        verdict = e instanceof Error ? e.message : String(e);
      }
      if (verdict === null) passed++; else failed++;
      const good = existsSync(expectedFile) || query === 'q0' ? 'equal' : 'runs, nothing to compare with';
      console.log(`${query.padEnd(4)} ${verdict === null ? good : `DIFFERENT: ${verdict}`} (${Date.now() - started} ms)`);
    }
    await client.end();
    await server.close();
  } finally {
    rmSync(work, { recursive: true, force: true });
    await kafka?.close();
  }
  console.log(`${passed} passed, ${failed} failed`);
  if (failed > 0) process.exitCode = 1;
}

main().catch((e: unknown) => { console.error(e); process.exit(1); });
