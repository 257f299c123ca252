/**
 * Views over streams against Postgres (in process): what only append-only input has, aggregates by epoch, ranges of hops, rows with the most, joins whose
 * rows end, Top-N of few rows; over rows out of order, with NULLs, empty texts and times, through restarts, at parallelism 1 and 2.
 */
import { test } from 'node:test';
import { PGlite } from '@electric-sql/pglite';
import pg from 'pg';
import { open, type Server } from '../server/open.js';
import { removeFolder, temporaryFolder } from './serverprocess.js';
import { seeded } from '../types/encoding/testdatums.js';
import { oracleRows, sameRows } from './oraclerows.js';

const COLUMNS = 'id int, k int, v int, n numeric, t text, at timestamp';
const hop = (rel: string, slide: number, size: number): readonly [here: string, there: string] => [
  `HOP(${rel}, at, INTERVAL '${slide} seconds', INTERVAL '${size} seconds')`,
  `(SELECT x.*, w AS window_start, w + INTERVAL '${size} seconds' AS window_end FROM ${rel} x,
    generate_series(date_bin('${slide} seconds', at, TIMESTAMP '1970-01-01') - INTERVAL '${Math.ceil(size / slide) * slide} seconds', at, '${slide} seconds') w
    WHERE w <= at AND w + INTERVAL '${size} seconds' > at)`,
];
const WINDOWS: Readonly<Record<string, readonly [here: string, there: string]>> = { '{H}': hop('s', 2, 10), '{I}': hop('s', 3, 10), '{G}': hop('s', 7, 5), '{U}': hop('u', 2, 10) };
const COUNTS = 'WITH c AS (SELECT k, t, count(v) AS num FROM s GROUP BY k, t)';

const VIEWS: Readonly<Record<string, string>> = {
  hop_sums: 'SELECT window_start, k, count(*) AS c, sum(v) AS sv, avg(n) AS an FROM {H} w GROUP BY window_start, k',
  hop_extremes: 'SELECT window_start, window_end, k, count(v) FILTER (WHERE v > 50) AS c, min(v) AS mn, max(t) AS mt, min(at) AS ma FROM {I} w WHERE v < 90 GROUP BY 1, 2, 3',
  hop_with_gaps: 'SELECT window_end, t, count(*) AS c FROM {G} w GROUP BY window_end, t',
  hop_distinct: 'SELECT window_start, k, count(DISTINCT v) AS c FROM {H} w GROUP BY 1, 2',
  hop_counts_of_counts: 'SELECT window_start, c, count(*) AS n FROM (SELECT window_start, k, count(*) AS c FROM {H} w GROUP BY 1, 2) q GROUP BY 1, 2',
  most_per_window: `WITH c AS (SELECT window_start, k, count(*) AS num FROM {H} w GROUP BY window_start, k)
    SELECT c.window_start, c.k, c.num FROM c JOIN (SELECT window_start, max(num) AS most FROM c GROUP BY window_start) m ON c.window_start = m.window_start AND c.num >= m.most`,
  most: `${COUNTS} SELECT c.*, m.most FROM c JOIN (SELECT k, max(num) AS most FROM c GROUP BY k) m ON c.k = m.k AND m.most <= c.num`,
  most_or_nothing: `${COUNTS} SELECT c.*, m.most FROM c LEFT JOIN (SELECT k, max(num) AS most FROM c GROUP BY k) m ON c.k = m.k AND m.most = c.num`,
  most_of_some: `${COUNTS} SELECT c.*, m.most FROM c JOIN (SELECT k, max(num) AS most FROM c WHERE t <> 'a' GROUP BY k) m ON c.k = m.k AND m.most <= c.num`,
  near_the_most: `${COUNTS} SELECT c.*, m.most FROM c JOIN (SELECT k, max(num) AS most FROM c GROUP BY k) m ON c.k = m.k AND c.num > m.most - 2`,
  by_time: "SELECT a.id, b.id AS other FROM s a JOIN u b ON a.k = b.k AND a.at BETWEEN b.at - INTERVAL '3 seconds' AND b.at",
  by_window: "SELECT a.id, m.c FROM s a LEFT JOIN (SELECT window_end, k, count(*) AS c FROM {U} w GROUP BY window_end, k) m ON a.k = m.k AND m.window_end <= a.at AND m.window_end > a.at - INTERVAL '2 seconds'",
  in_a_window: "SELECT a.id FROM s a WHERE NOT EXISTS (SELECT 1 FROM (SELECT window_end, k, count(*) AS c FROM {U} w GROUP BY window_end, k) m WHERE a.k = m.k AND m.window_end <= a.at + INTERVAL '5 seconds' AND m.c > 1)",
  both_windows: 'SELECT a.k, a.window_start, a.c, b.c AS bc FROM (SELECT window_start, k, count(*) AS c FROM {H} w GROUP BY 1, 2) a FULL JOIN (SELECT window_start, k, count(*) AS c FROM {U} w GROUP BY 1, 2) b ON a.window_start = b.window_start AND a.k = b.k',
  top_three: 'SELECT id, k, v, rn FROM (SELECT *, row_number() OVER (PARTITION BY k ORDER BY v DESC NULLS LAST, id) AS rn FROM s) q WHERE rn <= 3',
  second: 'SELECT id, k, t FROM (SELECT *, row_number() OVER (PARTITION BY k, t ORDER BY v NULLS FIRST, id DESC) AS rn FROM s) q WHERE rn = 2',
  first_of_each: 'SELECT DISTINCT ON (k, t) k, t, id, n FROM s ORDER BY k, t, n DESC, id',
  top_of_counts: 'SELECT window_start, k, c, rn FROM (SELECT *, row_number() OVER (PARTITION BY window_start ORDER BY c DESC, k) AS rn FROM (SELECT window_start, k, count(*) AS c FROM {H} w GROUP BY 1, 2) x) q WHERE rn <= 2',
  ranked: 'SELECT id, rn FROM (SELECT id, rank() OVER (PARTITION BY t ORDER BY v) AS rn FROM s) q WHERE rn < 4',
  sets: "SELECT k, count(DISTINCT v) AS c, count(DISTINCT v) FILTER (WHERE v > 50) AS c1, count(DISTINCT t) FILTER (WHERE v < 30) AS c2, count(DISTINCT id) AS c3, count(*) FILTER (WHERE t = 'a') AS c4 FROM s GROUP BY k",
  extremes: 'SELECT t, k, min(t) AS a, max(t) AS b, min(n) AS c, max(n) AS d, sum(n) AS f FROM s GROUP BY t, k',
  of_all: 'SELECT count(*) AS c, min(t) AS mn, max(t) AS mx, max(substr(t, 2)) AS ms FROM s WHERE v > 20',
  minutes: "SELECT to_char(at, 'YYYY-MM-DD HH24:MI') AS m, to_char(at, 'SS') AS ss, count(*) AS c FROM s GROUP BY 1, 2",
  guarded: 'SELECT id, CASE WHEN v > 5 THEN 100 / v END AS a, CASE WHEN v > 50 THEN 100 / v + 1 END AS b, CASE WHEN length(t) > 0 THEN 10 / length(t) END AS d FROM s',
};
const write = (sql: string, side: 0 | 1): string => Object.entries(WINDOWS).reduce((text, [mark, of]) => text.replaceAll(mark, of[side]), sql);

for (const parallelism of [1, 2]) {
  test(`views over streams equal Postgres' after each insert and a restart, parallelism ${parallelism}`, { timeout: 240_000 }, async t => {
    const seed = Number(process.env['ORACLE_SEED'] ?? Date.now() % 1_000_000);
    t.diagnostic(`seed ${seed}`);
    const rand = seeded(seed);
    const maybe = (text: string): string => (rand(9) === 0 ? 'NULL' : text);
    const oracle = await PGlite.create();
    const dir = temporaryFolder('streams');
    let server: Server | null = null;
    let client: pg.Client | null = null;
    const query = async (text: string): Promise<(string | null)[][]> => {
      const result: unknown = await client?.query({ text, rowMode: 'array' });
      return (Array.isArray(result) ? (result.at(-1) as pg.QueryArrayResult) : (result as pg.QueryArrayResult)).rows as (string | null)[][];
    };
    const start = async (): Promise<void> => {
      server = await open({ data: dir, port: 0, logLevel: 'error' });
      client = new pg.Client({ host: '127.0.0.1', port: server.port, user: 'test', database: 'test', types: { getTypeParser: () => (v: string | Buffer): string => v.toString() } as unknown as pg.CustomTypesConfig });
      await client.connect();
    };
    const stop = async (): Promise<void> => { await client?.end(); await server?.close(); client = server = null; };
    try {
      await start();
      await oracle.exec(`CREATE TABLE s (${COLUMNS}); CREATE TABLE u (${COLUMNS})`);
      await query(`SET parallelism = ${parallelism}; SET checkpoint_interval = '300ms'; SET statement_timeout = '60s'; SET state_memory = '${rand(2) === 0 ? '1MB' : '0'}'`);
      for (const name of ['s', 'u']) await query(`CREATE STREAM ${name} (${COLUMNS}, WATERMARK FOR at AS at - INTERVAL '5 seconds')`);
      for (const [name, sql] of Object.entries(VIEWS)) await query(`CREATE MATERIALIZED VIEW ${name} AS ${write(sql, 0)}`);
      let id = 0;
      let clock = 0;
      for (let step = 0; step < 5; step++) {
        for (let k = 0; k < 4; k++) {
          const rows = Array.from({ length: 1 + rand(40) }, () => {
            clock += rand(3) === 0 ? rand(3) : 0;
            const at = `'${new Date(Date.UTC(2024, 0, 1) + Math.max(0, clock - rand(10)) * 500).toISOString().slice(0, 23)}'`;
            return `(${id++}, ${maybe(String(rand(5)))}, ${maybe(String(rand(100)))}, ${maybe(`${rand(30)}.${rand(10)}`)}, ${maybe(`'${['a', 'b', 'é', '', '日本'][rand(5)] ?? ''}'`)}, ${rand(25) === 0 ? 'NULL' : at})`;
          });
          const sql = `INSERT INTO ${k % 2 === 0 ? 's' : 'u'} VALUES ${rows.join(', ')}`;
          await oracle.exec(sql);
          await query(sql);
        }
        if (step === 2) { await stop(); await start(); }
        await query('FLUSH');
        for (const [name, sql] of Object.entries(VIEWS)) {
          const expected = await oracleRows(oracle, write(sql, 1));
          sameRows(await query(`SELECT * FROM ${name}`), expected, `${name} at step ${step}, seed ${seed}`);
        }
      }
    } finally {
      await stop();
      await oracle.close();
      removeFolder(dir);
    }
  });
}
