/** What sinks write of queries whose key is not among their columns. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { removeFolder, ServerProcess, temporaryFolder, until } from './serverprocess.js';

test('a sink writes the columns of its query: those of a key that it leaves out tell rows apart, and are not written', { timeout: 60_000 }, async () => {
  const dir = temporaryFolder('sinks');
  const server = await ServerProcess.start(path.join(dir, 'data'));
  const lines = (name: string): string[] => {
    const folder = path.join(dir, name);
    return readdirSync(folder).filter(f => f.startsWith('part-')).sort().flatMap(f => readFileSync(path.join(folder, f), 'utf8').trimEnd().split('\n')).filter(l => l !== 'op,m');
  };
  const written = async (name: string, n: number): Promise<string[]> => {
    await until(() => Promise.resolve(lines(name).map(l => [l])), rows => rows.length === n, 10_000, `${n} lines of ${name}`);
    return lines(name);
  };
  const sink = (name: string, query: string, more = ''): string => `CREATE SINK ${name} WITH (connector = 'file', path = '${path.join(dir, name)}', changelog = 'true'${more}) AS ${query};`;
  try {
    await server.query(`SET parallelism = 1; SET checkpoint_interval = '100ms'; CREATE TABLE x (g int, v int);
      ${sink('counted', 'SELECT count(*) AS c FROM x GROUP BY g')} ${sink('clash', 'SELECT count(*) AS g FROM x GROUP BY g')} ${sink('rows', 'SELECT v FROM x')} ${sink('csv', 'SELECT max(v) AS m FROM x GROUP BY g, v % 2', ", format = 'csv'")}`);
    for (const change of ['INSERT INTO x VALUES (1, 10)', 'INSERT INTO x VALUES (1, 30), (2, 10)', 'DELETE FROM x WHERE g = 2']) {
      await server.query(change);
      await server.query('FLUSH');
      await server.query('CHECKPOINT');
    }
    for (const [name, column] of [['counted', 'c'], ['clash', 'g']] as const) {
      const [first, ...rest] = await written(name, 5);
      assert.equal(first, `{"op":"insert","${column}":1}`);
      assert.deepEqual(rest.slice(0, 3).sort(), [`{"op":"insert","${column}":1}`, `{"op":"update_after","${column}":2}`, `{"op":"update_before","${column}":1}`]);
      assert.equal(rest[3], `{"op":"delete","${column}":1}`);
    }
    assert.deepEqual((await written('rows', 4)).sort(), ['{"op":"delete","v":10}', '{"op":"insert","v":10}', '{"op":"insert","v":10}', '{"op":"insert","v":30}']);
    assert.deepEqual((await written('csv', 5)).sort(), ['delete,10', 'insert,10', 'insert,10', 'update_after,30', 'update_before,10']);
    await assert.rejects(server.query(`CREATE SINK refused WITH (connector = 'file', path = '${dir}/refused') AS SELECT g, count(*) FROM x GROUP BY g`), { code: '0A000', hint: /^changelog = 'true' / });
  } finally {
    await server.kill();
    removeFolder(dir);
  }
});
