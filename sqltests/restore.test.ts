/**
 * Restores, claims and dry runs through SQL: what is restored, what is refused and why, who owns a folder, and what faults leave behind. Results are
 * compared with a view that was never interrupted.
 */
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, statSync, truncateSync } from 'node:fs';
import path from 'node:path';
import pg from 'pg';
import { open } from '../server/open.js';
import { faultPlan } from '../storage/faults.js';
import { ServerProcess, removeFolder, temporaryFolder, until, type TextRow } from './serverprocess.js';

const dir = temporaryFolder('restore');
const BY_G = 'SELECT g, count(*) AS c, sum(v) AS t FROM a GROUP BY g';
const BY_K = 'SELECT k, count(*) AS c, sum(v) AS t FROM s GROUP BY k';
const BOTH = 'SELECT k FROM s UNION ALL SELECT g FROM a';
let server: ServerProcess;

const run = (sql: string): Promise<TextRow[]> => server.query(sql);
const sqlstate = async (sql: string): Promise<{ code: string; message: string; detail: string }> => {
  try {
    await run(sql);
  } catch (e) {
    const { code, message, detail } = e as { code: string; message: string; detail?: string };
    return { code, message, detail: detail ?? '' };
  }
  throw new assert.AssertionError({ message: `${sql} was carried out` });
};
const savepoint = async (job: string, to = ''): Promise<string> => String((await run(`CREATE SAVEPOINT FOR JOB ${job}${to === '' ? '' : ` TO '${to}'`}`))[0]?.[1]);
const same = async (one: string, other: string): Promise<void> => {
  await run('FLUSH');
  const rows = (view: string): Promise<TextRow[]> => run(`SELECT v::text, count(*) FROM ${view} v GROUP BY 1 ORDER BY 1`).catch(() => run(`SELECT * FROM ${view} ORDER BY 1`));
  const expected = await rows(one);
  assert.ok(expected.length > 0);
  assert.deepEqual(await rows(other), expected, `${other} and ${one}`);
};

before(async () => {
  server = await ServerProcess.start(path.join(dir, 'data'));
  await run(`CREATE TABLE a (id int PRIMARY KEY, g int, v int); INSERT INTO a SELECT i, i % 5, i FROM generate_series(1, 100) i;
    CREATE STREAM s (k int, v int); INSERT INTO s SELECT i % 7, i FROM generate_series(1, 100) i;
    SET parallelism = 2; CREATE MATERIALIZED VIEW ma AS ${BY_G}; CREATE MATERIALIZED VIEW ms AS ${BY_K}; CREATE MATERIALIZED VIEW mu AS ${BOTH}`);
});
after(async () => {
  await server.kill();
  removeFolder(dir);
});

test('views over tables and streams go on from savepoints, at another parallelism, with what was written since', async () => {
  const [pa, ps, pu] = [await savepoint('ma'), await savepoint('ms', path.join(dir, 'given')), await savepoint('mu')];
  assert.equal(path.dirname(ps), path.join(dir, 'given'));
  await run('UPDATE a SET v = v + 1000 WHERE id <= 10; DELETE FROM a WHERE id > 95; INSERT INTO s VALUES (1, 5000)');
  await run(`SET parallelism = 3; CREATE MATERIALIZED VIEW ra WITH (restore_from = '${pa}') AS ${BY_G}; CREATE MATERIALIZED VIEW rs WITH (restore_from = '${ps}') AS ${BY_K};
    CREATE MATERIALIZED VIEW ru WITH (restore_from = '${pu}') AS ${BOTH}`);
  for (const [one, other] of [['ma', 'ra'], ['ms', 'rs'], ['mu', 'ru']] as const) await same(one, other);
  await run('UPDATE a SET g = 9 WHERE id <= 20; INSERT INTO s VALUES (1, 5000)');
  for (const [one, other] of [['ma', 'ra'], ['ms', 'rs'], ['mu', 'ru']] as const) await same(one, other);
  assert.deepEqual(await run("SELECT count(*), min(status) FROM millrace.savepoints WHERE bytes > 0"), [['3', 'completed']]);
});

test('a view without a key keeps its rows, and takes them back, through 1, 3 and 2 tasks', async () => {
  for (const [i, parallelism] of [1, 3, 2].entries()) {
    await run('PAUSE JOB mu');
    await run(`DELETE FROM a WHERE id % 17 = ${i}; INSERT INTO s VALUES (3, ${i})`);
    await run(`RESUME JOB mu WITH (parallelism = ${parallelism})`);
    await same('ru', 'mu');
  }
  assert.deepEqual(await run("SELECT setting FROM millrace.checkpoint_settings WHERE job_name = 'mu' AND name = 'parallelism' ORDER BY since"), [['2'], ['1'], ['3'], ['2']]);
});

test('EXPLAIN RESTORE says what matches and why; what does not is refused by name, or starts empty when that is allowed', async () => {
  const where = await savepoint('ms');
  assert.deepEqual((await run(`EXPLAIN RESTORE FROM '${where}' AS ${BY_K}`)).map(r => [r[0], r[3]]), [['source s', 'restored'], ['aggregate by (k): count(), sum(int4)', 'restored'], ['view', 'restored']]);
  const filtered = await run(`EXPLAIN RESTORE FROM '${where}' AS ${BY_K.replace(' GROUP', ' WHERE v > 10 GROUP')}`);
  assert.match(String(filtered[1]?.[4]), /filters .* differ: they hold for what comes from now on/);
  const other = BY_K.replace('sum', 'max');
  assert.deepEqual((await run(`EXPLAIN RESTORE FROM '${where}' AS ${other}`)).map(r => r[3]), ['restored', 'starts empty', 'starts empty', 'dropped', 'dropped']);
  const refused = await sqlstate(`CREATE MATERIALIZED VIEW other WITH (restore_from = '${where}') AS ${other}`);
  assert.equal(refused.code, '55000');
  assert.match(refused.detail, /aggregate by \(k\): count\(\), max\(int4\): keys, columns or functions differ/);
  await run(`SET allow_non_restored_state = on; CREATE MATERIALIZED VIEW other WITH (restore_from = '${where}') AS ${other}; INSERT INTO s VALUES (5, 1); FLUSH`);
  assert.deepEqual(await run('SELECT * FROM other'), [['5', '1', '1']], 'it counts from the savepoint on');
  // Rows that came through an old filter over a table could not be taken back.
  const table = await run(`EXPLAIN RESTORE FROM '${await savepoint('ma')}' AS ${BY_G.replace(' GROUP', ' WHERE v > 10 GROUP')}`);
  assert.deepEqual(table.map(r => r[3]), ['starts empty', 'starts empty', 'starts empty', 'dropped', 'dropped', 'dropped']);
  assert.equal((await sqlstate(`EXPLAIN RESTORE FROM '${dir}/nowhere' AS ${BY_K}`)).code, '58P01');
  assert.equal((await sqlstate(`EXPLAIN RESTORE FROM '${where}' AS SELECT * FROM ms`)).code, '0A000');
});

test('claim: one owner, who deletes the folder when it has enough checkpoints of its own; no_claim: any number, and nobody does', async () => {
  const claimed = await savepoint('ma');
  const kept = await savepoint('ma');
  await run('CHECKPOINT JOB ma');
  const newest = async (): Promise<string> => String((await run("SELECT path FROM millrace.checkpoints WHERE job_name = 'ma' AND kind = 'checkpoint' AND status = 'completed' ORDER BY checkpoint_id DESC LIMIT 1"))[0]?.[0]);
  const checkpoint = await newest();
  const create = (view: string, where: string, mode: string): string => `SET restore_claim_mode = '${mode}'; CREATE MATERIALIZED VIEW ${view} WITH (restore_from = '${where}') AS ${BY_G}`;
  assert.equal((await sqlstate(create('c1', checkpoint, 'claim'))).code, '55006', 'a checkpoint of a job that runs');
  await run(create('from_checkpoint', checkpoint, 'no_claim'));
  await run(create('owner', claimed, 'claim'));
  assert.equal((await sqlstate(create('second', claimed, 'claim'))).code, '55006', 'two owners');
  for (const view of ['one', 'two']) await run(create(view, kept, 'no_claim'));
  for (let i = 0; i < 3; i++) await run(`UPDATE a SET v = v + 1 WHERE id = ${40 + i}; CHECKPOINT`);
  await until(() => run(`SELECT 1 FROM millrace.savepoints WHERE path = '${claimed}'`), rows => rows.length === 0, 20_000, 'the end of the claimed folder');
  assert.ok(!existsSync(claimed));
  assert.ok(existsSync(path.join(kept, '_metadata')));
  for (const view of ['from_checkpoint', 'owner', 'one', 'two']) await same('ma', view);
  assert.equal((await sqlstate(`DROP SAVEPOINT '${await newest()}'`)).code, '42809');
  await run(`DROP SAVEPOINT '${kept}'`);
  assert.ok(!existsSync(kept));
  assert.equal((await sqlstate(`DROP SAVEPOINT '${kept}'`)).code, '58P01');
});

test('a job is restored from a checkpoint of one that was cancelled, and from one of a job that is dropped', async () => {
  await run(`SET externalized_checkpoints = 'retain_on_cancellation'; CREATE MATERIALIZED VIEW gone AS ${BY_G}; CHECKPOINT JOB gone`);
  const where = String((await run("SELECT path FROM millrace.checkpoints WHERE job_name = 'gone' AND status = 'completed' ORDER BY checkpoint_id DESC LIMIT 1"))[0]?.[0]);
  await run('UPDATE a SET v = v + 7 WHERE id < 50; CANCEL JOB gone');
  await run(`CREATE MATERIALIZED VIEW back WITH (restore_from = '${where}') AS ${BY_G}`);
  await same('ma', 'back');
});

test('a damaged savepoint is named; one of another server, moved, goes on with that server\'s stream', async () => {
  const moved = path.join(dir, 'moved');
  renameSync(await savepoint('ms'), moved);
  const counts = new Map((await run('SELECT k, c FROM ms')).map(r => [r[0], Number(r[1])]));
  const other = await ServerProcess.start(path.join(dir, 'other'));
  try {
    await other.query(`CREATE STREAM s (k int, v int); CREATE TABLE a (id int PRIMARY KEY, g int, v int); INSERT INTO s VALUES (1, 1); SET parallelism = 3;
      CREATE MATERIALIZED VIEW ms WITH (restore_from = '${moved}') AS ${BY_K}; INSERT INTO s VALUES (2, 2); FLUSH`);
    counts.set('1', (counts.get('1') ?? 0) + 1);
    counts.set('2', (counts.get('2') ?? 0) + 1);
    assert.deepEqual(new Map((await other.query('SELECT k, c FROM ms')).map(r => [r[0], Number(r[1])])), counts);
    await other.kill();
  } finally {
    await other.kill();
  }
  const file = readdirSync(moved).find(name => name.startsWith('base') || name.startsWith('delta')) ?? '';
  truncateSync(path.join(moved, file), statSync(path.join(moved, file)).size - 5);
  for (const sql of [`EXPLAIN RESTORE FROM '${moved}' AS ${BY_K}`, `CREATE MATERIALIZED VIEW damaged WITH (restore_from = '${moved}') AS ${BY_K}`]) {
    const { code, message } = await sqlstate(sql);
    assert.equal(code, 'XX001');
    assert.ok(message.includes(file), message);
  }
});

test('a restored job that is killed before its first checkpoint begins with the savepoint again', async () => {
  const where = await savepoint('ms');
  await run(`SET checkpoint_interval = 0; CREATE MATERIALIZED VIEW again WITH (restore_from = '${where}') AS ${BY_K}; INSERT INTO s VALUES (6, 60); FLUSH`);
  assert.equal((await sqlstate(`DROP SAVEPOINT '${where}'`)).code, '55006', 'it is needed');
  await server.kill();
  server = await ServerProcess.start(path.join(dir, 'data'));
  await until(() => run("SELECT status FROM millrace.jobs WHERE job_name = 'again'"), rows => rows[0]?.[0] === 'running', 30_000, 'the restart');
  await same('ms', 'again');
  await run(`CHECKPOINT JOB again; DROP SAVEPOINT '${where}'`);
});

test('a stopped job stays readable and gives savepoints; a sink restored from it delivers each row, the old one\'s parts are finished', async () => {
  const out = path.join(dir, 'out');
  mkdirSync(out);
  const lines = (): number[] => readdirSync(out).filter(name => name.startsWith('part-')).flatMap(name => readFileSync(path.join(out, name), 'utf8').trimEnd().split('\n')).map(line => (JSON.parse(line) as { v: number }).v).sort((a, b) => a - b);
  const sink = (name: string, more: string): string => `CREATE SINK ${name} AS SELECT v FROM u WITH (connector = 'file', path = '${out}', format = 'json'${more})`;
  await run(`CREATE STREAM u (v int); SET checkpoint_interval = 0; ${sink('first', '')}; INSERT INTO u VALUES (1), (2); FLUSH`);
  // Nobody has committed what this savepoint prepared.
  const where = await savepoint('first');
  assert.deepEqual(lines(), []);
  await run(`SET restore_claim_mode = 'no_claim'; ${sink('second', `, restore_from = '${where}'`)}`);
  await until(async () => lines().map(v => [String(v)]), rows => rows.length === 2, 20_000, 'the prepared parts');
  await run('DROP SINK first; INSERT INTO u VALUES (3)');
  await run('FLUSH; STOP JOB second');
  assert.deepEqual(lines(), [1, 2, 3]);
  assert.equal((await sqlstate('PAUSE JOB second')).code, '55000');
  assert.deepEqual(await run("SELECT status FROM millrace.jobs WHERE job_name = 'second'"), [['finished']]);
  assert.ok(existsSync(path.join(await savepoint('second'), '_metadata')), 'of its last checkpoint');
});

test('kill -9 while a savepoint is written leaves nothing that looks like one', async () => {
  await run(`CREATE STREAM big (k int, v text); CREATE MATERIALIZED VIEW large AS SELECT * FROM big; INSERT INTO big SELECT i, repeat('x', 900) FROM generate_series(1, 8000) i; FLUSH`);
  const target = path.join(dir, 'killed');
  const taking = run(`CREATE SAVEPOINT FOR JOB large TO '${target}'`).catch(() => []);
  await until(async () => (existsSync(target) ? readdirSync(target) : []).map(name => [name]), rows => rows.length > 0, 20_000, 'its folder');
  await server.kill();
  await taking;
  server = await ServerProcess.start(path.join(dir, 'data'));
  const row = (await run("SELECT status, path FROM millrace.savepoints WHERE job_name = 'large'"))[0];
  const complete = existsSync(path.join(String(row?.[1]), '_metadata'));
  assert.equal(row?.[0], complete ? 'completed' : 'failed');
  if (!complete) assert.deepEqual(readdirSync(target), []);
  await run(`CREATE SAVEPOINT FOR JOB large TO '${target}'`);
  assert.deepEqual(await run("SELECT count(*) FROM millrace.job_failures"), [['0']]);
});

test('a full disk during a savepoint leaves nothing, counts as no failed checkpoint, and the next one succeeds', async () => {
  const target = path.join(dir, 'full');
  const faulty = await open({
    data: path.join(dir, 'faulty'), port: 0, logLevel: 'silent', settings: { tolerable_failed_checkpoints: '0' },
    faults: faultPlan([{ operation: 'file.write', path: target, times: 1, fault: 'ENOSPC' }, { operation: 'file.sync', path: target, after: 2, times: 1, fault: 'EIO' }]),
  });
  try {
    const client = new pg.Client({ host: '127.0.0.1', port: faulty.port, user: 'test', database: 'test' });
    await client.connect();
    try {
      await client.query(`CREATE STREAM s (k int, v int); CREATE MATERIALIZED VIEW ms AS ${BY_K}; INSERT INTO s SELECT i % 7, i FROM generate_series(1, 100) i`);
      for (const code of ['53100', '58030']) {
        await assert.rejects(client.query(`CREATE SAVEPOINT FOR JOB ms TO '${target}'`), { code });
        assert.deepEqual(readdirSync(target), []);
      }
      await client.query(`CREATE SAVEPOINT FOR JOB ms TO '${target}'`);
      const { rows } = await client.query("SELECT string_agg(status, ' ' ORDER BY savepoint_id) AS statuses, (SELECT restarts FROM millrace.jobs) AS restarts FROM millrace.savepoints");
      assert.deepEqual(rows, [{ statuses: 'failed failed completed', restarts: '0' }]);
      assert.equal(readdirSync(target).length, 1);
    } finally {
      await client.end();
    }
  } finally {
    await faulty.close();
  }
});
