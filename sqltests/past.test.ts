/**
 * What checkpoints hold, as SQL rows: views AS OF CHECKPOINT n against what they were when it was taken, the state of every kind of operator against
 * PostgreSQL's answer over the same rows, and differences of two checkpoints; at parallelism 1 and 2, also after a restart.
 */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { PGlite } from '@electric-sql/pglite';
import pg from 'pg';
import { open, type Server } from '../server/open.js';
import { oracleRows, sameRows, type TextRows } from './oraclerows.js';
import { removeFolder, temporaryFolder } from './serverprocess.js';

const VIEWS: Readonly<Record<string, string>> = {
  grouped: 'SELECT g, count(*) AS n, sum(v) AS total, max(s) AS top FROM t GROUP BY g',
  joined: 'SELECT t.id, t.v, u.name FROM t JOIN u ON u.g = t.g',
  best: 'SELECT id, g, v FROM (SELECT *, row_number() OVER (PARTITION BY g ORDER BY v DESC, id) AS r FROM t) x WHERE r <= 2',
  keyless: 'SELECT v % 3 AS m FROM t',
  windowed: 'SELECT id, sum(v) OVER (PARTITION BY g ORDER BY id) AS running FROM t',
};
const CHANGES: readonly string[] = [
  "INSERT INTO t VALUES (1, 1, 10, 'a'), (2, 1, 20, 'b'), (3, 2, 5, NULL), (4, NULL, 7, 'd')",
  "INSERT INTO t VALUES (5, 2, 50, 'e'); UPDATE t SET v = 11 WHERE id = 1; DELETE FROM t WHERE id = 2",
  'UPDATE t SET g = 3 WHERE g = 1; DELETE FROM u WHERE g = 2',
];

class Both {
  readonly dir = temporaryFolder('past');
  server: Server | null = null;
  client = new pg.Client();
  async start(): Promise<void> {
    this.server = await open({ data: this.dir, port: 0, logLevel: 'error' });
    this.client = new pg.Client({ host: '127.0.0.1', port: this.server.port, user: 'test', database: 'test', types: { getTypeParser: () => (v: string | Buffer): string => v.toString() } as unknown as pg.CustomTypesConfig });
    await this.client.connect();
  }
  async stop(): Promise<void> {
    await this.client.end();
    await this.server?.close();
  }
  async rows(sql: string): Promise<TextRows> { return (await this.client.query({ text: sql, rowMode: 'array' })).rows as TextRows; }
  /** The id of the operator of this kind in the view's job. */
  async operator(view: string, kind: string): Promise<number> {
    const [row] = await this.rows(`SELECT min(operator_id) FROM operators WHERE job_name = '${view}' AND operator = '${kind}'`);
    return Number(row[0]);
  }
}

for (const parallelism of [1, 2]) {
  test(`views as of every checkpoint are what they were, states are what PostgreSQL counts, differences add up, parallelism ${parallelism}`, { timeout: 120_000 }, async () => {
    const m = new Both();
    const oracle = await PGlite.create();
    await m.start();
    try {
      const schema = 'CREATE TABLE t (id int PRIMARY KEY, g int, v int, s text); CREATE TABLE u (g int PRIMARY KEY, name text)';
      await oracle.exec(schema);
      await m.client.query(schema);
      await m.client.query(`SET parallelism = ${parallelism}; SET checkpoint_interval = 0; SET retained_checkpoints = 5`);
      for (const [name, sql] of Object.entries(VIEWS)) await m.client.query(`CREATE MATERIALIZED VIEW ${name} AS ${sql}`);
      const both = async (sql: string): Promise<void> => { await oracle.exec(sql); await m.client.query(sql); };
      await both("INSERT INTO u VALUES (1, 'one'), (2, 'two'), (3, 'three')");
      const past: { readonly ids: Record<string, number>; readonly rows: Record<string, TextRows> }[] = [];
      for (const change of CHANGES) {
        await both(change);
        await m.client.query('FLUSH; CHECKPOINT');
        const ids = Object.fromEntries((await m.rows('SELECT job_name, last_checkpoint_id FROM jobs')).map(r => [r[0] ?? '', Number(r[1])]));
        const rows: Record<string, TextRows> = {};
        for (const [name, sql] of Object.entries(VIEWS)) rows[name] = await oracleRows(oracle, sql);
        past.push({ ids, rows });
      }
      const checkPast = async (): Promise<void> => {
        for (const { ids, rows } of past) {
          for (const name of Object.keys(VIEWS)) sameRows(await m.rows(`SELECT * FROM ${name} AS OF CHECKPOINT ${ids[name]}`), rows[name], `${name} in checkpoint ${ids[name]}`);
        }
      };
      await checkPast();
      const [first, second, third] = past;
      sameRows(await m.rows(`SELECT a.g, a.n, b.n FROM grouped AS OF CHECKPOINT ${first.ids['grouped']} a FULL JOIN grouped b ON b.g = a.g WHERE a.g = 1 OR b.g = 3`), [['1', '2', null], [null, null, '1']], 'past and present in one query');
      const diff = await m.rows(`SELECT weight, g, n, total FROM millrace.checkpoint_diff('grouped', ${first.ids['grouped']}, ${second.ids['grouped']})`);
      sameRows(diff, [['-1', '1', '2', '30'], ['1', '1', '1', '11'], ['-1', '2', '1', '5'], ['1', '2', '2', '55']], 'checkpoint_diff');
      sameRows(await m.rows(`SELECT * FROM checkpoint_diff('joined', ${third.ids['joined']}, ${third.ids['joined']})`), [], 'a checkpoint does not differ from itself');

      // States, in the last completed checkpoint and in an older one.
      const group = await m.operator('grouped', 'aggregate');
      sameRows(await m.rows(`SELECT part, g, n, total, top FROM millrace.state('grouped', ${group}) AS s (subtask, part, g, n, total, top)`), third.rows['grouped'].map(r => ['groups', ...r]), 'groups');
      sameRows(await m.rows(`SELECT g, n FROM millrace.state('grouped', ${group}, ${first.ids['grouped']}) AS s (subtask, part, g, n)`), first.rows['grouped'].map(r => r.slice(0, 2)), 'groups of the first checkpoint');
      const join = await m.operator('joined', 'join');
      const kept = await m.rows(`SELECT state_table, count(*) FROM millrace.state('joined', ${join}, ${second.ids['joined']}) GROUP BY 1`);
      sameRows(kept, [['left', '3'], ['right', '3']].map(r => r), 'rows of both sides whose key is not NULL');
      const top = await m.operator('best', 'topn');
      sameRows(await m.rows(`SELECT id, g, v FROM millrace.state('best', ${top})`), await oracleRows(oracle, 'SELECT id, g, v FROM t'), 'Top-N over rows that change keeps all');
      const over = await m.operator('windowed', 'over');
      sameRows(await m.rows(`SELECT id, v FROM millrace.state('windowed', ${over})`), await oracleRows(oracle, 'SELECT id, v FROM t'), 'rows of partitions');
      const view = await m.operator('keyless', 'materialize');
      sameRows(await m.rows(`SELECT m FROM millrace.state('keyless', ${view})`), third.rows['keyless'], 'a view without key, with its duplicates');
      const changed = await m.rows(`SELECT weight, g FROM checkpoint_diff('grouped', ${second.ids['grouped']}, ${third.ids['grouped']}, ${group})`);
      sameRows(changed, [['-1', '1'], ['1', '3']], 'difference of a state');

      const explained = (await m.rows('EXPLAIN ANALYZE CHECKPOINT JOB grouped')).map(r => r[0] ?? '');
      assert.match(explained[0], new RegExp(`^Checkpoint ${third.ids['grouped']} of job "grouped": completed, exactly_once, aligned`));
      assert.match(explained.join('\n'), /-> Task 0\.0: .* after the trigger \(start delay .*, alignment .*, sync .*, async .*\)/);
      assert.match(explained.join('\n'), /Aggregate .*\(operator \d+\): \d+ entries, .* %/);
      sameRows(await m.rows("SELECT metric, checkpoints FROM checkpoint_summary WHERE job_name = 'grouped' AND metric = 'duration_ms' AND min <= p50 AND p50 <= p99 AND p99 <= max"), [['duration_ms', '3']], 'summary');
      sameRows(await m.rows("SELECT total, completed, failed, in_progress FROM checkpoint_counts WHERE job_name = 'grouped'"), [['3', '3', '0', '0']], 'counts');

      // Savepoints and the last checkpoint of PAUSE have tasks' parts as well, and are explained by their number.
      const savepoint = (await m.rows('CREATE SAVEPOINT FOR JOB grouped'))[0][2] ?? '';
      await m.rows('PAUSE JOB grouped');
      sameRows(await m.rows(`SELECT kind, acknowledged_tasks = total_tasks, (SELECT count(*) FROM checkpoint_tasks t WHERE t.job_id = c.job_id AND t.checkpoint_id = c.checkpoint_id) = c.total_tasks
        FROM checkpoints c WHERE job_name = 'grouped' AND checkpoint_id >= ${savepoint}`), [['savepoint', 't', 't'], ['checkpoint', 't', 't']], 'tasks of savepoint and last checkpoint');
      assert.match((await m.rows(`EXPLAIN ANALYZE CHECKPOINT ${savepoint} JOB grouped`)).join('\n'), /^Savepoint \d+ of job "grouped": completed[^]*-> Task 0\.0: /);
      await m.rows('RESUME JOB grouped');

      await m.stop();
      await m.start();
      await checkPast();
    } finally {
      await m.stop();
      await oracle.close();
      removeFolder(m.dir);
    }
  });
}

test('append-only state: row logs, the last row of each key, and positions of a stream are rows too', { timeout: 60_000 }, async () => {
  const m = new Both();
  await m.start();
  try {
    await m.client.query(`SET parallelism = 1; SET checkpoint_interval = 0;
      CREATE STREAM a (k int, x text); CREATE STREAM b (k int, y numeric);
      CREATE MATERIALIZED VIEW pairs AS SELECT a.k, x, y FROM a JOIN b ON b.k = a.k;
      CREATE MATERIALIZED VIEW last AS SELECT k, x FROM (SELECT *, row_number() OVER (PARTITION BY k ORDER BY x DESC) AS r FROM a) q WHERE r = 1`);
    await m.client.query("INSERT INTO a VALUES (1, 'p'), (1, 'q'), (2, 'r'); INSERT INTO b VALUES (1, 1.50), (3, NULL)");
    await m.client.query('FLUSH; CHECKPOINT');
    const join = await m.operator('pairs', 'join');
    sameRows(await m.rows(`SELECT state_table, k, x, y FROM state('pairs', ${join})`), [['left', '1', 'p', null], ['left', '1', 'q', null], ['left', '2', 'r', null], ['right', '1', null, '1.50'], ['right', '3', null, null]], 'row logs');
    const top = await m.operator('last', 'topn');
    sameRows(await m.rows(`SELECT k, x FROM state('last', ${top})`), [['1', 'q'], ['2', 'r']], 'one row a key');
    const source = await m.rows("SELECT min(operator_id) FROM operators WHERE job_name = 'pairs'");
    assert.ok(source.length === 1);
  } finally {
    await m.stop();
    removeFolder(m.dir);
  }
});

test('what cannot be read says so', { timeout: 60_000 }, async () => {
  const m = new Both();
  await m.start();
  try {
    await m.client.query(`SET checkpoint_interval = 0; SET parallelism = 1; CREATE TABLE t (id int PRIMARY KEY, g int); CREATE MATERIALIZED VIEW v AS SELECT g, count(*) AS n FROM t GROUP BY g;
      SET checkpoint_mode = 'at_least_once'; CREATE MATERIALIZED VIEW loose AS SELECT g, count(*) AS n FROM t GROUP BY g`);
    await m.client.query('CHECKPOINT');
    const loose = (await m.rows("SELECT last_checkpoint_id FROM jobs WHERE job_name = 'loose'"))[0][0];
    const cases: readonly [sql: string, code: string, text: RegExp, hint: RegExp][] = [
      ['SELECT * FROM v AS OF CHECKPOINT 999', '42704', /checkpoint 999 of job "v" is not there/, /Retained are \d/],
      ['SELECT * FROM t AS OF CHECKPOINT 1', '0A000', /AS OF CHECKPOINT of a table/, /materialized views/],
      ['CREATE MATERIALIZED VIEW w AS SELECT * FROM v AS OF CHECKPOINT 1', '0A000', /in a continuous query/, /./],
      [`SELECT * FROM loose AS OF CHECKPOINT ${loose}`, '0A000', /at_least_once/, /millrace\.state/],
      ["SELECT * FROM millrace.state('v', 9999)", '22023', /no operator 9999/, /Operators of the job with state: .*aggregate/],
      ["SELECT * FROM millrace.state('nothing', 1)", '42704', /job "nothing" does not exist/, /./],
      ["SELECT * FROM millrace.state('v')", '42883', /wrong arguments/, /millrace\.state\('job', operator_id/],
      ["SELECT * FROM millrace.checkpoint_diff('v', 1)", '42883', /wrong arguments/, /checkpoint_diff/],
      ["SELECT * FROM millrace.checkpoint_diff('v', 1, 999)", '42704', /checkpoint 999/, /Retained/],
    ];
    for (const [sql, code, text, hint] of cases) {
      await assert.rejects(m.client.query(sql), (e: pg.DatabaseError) => {
        assert.equal(e.code, code, sql);
        assert.match(e.message, text, sql);
        if (e.code !== '0A000') assert.match(e.hint ?? '', hint, sql);
        return true;
      });
    }
    assert.equal((await m.rows(`SELECT count(*) FROM state('loose', ${await m.operator('loose', 'aggregate')})`))[0][0], '0', 'a state of any mode is shown as it is');
  } finally {
    await m.stop();
    removeFolder(m.dir);
  }
});
