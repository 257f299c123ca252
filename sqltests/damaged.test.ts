/** Damage on disk: a checkpoint file that is not what was written is noticed, named, and the next older one is used. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { readdirSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { ServerProcess, removeFolder, temporaryFolder } from './serverprocess.js';

function filesBelow(dir: string): string[] {
  return readdirSync(dir).flatMap(name => {
    const file = path.join(dir, name);
    return statSync(file).isDirectory() ? filesBelow(file) : [file];
  });
}

/** Newest checkpoint folder of the only job. */
function newest(data: string): string {
  const job = path.join(data, 'checkpoints', readdirSync(path.join(data, 'checkpoints'))[0] ?? '');
  const checkpoints = readdirSync(job).filter(n => n.startsWith('chk-')).sort((a, b) => Number(a.slice(4)) - Number(b.slice(4)));
  return path.join(job, checkpoints[checkpoints.length - 1] ?? '');
}

const DAMAGES: Readonly<Record<string, (file: string) => void>> = {
  'a flipped byte': file => { const bytes = readFileSync(file); const at = Math.floor(bytes.length / 2); bytes[at] = (bytes[at] ?? 0) ^ 0x40; writeFileSync(file, bytes); },
  'a cut file': file => { truncateSync(file, Math.floor(statSync(file).size / 2)); },
  'a missing file': file => { rmSync(file); },
};

for (const [name, damage] of Object.entries(DAMAGES)) {
  test(`${name} in the newest checkpoint: the next older one is used and nothing is lost`, { timeout: 60_000 }, async () => {
    const dir = temporaryFolder('damaged');
    let server = await ServerProcess.start(dir);
    try {
      await server.query('CREATE TABLE t (id int PRIMARY KEY, g int); CREATE MATERIALIZED VIEW v AS SELECT g, count(*) AS c, max(id) AS m FROM t GROUP BY g');
      for (let i = 0; i < 4; i++) {
        await server.query(`INSERT INTO t SELECT x, x % 7 FROM generate_series(${i * 100}, ${i * 100 + 99}) AS s(x)`);
        await server.query('CHECKPOINT');
      }
      const expected = await server.query('SELECT * FROM v ORDER BY g');
      assert.equal(expected.length, 7);
      await server.kill();
      const victims = filesBelow(newest(dir));
      damage(victims.sort()[0] ?? '');
      // Local state would make the checkpoint files unnecessary: it goes too.
      rmSync(path.join(dir, 'jobs'), { recursive: true, force: true });
      server = await ServerProcess.start(dir);
      await server.query('FLUSH');
      assert.deepEqual(await server.query('SELECT * FROM v ORDER BY g'), expected);
      assert.ok(server.log.some(line => line.includes('chk-') && /damag|older|unusable/i.test(line)), `the log names the checkpoint:\n${server.log.join('\n')}`);
    } finally {
      await server.kill();
      removeFolder(dir);
    }
  });
}

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
