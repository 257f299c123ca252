/**
 * Damage on disk: a checkpoint file that is not what was written is noticed, named, and the next older checkpoint is used; when none is left the job says so and
 * does not begin anew in silence. One server has a job for each kind of file and of damage.
 */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { ServerProcess, removeFolder, temporaryFolder } from './serverprocess.js';

const DAMAGES: Readonly<Record<string, (file: string) => void>> = {
  flipped: file => { const bytes = readFileSync(file); const at = Math.floor(bytes.length / 2); bytes[at] = (bytes[at] ?? 0) ^ 0x40; writeFileSync(file, bytes); },
  cut: file => { truncateSync(file, Math.floor(statSync(file).size / 2)); },
  missing: file => { rmSync(file); },
  unreadable: file => { rmSync(file); mkdirSync(file); },
};
/** File of the newest checkpoint by its kind; `set`: settings with which it is that checkpoint's own. */
const KINDS: Readonly<Record<string, { readonly set: string; readonly query: string }>> = {
  metadata: { set: '', query: 'SELECT g, count(*) AS c, max(id) AS m FROM t GROUP BY g' },
  delta: { set: '', query: 'SELECT g, count(*) AS c, max(id) AS m FROM t GROUP BY g' },
  base: { set: 'SET incremental_checkpoints = off;', query: 'SELECT g, count(*) AS c, max(id) AS m FROM t GROUP BY g' },
  log: { set: '', query: 'SELECT a.id, a.x AS ax, b.x AS bx FROM s a JOIN s b ON a.id = b.x' },
};
const CASES = Object.keys(KINDS).flatMap(kind => Object.keys(DAMAGES).map(damage => ({ kind, damage, view: `${kind}_${damage}` })));

function victim(data: string, jobId: string, kind: string): string {
  const job = path.join(data, 'checkpoints', jobId);
  const newest = Math.max(...readdirSync(job).filter(n => n.startsWith('chk-')).map(n => Number(n.slice(4))));
  if (kind === 'metadata') return path.join(job, `chk-${newest}`, '_metadata');
  const file = readdirSync(path.join(job, 'shared')).find(n => n.startsWith(`${kind}-${newest}-`));
  assert.ok(file !== undefined, `job ${jobId} has no ${kind} of checkpoint ${newest}: ${readdirSync(path.join(job, 'shared')).join(' ')}`);
  return path.join(job, 'shared', file);
}

const fill = async (server: ServerProcess, i: number): Promise<void> => {
  await server.query(`INSERT INTO t SELECT x, x % 7 FROM generate_series(${i * 100}, ${i * 100 + 99}) AS s(x); INSERT INTO s SELECT x, x + 3 FROM generate_series(${i * 50}, ${i * 50 + 49}) AS s(x); CHECKPOINT`);
};
const jobIds = async (server: ServerProcess): Promise<Map<string, string>> => new Map((await server.query('SELECT job_name, job_id FROM millrace.jobs')).map(r => [r[0] ?? '', r[1] ?? '']));

test('each kind of file, damaged in each way in the newest checkpoint: the next older one is used, named in log and table, and nothing is lost', { timeout: 240_000 }, async () => {
  const dir = temporaryFolder('damaged');
  let server = await ServerProcess.start(dir);
  try {
    const views = CASES.map(({ kind, view }) => `SET incremental_checkpoints = on; ${KINDS[kind]?.set ?? ''} CREATE MATERIALIZED VIEW ${view} AS ${KINDS[kind]?.query ?? ''};`);
    await server.query(`SET checkpoint_interval = '1h'; SET parallelism = 1; CREATE TABLE t (id int PRIMARY KEY, g int); CREATE STREAM s (id int, x int); ${views.join(' ')}`);
    for (let i = 0; i < 3; i++) await fill(server, i);
    const results = async (): Promise<unknown[]> => {
      const out: unknown[] = [];
      for (const { view } of CASES) out.push([view, await server.query(`SELECT * FROM ${view} ORDER BY 1, 2, 3`)]);
      return out;
    };
    const expected = await results();
    const ids = await jobIds(server);
    await server.kill();
    for (const { kind, damage, view } of CASES) DAMAGES[damage]?.(victim(dir, ids.get(view) ?? '', kind));
    // Local state would make the checkpoint files unnecessary: it goes too.
    rmSync(path.join(dir, 'jobs'), { recursive: true, force: true });
    server = await ServerProcess.start(dir);
    await server.query('FLUSH');
    assert.deepEqual(await results(), expected);
    for (const { kind, view } of CASES) {
      const [row] = await server.query(`SELECT sqlstate, message, action FROM millrace.job_failures WHERE job_name = '${view}'`);
      assert.deepEqual([view, row?.[0], row?.[2]], [view, 'XX001', 'older_checkpoint']);
      assert.match(row?.[1] ?? '', kind === 'metadata' ? /chk-\d+\/_metadata"/ : new RegExp(`/shared/${kind}-`), view);
      assert.ok(server.log.some(line => line.includes(`\\"${view}\\" is damaged, the next older one is used`)), `the log names the checkpoint of ${view}`);
    }
    // They go on: the damaged ones are gone with the next checkpoints, and the job restores from its own again.
    await fill(server, 3);
    const after = await results();
    await server.kill();
    rmSync(path.join(dir, 'jobs'), { recursive: true, force: true });
    server = await ServerProcess.start(dir);
    await server.query('FLUSH');
    assert.deepEqual(await results(), after);
  } finally {
    await server.kill();
    removeFolder(dir);
  }
});

test('a job all of whose checkpoints are damaged fails, says which files, refuses reads, and can be dropped and created again', { timeout: 120_000 }, async () => {
  const dir = temporaryFolder('lost');
  let server = await ServerProcess.start(dir);
  try {
    const view = (name: string): string => `CREATE MATERIALIZED VIEW ${name} AS SELECT g, count(*) AS c FROM t GROUP BY g;`;
    await server.query(`SET checkpoint_interval = '1h'; CREATE TABLE t (id int PRIMARY KEY, g int); CREATE STREAM s (id int, x int); ${view('shared_base')} ${view('no_metadata')} ${view('emptied')} ${view('fine')}`);
    for (let i = 0; i < 3; i++) await fill(server, i);
    const expected = await server.query('SELECT * FROM fine ORDER BY g');
    const ids = await jobIds(server);
    await server.kill();
    const folder = (name: string): string => path.join(dir, 'checkpoints', ids.get(name) ?? '');
    for (const file of readdirSync(path.join(folder('shared_base'), 'shared'))) if (file.startsWith('base-1-')) DAMAGES['flipped']?.(path.join(folder('shared_base'), 'shared', file));
    for (const chk of readdirSync(folder('no_metadata'))) if (chk.startsWith('chk-')) DAMAGES['cut']?.(path.join(folder('no_metadata'), chk, '_metadata'));
    rmSync(folder('emptied'), { recursive: true });
    rmSync(path.join(dir, 'jobs'), { recursive: true, force: true });
    // Also a second start: the job stays failed, and its views unreadable.
    for (let round = 0; round < 2; round++) {
      server = await ServerProcess.start(dir);
      for (const name of ['shared_base', 'no_metadata', 'emptied']) {
        const [status] = await server.query(`SELECT status, failure FROM millrace.jobs WHERE job_name = '${name}'`);
        assert.equal(status?.[0], 'failed', name);
        if (round === 0) assert.equal(status?.[1], `job "${name}" has no usable checkpoint`);
        await assert.rejects(server.query(`SELECT * FROM ${name}`), (e: Error & { code?: string; detail?: string; hint?: string }) => {
          assert.equal(e.code, '55000', e.message);
          assert.match(e.message, /cannot be read: job ".*" has no usable checkpoint/);
          assert.match(e.detail ?? '', /chk-3: .*\/checkpoints\/\d+\//);
          assert.match(e.hint ?? '', /DROP/);
          return true;
        });
      }
      assert.deepEqual(await server.query('SELECT * FROM fine ORDER BY g'), expected);
      if (round === 0) await server.kill();
    }
    await server.query(`DROP MATERIALIZED VIEW emptied; ${view('emptied')}`);
    assert.deepEqual(await server.query('SELECT * FROM emptied ORDER BY g'), expected);
  } finally {
    await server.kill();
    removeFolder(dir);
  }
});

test('a second server on the same data directory is refused', { timeout: 30_000 }, async () => {
  const dir = temporaryFolder('twice');
  const server = await ServerProcess.start(dir);
  try {
    await assert.rejects(ServerProcess.start(dir), /in use by another server/);
    assert.deepEqual(await server.query('SELECT 1'), [['1']]);
  } finally {
    await server.kill();
    removeFolder(dir);
  }
});
