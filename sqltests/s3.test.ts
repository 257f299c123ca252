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
