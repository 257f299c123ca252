/** A disk that is really full (a small tmpfs): under checkpoint storage, and under the data directory. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { closeSync, mkdirSync, openSync, readdirSync, rmSync, writeSync } from 'node:fs';
import path from 'node:path';
import { ServerProcess, removeFolder, temporaryFolder, until } from './serverprocess.js';

/** Mounts a file system of that size at the folder; says why it cannot, to skip by name. */
function mount(folder: string, megabytes: number): string | false {
  mkdirSync(folder, { recursive: true });
  const done = spawnSync('mount', ['-t', 'tmpfs', '-o', `size=${megabytes}m`, 'tmpfs', folder], { encoding: 'utf8' });
  return done.status === 0 ? false : `SKIPPED: no small file system can be mounted: ${(done.error?.message ?? done.stderr).trim()}`;
}
function unmount(folder: string): void { spawnSync('umount', ['-l', folder]); }

const trial = temporaryFolder('mount');
const skip = mount(trial, 1);
if (skip === false) unmount(trial);
removeFolder(trial);

/** Takes all that is left. */
function fill(folder: string): string {
  const file = path.join(folder, 'ballast');
  const fd = openSync(file, 'w');
  for (let bytes = 1024 * 1024; bytes >= 1;) {
    try {
      if (writeSync(fd, new Uint8Array(bytes)) < bytes) bytes >>= 1;
    } catch {
      bytes >>= 1;
    }
  }
  closeSync(fd);
  return file;
}
function filesBelow(dir: string): string[] {
  return readdirSync(dir, { withFileTypes: true }).flatMap(e => (e.isDirectory() ? filesBelow(path.join(dir, e.name)) : [e.name]));
}

test('full checkpoint storage: checkpoints fail with 53100 named and tolerated, nothing half is left, and with room again the next one completes', { skip, timeout: 120_000 }, async () => {
  const dir = temporaryFolder('full-storage');
  const disk = path.join(dir, 'disk');
  mount(disk, 8);
  const server = await ServerProcess.start(path.join(dir, 'data'));
  try {
    await server.query(`SET checkpoint_storage = '${disk}'; SET checkpoint_interval = '1h'; SET tolerable_failed_checkpoints = 10; SET parallelism = 1; CREATE TABLE t (id int PRIMARY KEY, g int);
      CREATE MATERIALIZED VIEW v AS SELECT g, count(*) AS c FROM t GROUP BY g; INSERT INTO t SELECT x, x FROM generate_series(1, 1000) AS s(x); CHECKPOINT`);
    const ballast = fill(disk);
    await server.query('INSERT INTO t SELECT x, x FROM generate_series(1001, 20000) AS s(x)');
    for (let i = 0; i < 2; i++) await assert.rejects(server.query('CHECKPOINT'));
    const failed = await server.query("SELECT status, failure_reason, failure_message FROM millrace.checkpoints WHERE status <> 'completed'");
    assert.equal(failed.length, 2);
    for (const [status, reason, message] of failed) {
      assert.deepEqual([status, reason], ['failed', 'CHECKPOINT_ASYNC_EXCEPTION']);
      assert.match(message ?? '', /ENOSPC|no space/i);
    }
    assert.deepEqual(await server.query('SELECT status, restarts FROM millrace.jobs'), [['running', '0']]);
    assert.deepEqual(await server.query('SELECT count(*) FROM v'), [['20000']]);
    rmSync(ballast);
    await server.query('CHECKPOINT');
    const files = filesBelow(disk);
    assert.deepEqual(files.filter(f => f.endsWith('.tmp') || /-[23]-1/.test(f)), [], 'of the failed ones nothing is left');
  } finally {
    await server.kill();
    unmount(disk);
    removeFolder(dir);
  }
});

test('full data directory: an INSERT is refused, reads go on, and a server started with room again has all that was acknowledged, in table and view', { skip, timeout: 180_000 }, async () => {
  const dir = temporaryFolder('full-data');
  const disk = path.join(dir, 'disk');
  mount(disk, 64);
  let server = await ServerProcess.start(disk);
  try {
    await server.query(`SET checkpoint_interval = '1h'; SET restart_strategy = 'fixed_delay'; SET restart_attempts = 1000; SET restart_delay = '200ms'; SET tolerable_failed_checkpoints = 100; SET parallelism = 1;
      CREATE TABLE t (id int PRIMARY KEY, g int); CREATE MATERIALIZED VIEW v AS SELECT g, count(*) AS c FROM t GROUP BY g; INSERT INTO t SELECT x, x % 100 FROM generate_series(1, 1000) AS s(x); CHECKPOINT`);
    const ballast = fill(disk);
    let acknowledged = 1000;
    const refused: string[] = [];
    // What was already given to the files may take some more.
    for (let i = 1; i <= 40 && refused.length < 3; i++) {
      await server.query(`INSERT INTO t SELECT x, x % 100 FROM generate_series(${i * 1000 + 1}, ${i * 1000 + 1000}) AS s(x)`)
        .then(() => { acknowledged += 1000; }, (e: Error & { code?: string }) => { refused.push(e.code ?? e.message); });
    }
    assert.ok(refused.length > 0 && refused.every(code => code === '53100' || code === '58030'), refused.join(' '));
    assert.deepEqual(await server.query('SELECT 1'), [['1']]);
    rmSync(ballast);
    // LevelDB's log may be torn where the disk was full: a new process reads what was acknowledged.
    await server.kill();
    server = await ServerProcess.start(disk);
    await until(() => server.query("SELECT status FROM millrace.jobs WHERE status = 'running'"), rows => rows.length === 1, 60_000, 'running');
    await server.query('FLUSH');
    const [[rows] = []] = await server.query('SELECT count(*) FROM t');
    assert.ok(Number(rows) >= acknowledged, `${rows} rows of ${acknowledged} acknowledged`);
    assert.deepEqual(await server.query('SELECT sum(c) FROM v'), [[rows]]);
    await server.query('INSERT INTO t VALUES (900000, 1); CHECKPOINT');
    assert.deepEqual(await server.query('SELECT sum(c) FROM v'), [[String(Number(rows) + 1)]]);
  } finally {
    await server.kill();
    unmount(disk);
    removeFolder(dir);
  }
});
