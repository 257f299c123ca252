/** A server after kill −9 whose jobs take their time to come back: it answers meanwhile, and what needs a job waits for it. */
import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { FaultRule } from '../storage/faults.js';
import type { FaultServerOptions } from './faults/server.js';
import { removeFolder, ServerProcess, temporaryFolder, until, type TextRow } from './serverprocess.js';

const SERVER = fileURLToPath(new URL('./faults/server.js', import.meta.url));
const RESTORE_MS = 4000;

const start = (data: string, slow: boolean): Promise<ServerProcess> => {
  const options: FaultServerOptions = { data, workers: 1, plantedBug: false, rules: slow ? [{ operation: 'job.restore', path: 'slow', times: 1, fault: 'stall', stallMs: RESTORE_MS }] : [] };
  return ServerProcess.run([SERVER, JSON.stringify(options)], { until: slow ? 'listening' : 'ready' });
};

test('clients are let in while jobs come back: INSERT goes on, what reads a job waits for it, and nothing is lost', { timeout: 60_000 }, async () => {
  const dir = temporaryFolder('comingback');
  const data = path.join(dir, 'data');
  let server = await start(data, false);
  try {
    await server.query(`CREATE TABLE t (k int, v int); CREATE MATERIALIZED VIEW slow AS SELECT k, sum(v) AS s FROM t GROUP BY k; CREATE MATERIALIZED VIEW gone AS SELECT k FROM t;
      INSERT INTO t SELECT i % 3, i FROM generate_series(1, 999) AS g(i); FLUSH`);
    await server.query('CHECKPOINT');
    await server.query('INSERT INTO t VALUES (0, 1000)');
    await server.kill();

    server = await start(data, true);
    const began = Date.now();
    const statusOf = (job: string) => () => server.query(`SELECT status, restarts FROM millrace.jobs WHERE job_name = '${job}'`);
    assert.deepEqual(await statusOf('slow')(), [['restarting', '0']]);
    await server.query('INSERT INTO t VALUES (1, 10), (7, 7)');
    await assert.rejects(server.query('CHECKPOINT JOB slow'), { code: '55000', message: 'job "slow" is restarting: it takes no checkpoint' });
    const client = await server.connect();
    await client.query("SET statement_timeout = '300ms'");
    await assert.rejects(client.query('SELECT * FROM slow'), { code: '57014' });
    await client.end();
    assert.ok(Date.now() - began < RESTORE_MS, 'all that while the job is coming back');
    const [read, made] = await Promise.all([
      server.query('SELECT k, s FROM slow ORDER BY k'),
      server.query('CREATE MATERIALIZED VIEW over AS SELECT sum(s) AS all_of FROM slow; FLUSH').then(() => server.query('SELECT * FROM over')),
      server.query('DROP MATERIALIZED VIEW gone'),
    ]);
    assert.deepEqual(read, [['0', '167833'], ['1', '166177'], ['2', '166500'], ['7', '7']]);
    assert.deepEqual(made, [['500517']]);
    await until(statusOf('slow'), rows => rows[0][0] === 'running', 5000, 'running');
    assert.deepEqual(await statusOf('gone')(), []);
    assert.deepEqual(await server.query(`SELECT * FROM millrace.job_failures`), []);
    assert.equal(await server.stop(), 0);

    server = await start(data, true);
    await server.kill();
    server = await start(data, false);
    assert.deepEqual(await server.query('SELECT k, s FROM slow ORDER BY k'), read);
  } finally {
    await server.kill();
    removeFolder(dir);
  }
});

test('how far a job is that comes back, as rows: from its files alone, then from local state', { timeout: 120_000 }, async () => {
  const dir = temporaryFolder('progress');
  const data = path.join(dir, 'data');
  const KEYS = 60_000;
  const stalled = (rule: FaultRule): Promise<ServerProcess> => {
    const options: FaultServerOptions = { data, workers: 1, plantedBug: false, rules: [{ ...rule, times: 1, fault: 'stall', stallMs: RESTORE_MS }] };
    return ServerProcess.run([SERVER, JSON.stringify(options)], { until: 'listening' });
  };
  const PROGRESS = 'SELECT job_name, worker, checkpoint_id > 0, phase, bytes_done, bytes_total, entries_done, entries_total, started_at <= now() FROM restore_progress WHERE phase = ';
  let server = await start(data, false);
  try {
    await server.query(`CREATE TABLE t (k int, v int); CREATE MATERIALIZED VIEW m AS SELECT k, sum(v) AS s FROM t GROUP BY k; INSERT INTO t SELECT i, i FROM generate_series(1, ${KEYS}) AS g(i); FLUSH`);
    await server.query('CHECKPOINT');
    assert.deepEqual(await server.query('SELECT * FROM restore_progress'), [], 'a job that runs has none');
    const seen = async (phase: string): Promise<TextRow> => {
      const [row] = await until(() => server.query(`${PROGRESS}'${phase}'`), rows => rows.length === 1 && (Number(rows[0][4]) > 0 || Number(rows[0][6]) > 0), RESTORE_MS, `phase ${phase}`);
      assert.deepEqual([row[0], row[1], row[2], row[3], row[8]], ['m', '0', 't', phase, 't']);
      return row;
    };
    const whole = async (): Promise<void> => {
      assert.deepEqual(await server.query('SELECT count(*), sum(s) FROM m'), [[String(KEYS), String(KEYS * (KEYS + 1) / 2)]]);
      assert.deepEqual(await server.query('SELECT * FROM restore_progress'), []);
    };
    await server.kill();
    rmSync(path.join(data, 'jobs'), { recursive: true });

    server = await stalled({ operation: 'file.read', path: '/shared/', after: 8, fault: 'stall' });
    const files = await seen('files');
    assert.ok(Number(files[4]) < Number(files[5]) && Number(files[5]) > KEYS * 16, files.join());
    await whole();
    await server.query('CHECKPOINT');
    assert.equal(await server.stop(), 0);

    server = await stalled({ operation: 'kv.iterate', path: '/jobs/', after: 24, fault: 'stall' });
    const memory = await seen('memory');
    assert.ok(Number(memory[6]) < Number(memory[7]) && Number(memory[7]) === 2 * KEYS, memory.join());
    await whole();
  } finally {
    await server.kill();
    removeFolder(dir);
  }
});

test('a server whose port is taken says so, and its jobs are as they were', { timeout: 60_000 }, async () => {
  const dir = temporaryFolder('port');
  let first: ServerProcess | null = null;
  let server = await ServerProcess.start(path.join(dir, 'data'));
  try {
    await server.query('CREATE TABLE t (k int); CREATE MATERIALIZED VIEW m AS SELECT count(*) AS n FROM t; INSERT INTO t VALUES (1), (2); FLUSH');
    await server.kill();
    first = await ServerProcess.start(path.join(dir, 'other'));
    await assert.rejects(ServerProcess.start(path.join(dir, 'data'), { args: ['--port', String(first.port)] }), /ended with 1:[^]*cannot listen on 127\.0\.0\.1, port \d+: [^]*hint: Another program, perhaps another Millrace/);
    server = await ServerProcess.start(path.join(dir, 'data'));
    assert.deepEqual(await server.query('SELECT n FROM m'), [['2']]);
    assert.deepEqual(await server.query('SELECT * FROM millrace.job_failures'), []);
  } finally {
    await first?.kill();
    await server.kill();
    removeFolder(dir);
  }
});
