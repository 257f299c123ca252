/** What is left of checkpoints, and when: retention, CANCEL, DROP, failure, and what a crash leaves behind. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { ServerProcess, removeFolder, temporaryFolder, until } from './serverprocess.js';

const VIEW = (name: string): string => `CREATE MATERIALIZED VIEW ${name} AS SELECT g, count(*) AS c FROM t GROUP BY g;`;
const checkpoint = async (server: ServerProcess, times: number): Promise<void> => {
  for (let i = 0; i < times; i++) await server.query(`INSERT INTO t SELECT x, x % 7 FROM generate_series(1, 100) AS s(x) ON CONFLICT (id) DO UPDATE SET g = excluded.g + 1; CHECKPOINT`);
};

async function withServer(name: string, run: (server: ServerProcess, dir: string, restart: () => Promise<ServerProcess>) => Promise<void>): Promise<void> {
  const dir = temporaryFolder(name);
  let server = await ServerProcess.start(dir);
  try {
    await server.query("ALTER SYSTEM SET checkpoint_interval = '1h'; ALTER SYSTEM SET parallelism = 1; CREATE TABLE t (id int PRIMARY KEY, g int)");
    await run(server, dir, async () => {
      await server.kill();
      return server = await ServerProcess.start(dir);
    });
  } finally {
    await server.kill();
    removeFolder(dir);
  }
}
async function folderOf(server: ServerProcess, dir: string, job: string): Promise<string> {
  const [row] = await server.query(`SELECT job_id FROM millrace.jobs WHERE job_name = '${job}'`);
  return path.join(dir, 'checkpoints', row?.[0] ?? '?');
}
const chks = (folder: string): string[] => (existsSync(folder) ? readdirSync(folder).filter(n => n.startsWith('chk-')).sort() : []);
const files = (folder: string): string[] => (existsSync(path.join(folder, 'shared')) ? readdirSync(path.join(folder, 'shared')) : []);

test('retained_checkpoints newest ones are kept, at the setting of now; the history says which are discarded', { timeout: 60_000 }, async () => {
  await withServer('retained', async (server, dir) => {
    await server.query(`SET retained_checkpoints = 2; SET incremental_checkpoints = off; ${VIEW('v')}`);
    await checkpoint(server, 4);
    const folder = await folderOf(server, dir, 'v');
    await until(async () => await server.query("SELECT discarded FROM millrace.checkpoints ORDER BY checkpoint_id"), rows => rows.map(r => r[0]).join('') === 'ttff', 20_000, 'two discarded');
    assert.deepEqual(chks(folder), ['chk-3', 'chk-4']);
    assert.deepEqual([...new Set(files(folder).map(n => n.split('-')[1]))].sort(), ['3', '4'], 'files of older checkpoints are gone');
    await server.query('ALTER JOB v SET (retained_checkpoints = 1)');
    await checkpoint(server, 1);
    await until(async () => await server.query('SELECT count(*) FROM millrace.checkpoints WHERE discarded'), rows => rows[0]?.[0] === '4', 20_000, 'four discarded');
    assert.deepEqual(chks(folder), ['chk-5']);
  });
});

test('CANCEL and DROP delete checkpoints or retain them as externalized_checkpoints says; a job that fails keeps them', { timeout: 120_000 }, async () => {
  await withServer('externalized', async (server, dir, restart) => {
    const retain = "SET externalized_checkpoints = 'retain_on_cancellation';";
    await server.query(`${VIEW('gone')} ${VIEW('dropped')} CREATE MATERIALIZED VIEW fails AS SELECT id / (g - 50) AS q FROM t;`);
    await server.query(`${retain} ${VIEW('kept')} ${VIEW('kept_dropped')}`);
    await checkpoint(server, 2);
    const at: Record<string, string> = {};
    for (const name of ['gone', 'dropped', 'kept', 'kept_dropped', 'fails']) at[name] = await folderOf(server, dir, name);
    for (const folder of Object.values(at)) assert.deepEqual(chks(folder), ['chk-1', 'chk-2']);
    await server.query('CANCEL JOB gone; CANCEL JOB kept; DROP MATERIALIZED VIEW dropped; DROP MATERIALIZED VIEW kept_dropped; INSERT INTO t VALUES (1000, 50)');
    await until(async () => await server.query("SELECT status FROM millrace.jobs WHERE job_name = 'fails'"), rows => rows[0]?.[0] === 'failed', 20_000, 'failure');
    const left = (): Record<string, string[]> => Object.fromEntries(Object.entries(at).map(([name, folder]) => [name, chks(folder)]));
    const both = ['chk-1', 'chk-2'];
    assert.deepEqual(left(), { gone: [], dropped: [], kept: both, kept_dropped: both, fails: both });
    const seen = async (s: ServerProcess): Promise<unknown> => await s.query("SELECT DISTINCT job_name, discarded FROM millrace.checkpoints WHERE job_name IN ('gone', 'kept') ORDER BY 1");
    assert.deepEqual(await seen(server), [['gone', 't'], ['kept', 'f']]);
    const again = await restart();
    assert.deepEqual(left(), { gone: [], dropped: [], kept: both, kept_dropped: both, fails: both });
    assert.deepEqual(await seen(again), [['gone', 't'], ['kept', 'f']]);
    assert.deepEqual(await again.query("SELECT job_name FROM millrace.job_failures WHERE job_name <> 'fails'"), [], 'a cancelled job is not looked for');
  });
});

test('what a crash left is gone after the start, with and without a completed checkpoint', { timeout: 60_000 }, async () => {
  await withServer('orphans', async (server, dir, restart) => {
    await server.query(`${VIEW('v')} ${VIEW('none')}`);
    await server.query("INSERT INTO t SELECT x, x % 7 FROM generate_series(1, 100) AS s(x); CHECKPOINT JOB v");
    const folders = [await folderOf(server, dir, 'v'), await folderOf(server, dir, 'none')];
    const before = files(folders[0] ?? '').sort();
    await server.kill();
    for (const folder of folders) {
      mkdirSync(path.join(folder, 'shared'), { recursive: true });
      mkdirSync(path.join(folder, 'chk-7'), { recursive: true });
      for (const name of ['shared/delta-7-1.0-00000000', 'shared/base-7-1.0-00000000.tmp', 'chk-7/_metadata.tmp']) writeFileSync(path.join(folder, name), 'half');
    }
    const again = await restart();
    await again.query('FLUSH');
    assert.deepEqual([chks(folders[0] ?? ''), files(folders[0] ?? '').sort()], [['chk-1'], before]);
    assert.deepEqual([chks(folders[1] ?? ''), files(folders[1] ?? '')], [[], []]);
  });
});
