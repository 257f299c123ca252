/** Checkpoints on a real S3-compatible server: written, recovered from without local state, read only where needed, and through the server's absence. */
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import path from 'node:path';
import { s3Unavailable, S3Server } from '../storage/s3/testserver.js';
import { removeFolder, ServerProcess, temporaryFolder, until } from './serverprocess.js';

const skip = s3Unavailable();
let s3: S3Server | null = null;
before(async () => {
  if (skip !== false) return;
  s3 = await S3Server.start();
  await s3.createBucket('checkpoints');
}, { timeout: 120_000 });
after(async () => { await s3?.stop(); });
const running = (): S3Server => {
  if (s3 === null) throw new Error('no server');
  return s3;
};

const CREDENTIALS = { AWS_ACCESS_KEY_ID: 'id', AWS_SECRET_ACCESS_KEY: 'key', AWS_ENDPOINT_URL: '', AWS_SESSION_TOKEN: '', AWS_REGION: 'us-east-1' };
/** The third column's join keeps row logs. */
const VIEWS = `CREATE TABLE t (id int PRIMARY KEY, g int); CREATE STREAM s (id int, x int);
  CREATE MATERIALIZED VIEW v AS SELECT g, count(*) AS c, max(id) AS m FROM t GROUP BY g;
  CREATE MATERIALIZED VIEW j AS SELECT a.id, a.x AS ax, b.x AS bx FROM s a JOIN s b ON a.id = b.x`;
const fill = async (server: ServerProcess, rounds: number): Promise<void> => {
  for (let i = 0; i < rounds; i++) {
    await server.query(`INSERT INTO t SELECT x, x % 7 FROM generate_series(${i * 100}, ${i * 100 + 99}) AS s(x); INSERT INTO s SELECT x, x + 3 FROM generate_series(${i * 50}, ${i * 50 + 49}) AS s(x)`);
    await server.query('CHECKPOINT');
  }
};
const results = async (server: ServerProcess): Promise<unknown> => [await server.query('SELECT * FROM v ORDER BY g'), await server.query('SELECT * FROM j ORDER BY 1, 2, 3')];
const settings = (prefix: string): string => `SET checkpoint_storage = 's3://checkpoints/${prefix}'; SET s3_endpoint = '${running().endpoint}'; SET checkpoint_interval = '1h'; SET parallelism = 2;`;
/** State files read since the last call. */
const stateReads = (): string[] => running().requests.splice(0).filter(r => /^GET \/checkpoints\/.*\/shared\//.test(r));
const keysBelow = async (prefix: string): Promise<string[]> => [...(await running().get(`/checkpoints?list-type=2&prefix=${prefix}/`)).matchAll(/<Key>([^<]+)/g)].map(m => m[1] ?? '');

for (const backend of ['leveldb', 'memory']) {
  test(`${backend}: after kill −9 a recovery reads no state file of S3 with local_recovery, all of them without local state or with it off; DROP leaves nothing`, { skip, timeout: 120_000 }, async () => {
    const dir = temporaryFolder('s3');
    const prefix = `recovery-${backend}`;
    let server = await ServerProcess.start(dir, { env: CREDENTIALS });
    const again = async (): Promise<void> => {
      await server.kill();
      running().requests.splice(0);
      server = await ServerProcess.start(dir, { env: CREDENTIALS });
      await server.query('FLUSH');
    };
    try {
      await server.query(`${settings(prefix)} SET state_backend = '${backend}'; ${VIEWS}`);
      await fill(server, 4);
      const expected = await results(server);
      assert.ok((await keysBelow(prefix)).some(key => /chk-\d+\/_metadata$/.test(key)));
      await again();
      assert.deepEqual(await results(server), expected);
      assert.deepEqual(stateReads(), [], 'local state is whole');

      await server.kill();
      for (const folder of ['jobs', 'copies']) rmSync(path.join(dir, folder), { recursive: true, force: true });
      await again();
      assert.deepEqual(await results(server), expected);
      assert.ok(stateReads().length > 0);

      await server.query('ALTER JOB v SET (local_recovery = off); ALTER JOB j SET (local_recovery = off)');
      await again();
      assert.deepEqual(await results(server), expected);
      assert.ok(stateReads().length > 0, 'local_recovery off');
      await server.query('DROP MATERIALIZED VIEW j; DROP MATERIALIZED VIEW v');
      assert.deepEqual(await keysBelow(prefix), []);
    } finally {
      await server.kill();
      removeFolder(dir);
    }
  });
}

test('S3 goes away in the midst of a checkpoint: that one fails, is told and tolerated; when it is back the next one completes', { skip, timeout: 120_000 }, async () => {
  const dir = temporaryFolder('s3-away');
  const server = await ServerProcess.start(dir, { env: CREDENTIALS });
  try {
    await server.query(`${settings('away')} SET tolerable_failed_checkpoints = 5; ${VIEWS}`);
    await fill(server, 1);
    await running().cut();
    await server.query('INSERT INTO t SELECT x, x % 7 FROM generate_series(1000, 1099) AS s(x)');
    await assert.rejects(server.query('CHECKPOINT JOB v'), (e: Error & { detail?: string }) => /could not write "s3:\/\/checkpoints\/away/.test(e.detail ?? ''));
    const failed = await server.query("SELECT status, failure_reason, failure_message FROM millrace.checkpoints WHERE job_name = 'v' AND status = 'failed'");
    assert.equal(failed.length, 1);
    assert.equal(failed[0]?.[1], 'CHECKPOINT_ASYNC_EXCEPTION');
    assert.match(failed[0]?.[2] ?? '', /s3:\/\/checkpoints\/away\/\d+\/shared\/.*ECONNREFUSED/);
    assert.deepEqual(await server.query("SELECT status, restarts FROM millrace.jobs WHERE job_name = 'v'"), [['running', '0']]);
    await running().mend();
    await server.query('CHECKPOINT JOB v');
    assert.deepEqual(await server.query('SELECT sum(c) FROM v'), [['200']]);
  } finally {
    await running().mend().catch(() => undefined);
    await server.kill();
    removeFolder(dir);
  }
});

test('beyond the tolerance the job fails over, waits for S3 through restarts, and loses nothing', { skip, timeout: 120_000 }, async () => {
  const dir = temporaryFolder('s3-restart');
  let server = await ServerProcess.start(dir, { env: CREDENTIALS });
  try {
    await server.query(`${settings('restart')} SET restart_strategy = 'fixed_delay'; SET restart_delay = '100ms'; SET restart_attempts = 1000; ${VIEWS}`);
    await fill(server, 2);
    const expected = await results(server);
    await running().cut();
    await server.query('INSERT INTO t VALUES (5000, 1)');
    await assert.rejects(server.query('CHECKPOINT JOB v'));
    await until(() => server.query("SELECT message FROM millrace.job_failures WHERE job_name = 'v'"), rows => rows.some(r => /s3:\/\/checkpoints/.test(r[0] ?? '')), 60_000, 'a failure that names S3');
    // A server that starts meanwhile opens, and its jobs go on when S3 is back.
    await server.kill();
    server = await ServerProcess.start(dir, { env: CREDENTIALS });
    await running().mend();
    await until(() => server.query("SELECT status FROM millrace.jobs WHERE job_name = 'v'"), rows => rows[0]?.[0] === 'running', 60_000, 'running again');
    await server.query('FLUSH; DELETE FROM t WHERE id = 5000; FLUSH');
    assert.deepEqual(await results(server), expected);
  } finally {
    await running().mend().catch(() => undefined);
    await server.kill();
    removeFolder(dir);
  }
});

test('two servers with one bucket: a job is refused where the other has one of its number, with or without checkpoints; nothing of the other is touched, and it is restored from', { skip, timeout: 120_000 }, async () => {
  const dir = temporaryFolder('s3-two');
  const first = await ServerProcess.start(path.join(dir, 'first'), { env: CREDENTIALS });
  const second = await ServerProcess.start(path.join(dir, 'second'), { env: CREDENTIALS });
  const stream = 'CREATE STREAM s (id int, x int);';
  const view = 'AS SELECT x, count(*) AS c FROM s GROUP BY x';
  const refused = { code: '55006', message: /^"s3:\/\/checkpoints\/two\/1" holds checkpoints of another server's job$/ };
  try {
    await first.query(`${settings('two')} ${stream} CREATE MATERIALIZED VIEW v ${view}; INSERT INTO s VALUES (1, 1), (2, 1)`);
    await second.query(stream);
    await assert.rejects(second.query(`${settings('two')} CREATE MATERIALIZED VIEW v ${view}`), refused);
    await first.query('CHECKPOINT');
    const before = await keysBelow('two');
    const other = await ServerProcess.start(path.join(dir, 'third'), { env: CREDENTIALS });
    await other.query(stream).then(() => assert.rejects(other.query(`${settings('two')} CREATE MATERIALIZED VIEW v ${view}`), refused)).finally(() => other.kill());
    assert.deepEqual(await keysBelow('two'), before);
    const where = String((await first.query("SELECT path FROM millrace.checkpoints WHERE status = 'completed' ORDER BY checkpoint_id DESC LIMIT 1"))[0]?.[0]);
    await second.query(`${settings('two/second')} CREATE MATERIALIZED VIEW v WITH (restore_from = '${where}') ${view}; INSERT INTO s VALUES (3, 1)`);
    await second.query('FLUSH');
    assert.deepEqual(await second.query('SELECT * FROM v'), [['1', '3']]);
    await second.query('DROP MATERIALIZED VIEW v');
    await first.query('CHECKPOINT');
    assert.deepEqual(await first.query('SELECT * FROM v'), [['1', '2']]);
  } finally {
    for (const server of [first, second]) await server.kill();
    removeFolder(dir);
  }
});

test('savepoints in a bucket: taken, moved to other parallelisms and another server, claimed, dropped; what kill −9 leaves of one is removed', { skip, timeout: 120_000 }, async () => {
  const dir = temporaryFolder('s3-savepoints');
  const env = { ...CREDENTIALS, AWS_ACCESS_KEY_ID: '' };
  const secret = "CREATE SECRET bucket_keys WITH (access_key_id = 'id', secret_access_key = 'key');";
  const tables = 'CREATE STREAM s (id int, x int);';
  const view = 'AS SELECT x % 7 AS g, count(*) AS c, count(DISTINCT id) AS d FROM s GROUP BY x % 7';
  const using = (parallelism: number, prefix = 'points'): string => `${settings(prefix)} SET s3_secret = 'bucket_keys'; SET parallelism = ${parallelism};`;
  let server = await ServerProcess.start(path.join(dir, 'first'), { env });
  const rows = (name: string, of = server): Promise<unknown> => of.query('FLUSH').then(() => of.query(`SELECT * FROM ${name} ORDER BY g`));
  try {
    await server.query(`${secret} ${tables} ${using(1)} SET savepoint_directory = 's3://checkpoints/saved'; CREATE MATERIALIZED VIEW v ${view};
      INSERT INTO s SELECT i % 50, i FROM generate_series(1, 500) AS t(i)`);
    await server.query('FLUSH');
    const taken = await rows('v');
    const where = String((await server.query('CREATE SAVEPOINT FOR JOB v'))[0]?.[1]);
    const given = String((await server.query("CREATE SAVEPOINT FOR JOB v TO 's3://checkpoints/gi ven/é'"))[0]?.[1]);
    assert.match(where, /^s3:\/\/checkpoints\/saved\/savepoint-1-/);
    assert.match(given, /^s3:\/\/checkpoints\/gi ven\/é\/savepoint-2-/);
    await server.query('INSERT INTO s SELECT i % 60, i FROM generate_series(501, 700) AS t(i)');
    await server.query(`${using(3)} CREATE MATERIALIZED VIEW three WITH (restore_from = '${where}') ${view}`);
    await server.query(`${using(2)} SET restore_claim_mode = claim; SET retained_checkpoints = 1; CREATE MATERIALIZED VIEW two WITH (restore_from = '${given}') ${view}`);
    const expected = await rows('v');
    for (const name of ['three', 'two']) assert.deepEqual(await rows(name), expected, name);
    await server.query('CHECKPOINT');
    await until(() => server.query('SELECT path FROM millrace.savepoints'), r => r.length === 1, 20_000, 'the end of the claimed savepoint');
    assert.deepEqual(await keysBelow('gi'), []);

    const other = await ServerProcess.start(path.join(dir, 'second'), { env });
    try {
      await other.query(`${secret} ${tables} ${using(2, 'points-second')} CREATE MATERIALIZED VIEW v WITH (restore_from = '${where}') ${view}`);
      assert.deepEqual(await rows('v', other), taken);
    } finally {
      await other.kill();
    }
    await assert.rejects(server.query(`DROP SAVEPOINT '${where}'`), { code: '28000' }, 'the session says how the bucket is reached');
    await server.query(`${using(1)} DROP SAVEPOINT '${where}'`);
    assert.deepEqual(await keysBelow('saved'), []);

    // Copied files of a savepoint that never became whole.
    running().requests.splice(0);
    const taking = server.query("CREATE SAVEPOINT FOR JOB three TO 's3://checkpoints/saved'").catch(() => []);
    await until(async () => running().requests.filter(r => r.startsWith('PUT /checkpoints/saved')).map(r => [r]), r => r.length > 0, 20_000, 'its first file');
    await server.kill();
    await taking;
    server = await ServerProcess.start(path.join(dir, 'first'), { env });
    const status = (await server.query("SELECT status FROM millrace.savepoints WHERE job_name = 'three'"))[0]?.[0];
    const left = await keysBelow('saved');
    assert.equal(left.some(key => key.endsWith('/_metadata')), status === 'completed', `${String(status)}: ${left.join()}`);
    if (status !== 'completed') assert.deepEqual(left, []);
    for (const name of ['v', 'three', 'two']) assert.deepEqual(await rows(name), expected, name);
  } finally {
    await server.kill();
    removeFolder(dir);
  }
});

test('CREATE is refused at once, and leaves nothing, where storage cannot be reached or is not allowed', { skip, timeout: 60_000 }, async () => {
  const weak = await running().keys('reads', ['s3:GetObject', 's3:ListBucket']);
  const refused = async (server: ServerProcess, set: string, code: string, says: RegExp): Promise<void> => {
    await assert.rejects(server.query(`${set}; CREATE MATERIALIZED VIEW v AS SELECT count(*) AS c FROM t`), (e: Error & { code?: string; hint?: string }) => {
      assert.equal(e.code, code, e.message);
      assert.match(`${e.message} ${e.hint ?? ''}`, says);
      return true;
    });
    assert.deepEqual(await server.query('SELECT count(*) FROM millrace.jobs'), [['0']]);
  };
  const on = async (env: Readonly<Record<string, string>>, run: (server: ServerProcess) => Promise<void>): Promise<void> => {
    const dir = temporaryFolder('s3-refused');
    const server = await ServerProcess.start(dir, { env: { ...CREDENTIALS, ...env } });
    try {
      await server.query('CREATE TABLE t (id int PRIMARY KEY)');
      await run(server);
    } finally {
      await server.kill();
      removeFolder(dir);
    }
  };
  const endpoint = `SET s3_endpoint = '${running().endpoint}'`;
  const storage = "SET checkpoint_storage = 's3://checkpoints/x'";
  await on({ AWS_ACCESS_KEY_ID: '' }, async server => {
    await refused(server, `${endpoint}; ${storage}`, '28000', /no credentials for "s3:\/\/checkpoints\/x".*CREATE SECRET/s);
    await refused(server, `${endpoint}; ${storage}; SET s3_secret = 'bucket_keys'`, '42704', /secret "bucket_keys" does not exist/);
    await server.query("CREATE SECRET bucket_keys WITH (access_key_id = 'id', secret_access_key = 'key')");
    await server.query(`${endpoint}; SET checkpoint_storage = 's3://checkpoints/by-secret'; SET s3_secret = 'bucket_keys'; CREATE MATERIALIZED VIEW v AS SELECT count(*) AS c FROM t; CHECKPOINT`);
    assert.ok((await keysBelow('by-secret')).length > 0);
  });
  await on({ AWS_ACCESS_KEY_ID: weak.accessKeyId, AWS_SECRET_ACCESS_KEY: weak.secretAccessKey }, async server => {
    await refused(server, `${endpoint}; SET checkpoint_storage = 's3://nowhere/x'`, '22023', /s3:\/\/nowhere\/x.*Create bucket "nowhere"/s);
    await refused(server, `SET s3_endpoint = 'http://127.0.0.1:2'; ${storage}`, '58030', /could not write "s3:\/\/checkpoints\/x.*s3_endpoint/s);
    await refused(server, "SET checkpoint_storage = '/etc/passwd/x'", '58030', /\/etc\/passwd\/x/);
    await running().enforce(true);
    try {
      await refused(server, `${endpoint}; ${storage}`, '28000', /AccessDenied.*s3:PutObject/s);
    } finally {
      await running().enforce(false);
    }
    await server.query(`${endpoint}; ${storage}; CREATE MATERIALIZED VIEW v AS SELECT count(*) AS c FROM t; CHECKPOINT`);
    assert.ok((await keysBelow('x')).length > 0);
  });
});
