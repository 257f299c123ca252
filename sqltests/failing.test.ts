/** Checkpoints and jobs that fail in a server: what its tables say of them, what ALTER JOB changes, and that others are left in peace. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { appendFileSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import pg from 'pg';
import { open, type Server } from '../server/open.js';
import { faultPlan, type FaultRule } from '../storage/faults.js';
import { removeFolder, ServerProcess, temporaryFolder, until, type TextRow } from './serverprocess.js';

/** A server in this process; `armed` is the file that lets its faults strike. */
async function serve(rules: (armed: string) => readonly FaultRule[], work: (s: { sql: (text: string) => Promise<TextRow[]>; armed: string; dir: string }) => Promise<void>): Promise<void> {
  const dir = temporaryFolder('failing');
  const armed = path.join(dir, 'armed');
  let server: Server | null = null;
  let client: pg.Client | null = null;
  try {
    server = await open({ data: path.join(dir, 'data'), port: 0, logLevel: 'fatal', settings: { workers: '2' }, faults: faultPlan(rules(armed)) });
    client = new pg.Client({ host: '127.0.0.1', port: server.port, user: 'test', database: 'test', types: { getTypeParser: () => (v: string | Buffer): string => v.toString() } as unknown as pg.CustomTypesConfig });
    await client.connect();
    const connected = client;
    const sql = async (text: string): Promise<TextRow[]> => {
      const result: unknown = await connected.query({ text, rowMode: 'array' });
      return ((Array.isArray(result) ? result[result.length - 1] : result) as { rows: TextRow[] }).rows;
    };
    await work({ sql, armed, dir });
  } finally {
    rmSync(armed, { force: true });
    await client?.end();
    await server?.close();
    removeFolder(dir);
  }
}

/** INSERTs go on until the answer is good: a job that nothing goes through takes no checkpoint. */
async function untilSql(sql: (text: string) => Promise<TextRow[]>, ask: string, good: (rows: readonly TextRow[]) => boolean, what: string): Promise<TextRow[]> {
  let n = 0;
  return until(async () => {
    await sql(`INSERT INTO t VALUES (nextkey(${n++}), 1)`.replace(/nextkey\((\d+)\)/, (_, k: string) => String(Date.now() * 1000 + Number(k) % 1000)));
    return sql(ask);
  }, good, 30_000, what);
}

const TABLE = 'CREATE TABLE t (k bigint PRIMARY KEY, v int)';
const VIEW = 'CREATE MATERIALIZED VIEW m AS SELECT v, count(*) AS n FROM t GROUP BY v';

test('a decline is shown with its reason, is tolerated, and the next success begins the count anew; CHECKPOINT says why it failed', { timeout: 120_000 }, async () => {
  await serve(armed => [{ operation: 'file.write', path: '/shared/', fault: 'ENOSPC', armedBy: armed }], async ({ sql, armed }) => {
    await sql(`${TABLE}; SET checkpoint_interval = '50ms'; SET tolerable_failed_checkpoints = 1000000; ${VIEW}`);
    await untilSql(sql, "SELECT 1 FROM millrace.checkpoints WHERE status = 'completed'", r => r.length > 0, 'a checkpoint');
    writeFileSync(armed, '');
    await untilSql(sql, "SELECT 1 FROM millrace.checkpoints WHERE status = 'failed'", r => r.length >= 2, 'failed checkpoints');
    await sql('INSERT INTO t VALUES (-1, 1)');
    await assert.rejects(sql('CHECKPOINT'), (e: { code?: string; detail?: string }) => e.code === '58000' && /CHECKPOINT_ASYNC_EXCEPTION/.test(e.detail ?? ''));
    const [failed] = await sql("SELECT failure_reason, failure_message FROM millrace.checkpoints WHERE status = 'failed' ORDER BY checkpoint_id LIMIT 1");
    assert.equal(failed[0], 'CHECKPOINT_ASYNC_EXCEPTION');
    assert.match(failed[1] ?? '', /^task .*ENOSPC/);
    rmSync(armed);
    await sql('CHECKPOINT');
    assert.deepEqual(await sql("SELECT status, restarts FROM millrace.jobs WHERE job_name = 'm'"), [['running', '0']]);
    assert.deepEqual(await sql("SELECT status FROM millrace.checkpoints ORDER BY checkpoint_id DESC LIMIT 1"), [['completed']]);
    assert.deepEqual(await sql('SELECT sum(n) = (SELECT count(*) FROM t) FROM m'), [['t']]);
  });
});

test('one failure more than ALTER JOB lets it tolerate fails the job over, and what restart_strategy none means holds at once', { timeout: 120_000 }, async () => {
  await serve(armed => [{ operation: 'file.write', path: '/shared/', fault: 'EIO', armedBy: armed }], async ({ sql, armed }) => {
    await sql(`${TABLE}; SET checkpoint_interval = '50ms'; SET tolerable_failed_checkpoints = 1000000; SET restart_backoff_initial = '20ms'; SET restart_backoff_max = '20ms'; ${VIEW}`);
    await sql('INSERT INTO t VALUES (1, 1)');
    await sql('CHECKPOINT');
    writeFileSync(armed, '');
    await untilSql(sql, "SELECT 1 FROM millrace.checkpoints WHERE status = 'failed'", r => r.length >= 1, 'a failed checkpoint');
    assert.deepEqual(await sql('SELECT count(*) FROM millrace.job_failures'), [['0']]);
    await sql('ALTER JOB m SET (tolerable_failed_checkpoints = 0)');
    const [row] = await untilSql(sql, 'SELECT action, message FROM millrace.job_failures ORDER BY 1', r => r.length >= 1, 'a failover');
    assert.deepEqual(row, ['restarted', 'exceeded checkpoint tolerable failure threshold']);
    await sql("ALTER JOB m SET (restart_strategy = 'none')");
    await untilSql(sql, "SELECT 1 FROM millrace.jobs WHERE job_name = 'm' AND status = 'failed'", r => r.length === 1, 'the end of the job');
    assert.deepEqual(await sql('SELECT count(*) > 0 FROM m'), [['t']], 'its view stays readable');
  });
});

test('expired: the time is checkpoint_timeout of now, and the tolerance counts it', { timeout: 120_000 }, async () => {
  await serve(armed => [{ operation: 'checkpoint.acknowledge', fault: 'stall', stallMs: 600, armedBy: armed }], async ({ sql, armed }) => {
    await sql(`${TABLE}; SET checkpoint_interval = '50ms'; SET tolerable_failed_checkpoints = 1000000; ${VIEW}`);
    await untilSql(sql, "SELECT 1 FROM millrace.checkpoints WHERE status = 'completed'", r => r.length > 0, 'a checkpoint');
    await sql("ALTER JOB m SET (checkpoint_timeout = '100ms')");
    writeFileSync(armed, '');
    const [expired] = await untilSql(sql, "SELECT failure_reason, failure_message, acknowledged_tasks < total_tasks FROM millrace.checkpoints WHERE status = 'expired' ORDER BY checkpoint_id", r => r.length > 0, 'an expired checkpoint');
    assert.equal(expired[0], 'CHECKPOINT_EXPIRED');
    assert.match(expired[1] ?? '', /was not complete after 100 ms/);
    assert.equal(expired[2], 't');
    rmSync(armed);
    await untilSql(sql, "SELECT status FROM millrace.checkpoints ORDER BY checkpoint_id DESC LIMIT 1", r => r[0]?.[0] === 'completed', 'a checkpoint afterwards');
    assert.deepEqual(await sql('SELECT count(*) FROM millrace.job_failures'), [['0']]);
  });
});

test('a job of a shared reader fails: the others do not restart, and lose no row', { timeout: 120_000 }, async () => {
  await serve(() => [], async ({ sql, dir }) => {
    const folder = path.join(dir, 'in');
    mkdirSync(folder);
    const lines = (from: number, to: number): string => Array.from({ length: to - from }, (_, i) => `${JSON.stringify({ k: (from + i) % 7, v: from + i })}\n`).join('');
    appendFileSync(path.join(folder, 'a.ndjson'), lines(0, 5000));
    await sql(`CREATE STREAM e (k int, v bigint) WITH (connector = 'file', path = '${folder}', format = 'json', follow = 'true')`);
    await sql("SET parallelism = 1; SET checkpoint_interval = '100ms'; CREATE MATERIALIZED VIEW good AS SELECT k, count(*) AS n, sum(v) AS s FROM e GROUP BY k");
    await sql('CREATE MATERIALIZED VIEW broken AS SELECT k, sum(10 / (v - 7500)) AS s FROM e GROUP BY k');
    await sql('CREATE MATERIALIZED VIEW other AS SELECT count(*) AS n FROM e');
    await until(() => sql('SELECT (SELECT sum(n) FROM good), (SELECT n FROM other)'), r => r[0]?.[0] === '5000' && r[0][1] === '5000', 30_000, 'the first rows');
    appendFileSync(path.join(folder, 'a.ndjson'), lines(5000, 10_000));
    await until(() => sql('SELECT (SELECT sum(n) FROM good), (SELECT n FROM other)'), r => r[0]?.[0] === '10000' && r[0][1] === '10000', 30_000, 'all rows');
    await until(() => sql("SELECT status FROM millrace.jobs WHERE job_name = 'broken'"), r => r[0]?.[0] === 'failed', 30_000, 'the failure');
    assert.deepEqual(await sql("SELECT job_name, restarts, status FROM millrace.jobs WHERE job_name <> 'broken' ORDER BY 1"), [['good', '0', 'running'], ['other', '0', 'running']]);
    assert.deepEqual(await sql('SELECT sum(s) FROM good'), [[String(9999 * 10_000 / 2)]]);
    assert.deepEqual(await sql('SELECT job_name FROM millrace.job_failures'), [['broken']]);
  });
});

test('a job that failed before its first checkpoint has no rows to show, and says so; RESUME runs it once its cause is mended', { timeout: 120_000 }, async () => {
  await serve(() => [], async ({ sql }) => {
    await sql(`${TABLE}; INSERT INTO t VALUES (1, 0), (2, 4)`);
    await assert.rejects(sql('CREATE MATERIALIZED VIEW m AS SELECT k, 8 / v AS q FROM t'), (e: { code?: string; hint?: string }) => e.code === '55000' && e.hint?.includes('RESUME JOB') === true);
    for (let i = 0; i < 2; i++) {
      await assert.rejects(sql('SELECT * FROM m'), (e: { code?: string; message?: string; detail?: string; hint?: string }) =>
        e.code === '55000' && e.message === 'the views of job "m" cannot be read: it failed before its first checkpoint' && e.detail === 'division by zero' && e.hint?.includes('RESUME JOB m;') === true);
    }
    await sql('DELETE FROM t WHERE v = 0');
    await sql('RESUME JOB m');
    await sql('FLUSH');
    assert.deepEqual(await sql('SELECT * FROM m'), [['2', '2']]);
    await sql('INSERT INTO t VALUES (3, 8)');
    await sql('FLUSH');
    assert.deepEqual(await sql('SELECT * FROM m ORDER BY k'), [['2', '2'], ['3', '1']]);
    await assert.rejects(sql('RESUME JOB m'), (e: { code?: string; message?: string }) => e.code === '55000' && e.message === 'job "m" is running: only a paused or failed job is resumed');
  });
});

test('a GROUP BY of more aggregates with values of their own than fit is refused by name, ad hoc and as a view, which is not left behind', { timeout: 60_000 }, async () => {
  const dir = temporaryFolder('failing');
  const server = await ServerProcess.start(path.join(dir, 'data'));
  try {
    const names = Array.from({ length: 16 }, (_, i) => `c${i}`);
    await server.query(`CREATE TABLE wide (${names.map(n => `${n} text`).join()})`);
    const query = (count: number): string => `SELECT ${names.slice(0, count).map(n => `count(DISTINCT ${n}) AS ${n}`).join()} FROM wide`;
    for (const statement of [query(16), `CREATE MATERIALIZED VIEW v AS ${query(16)}`]) await assert.rejects(server.query(statement), { code: '54000', hint: /several views/ });
    await server.query(`CREATE MATERIALIZED VIEW v AS ${query(15)}`);
    await server.query('INSERT INTO wide (c0) VALUES (1), (2), (1)');
    await server.query('FLUSH');
    assert.deepEqual(await server.query('SELECT c0, c1, c14 FROM v'), [['2', '0', '0']]);
  } finally {
    await server.kill();
    removeFolder(dir);
  }
});
