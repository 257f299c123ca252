/** Settings through SQL: SET, RESET, SHOW, ALTER SYSTEM, ALTER JOB, pg_settings and millrace.checkpoint_settings, by both names, wrong values included. */
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import pg from 'pg';
import { formatSetting, settingSpecs } from '../types/settings.js';
import { ServerProcess, removeFolder, temporaryFolder, until } from './serverprocess.js';

let dir: string;
let server: ServerProcess;

const start = (): Promise<ServerProcess> => ServerProcess.start(path.join(dir, 'data'), { args: ['--config', path.join(dir, 'millrace.conf')] });

before(async () => {
  dir = temporaryFolder('settings');
  writeFileSync(path.join(dir, 'millrace.conf'), "checkpoint_timeout = 9min\nexecution.checkpointing.min-pause: 5 ms\n");
  server = await start();
  await server.query('CREATE TABLE t (a int PRIMARY KEY); CREATE MATERIALIZED VIEW v AS SELECT count(*) AS n FROM t');
});
after(async () => { await server.kill(); removeFolder(dir); });

interface Failure { readonly code: string; readonly message: string; readonly hint: string; readonly position: string | undefined }
async function failure(sql: string): Promise<Failure> {
  try {
    await server.query(sql);
  } catch (e) {
    if (e instanceof pg.DatabaseError) return { code: e.code ?? '', message: e.message, hint: e.hint ?? '', position: e.position };
    throw e;
  }
  return assert.fail(`accepted: ${sql}`);
}

test('every job setting can be set, shown and reset by its name and by its Flink key', async () => {
  const client = await server.connect();
  const show = async (name: string): Promise<string> => ((await client.query({ text: `SHOW '${name}'`, rowMode: 'array' })).rows[0] as [string])[0];
  try {
    for (const s of settingSpecs.filter(x => x.scope === 'job')) {
      const before = await show(s.name);
      const other = s.kind === 'boolean' ? formatSetting(s, s.default !== true) : s.kind === 'enum' ? s.values?.find(v => v !== s.default && v !== 'at_least_once' && v !== 'fallback') ?? 'at_least_once'
        : s.kind === 'text' ? (s.name === 's3_endpoint' ? 'http://127.0.0.1:9000' : '/tmp/x') : s.name === 'max_concurrent_checkpoints' ? '1' : s.name === 'checkpoint_interval_during_backlog' ? '20s' : formatSetting(s, s.max ?? 1);
      // Values that no rule between settings forbids beside the defaults.
      const value = s.name === 'restart_backoff_initial' ? '2s' : s.name === 'checkpoint_min_pause' ? '3s' : s.name === 'parallelism' ? '3' : other;
      for (const name of [s.name, ...(s.flinkKey === null ? [] : [s.flinkKey]), ...(s.otherKeys ?? [])]) {
        await client.query(`SET '${name}' = '${value}'`);
        assert.equal(await show(s.name), value, name);
        assert.equal(await show(name), value, name);
        assert.deepEqual((await client.query({ text: `SELECT current_setting('${name}')`, rowMode: 'array' })).rows, [[value]], name);
        await client.query(`RESET '${name}'`);
        assert.equal(await show(s.name), before, name);
        await client.query(`BEGIN; SET LOCAL '${name}' = '${value}'; COMMIT`);
        assert.equal(await show(s.name), before, `${name} after SET LOCAL`);
      }
    }
  } finally {
    await client.end();
  }
});

test('a wrong value is 22023 at its setting with what is allowed, by either name, also through ALTER SYSTEM and ALTER JOB', async () => {
  for (const [name, value, hint] of [
    ['checkpoint_interval', '9ms', '10ms .. 365d, or 0'], ['execution.checkpointing.interval', '5 parsecs', 'Units'], ['checkpoint_mode', 'twice', 'exactly_once, at_least_once'], ['unaligned_checkpoints', 'maybe', 'on, off'],
    ['max_concurrent_checkpoints', '101', '1 .. 100'], ['max_concurrent_checkpoints', '1.5', '1 .. 100'], ['max_concurrent_checkpoints', '1s', 'without a unit'], ['checkpoint_interval_during_backlog', '-2', 'or 0, or -1'],
    ['externalized_checkpoints', 'NO_EXTERNALIZED_CHECKPOINTS', 'delete_on_cancellation'], ['restart_backoff_jitter', '1.1', '0 .. 1'], ['aligned_checkpoint_timeout', '', 'Allowed'], ['state_memory', '1kB', '1MB .. 4TB, or 0'],
    ['savepoint_directory', 'relative/path', 'absolute'], ['checkpoint_storage', 'hdfs://x/y', 's3://bucket/prefix'],
  ] as const) {
    for (const [sql, position] of [[`SET '${name}' = '${value}'`, 5], [`ALTER SYSTEM SET '${name}' = '${value}'`, 18], [`ALTER JOB v SET ('${name}' = '${value}')`, 18]] as const) {
      const e = await failure(sql);
      assert.equal(e.code, '22023', `${sql}: ${e.message}`);
      assert(e.hint.includes(hint), `${sql}: ${e.hint}`);
      assert.equal(e.position, String(position), sql);
    }
  }
  const e = await failure("SELECT 1; SET 'execution.checkpointing.intervall' = '1s'");
  assert.deepEqual([e.code, e.hint, e.position], ['42704', 'Perhaps you meant "execution.checkpointing.interval".', '15']);
});

test('contradictions are refused with the statement to type first', async () => {
  const e = async (sql: string): Promise<string[]> => { const f = await failure(sql); return [f.code, f.hint]; };
  assert.deepEqual(await e('SET checkpoint_mode = at_least_once; SET unaligned_checkpoints = on'), ['22023', 'SET checkpoint_mode = exactly_once;']);
  assert.deepEqual(await e('SET max_concurrent_checkpoints = 2; SET unaligned_checkpoints = on'), ['22023', 'SET max_concurrent_checkpoints = 1;']);
  assert.deepEqual(await e("SET checkpoint_min_pause = '10min'"), ['22023', "SET checkpoint_timeout = '600000ms';"]);
  assert.deepEqual(await e("SET checkpoint_interval_during_backlog = '5s'"), ['22023', "SET checkpoint_interval = '5000ms';"]);
  assert.deepEqual(await e('ALTER JOB v SET (unaligned_checkpoints = on, checkpoint_mode = at_least_once)'), ['22023', 'ALTER JOB v SET (checkpoint_mode = exactly_once);']);
  assert.deepEqual(await e("ALTER JOB v SET (checkpoint_min_pause = '1h')"), ['22023', "ALTER JOB v SET (checkpoint_timeout = '3600000ms');"]);
  assert.deepEqual(await e("ALTER SYSTEM SET checkpoint_min_pause = '1h'"), ['22023', "ALTER SYSTEM SET checkpoint_timeout = '3600000ms';"]);
});

test('SET in a transaction that rolls back, and in a text that fails, leaves nothing behind', async () => {
  const client = await server.connect();
  const interval = async (): Promise<unknown> => ((await client.query({ text: 'SHOW checkpoint_interval', rowMode: 'array' })).rows as unknown[][])[0]?.[0];
  try {
    await client.query("BEGIN; SET checkpoint_interval = '7s'");
    assert.equal(await interval(), '7s');
    await client.query('ROLLBACK');
    assert.equal(await interval(), '10s');
    await assert.rejects(client.query("SET checkpoint_interval = '7s'; SELECT 1 / 0"));
    assert.equal(await interval(), '10s');
    await client.query("SET checkpoint_interval = '6s'");
    await client.query('BEGIN; RESET ALL; ROLLBACK');
    assert.equal(await interval(), '6s');
    await client.query("BEGIN; SET LOCAL checkpoint_interval = '7s'; SET checkpoint_interval = '8s'; COMMIT");
    assert.equal(await interval(), '8s');
    assert.deepEqual((await client.query({ text: "SELECT set_config('execution.checkpointing.interval', $1, false)", values: ['9s'], rowMode: 'array' })).rows, [['9s']]);
    assert.equal(await interval(), '9s');
    await assert.rejects(client.query("SELECT set_config('checkpoint_interval', '1ms', false)"), { code: '22023' });
    await client.query("BEGIN; SELECT set_config('checkpoint_interval', '4s', true)");
    assert.equal(await interval(), '4s');
    await client.query('COMMIT');
    assert.equal(await interval(), '9s');
    await client.query('DISCARD ALL');
    assert.equal(await interval(), '10s');
  } finally {
    await client.end();
  }
});

test('pg_settings says where a value comes from, its unit, range and words', async () => {
  const client = new pg.Client({ host: '127.0.0.1', port: server.port, user: 'test', database: 'test', options: "-c retained_checkpoints=4 --execution.checkpointing.mode=AT_LEAST_ONCE" });
  await client.connect();
  try {
    await client.query("ALTER SYSTEM SET tolerable_failed_checkpoints = 2; SET checkpoint_interval = '3s'");
    const { rows } = await client.query({
      text: `SELECT name, setting, unit, source, min_val, max_val, enumvals::text, boot_val, reset_val FROM pg_settings
        WHERE name IN ('checkpoint_interval', 'checkpoint_mode', 'checkpoint_timeout', 'retained_checkpoints', 'tolerable_failed_checkpoints', 'unaligned_checkpoints', 'checkpoint_min_pause') ORDER BY name`, rowMode: 'array',
    });
    assert.deepEqual(rows, [
      ['checkpoint_interval', '3000', 'ms', 'session', '0', '31536000000', null, '10000', '10000'],
      ['checkpoint_min_pause', '5', 'ms', 'configuration file', '0', '31536000000', null, '0', '5'],
      ['checkpoint_mode', 'at_least_once', null, 'client', null, null, '{exactly_once,at_least_once}', 'exactly_once', 'at_least_once'],
      ['checkpoint_timeout', '540000', 'ms', 'configuration file', '10', '31536000000', null, '600000', '540000'],
      ['retained_checkpoints', '4', null, 'client', '1', '1000', null, '3', '4'],
      ['tolerable_failed_checkpoints', '2', null, 'configuration file', '0', '2147483647', null, '0', '2'],
      ['unaligned_checkpoints', 'off', null, 'default', null, null, null, 'off', 'off'],
    ]);
    // A prepared SHOW gives the value of its execution.
    const named = { name: 'show', text: 'SHOW checkpoint_interval', rowMode: 'array' as const };
    assert.deepEqual((await client.query(named)).rows, [['3s']]);
    await client.query('RESET checkpoint_interval');
    assert.deepEqual((await client.query(named)).rows, [['10s']]);
    await client.query('ALTER SYSTEM RESET tolerable_failed_checkpoints');
    assert.deepEqual((await client.query("SELECT source FROM pg_settings WHERE name = 'tolerable_failed_checkpoints'")).rows, [{ source: 'default' }]);
  } finally {
    await client.end();
  }
});

test('ALTER SYSTEM lies over the configuration file, lasts, and its RESET brings the file back', async () => {
  await server.query("ALTER SYSTEM SET checkpoint_timeout = '4min'; ALTER SYSTEM SET 'state.checkpoints.num-retained' = 9");
  await server.kill();
  server = await start();
  assert.deepEqual(await server.query('SHOW checkpoint_timeout'), [['4min']]);
  assert.deepEqual(await server.query('SHOW retained_checkpoints'), [['9']]);
  await server.query('ALTER SYSTEM RESET ALL');
  assert.deepEqual(await server.query('SHOW checkpoint_timeout'), [['9min']]);
  await server.kill();
  server = await start();
  assert.deepEqual(await server.query('SHOW retained_checkpoints'), [['3']]);
  assert.equal((await failure('ALTER SYSTEM SET workers = 1')).code, '55P02');
});

test('ALTER JOB changes a running job at its next trigger, is recorded with who and when, and outlives the server', async () => {
  await server.query("SET checkpoint_interval = 0; CREATE MATERIALIZED VIEW w AS SELECT sum(a) AS s FROM t");
  const completed = async (): Promise<number> => Number((await server.query("SELECT count(*) FROM checkpoints WHERE job_name = 'w' AND status = 'completed'"))[0]?.[0]);
  const before = await completed();
  await server.query("INSERT INTO t VALUES (1); FLUSH");
  await server.query("ALTER JOB w SET ('execution.checkpointing.interval' = '20ms', checkpoint_mode = 'AT_LEAST_ONCE')");
  await until(() => server.query("SELECT mode FROM checkpoints WHERE job_name = 'w' AND status = 'completed' ORDER BY checkpoint_id DESC LIMIT 1"), rows => rows[0]?.[0] === 'at_least_once', 20_000, 'a checkpoint of the new interval and mode');
  assert(await completed() > before);
  const history = `SELECT name, setting, changed_by, until IS NULL, since <= now() FROM checkpoint_settings WHERE job_name = 'w' AND name IN ('checkpoint_interval', 'checkpoint_mode') ORDER BY name, since`;
  const expected = [
    ['checkpoint_interval', '0', null, 'f', 't'], ['checkpoint_interval', '20ms', 'test', 't', 't'],
    ['checkpoint_mode', 'exactly_once', null, 'f', 't'], ['checkpoint_mode', 'at_least_once', 'test', 't', 't'],
  ];
  assert.deepEqual(await server.query(history), expected);
  await server.kill();
  server = await start();
  assert.deepEqual(await server.query(history), expected);
  await server.query('ALTER JOB w RESET (checkpoint_interval, checkpoint_mode)');
  assert.deepEqual((await server.query(history)).map(r => r[1]), ['0', '20ms', '10s', 'exactly_once', 'at_least_once', 'exactly_once']);
  // What is so already is no change.
  await server.query("ALTER JOB w SET (checkpoint_interval = '10000ms')");
  assert.equal((await server.query(history)).length, 6);
});

test('changes of one job that come at the same time, from ALTER JOB and from a view that joins it, are all kept', async () => {
  await server.query('CREATE MATERIALIZED VIEW many AS SELECT count(*) AS n FROM t');
  const values: readonly (readonly [string, string])[] = [
    ['checkpoint_interval', '41s'], ['checkpoint_timeout', '42min'], ['tolerable_failed_checkpoints', '43'], ['retained_checkpoints', '44'], ['checkpoint_history', '45'],
    ['restart_attempts', '46'], ['restart_delay', '47s'], ['aligned_checkpoint_timeout', '48s'],
  ];
  await Promise.all([
    ...values.map(([name, value]) => server.query(`ALTER JOB many SET (${name} = '${value}')`)),
    server.query('CREATE MATERIALIZED VIEW many_more AS SELECT n + 1 AS n FROM many'),
  ]);
  const held = `SELECT name, setting FROM checkpoint_settings WHERE job_name = 'many' AND until IS NULL AND changed_by = 'test' ORDER BY setting`;
  assert.deepEqual(await server.query(held), values);
  await server.kill();
  server = await start();
  assert.deepEqual(await server.query(held), values);
  assert.deepEqual(await server.query("SELECT relations::text FROM jobs WHERE job_name = 'many'"), [['{many,many_more}']]);
});

test('ALTER JOB refuses what a running job cannot take, and says what to type', async () => {
  const e = async (sql: string): Promise<string[]> => { const f = await failure(sql); return [f.code, f.hint]; };
  assert.deepEqual(await e('ALTER JOB v SET (parallelism = 7)'), ['55000', 'PAUSE JOB v; RESUME JOB v WITH (parallelism = 7);']);
  assert.deepEqual(await e('ALTER JOB v SET (parallelism = 128, checkpoint_interval = 1000)').then(x => x[0]), '55000');
  assert.match((await e('ALTER JOB v SET (max_parallelism = 4)')).join(' '), /^0A000 STOP JOB v WITH SAVEPOINT;/);
  assert.match((await e("ALTER JOB v SET ('state.backend.type' = memory)")).join(' '), /^0A000 .*SET state_backend = 'memory';/);
  assert.match((await e("ALTER JOB v SET (checkpoint_storage = '/tmp/elsewhere')")).join(' '), /^0A000 /);
  assert.deepEqual(await e('ALTER JOB v SET (shared_reading = off)'), ['55000', "PAUSE JOB v; ALTER JOB v SET (shared_reading = 'off'); RESUME JOB v;"]);
  assert.match((await e('ALTER JOB v SET (restore_claim_mode = claim)')).join(' '), /^55000 SET restore_claim_mode = 'claim'; before CREATE/);
  assert.deepEqual(await e("ALTER JOB v SET (statement_timeout = '1s')"), ['22023', 'SET statement_timeout = …; holds for the session.']);
  assert.deepEqual(await e("ALTER JOB v SET (checkpoint_interval = '1s', 'execution.checkpointing.interval' = '2s')").then(x => x[0]), '42601');
  assert.match((await e("ALTER JOB t SET (checkpoint_interval = '1s')")).join(' '), /^42704 table "t" has no job/);
  assert.deepEqual(await e("ALTER JOB vv SET (checkpoint_interval = '1s')"), ['42704', 'Perhaps you meant "v".']);
  assert.equal((await failure("BEGIN; ALTER JOB v SET (checkpoint_interval = '1s')")).code, '25001');
  // Nothing of a refused statement is taken.
  assert.deepEqual(await server.query("SELECT count(*) FROM checkpoint_settings WHERE job_name = 'v' AND changed_by IS NOT NULL"), [['0']]);
});
