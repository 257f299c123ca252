/**
 * The kill test: windowed aggregations, sets of distinct values, joins, sessions, Top-N and window functions over a file of Nexmark events, read slowly; the
 * server process gets kill −9 at random moments while its jobs run; the final views must equal those of one uninterrupted run, row for row. Results
 * follow from the events alone: orders are total, or equal rows are equal in every column that is kept.
 */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { generateNexmark } from '../bench/nexmark/generate.js';
import { eventFile } from '../bench/nexmark/queries.js';
import { ServerProcess, removeFolder, temporaryFolder, until, type TextRow } from './serverprocess.js';
import { seeded } from '../types/encoding/testdatums.js';

export const VIEWS = `
CREATE MATERIALIZED VIEW bids_per_window AS
  SELECT window_start, auction, count(*) AS bids, sum(price) AS total, max(price) AS highest
  FROM TUMBLE(bid, date_time, INTERVAL '10 seconds') GROUP BY window_start, auction;
CREATE MATERIALIZED VIEW highest AS
  SELECT a.id, a.category, a.seller, max(b.price) AS price, count(*) AS bids
  FROM auction a JOIN bid b ON b.auction = a.id AND b.date_time BETWEEN a.date_time AND a.expires GROUP BY a.id, a.category, a.seller;
CREATE MATERIALIZED VIEW by_twentieth AS
  SELECT auction % 20 AS twentieth, to_char(date_time, 'HH24:MI') AS minute, count(DISTINCT bidder) AS bidders, count(DISTINCT bidder) FILTER (WHERE price > 10000) AS rich, count(DISTINCT url) AS urls,
    max(to_char(date_time, 'SS')) AS second
  FROM bid GROUP BY 1, 2;
CREATE MATERIALIZED VIEW hottest AS
  WITH counts AS (SELECT window_start, auction, count(*) AS num FROM HOP(bid, date_time, INTERVAL '2 seconds', INTERVAL '10 seconds') GROUP BY window_start, auction)
  SELECT c.window_start, c.auction, c.num FROM counts c JOIN (SELECT window_start, max(num) AS most FROM counts GROUP BY window_start) m ON c.window_start = m.window_start AND c.num >= m.most;
CREATE MATERIALIZED VIEW top_bids AS
  SELECT b.auction, b.bidder, b.price, b.date_time, m.window_end
  FROM bid b JOIN (SELECT window_end, max(price) AS most FROM TUMBLE(bid, date_time, INTERVAL '1 second') GROUP BY window_end) m
    ON b.price = m.most AND b.date_time >= m.window_end - INTERVAL '1 second' AND b.date_time < m.window_end;
CREATE MATERIALIZED VIEW by_category AS SELECT category, count(*) AS auctions, avg(price) AS average FROM highest GROUP BY category;
CREATE MATERIALIZED VIEW best_three AS
  SELECT auction, place, bidder, price, date_time
  FROM (SELECT *, row_number() OVER (PARTITION BY auction ORDER BY price DESC, date_time, bidder, url) AS place FROM bid) b WHERE place <= 3;
CREATE MATERIALIZED VIEW last_bid AS SELECT DISTINCT ON (bidder, auction) * FROM bid ORDER BY bidder, auction, date_time DESC, price, url;
CREATE MATERIALIZED VIEW most_expensive AS
  SELECT category, id, price, place FROM (SELECT *, rank() OVER (PARTITION BY category ORDER BY price DESC) AS place FROM highest) h WHERE place <= 5;
CREATE MATERIALIZED VIEW visits AS
  SELECT bidder, window_start, window_end, count(*) AS bids, sum(price) AS total FROM SESSION(bid, date_time, INTERVAL '2 seconds', partition_by => bidder) GROUP BY bidder, window_start, window_end;
CREATE MATERIALIZED VIEW visited AS
  SELECT bidder, auction, window_start, window_end FROM SESSION(bid, date_time, INTERVAL '200 milliseconds', partition_by => bidder) WHERE price > 100000;
CREATE MATERIALIZED VIEW raised AS
  SELECT seller, id, initial_bid, initial_bid - lag(initial_bid) OVER w AS step, sum(reserve) OVER w AS reserved, count(*) OVER (PARTITION BY seller) AS auctions
  FROM auction WINDOW w AS (PARTITION BY seller ORDER BY date_time, id);
CREATE MATERIALIZED VIEW hop_counts AS
  SELECT window_end, bidder, count(*) AS bids, max(price) AS most FROM HOP(bid, date_time, INTERVAL '1 second', INTERVAL '4 seconds') GROUP BY window_end, bidder;
CREATE MATERIALIZED VIEW newcomers AS
  SELECT p.id, p.name, a.id AS auction, a.date_time - p.date_time AS after FROM person p JOIN auction a ON a.seller = p.id AND a.date_time BETWEEN p.date_time AND p.date_time + INTERVAL '1 second';
`;
export const RESULTS = [
  'SELECT * FROM bids_per_window ORDER BY 1, 2',
  'SELECT * FROM highest ORDER BY 1',
  'SELECT * FROM by_twentieth ORDER BY 1, 2',
  'SELECT * FROM hottest ORDER BY 1, 2',
  'SELECT * FROM top_bids ORDER BY 5, 4, 1, 2',
  'SELECT * FROM by_category ORDER BY 1',
  'SELECT * FROM best_three ORDER BY 1, 2',
  'SELECT * FROM last_bid ORDER BY bidder, auction',
  'SELECT * FROM most_expensive ORDER BY 1, 3 DESC, 2',
  'SELECT * FROM visits ORDER BY 1, 2',
  'SELECT * FROM visited ORDER BY 1, 3, 2, 4',
  'SELECT * FROM raised ORDER BY 1, 2',
  'SELECT * FROM hop_counts ORDER BY 1, 2',
  'SELECT * FROM newcomers ORDER BY 1, 3',
];
const FINISH_TIMEOUT_MS = 600_000;

export interface KillTest { readonly events: number; readonly kills: number; readonly rowsPerSecond: number; readonly seed: number; readonly parallelism: number; /** Statements before those that create the job. */ readonly settings?: string }

const finished = (rows: readonly TextRow[]): boolean => rows.length > 0 && rows.every(r => r[0] === 'finished');
const failed = (rows: readonly TextRow[]): boolean => rows.some(r => r[0] === 'failed');
const STATUS = 'SELECT status, failure FROM millrace.jobs';

export async function results(server: ServerProcess): Promise<TextRow[][]> {
  const all: TextRow[][] = [];
  for (const sql of RESULTS) all.push(await server.query(sql));
  return all;
}

/** Lines that the file sink made visible, sorted: exactly once means that they are those of the whole run. */
function sinkLines(dir: string): string[] {
  return readdirSync(dir).filter(name => name.startsWith('part-')).flatMap(name => readFileSync(path.join(dir, name), 'utf8').trimEnd().split('\n')).sort();
}

async function setUp(server: ServerProcess, file: string, sink: string, rowsPerSecond: number, parallelism: number, settings: string): Promise<void> {
  const extra = rowsPerSecond > 0 ? `, rows_per_second = ${rowsPerSecond}` : '';
  await server.query(`SET checkpoint_interval = '200ms'; SET parallelism = ${parallelism}; SET restart_strategy = 'fixed_delay'; ${settings} ${eventFile(file, extra)} ${VIEWS}
    CREATE SINK large_bids AS SELECT auction, bidder, price, date_time FROM bid WHERE price > 1000000 WITH (connector = 'file', path = '${sink}', format = 'json');`);
}

/** Runs the test; returns how often the process was killed while all jobs were running. */
export async function killTest(options: KillTest, log: (line: string) => void): Promise<number> {
  const dir = temporaryFolder('kill');
  const rand = seeded(options.seed);
  const file = path.join(dir, 'events.ndjson');
  let server: ServerProcess | null = null;
  try {
    await generateNexmark({ events: options.events, file, seed: 42 });
    server = await ServerProcess.start(path.join(dir, 'whole'));
    await setUp(server, file, path.join(dir, 'sink-whole'), 0, options.parallelism, options.settings ?? '');
    const ask = async (): Promise<TextRow[]> => server === null ? [] : server.query(STATUS);
    await until(ask, rows => finished(rows) || failed(rows), FINISH_TIMEOUT_MS, 'the uninterrupted run');
    const expected = await results(server);
    await server.stop();
    assert.ok((expected[0] ?? []).length > 0, 'the oracle has rows');

    const data = path.join(dir, 'killed');
    server = await ServerProcess.start(data);
    await setUp(server, file, path.join(dir, 'sink-killed'), options.rowsPerSecond, options.parallelism, options.settings ?? '');
    let kills = 0;
    while (kills < options.kills) {
      await until(ask, rows => rows.length > 0 && rows.every(r => r[0] === 'running' || r[0] === 'finished'), 60_000, 'running');
      const waitMs = rand(700);
      await new Promise(resolve => { setTimeout(resolve, waitMs); });
      const status = await server.query(STATUS).catch((): TextRow[] => []);
      if (finished(status)) break;
      await server.kill();
      kills++;
      if (kills % 10 === 0) log(`${kills} kills`);
      server = await ServerProcess.start(data);
    }
    const done = await until(ask, rows => finished(rows) || failed(rows), FINISH_TIMEOUT_MS, 'the end of the killed run');
    assert.ok(finished(done), `jobs after ${kills} kills: ${JSON.stringify(done)}`);
    const actual = await results(server);
    RESULTS.forEach((sql, i) => { assert.deepEqual(actual[i], expected[i], `${sql} after ${kills} kills (seed ${options.seed})`); });
    const lines = sinkLines(path.join(dir, 'sink-whole'));
    assert.deepEqual(sinkLines(path.join(dir, 'sink-killed')), lines, `the file sink after ${kills} kills (seed ${options.seed})`);
    const checkpoints = await server.query("SELECT count(*) FROM millrace.checkpoints WHERE status = 'completed'");
    log(`${kills} kills, ${expected.map(r => r.length).join(' + ')} rows and ${lines.length} lines of a file sink equal, ${String(checkpoints[0]?.[0])} completed checkpoints in the history (seed ${options.seed})`);
    await server.stop();
    return kills;
  } finally {
    await server?.kill();
    removeFolder(dir);
  }
}
