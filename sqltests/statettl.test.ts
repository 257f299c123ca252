/** state_ttl through SQL: what goes, what stays, after restarts, at another parallelism, and what is refused. Passes are awaited by reading, which makes barriers. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { ServerProcess, removeFolder, temporaryFolder, type TextRow, until } from './serverprocess.js';

/** Entries of the job's operators of a kind. */
const entries = (server: ServerProcess, job: string, kind: string): Promise<TextRow[]> => server.query(`FLUSH; SELECT coalesce(sum(entries), 0) FROM millrace.state_tables WHERE job_name = '${job}' AND operator LIKE '${kind}%'`);
const gone = (server: ServerProcess, job: string, kind = 'aggregate'): Promise<TextRow[]> => until(() => entries(server, job, kind), rows => Number(rows[0]?.[0]) === 0, 30_000, `idle state of ${job} is dropped`);

/** Each in a transaction of its own. */
async function each(server: ServerProcess, ...statements: readonly string[]): Promise<void> { for (const sql of statements) await server.query(sql); }

async function withServer(name: string, run: (server: ServerProcess, restart: (signal: 'kill' | 'stop') => Promise<ServerProcess>) => Promise<void>): Promise<void> {
  const dir = temporaryFolder(name);
  let server = await ServerProcess.start(dir);
  try {
    await server.query("ALTER SYSTEM SET checkpoint_interval = '1h'; ALTER SYSTEM SET parallelism = 2; CREATE STREAM s (k int, v int); CREATE TABLE t (id int PRIMARY KEY, k int)");
    await run(server, async (how) => {
      await (how === 'kill' ? server.kill() : server.stop());
      return server = await ServerProcess.start(dir);
    });
  } finally {
    await server.kill();
    removeFolder(dir);
  }
}

test('groups go, the view\'s rows stay until their key comes again, and a view over the view is exact', { timeout: 120_000 }, async () => {
  await withServer('ttl', async (server) => {
    await server.query(`SET state_ttl = '300ms'; CREATE MATERIALIZED VIEW c AS SELECT k, count(*) AS n, count(DISTINCT v) AS d FROM s GROUP BY k;
      CREATE MATERIALIZED VIEW total AS SELECT sum(n) AS n, count(*) AS keys FROM c`);
    await each(server, 'INSERT INTO s SELECT x % 50, x FROM generate_series(1, 500) AS g(x)', 'FLUSH');
    assert.deepEqual(await server.query('SELECT * FROM total'), [['500', '50']]);
    // The sum has no groups and stays.
    await until(() => entries(server, 'c', 'aggregate'), rows => Number(rows[0]?.[0]) <= 1, 30_000, 'groups are dropped');
    assert.deepEqual(await server.query('SELECT count(*), sum(n), min(d) FROM c'), [['50', '500', '10']]);
    await each(server, 'INSERT INTO s VALUES (1, 1), (1, 2), (99, 1)', 'FLUSH');
    assert.deepEqual(await server.query('SELECT k, n, d FROM c WHERE k IN (1, 2, 99) ORDER BY k'), [['1', '2', '2'], ['2', '10', '10'], ['99', '1', '1']]);
    assert.deepEqual(await server.query('SELECT * FROM total'), [['493', '51']], '500 - 10 + 2 + 1');
    assert.deepEqual(await server.query('SELECT count(*), count(DISTINCT k) FROM c'), [['51', '51']]);
  });
});

test('times of writes survive kill, restart and another parallelism; keys that begin anew replace their row there too', { timeout: 120_000 }, async () => {
  await withServer('ttlrestart', async (first, restart) => {
    await first.query(`SET state_ttl = '1h'; CREATE MATERIALIZED VIEW stays AS SELECT k, count(*) AS n FROM s GROUP BY k;
      SET state_ttl = '400ms'; CREATE MATERIALIZED VIEW c AS SELECT k, count(*) AS n FROM s GROUP BY k; CREATE MATERIALIZED VIEW f AS SELECT DISTINCT ON (k) k, v FROM s ORDER BY k, v DESC`);
    await each(first, 'INSERT INTO s SELECT x % 20, x FROM generate_series(1, 100) AS g(x)', 'FLUSH', 'CHECKPOINT');
    let server = await restart('kill');
    await gone(server, 'c');
    await gone(server, 'f', 'topn');
    assert.deepEqual(await entries(server, 'stays', 'aggregate'), [['20']]);
    assert.deepEqual(await server.query('SELECT count(*), sum(n) FROM c'), [['20', '100']]);
    await each(server, 'CHECKPOINT', 'INSERT INTO s VALUES (3, 1)', 'FLUSH');
    server = await restart('kill');
    await server.query('FLUSH');
    const anew = [['3', '1', '1', '6'], ['4', '5', '84', '5']];
    const ASK = 'SELECT c.k, c.n, f.v, stays.n FROM c JOIN f ON f.k = c.k JOIN stays ON stays.k = c.k WHERE c.k IN (3, 4) ORDER BY 1';
    assert.deepEqual(await server.query(ASK), anew);
    await server.query('PAUSE JOB c; PAUSE JOB f; PAUSE JOB stays; RESUME JOB c WITH (parallelism = 3); RESUME JOB f WITH (parallelism = 1); RESUME JOB stays WITH (parallelism = 1); FLUSH');
    assert.deepEqual(await server.query(ASK), anew);
    await gone(server, 'c');
    await gone(server, 'f', 'topn');
    await each(server, 'INSERT INTO s VALUES (4, 2)', 'FLUSH');
    assert.deepEqual(await server.query(ASK), [['3', '1', '1', '6'], ['4', '1', '2', '6']]);
    server = await restart('stop');
    assert.deepEqual(await server.query(ASK), [['3', '1', '1', '6'], ['4', '1', '2', '6']]);
    assert.deepEqual(await server.query('SELECT count(*), sum(n) FROM stays'), [['20', '102']]);
  });
});

test('a join\'s rows of both sides go', { timeout: 120_000 }, async () => {
  await withServer('ttljoin', async (server) => {
    await server.query("CREATE STREAM r (k int, w text); SET state_ttl = '300ms'; CREATE MATERIALIZED VIEW j AS SELECT s.k, s.v, r.w FROM s JOIN r ON s.k = r.k");
    // Rows go in pieces of 64 KB: the first ones, once there are as many behind them.
    await each(server, "INSERT INTO s VALUES (1, 1)", "INSERT INTO r VALUES (1, 'a'), (2, 'b')", 'INSERT INTO s SELECT x, 0 FROM generate_series(100000, 104999) AS g(x)', "INSERT INTO r SELECT -x, 'w' FROM generate_series(100000, 104999) AS g(x)", 'FLUSH');
    assert.deepEqual(await server.query('SELECT * FROM j'), [['1', '1', 'a']]);
    // What comes for the first row meets it until it is gone.
    let key = 10;
    const met = async (): Promise<TextRow[]> => {
      await each(server, `INSERT INTO r VALUES (1, 'late ${++key}')`, 'FLUSH');
      return server.query(`SELECT count(*) FROM j WHERE w = 'late ${key}'`);
    };
    await until(met, rows => rows[0]?.[0] === '0', 30_000, 'the row is dropped');
    assert.deepEqual(await server.query("SELECT * FROM j WHERE k = 1 AND w = 'a'"), [['1', '1', 'a']], 'what was put out stays');
  });
});

test('what state_ttl would make wrong is refused, with the operator; a snapshot is restored with state_ttl only if it had one', { timeout: 120_000 }, async () => {
  await withServer('ttlrefused', async (server) => {
    const refused = async (statement: string, what: RegExp): Promise<void> => {
      await assert.rejects(server.query(`SET state_ttl = '1h'; ${statement}`), (e: Error & { code?: string }) => e.code === '0A000' && what.test(e.message), statement);
    };
    const view = (query: string): string => `CREATE MATERIALIZED VIEW v AS ${query}`;
    await refused(view('SELECT k, count(*) FROM t GROUP BY k'), /state_ttl with an aggregation over rows that change/);
    await refused(view('SELECT n, count(*) FROM (SELECT k, count(*) AS n FROM s GROUP BY k) x GROUP BY n'), /aggregation over a query whose own state expires/);
    await refused(view('SELECT count(*) FROM (SELECT DISTINCT k FROM s) x'), /aggregation over a query whose own state expires/);
    await refused(view('SELECT s.k, r.v FROM s LEFT JOIN s AS r ON s.k = r.k'), /a join of kind LEFT/);
    await refused(view('SELECT s.k FROM s JOIN t ON s.k = t.k'), /a join over rows that change/);
    await refused(view('SELECT k, sum(v) OVER (PARTITION BY k ORDER BY v) FROM s'), /OVER/);
    await refused(view('SELECT * FROM (SELECT k, v, row_number() OVER (PARTITION BY k ORDER BY v) AS n FROM s) x WHERE n <= 3'), /Top-N of more than the first row/);
    await refused(view('SELECT k, count(*) FROM s GROUP BY k UNION ALL SELECT v, count(*) FROM s GROUP BY v'), /UNION ALL over a query whose own state expires/);
    await server.query(`SET state_ttl = '1h'; ${view('SELECT id, k FROM t WHERE k > 0')}; CREATE MATERIALIZED VIEW g AS SELECT count(*), max(v) FROM s; CREATE MATERIALIZED VIEW c AS SELECT k, count(*) AS n FROM s GROUP BY k HAVING count(*) > 1`);
    await each(server, 'INSERT INTO t VALUES (1, 1), (2, 0)', 'INSERT INTO s VALUES (1, 1), (1, 2), (2, 1)', 'FLUSH');
    assert.deepEqual(await server.query('SELECT * FROM v'), [['1', '1']]);
    assert.deepEqual(await server.query('SELECT * FROM c'), [['1', '2']]);
    const explained = (await server.query(`SET state_ttl = '1h'; EXPLAIN ${view('SELECT k, count(*) FROM s GROUP BY k')}`)).map(r => r[0]).join('\n');
    assert.match(explained, /Aggregate by \(k\).* · frees idle keys after state_ttl · nondeterministic/);
    assert.match(explained, /replaces/);
    await refused(`EXPLAIN ${view('SELECT k, count(*) FROM t GROUP BY k')}`, /state_ttl with an aggregation over rows that change/);
    // A view that joins a job goes by the job's state_ttl.
    await assert.rejects(server.query('CREATE MATERIALIZED VIEW over_v AS SELECT k, count(*) FROM v GROUP BY k'), /state_ttl with an aggregation over rows that change/);
    const [[path]] = await server.query('CREATE SAVEPOINT FOR JOB c; SELECT path FROM millrace.savepoints') as [[string]];
    const again = `CREATE MATERIALIZED VIEW again WITH (restore_from = '${path}') AS SELECT k, count(*) AS n FROM s GROUP BY k HAVING count(*) > 1`;
    await assert.rejects(server.query(again), /does not match what is in/);
    await each(server, `SET state_ttl = '2h'; ${again}`, 'INSERT INTO s VALUES (1, 3), (2, 2)', 'FLUSH');
    assert.deepEqual(await server.query('SELECT * FROM again ORDER BY k'), [['1', '3'], ['2', '2']]);
    await assert.rejects(server.query("ALTER JOB c SET (state_ttl = '5min')"), /state_ttl/);
  });
});
