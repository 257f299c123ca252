/**
 * Prints rows a second of the JSON decoder over Nexmark records, one core (decoding.ts).
 *
 *   node dist/bench/kernels/decode.js [--events 300000]
 */
import { parseArgs } from 'node:util';
import { JsonDecoder } from '../../connectors/formats/json.js';
import { decodeAll, nexmarkRecords } from './decoding.js';

const RUNS = 5;

const { values } = parseArgs({ options: { events: { type: 'string' } } });
console.log('| records | bytes each | rows/s | MB/s |\n|---|---|---|---|');
for (const records of await nexmarkRecords(Number(values.events ?? '300000'))) {
  const decoder = new JsonDecoder(records.fields);
  let best = 0;
  let rows = 0;
  for (let r = 0; r < RUNS; r++) {
    const started = process.hrtime.bigint();
    rows = decodeAll(records, decoder);
    best = Math.max(best, rows / (Number(process.hrtime.bigint() - started) / 1e9));
  }
  const { name, bytes } = records;
  console.log(`| ${name} | ${Math.round(bytes.length / rows)} | ${Math.round(best).toLocaleString('en')} | ${Math.round((best * bytes.length) / rows / 1e6)} |`);
}
