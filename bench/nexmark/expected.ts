/**
 * Results of the Nexmark queries by Apache Flink 1.20.1 over inputs of our own generator, kept in bench/nexmark/expected/: for each input
 * <input>.json with a digest of every query's final rows, and <input>/q<N>.csv.gz with the rows themselves where they are few.
 * `npm run bench:flink -- --results` writes them, expected.test.ts holds Millrace's results against them.
 */
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { gunzipSync, gzipSync } from 'node:zlib';
import { generateNexmark } from './generate.js';
import { determined, digest, difference, digestDifference, fromCsv, toCsv, type Digest, type Result } from './results.js';

export interface ExpectedInput {
  readonly name: string;
  readonly events: number;
  readonly rate: number;
  readonly startMs: number;
  /** The parallelisms that the test runs at. */
  readonly parallelism: readonly number[];
}

/**
 * seconds: three full windows of some 7,000 events, midnight after the first. hours: thousands of windows of some ten events, every branch of
 * q14's time of day, midnight near the end.
 */
export const EXPECTED_INPUTS: readonly ExpectedInput[] = [
  { name: 'seconds', events: 20_000, rate: 700, startMs: Date.UTC(2023, 11, 31, 23, 59, 50), parallelism: [1, 2] },
  { name: 'hours', events: 20_000, rate: 1, startMs: Date.UTC(2023, 11, 31, 18, 45), parallelism: [2] },
];

const CSV_GZ_BYTES_MAX = 48 * 1024;

/** In the source tree, from wherever this file was compiled to. */
function expectedFolder(): string {
  let dir = path.dirname(fileURLToPath(import.meta.url));
  while (!existsSync(path.join(dir, 'package.json'))) dir = path.dirname(dir);
  return path.join(dir, 'bench/nexmark/expected');
}

const digestsFile = (input: ExpectedInput): string => path.join(expectedFolder(), `${input.name}.json`);
const rowsFile = (input: ExpectedInput, query: string): string => path.join(expectedFolder(), input.name, `${query}.csv.gz`);

/** Generates the events into `folder`; returns the file. */
export async function writeInput(input: ExpectedInput, folder: string): Promise<string> {
  const file = path.join(folder, `${input.name}.ndjson`);
  await generateNexmark({ ...input, file });
  return file;
}

export function readDigests(input: ExpectedInput): Readonly<Record<string, Digest>> {
  return existsSync(digestsFile(input)) ? JSON.parse(readFileSync(digestsFile(input), 'utf8')) as Record<string, Digest> : {};
}

export function writeExpected(input: ExpectedInput, query: string, result: Result): void {
  const kept = determined(query, result);
  mkdirSync(path.dirname(rowsFile(input, query)), { recursive: true });
  const digests = Object.entries({ ...readDigests(input), [query]: digest(kept) }).sort(([a], [b]) => Number(a.slice(1)) - Number(b.slice(1)));
  writeFileSync(digestsFile(input), `{\n${digests.map(([name, d]) => `  ${JSON.stringify(name)}: ${JSON.stringify(d)}`).join(',\n')}\n}\n`);
  const packed = gzipSync(toCsv(kept), { level: 9 });
  if (packed.length <= CSV_GZ_BYTES_MAX) writeFileSync(rowsFile(input, query), packed);
  else rmSync(rowsFile(input, query), { force: true });
}

/** null, or how Millrace's rows differ from Flink's. */
export function differenceFromExpected(input: ExpectedInput, query: string, actual: Result): string | null {
  const kept = determined(query, actual);
  if (existsSync(rowsFile(input, query))) return difference(kept, fromCsv(gunzipSync(readFileSync(rowsFile(input, query))).toString('utf8')));
  const expected = readDigests(input)[query];
  if (expected === undefined) return `no expected result for ${query}`;
  return digestDifference(digest(kept), expected);
}
