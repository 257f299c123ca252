/**
 * Savepoints, stopping, pausing and restoring, through SQL: whatever path a query's state takes, its result is that of one uninterrupted run. The
 * queries are those of the kill test (aggregates, joins, Top-N, sessions, sets of distinct values), over a file of events.
 */
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { renameSync } from 'node:fs';
import path from 'node:path';
import { generateNexmark } from '../bench/nexmark/generate.js';
import { eventFile } from '../bench/nexmark/queries.js';
import { RESULTS, VIEWS } from './killtest.js';
import { ServerProcess, removeFolder, temporaryFolder, until, type TextRow } from './serverprocess.js';

const EVENTS = 8_000;
const ENOUGH_MS = 120_000;
const dir = temporaryFolder('savepoints');
const file = path.join(dir, 'events.ndjson');
/** Of the uninterrupted run, by query. */
let expected: TextRow[][] = [];

const all = (server: ServerProcess): Promise<TextRow[][]> => Promise.all(RESULTS.map(sql => server.query(sql)));
const statuses = (server: ServerProcess): Promise<TextRow[]> => server.query('SELECT DISTINCT status FROM millrace.jobs');
async function finish(server: ServerProcess): Promise<void> {
  await until(() => server.query("SELECT count(*) FILTER (WHERE status <> 'finished'), (SELECT min(message) FROM millrace.job_failures) FROM millrace.jobs"), r => r[0]?.[0] === '0' || r[0]?.[1] !== null, ENOUGH_MS, 'the end of all jobs');
  assert.deepEqual(await server.query('SELECT job_name, message FROM millrace.job_failures'), []);
}
function same(actual: readonly TextRow[][], what: string): void { RESULTS.forEach((sql, i) => { assert.deepEqual(actual[i], expected[i], `${sql} ${what}`); }); }
/** Reads a part of the events, slowly enough for what the test does meanwhile. */
const RATE = 700;
const slowly = (parallelism: number): string => `SET checkpoint_interval = '200ms'; SET parallelism = ${parallelism}; ${eventFile(file, `, rows_per_second = ${RATE}`)}`;
/** The statement for each job in this state; those that end by themselves meanwhile are let be. */
async function each(server: ServerProcess, status: string, statement: (job: string) => string): Promise<void> {
  const ended = (e: unknown): TextRow[] => { if (e instanceof Error && /is finished/.test(e.message)) return []; throw e; };
  const jobs = await server.query(`SELECT job_name FROM millrace.jobs WHERE status = '${status}'`);
  await Promise.all(jobs.map(([job]) => server.query(statement(String(job))).catch(ended)));
}
/** More of the stream has been read by every job that reads it, or all of it. */
async function more(server: ServerProcess): Promise<void> {
  const read = async (): Promise<TextRow[]> => server.query('SELECT job_name, sum(position::int8), sum(lag) FROM millrace.sources GROUP BY job_name');
  const from = new Map((await read()).map(r => [r[0], Number(r[1])]));
  await until(read, rows => rows.every(r => Number(r[1]) > (from.get(r[0] ?? '') ?? 0) || r[2] === '0'), ENOUGH_MS, 'more events');
}

before(async () => {
  await generateNexmark({ events: EVENTS, file, seed: 7 });
  const server = await ServerProcess.start(path.join(dir, 'whole'));
  try {
    await server.query(`SET parallelism = 1; ${eventFile(file, '')} ${VIEWS}`);
    await finish(server);
    expected = await all(server);
    assert.ok(expected.every(rows => rows.length > 0));
  } finally {
    await server.kill();
  }
});
after(() => { removeFolder(dir); });

test('jobs that are paused and go on with 3 and 2 in place of 1 parallel tasks end with the same results', async () => {
  const server = await ServerProcess.start(path.join(dir, 'rescaled'));
  try {
    await server.query(`${slowly(1)} ${VIEWS}`);
    for (const parallelism of [3, 2]) {
      await more(server);
      await each(server, 'running', job => `PAUSE JOB ${job}`);
      assert.ok((await statuses(server)).some(r => r[0] === 'paused'));
      assert.ok(Number((await server.query('SELECT count(*) FROM last_bid'))[0]?.[0]) > 0, 'views of a paused job are read');
      await each(server, 'paused', job => `RESUME JOB ${job} WITH (parallelism = ${parallelism})`);
      assert.deepEqual(await server.query("SELECT DISTINCT parallelism FROM millrace.jobs WHERE status = 'running'"), [[String(parallelism)]]);
    }
    await finish(server);
    same(await all(server), 'after 1, 3 and 2 tasks');
  } finally {
    await server.kill();
  }
});

/** Each view of VIEWS with its own restore_from. */
function restoring(from: (view: string) => string | null): string {
  return VIEWS.replace(/CREATE MATERIALIZED VIEW (\w+) AS/g, (statement, view: string) => {
    const where = from(view);
    return where === null ? statement : `CREATE MATERIALIZED VIEW ${view} WITH (restore_from = '${where}') AS`;
  });
}

test('savepoints of stopped jobs, moved elsewhere, go on in another server at another parallelism, and end with the same results', async () => {
  const moved = path.join(dir, 'moved');
  const target = path.join(dir, 'target');
  const first = await ServerProcess.start(path.join(dir, 'first'));
  const folders = new Map<string, string>();
  try {
    await first.query(`${slowly(1)} ${VIEWS}`);
    await more(first);
    await each(first, 'running', job => `STOP JOB ${job} WITH SAVEPOINT '${target}'`);
    assert.deepEqual(await statuses(first), [['finished']]);
    for (const [job, where] of await first.query('SELECT job_name, path FROM millrace.savepoints')) folders.set(String(job), path.join(moved, path.basename(String(where))));
  } finally {
    await first.kill();
  }
  renameSync(target, moved);
  removeFolder(path.join(dir, 'first'));
  const second = await ServerProcess.start(path.join(dir, 'second'));
  try {
    await second.query(slowly(3));
    await second.query(`SET allow_non_restored_state = on; SET checkpoint_interval = '200ms'; SET parallelism = 3; ${restoring(view => folders.get(view) ?? null)}`);
    await finish(second);
    same(await all(second), 'after a restore');
  } finally {
    await second.kill();
  }
});

test('where a savepoint goes: the folder of its statement, else of its session, of its job, of the data directory', async () => {
  const data = path.join(dir, 'places');
  const server = await ServerProcess.start(data);
  try {
    const of = (name: string): string => path.join(dir, `places-${name}`);
    await server.query(`CREATE TABLE t (k int); INSERT INTO t VALUES (1); CREATE MATERIALIZED VIEW plain AS SELECT k FROM t; SET savepoint_directory = '${of('job')}'; CREATE MATERIALIZED VIEW own AS SELECT k FROM t`);
    const taken = async (statements: string): Promise<string> => String((await server.query(statements))[0]?.[1]);
    const under = async (folder: string, statements: string): Promise<void> => { const at = await taken(statements); assert.ok(at.includes(`${folder}/`), `${statements} went to ${at}`); };
    await under(path.join(data, 'savepoints'), 'CREATE SAVEPOINT FOR JOB plain');
    await under(of('job'), 'CREATE SAVEPOINT FOR JOB own');
    await under(of('session'), `SET savepoint_directory = '${of('session')}'; CREATE SAVEPOINT FOR JOB own`);
    await under(of('flink'), `SET "execution.checkpointing.savepoint-dir" = '${of('flink')}'; STOP JOB plain WITH SAVEPOINT`);
    await under(of('statement'), `SET savepoint_directory = '${of('session')}'; CREATE SAVEPOINT FOR JOB own TO '${of('statement')}'`);
    await under(path.join(data, 'savepoints'), `SET savepoint_directory = ''; STOP JOB own WITH SAVEPOINT`);
  } finally {
    await server.kill();
  }
});
