/**
 * SESSION and CUMULATE against Postgres (in process): the same rows, the windows there by lag() and sum() OVER; over a table whose rows change, over
 * a stream whose rows come out of order, through restarts, at parallelism 1 and 2, as views, on window close, and as queries that end.
 */
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { PGlite } from '@electric-sql/pglite';
import pg from 'pg';
import { open, type Server } from '../server/open.js';
import { removeFolder, temporaryFolder } from './serverprocess.js';
import { seeded } from '../types/encoding/testdatums.js';
import { oracleRows, sorted } from './oraclerows.js';

const COLUMNS = 'id int, who int, at timestamp, v int, s text';
/** A named relation of windows here, and the same in Postgres. */
const WINDOWS: readonly (readonly [mark: string, here: string, there: string])[] = [
  ['{S}', "SESSION(visit, at, INTERVAL '10 seconds', partition_by => who)", sessions('who')],
  ['{T}', "TABLE(SESSION(TABLE visit PARTITION BY who, s, DESCRIPTOR(at), INTERVAL '10' SECOND))", sessions('who, s')],
  ['{G}', "SESSION(visit, at, INTERVAL '1 second')", sessions('1', '1 second')],
  ['{C}', "CUMULATE(visit, at, INTERVAL '5 seconds', INTERVAL '20 seconds')", `(SELECT x.*, d AS window_start, d + k * INTERVAL '5 seconds' AS window_end
    FROM (SELECT *, date_bin('20 seconds', at, TIMESTAMP '1970-01-01') AS d FROM visit WHERE at IS NOT NULL) x, generate_series(1, 4) k WHERE at < d + k * INTERVAL '5 seconds')`],
];

function sessions(by: string, gap = '10 seconds'): string {
  return `(SELECT *, min(at) OVER (PARTITION BY ${by}, n) AS window_start, max(at) OVER (PARTITION BY ${by}, n) + INTERVAL '${gap}' AS window_end
    FROM (SELECT *, sum(fresh) OVER (PARTITION BY ${by} ORDER BY at, id) AS n
      FROM (SELECT *, CASE WHEN at - lag(at) OVER (PARTITION BY ${by} ORDER BY at, id) <= INTERVAL '${gap}' THEN 0 ELSE 1 END AS fresh FROM visit WHERE at IS NOT NULL) a) b)`;
}

const VIEWS: Readonly<Record<string, string>> = {
  of_rows: 'SELECT id, who, v, window_start, window_end FROM {S} w',
  of_all: 'SELECT id, window_start, window_end FROM {G} w',
  by_session: 'SELECT who, window_start, window_end, count(*) AS c, sum(v) AS sv, min(v) AS mn, max(v) AS mx, avg(v) AS av FROM {S} w GROUP BY who, window_start, window_end',
  by_start: 'SELECT who, window_start, count(v) AS c FROM {S} w GROUP BY who, window_start',
  by_end: 'SELECT window_end, who, count(*) FILTER (WHERE v > 50) AS big FROM {S} w WHERE who > 1 GROUP BY who, window_end HAVING count(*) > 1',
  by_two_keys: 'SELECT s, who, window_start, window_end, count(*) AS c FROM {T} w GROUP BY who, s, window_start, window_end',
  of_the_whole: 'SELECT window_start, window_end, count(*) AS c FROM {G} w GROUP BY window_start, window_end',
  texts: "SELECT who, window_start, string_agg(s, ',' ORDER BY s, id) AS all_s, count(DISTINCT v) AS dv, min(s) AS ms FROM {S} w GROUP BY who, window_start, window_end",
  not_by_key: 'SELECT window_end, count(*) AS c, count(DISTINCT who) AS w FROM {S} w GROUP BY window_end',
  joined: 'SELECT a.id, b.c FROM {S} a JOIN (SELECT who, window_start, count(*) AS c FROM {S} w GROUP BY who, window_start) b ON a.who = b.who AND a.window_start = b.window_start',
  longest: 'SELECT who, max(window_end - window_start) AS longest, count(*) AS c FROM (SELECT who, window_start, window_end FROM {S} w GROUP BY 1, 2, 3) q GROUP BY who',
  cumulated: 'SELECT window_start, window_end, who, count(*) AS c, sum(v) AS sv FROM {C} w GROUP BY window_start, window_end, who',
  cumulated_rows: 'SELECT id, window_end FROM {C} w',
  session_rollup: 'SELECT who, window_start, window_end, s, grouping(s) AS gs, count(*) AS c, sum(v) AS sv FROM {S} w GROUP BY who, window_start, window_end, ROLLUP (s)',
  cumulated_cube: 'SELECT window_start, window_end, who, s, grouping(who, s) AS gs, count(*) AS c, max(v) AS mx FROM {C} w GROUP BY window_start, window_end, CUBE (who, s)',
  rollup_of_windows: 'SELECT window_end, who, count(*) AS c, count(DISTINCT v) AS dv FROM {C} w GROUP BY ROLLUP (window_end, who)',
};
/** Emitted on window close; in Postgres the rows whose window_end the watermark has reached. */
const CLOSED = ['of_rows', 'by_session', 'by_end', 'texts', 'not_by_key', 'of_the_whole', 'cumulated', 'session_rollup', 'cumulated_cube'];

const here = (sql: string): string => WINDOWS.reduce((text, [mark, ours]) => text.replaceAll(mark, ours), sql);
const there = (sql: string): string => WINDOWS.reduce((text, [mark, , theirs]) => text.replaceAll(mark, theirs), sql);
/** Over the windows that the watermark has passed. */
const closed = (sql: string): string => WINDOWS.reduce((text, [mark, , theirs]) => text.replaceAll(mark, `(SELECT * FROM ${theirs} every WHERE window_end <= (SELECT max(at) - INTERVAL '5 seconds' FROM visit))`), sql);

const maybe = (rand: (n: number) => number, text: string): string => (rand(8) === 0 ? 'NULL' : text);
const time = (halfSeconds: number): string => `'${new Date(Date.UTC(2024, 0, 1) + halfSeconds * 500).toISOString().slice(0, 23)}'`;
const row = (rand: (n: number) => number, id: number, halfSeconds: number): string => `(${id}, ${maybe(rand, String(rand(4)))}, ${time(halfSeconds)}, ${maybe(rand, String(rand(100)))}, ${maybe(rand, `'${'abc'[rand(3)] ?? ''}'`)})`;

/** A server with its client, which can be started anew. */
class Here {
  readonly dir = temporaryFolder('sessions');
  #server: Server | null = null;
  #client: pg.Client | null = null;

  async start(): Promise<void> {
    this.#server = await open({ data: this.dir, port: 0, logLevel: 'error' });
    this.#client = new pg.Client({ host: '127.0.0.1', port: this.#server.port, user: 'test', database: 'test', types: { getTypeParser: () => (v: string | Buffer): string => v.toString() } as unknown as pg.CustomTypesConfig });
    await this.#client.connect();
    await this.#client.query("SET statement_timeout = '60s'");
  }
  async stop(): Promise<void> {
    await this.#client?.end();
    await this.#server?.close();
    this.#client = this.#server = null;
  }
  async close(): Promise<void> { await this.stop(); removeFolder(this.dir); }

  async rows(text: string): Promise<(string | null)[][]> {
    assert.ok(this.#client !== null);
    const results: unknown = await this.#client.query({ text, rowMode: 'array' });
    const last = Array.isArray(results) ? (results.at(-1) as pg.QueryArrayResult) : (results as pg.QueryArrayResult);
    return last.rows as (string | null)[][];
  }
}

async function expected(oracle: PGlite, sql: string): Promise<string[]> {
  return sorted(await oracleRows(oracle, sql));
}

for (const parallelism of [1, 2]) {
  test(`windows over a table equal Postgres' after each random change and a restart, parallelism ${parallelism}`, { timeout: 240_000 }, async t => {
    const seed = Number(process.env['ORACLE_SEED'] ?? Date.now() % 1_000_000);
    t.diagnostic(`seed ${seed}`);
    const rand = seeded(seed);
    const oracle = await PGlite.create();
    const server = new Here();
    try {
      await server.start();
      await oracle.exec(`CREATE TABLE visit (${COLUMNS.replace('id int', 'id int PRIMARY KEY')})`);
      await server.rows(`SET parallelism = ${parallelism}; SET checkpoint_interval = '300ms'; CREATE TABLE visit (${COLUMNS.replace('id int', 'id int PRIMARY KEY')})`);
      for (const [name, sql] of Object.entries(VIEWS)) await server.rows(`CREATE MATERIALIZED VIEW ${name} AS ${here(sql)}`);
      let id = 0;
      for (let step = 0; step < 8; step++) {
        for (let k = 0; k < 3; k++) {
          const kind = rand(8);
          const sql = kind < 5 ? `INSERT INTO visit VALUES ${Array.from({ length: 1 + rand(8) }, () => row(rand, id++, rand(400))).join(', ')}`
            : kind === 5 ? `DELETE FROM visit WHERE id % 7 = ${rand(7)}` : `UPDATE visit SET ${['who = who + 1', "at = at + INTERVAL '4 seconds'", 'v = v + 1', 'at = NULL'][rand(4)] ?? ''} WHERE id % 5 = ${rand(5)} AND id > ${id - 15}`;
          await oracle.exec(sql);
          await server.rows(sql);
        }
        if (step === 5) { await server.stop(); await server.start(); }
        await server.rows('FLUSH');
        for (const [name, sql] of Object.entries(VIEWS)) {
          const answer = await expected(oracle, there(sql));
          assert.deepEqual(sorted(await server.rows(`SELECT * FROM ${name}`)), answer, `${name} at step ${step}, seed ${seed}`);
          if (step % 4 === 3) assert.deepEqual(sorted(await server.rows(here(sql))), answer, `${name} as a query at step ${step}, seed ${seed}`);
        }
      }
    } finally {
      await oracle.close();
      await server.close();
    }
  });

  test(`windows over a stream out of order equal Postgres' after each insert and a restart, and once on window close, parallelism ${parallelism}`, { timeout: 240_000 }, async t => {
    const seed = Number(process.env['ORACLE_SEED'] ?? Date.now() % 1_000_000);
    t.diagnostic(`seed ${seed}`);
    const rand = seeded(seed);
    const oracle = await PGlite.create();
    const server = new Here();
    try {
      await server.start();
      await oracle.exec(`CREATE TABLE visit (${COLUMNS})`);
      await server.rows(`SET parallelism = ${parallelism}; SET checkpoint_interval = '300ms'; CREATE STREAM visit (${COLUMNS}, WATERMARK FOR at AS at - INTERVAL '5 seconds')`);
      for (const [name, sql] of Object.entries(VIEWS)) {
        await server.rows(`CREATE MATERIALIZED VIEW ${name} AS ${here(sql)}`);
        if (CLOSED.includes(name)) await server.rows(`CREATE MATERIALIZED VIEW closed_${name} AS ${here(sql)} EMIT ON WINDOW CLOSE`);
      }
      let clock = 0;
      let id = 0;
      for (let step = 0; step < 8; step++) {
        const rows = Array.from({ length: 5 + rand(25) }, () => {
          clock += rand(12) === 0 ? rand(40) : rand(3);
          return row(rand, id++, Math.max(0, clock - rand(10)));
        });
        await oracle.exec(`INSERT INTO visit VALUES ${rows.join(', ')}`);
        await server.rows(`INSERT INTO visit VALUES ${rows.join(', ')}`);
        if (step === 4) { await server.stop(); await server.start(); }
        await server.rows('FLUSH');
        for (const [name, sql] of Object.entries(VIEWS)) {
          assert.deepEqual(sorted(await server.rows(`SELECT * FROM ${name}`)), await expected(oracle, there(sql)), `${name} at step ${step}, seed ${seed}`);
          if (!CLOSED.includes(name)) continue;
          const answer = await expected(oracle, closed(sql));
          assert.deepEqual(sorted(await server.rows(`SELECT * FROM closed_${name}`)), answer, `closed_${name} at step ${step}, seed ${seed}`);
        }
      }
      // A late row changes nothing.
      await server.rows(`INSERT INTO visit VALUES (${id}, 1, '2023-12-31', 1, 'a')`);
      await server.rows('FLUSH');
      for (const [name, sql] of Object.entries(VIEWS)) assert.deepEqual(sorted(await server.rows(`SELECT * FROM ${name}`)), await expected(oracle, there(sql)), `${name} after a late row, seed ${seed}`);
    } finally {
      await oracle.close();
      await server.close();
    }
  });
}

test('late rows are counted, and a file that ends closes every session', { timeout: 60_000 }, async () => {
  const server = new Here();
  try {
    await server.start();
    const file = path.join(server.dir, 'visits.ndjson');
    // The watermark is 55 s after the third row: 8 is in a closed session, 40 in none, 52 in one that is open.
    const rows = [['a', 0], ['a', 9], ['z', 60], ['a', 8], ['z', 40], ['z', 52], ['a', 58]] as const;
    writeFileSync(file, rows.map(([who, s]) => `${JSON.stringify({ who, at: new Date(Date.UTC(2024, 0, 1) + s * 1000).toISOString().slice(0, 19) })}\n`).join(''));
    await server.rows(`CREATE STREAM visit (who text, at timestamp, WATERMARK FOR at AS at - INTERVAL '5 seconds') WITH (connector = 'file', path = '${file}', format = 'json')`);
    const select = "SELECT who, window_start::time, window_end::time, count(*) FROM SESSION(visit, at, INTERVAL '10 seconds', partition_by => who) GROUP BY who, window_start, window_end";
    for (const [view, emit] of [['every_epoch', ''], ['on_close', ' EMIT ON WINDOW CLOSE']] as const) {
      await server.rows(`CREATE MATERIALIZED VIEW ${view} AS ${select}${emit}`);
      while ((await server.rows(`SELECT 1 FROM millrace.jobs WHERE job_name = '${view}' AND status = 'finished'`)).length === 0) await new Promise(resolve => { setImmediate(resolve); });
      assert.deepEqual(sorted(await server.rows(`SELECT * FROM ${view}`)), ['a|00:00:00|00:00:19|2', 'a|00:00:58|00:01:08|1', 'z|00:00:52|00:01:10|2'], view);
      assert.deepEqual(await server.rows(`SELECT sum(late_rows) FROM millrace.watermarks WHERE job_name = '${view}'`), [['2']], view);
    }
  } finally {
    await server.close();
  }
});

test('processing time: now() as a generated column is when a row came, also after a pause, and its windows count', { timeout: 60_000 }, async () => {
  const server = new Here();
  try {
    await server.start();
    await server.rows("CREATE STREAM visit (who text, seen timestamptz GENERATED ALWAYS AS (now()) VIRTUAL, WATERMARK FOR seen AS seen)");
    await server.rows('CREATE MATERIALIZED VIEW raw AS SELECT who, seen FROM visit');
    await server.rows("CREATE MATERIALIZED VIEW counted AS SELECT who, window_start, count(*) AS c FROM TUMBLE(visit, seen, INTERVAL '1 hour') GROUP BY who, window_start");
    await server.rows("INSERT INTO visit VALUES ('a'), ('a')");
    await server.rows('FLUSH');
    const clock = async (): Promise<number> => Number((await server.rows('SELECT extract(epoch FROM clock_timestamp())'))[0]?.[0]);
    const paused = await clock();
    while (await clock() < paused + 0.3) { /* nothing goes through the job */ }
    const before = await clock();
    await server.rows("INSERT INTO visit VALUES ('b')");
    await server.rows('FLUSH');
    assert.ok(Number((await server.rows("SELECT extract(epoch FROM seen) FROM raw WHERE who = 'b'"))[0]?.[0]) > before - 0.1);
    // The hour may turn between the rows.
    assert.deepEqual(sorted(await server.rows('SELECT who, sum(c) FROM counted GROUP BY who')), ['a|2', 'b|1']);
    const explained = (await server.rows("EXPLAIN CREATE MATERIALIZED VIEW other AS SELECT who, window_start, count(*) FROM SESSION(visit, seen, INTERVAL '1 second', partition_by => who) GROUP BY who, window_start")).map(r => r[0]).join('\n');
    assert.match(explained, /Session aggregate seen gap 1s by \(who\)/);
    assert.match(explained, /nondeterministic/);
  } finally {
    await server.close();
  }
});
