/** LISTEN and NOTIFY through a real client: between sessions, with transactions, and the server's own notifications of checkpoints and restores. Secrets: used, never shown. */
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readFileSync, readdirSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type pg from 'pg';
import { ServerProcess, removeFolder, temporaryFolder, until } from './serverprocess.js';

let dir: string;
let server: ServerProcess;

before(async () => {
  dir = temporaryFolder('notify');
  server = await ServerProcess.start(path.join(dir, 'data'));
  await server.query('CREATE TABLE t (a int PRIMARY KEY); SET checkpoint_interval = 0; CREATE MATERIALIZED VIEW v AS SELECT count(*) AS n FROM t');
});
after(async () => { await server.kill(); removeFolder(dir); });

interface Heard { readonly channel: string; readonly payload: string; readonly processId: number }
/** A client and what it is notified of, in order. */
async function listener(sql: string): Promise<{ client: pg.Client; heard: Heard[]; next: () => Promise<Heard> }> {
  const client = await server.connect();
  const heard: Heard[] = [];
  let taken = 0;
  client.on('notification', n => { heard.push({ channel: n.channel, payload: n.payload ?? '', processId: n.processId }); });
  await client.query(sql);
  const next = async (): Promise<Heard> => {
    while (heard.length <= taken) await once(client, 'notification', { signal: AbortSignal.timeout(20_000) });
    return heard[taken++];
  };
  return { client, heard, next };
}

test('a notification reaches every listener of its channel, once a transaction, and only when that commits', async () => {
  const a = await listener('LISTEN c; LISTEN "Other"');
  const b = await server.connect();
  const pid = Number((await b.query<{ pid: string }>('SELECT pg_backend_pid() AS pid')).rows[0]?.pid);
  await b.query("BEGIN; NOTIFY c, 'rolled back'; ROLLBACK");
  await assert.rejects(b.query("NOTIFY c, 'failed'; SELECT 1 / 0"));
  await b.query("BEGIN; NOTIFY c, 'x'; NOTIFY c, 'x'; NOTIFY c, 'y'; COMMIT");
  await b.query("NOTIFY other, 'folded'; NOTIFY \"Other\"");
  assert.deepEqual([await a.next(), await a.next(), await a.next()], [
    { channel: 'c', payload: 'x', processId: pid }, { channel: 'c', payload: 'y', processId: pid }, { channel: 'Other', payload: '', processId: pid },
  ]);
  // Itself too; after UNLISTEN, and after a LISTEN that rolled back, nothing.
  await a.client.query("NOTIFY c, 'own'");
  assert.equal((await a.next()).payload, 'own');
  await a.client.query('UNLISTEN c');
  await a.client.query('BEGIN; LISTEN d; ROLLBACK');
  await b.query("NOTIFY c, 'unheard'; NOTIFY d, 'unheard'; NOTIFY \"Other\", 'last'");
  assert.equal((await a.next()).payload, 'last');
  await a.client.query('UNLISTEN *; LISTEN e');
  await b.query("NOTIFY \"Other\", 'unheard'; NOTIFY e, 'end'");
  assert.equal((await a.next()).payload, 'end');
  await a.client.query('DISCARD ALL; LISTEN f');
  await b.query("NOTIFY e, 'unheard'; NOTIFY f, 'end'");
  assert.equal((await a.next()).payload, 'end');
  await assert.rejects(b.query(`NOTIFY c, '${'x'.repeat(8000)}'`), { code: '22023', message: 'payload string too long' });
  assert.deepEqual((await b.query({ text: 'SELECT pg_notify($1, $2)', values: ['f', 'by call'], rowMode: 'array' })).rows, [['']]);
  await b.query("BEGIN; SELECT pg_notify('f', 'rolled back'); ROLLBACK; SELECT pg_notify('f', a::text) FROM generate_series(1, 2) AS a");
  assert.deepEqual([(await a.next()).payload, (await a.next()).payload, (await a.next()).payload], ['by call', '1', '2']);
  await assert.rejects(b.query("SELECT pg_notify('', 'x')"), { code: '22023', message: 'channel name cannot be empty' });
  await a.client.end();
  await b.end();
});

test('a session that takes no notifications is ended past a limit, the others go on', async () => {
  const slow = await listener('LISTEN flood');
  const quick = await listener('LISTEN flood');
  const ended = once(slow.client, 'error') as Promise<[pg.DatabaseError]>;
  await slow.client.query('BEGIN');
  const b = await server.connect();
  for (let i = 0; i < 12; i++) await b.query(Array.from({ length: 100 }, (_, k) => `NOTIFY flood, '${String(i * 100 + k).padEnd(7900, 'x')}'`).join(';'));
  assert.equal((await ended)[0].code, '53400');
  for (let i = 0; i < 1200; i++) assert.equal((await quick.next()).payload.slice(0, 8), String(i).padEnd(8, 'x'));
  await b.end();
  await quick.client.end();
});

test('checkpoints are told as JSON when they end, and a job when it was restored', async () => {
  const a = await listener('LISTEN checkpoints');
  const event = async (): Promise<Record<string, unknown>> => { const n = await a.next(); assert.equal(n.channel, 'checkpoints'); return JSON.parse(n.payload) as Record<string, unknown>; };
  await server.query('INSERT INTO t VALUES (1); FLUSH; CHECKPOINT JOB v');
  const done = await event();
  const [row] = await server.query("SELECT checkpoint_id, path, state_bytes FROM checkpoints WHERE job_name = 'v' AND status = 'completed' ORDER BY checkpoint_id DESC LIMIT 1");
  assert.deepEqual([done['event'], done['job_name'], done['kind'], done['failure_reason']], ['completed', 'v', 'checkpoint', null]);
  assert.deepEqual([done['checkpoint_id'], done['path'], done['state_bytes']].map(String), row);
  assert.equal(Date.parse(String(done['completion_time'])) - Date.parse(String(done['trigger_time'])), done['duration_ms']);
  // A view that joins the job: a checkpoint, and the tasks begin anew from it.
  await server.query('CREATE MATERIALIZED VIEW joined AS SELECT n + 1 AS n FROM v');
  const before = await event();
  const restored = await event();
  assert.deepEqual([before['event'], restored['event'], restored['job_name'], restored['checkpoint_id'], restored['restarts']], ['completed', 'restored', 'v', before['checkpoint_id'], 0]);
  await a.client.end();
});

test('a checkpoint that fails is told with its reason', async () => {
  const a = await listener('LISTEN checkpoints');
  await server.query('ALTER JOB v SET (tolerable_failed_checkpoints = 1000); INSERT INTO t VALUES (7); FLUSH');
  // Checkpoints have no folder for a while.
  const folder = path.join(dir, 'data', 'checkpoints');
  renameSync(folder, `${folder}.away`);
  writeFileSync(folder, '');
  await assert.rejects(server.query('CHECKPOINT JOB v'));
  const n = JSON.parse((await a.next()).payload) as Record<string, unknown>;
  assert.equal(n['event'], 'failed');
  const [row] = await server.query(`SELECT failure_reason, failure_message FROM checkpoints WHERE job_name = 'v' AND checkpoint_id = ${String(n['checkpoint_id'])}`);
  assert.deepEqual([n['failure_reason'], n['failure_message']], row);
  assert.notEqual(n['failure_reason'], null);
  rmSync(folder);
  renameSync(`${folder}.away`, folder);
  await server.query('CHECKPOINT JOB v');
  assert.equal((JSON.parse((await a.next()).payload) as Record<string, unknown>)['event'], 'completed');
  await a.client.end();
});

test('psql prints notifications', { skip: spawnSync('psql', ['--version']).status === 0 ? false : 'SKIPPED: psql is not installed' }, () => {
  const run = spawnSync('psql', ['-X', '-q', '-h', '127.0.0.1', '-p', String(server.port), '-U', 'me', '-d', 'test'], { input: "LISTEN checkpoints;\nCHECKPOINT JOB v;\nSELECT 1;\nNOTIFY checkpoints, 'by hand';\n", encoding: 'utf8', timeout: 30_000 });
  assert.match(run.stdout, /Asynchronous notification "checkpoints" with payload "\{"event":"completed".*received from server process with PID 0\./);
  assert.match(run.stdout, /payload "by hand"/);
});

test('a secret is used by name and its value is shown nowhere', async () => {
  mkdirSync(path.join(dir, 'in'));
  const file = path.join(dir, 'in', 'hidden-4711.ndjson');
  writeFileSync(file, '{"a":1}\n{"a":2}\n');
  const client = await server.connect();
  const code = async (sql: string): Promise<string> => client.query(sql).then(() => 'accepted', (e: pg.DatabaseError) => `${e.code ?? ''} ${e.message} | ${e.hint ?? ''} | ${e.position ?? ''}`);
  assert.match(await code("CREATE STREAM s (a int) WITH (connector = 'file', path = SECRET place, format = 'json')"), /^42704 secret "place" does not exist \| CREATE SECRET place AS '…'; \| 58$/);
  await client.query(`CREATE SECRET place AS '${file}'`);
  await client.query("CREATE STREAM s (a int) WITH (connector = 'file', path = SECRET place, format = 'json'); CREATE MATERIALIZED VIEW m AS SELECT sum(a) AS t FROM s");
  await until(() => server.query('SELECT t FROM m'), rows => rows[0]?.[0] === '3', 20_000, 'the rows of the file');
  assert.deepEqual((await client.query({ text: 'SELECT count(*) FROM s', rowMode: 'array' })).rows, [['2']]);
  await client.query('CHECKPOINT JOB m');
  await until(() => server.query("SELECT status FROM jobs WHERE job_name = 'm'"), rows => rows[0]?.[0] === 'finished', 20_000, 'the end of the file');
  await client.query('CHECKPOINT JOB m'); // a finished job has taken its last one
  assert.match(await code('CREATE SECRET place AS \'x\''), /^42710 .*CREATE OR REPLACE SECRET place/);
  assert.match(await code('DROP SECRET place'), /^2BP01 .*CREATE OR REPLACE SECRET place/);
  assert.match(await code('DROP SECRET plase'), /^42704 .*Perhaps you meant "place"/);
  assert.match(await code('CREATE SECRET empty'), /^42601 secret "empty" needs a value/);
  assert.match(await code("CREATE SECRET x WITH (a = 'b', a = 'c')"), /^42601 /);
  assert.match(await code("BEGIN; CREATE SECRET x AS 'y'"), /^25001 /);
  await client.query('ROLLBACK');
  await client.query("CREATE SECRET two WITH (access_key_id = 'hidden-4711', secret_access_key = 'hidden-4711')");
  assert.match(await code("CREATE STREAM s2 (a int) WITH (connector = 'file', path = SECRET two, format = 'json')"), /^22023 secret "two" has no value for option "path"/);
  assert.deepEqual(await server.query("SELECT name, keys::text, used_by::text FROM secrets ORDER BY name"), [['place', '{value}', '{"stream s"}'], ['two', '{access_key_id,secret_access_key}', '{}']]);
  // Nothing a client can ask for, and nothing beside the catalog's own store, holds a value.
  for (const sql of ['SHOW SECRETS', 'SHOW CREATE STREAM s', 'TABLE secrets', 'TABLE jobs', 'TABLE sources', 'TABLE checkpoint_settings', 'SELECT query FROM pg_stat_activity', 'EXPLAIN SELECT * FROM s', 'SELECT * FROM pg_settings']) {
    const text = JSON.stringify(await server.query(sql));
    assert(!text.includes('hidden-4711') || sql === 'TABLE sources', sql);
  }
  for (const entry of readdirSync(path.join(dir, 'data', 'checkpoints'), { recursive: true, withFileTypes: true })) {
    if (entry.name === '_metadata') assert(!readFileSync(path.join(entry.parentPath, entry.name), 'utf8').includes('"path":"/'), 'a plan in a checkpoint holds a reference');
  }
  assert.equal(statSync(path.join(dir, 'data', 'catalog')).mode & 0o077, 0, 'nobody else reads the catalog');
  assert(!server.log.some(line => line.includes('hidden-4711')), 'the log');
  // A restart reads it anew; a replaced one is used from the next start on.
  await client.query(`CREATE OR REPLACE SECRET place AS '${file}'`);
  await client.end();
  await server.kill();
  server = await ServerProcess.start(path.join(dir, 'data'));
  await until(() => server.query('SELECT t FROM m'), rows => rows[0]?.[0] === '3', 20_000, 'the view after a restart');
  await server.query('DROP STREAM s CASCADE; DROP SECRET place, two');
  assert.deepEqual(await server.query('TABLE secrets'), []);
});

test('a statement with a secret is seen by others without its value', async () => {
  const client = await server.connect();
  await client.query("CREATE SECRET s AS 'hidden-4712'");
  assert.deepEqual((await server.query("SELECT query FROM pg_stat_activity WHERE query LIKE 'CREATE SECRET%'")), [['CREATE SECRET s …']]);
  await client.end();
});

test('pg_stat_activity: active until the answer is whole, then idle, in a transaction or not', async () => {
  const client = await server.connect();
  const { rows: [{ pid }] } = await client.query<{ pid: number }>('SELECT pg_backend_pid() AS pid');
  const facts = `SELECT state FROM pg_stat_activity WHERE pid = ${pid}`;
  const state = async (): Promise<unknown> => (await server.query(facts))[0]?.[0];
  assert.equal(await state(), 'idle');
  await server.query('CREATE TABLE active (a int); CREATE MATERIALIZED VIEW active_view AS SELECT a FROM active');
  const subscribed = assert.rejects(client.query('SUBSCRIBE active_view'), { code: '57014' });
  await until(() => server.query(facts), rows => rows[0]?.[0] === 'active', 10_000, 'the subscription');
  assert.deepEqual(await server.query(`SELECT pg_cancel_backend(pid) AS done FROM pg_stat_activity WHERE pid = ${pid}`), [['t']]);
  await subscribed;
  assert.equal(await state(), 'idle');
  await client.query('BEGIN; SELECT 1');
  assert.equal(await state(), 'idle in transaction');
  await assert.rejects(client.query('SELECT 1 / 0'), { code: '22012' });
  assert.equal(await state(), 'idle in transaction (aborted)');
  await client.query('ROLLBACK');
  assert.equal(await state(), 'idle');
  const gone = new Promise<unknown>(resolve => { client.on('error', resolve); });
  assert.deepEqual(await server.query(`SELECT pg_catalog.pg_terminate_backend(${pid}) AS gone`), [['t']]);
  assert.equal(((await gone) as pg.DatabaseError).code, '57P01');
  await until(() => server.query(facts), rows => rows.length === 0, 10_000, 'the end of the session');
  assert.deepEqual(await server.query(`SELECT pg_terminate_backend(${pid})`), [['f']]);
});
