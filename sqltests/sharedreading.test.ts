/** Views on one stream share its reader in each worker: every view is as if it read alone, whatever happens to the others and to the server. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { appendFileSync, mkdirSync } from 'node:fs';
import path from 'node:path';
import { ServerProcess, removeFolder, temporaryFolder, until } from './serverprocess.js';

const LINES = 8000;
/** `n` of these is no number: bad for those who read n, and for nobody else. */
const bad = (i: number): boolean => i % 1000 === 7;

function append(file: string, from: number): void {
  const lines: string[] = [];
  for (let i = from; i < from + LINES; i++) lines.push(JSON.stringify({ k: i % 97, v: i, s: `t${i % 13}`, n: bad(i) ? 'x' : i }));
  appendFileSync(file, `${lines.join('\n')}\n`);
}

const VIEWS: Readonly<Record<string, string>> = {
  by_k: 'SELECT k, count(*) AS c, sum(v) AS t FROM e GROUP BY k',
  by_s: 'SELECT s, count(*) AS c, max(k) AS t FROM e GROUP BY s',
  third: 'SELECT k, count(*) AS c, sum(v) AS t FROM e WHERE v % 3 = 0 GROUP BY k',
  with_bad: 'SELECT k, count(*) AS c, sum(n) AS t FROM e GROUP BY k',
  total: 'SELECT count(*) AS c, min(v) AS t FROM e',
  texts: 'SELECT s, k, count(*) AS c FROM e GROUP BY s, k',
};

function expected(view: string, rows: number): [number, number] {
  let c = 0;
  let t = 0;
  for (let i = 0; i < rows; i++) {
    if ((view === 'third' && i % 3 !== 0) || (view === 'with_bad' && bad(i))) continue;
    c++;
    t += i;
  }
  return [c, t];
}

for (const parallelism of [1, 2]) {
  test(`views on one stream, parallelism ${parallelism}: drops, late comers, kill −9 and bad records of one leave the others exact`, { timeout: 120_000 }, async () => {
    const dir = temporaryFolder('shared');
    let server = await ServerProcess.start(path.join(dir, 'data'));
    try {
      const folder = path.join(dir, 'in');
      mkdirSync(folder);
      append(path.join(folder, 'a.ndjson'), 0);
      await server.query(`CREATE STREAM e (k int, v bigint, s text, n bigint) WITH (connector = 'file', path = '${folder}', format = 'json', follow = 'true', on_error = 'skip')`);
      const create = (name: string, as = name): Promise<unknown> => server.query(`SET parallelism = ${parallelism}; SET checkpoint_interval = '200ms'; CREATE MATERIALIZED VIEW ${as} AS ${VIEWS[name]}`);
      for (const name of Object.keys(VIEWS)) if (name !== 'texts') await create(name);
      append(path.join(folder, 'b.ndjson'), LINES);
      await create('texts');
      await create('by_k', 'dropped');
      const read = async (rows: number): Promise<void> => {
        for (const name of Object.keys(VIEWS)) {
          const [c] = expected(name, rows);
          await until(() => server.query(`SELECT sum(c) FROM ${name}`), r => Number(r[0]?.[0]) >= c, 30_000, `${c} rows in ${name}`);
          assert.deepEqual(await server.query(`SELECT sum(c) FROM ${name}`), [[String(c)]], name);
        }
      };
      await read(2 * LINES);
      append(path.join(folder, 'b.ndjson'), 2 * LINES);
      await server.query('DROP MATERIALIZED VIEW dropped');
      append(path.join(folder, 'a.ndjson'), 3 * LINES);
      await until(() => server.query('SELECT sum(c) FROM total'), r => Number(r[0]?.[0]) > 2 * LINES, 30_000, 'more rows');
      await server.kill();
      append(path.join(folder, 'c.ndjson'), 4 * LINES);
      server = await ServerProcess.start(path.join(dir, 'data'));
      await read(5 * LINES);
      for (const name of ['by_k', 'third', 'with_bad']) assert.deepEqual(await server.query(`SELECT sum(t) FROM ${name}`), [[String(expected(name, 5 * LINES)[1])]], name);
      await server.query(`SET shared_reading = off; SET parallelism = ${parallelism}; CREATE MATERIALIZED VIEW alone AS ${VIEWS['by_s']}`);
      await until(() => server.query('SELECT sum(c) FROM alone'), r => Number(r[0]?.[0]) === 5 * LINES, 30_000, 'the view that reads alone');
      assert.deepEqual(await server.query('(TABLE by_s EXCEPT TABLE alone) UNION ALL (TABLE alone EXCEPT TABLE by_s)'), []);
      assert.deepEqual(await server.query("SELECT job_name FROM millrace.job_failures"), []);
    } finally {
      await server.kill();
      removeFolder(dir);
    }
  });
}
