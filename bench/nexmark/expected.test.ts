/** Every Nexmark query, from an NDJSON file to a view's final rows, against what Apache Flink computed from the same events. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { open } from '../../server/open.js';
import { differenceFromExpected, EXPECTED_INPUTS, readDigests, writeInput } from './expected.js';
import { nexmarkQueries } from './queries.js';
import { inventedBid } from './results.js';
import { bidsOf, nexmarkSession, viewResult } from './viewresults.js';

test('every query has an expected result for every input', () => {
  for (const input of EXPECTED_INPUTS) assert.deepEqual(Object.keys(readDigests(input)), Object.keys(nexmarkQueries), input.name);
});

for (const input of EXPECTED_INPUTS) {
  test(`Nexmark over ${input.events} events in ${input.name} gives Flink's rows`, { timeout: 290_000 }, async t => {
    const dir = mkdtempSync(path.join(tmpdir(), 'millrace-expected-'));
    try {
      const file = await writeInput(input, dir);
      const bids = await bidsOf(file);
      const server = await open({ data: path.join(dir, 'data'), port: 0, logLevel: 'silent', settings: { workers: '2' } });
      try {
        const client = await nexmarkSession(server.port, file);
        for (const parallelism of input.parallelism) {
          await client.query(`SET parallelism = ${parallelism}`);
          for (const query of Object.keys(nexmarkQueries)) {
            await t.test(`${query} at parallelism ${parallelism}`, async () => {
              const result = await viewResult(client, query);
              assert.equal(differenceFromExpected(input, query, result), null);
              assert.equal(inventedBid(query, result, bids), null, 'a row that is no bid of the input');
            });
          }
        }
        await client.end();
      } finally {
        await server.close();
      }
    } finally {
      rmSync(dir, { recursive: true, force: true });
    }
  });
}
