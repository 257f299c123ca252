/** prefer_checkpoint_for_recovery: what a row was computed at tells whether it came from the state or was computed again. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { ServerProcess, removeFolder, temporaryFolder } from './serverprocess.js';

test('after a kill a job goes back to its newest checkpoint, or to its newer savepoint with prefer_checkpoint_for_recovery off', { timeout: 120_000 }, async () => {
  const dir = temporaryFolder('prefer');
  let server = await ServerProcess.start(dir);
  try {
    await server.query("ALTER SYSTEM SET checkpoint_interval = '1h'; ALTER SYSTEM SET parallelism = 2; CREATE STREAM s (k int)");
    const view = (name: string): string => `CREATE MATERIALIZED VIEW ${name} AS SELECT k, now() AS seen FROM s`;
    await server.query(`${view('prefers')}; SET prefer_checkpoint_for_recovery = off; ${view('newest')}; ${view('altered')}; ALTER JOB altered SET (prefer_checkpoint_for_recovery = on); ALTER JOB prefers SET (prefer_checkpoint_for_recovery = on)`);
    const run = async (...statements: readonly string[]): Promise<void> => { for (const sql of statements) await server.query(sql); };
    await run('INSERT INTO s VALUES (1)', 'FLUSH', 'CHECKPOINT');
    await run('INSERT INTO s VALUES (2)', 'FLUSH', 'CREATE SAVEPOINT FOR JOB prefers', 'CREATE SAVEPOINT FOR JOB newest', 'CREATE SAVEPOINT FOR JOB altered');
    await run('INSERT INTO s VALUES (3)', 'FLUSH');
    const seen = async (name: string): Promise<string[]> => (await server.query(`SELECT seen FROM ${name} ORDER BY k`)).map(r => r[0] ?? '');
    const names = ['prefers', 'newest', 'altered'];
    const before = await Promise.all(names.map(seen));
    await server.kill();
    server = await ServerProcess.start(dir);
    await server.query('FLUSH');
    const after = await Promise.all(names.map(seen));
    const kept = after.map((rows, v) => rows.map((at, k) => at === before[v]?.[k]));
    assert.deepEqual(kept, [[true, false, false], [true, true, false], [true, false, false]]);
  } finally {
    await server.kill();
    removeFolder(dir);
  }
});
