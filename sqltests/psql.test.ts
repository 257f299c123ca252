/** What a user sees in psql: \d, \d name, notices, errors with their place, COPY, subscriptions cut by a limit, cancel. */
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { ServerProcess, removeFolder, temporaryFolder } from './serverprocess.js';

const hasPsql = spawnSync('psql', ['--version']).status === 0;
const skip = hasPsql ? false : 'SKIPPED: psql is not installed';
let dir: string;
let server: ServerProcess;

before(async () => {
  dir = temporaryFolder('psql');
  server = await ServerProcess.start(dir);
  await server.query(`CREATE TABLE account (id int PRIMARY KEY, owner text NOT NULL DEFAULT 'nobody', balance numeric(10,2), tags text[]);
    CREATE STREAM click (page text, at timestamp, WATERMARK FOR at AS at - INTERVAL '1 second');
    CREATE VIEW rich AS SELECT owner FROM account WHERE balance > 100;
    CREATE MATERIALIZED VIEW pages AS SELECT page, count(*) AS n FROM click GROUP BY page;
    INSERT INTO account VALUES (1, 'ann', 150.5, '{a,b}'), (2, 'bob', 20, NULL); INSERT INTO click VALUES ('home', '2024-01-01 10:00'), ('home', '2024-01-01 10:01'), ('cart', NULL); FLUSH`);
});
after(async () => { await server.kill(); removeFolder(dir); });

function psql(input: string, ...args: string[]): { out: string; err: string; status: number | null } {
  const run = spawnSync('psql', ['-X', '-h', '127.0.0.1', '-p', String(server.port), '-U', 'me', '-d', 'shop', ...args], { input, encoding: 'utf8', timeout: 30_000 });
  return { out: run.stdout, err: run.stderr, status: run.status };
}

test('\\d lists every relation', { skip }, () => {
  const { out, err } = psql('\\d\n');
  assert.equal(err, '');
  for (const name of ['account', 'click', 'rich', 'pages']) assert.match(out, new RegExp(`public +\\| ${name} +\\|`));
});

test('\\d name shows columns, types, key and defaults', { skip }, () => {
  const table = psql('\\d account\n');
  assert.equal(table.err, '');
  assert.match(table.out, /Table "public.account"/);
  assert.match(table.out, /id +\| integer +\| +\| not null/);
  assert.match(table.out, /owner +\| text +\| +\| not null \| 'nobody'/);
  assert.match(table.out, /balance +\| numeric\(10,2\)/);
  assert.match(table.out, /tags +\| text\[\]/);
  assert.match(table.out, /"account_pkey" PRIMARY KEY, btree \(id\)/);
  const view = psql('\\d pages\n\\d rich\n\\d click\n\\d+ rich\n');
  assert.equal(view.err, '');
  assert.match(view.out, /Materialized view "public.pages"/);
  assert.match(view.out, /n +\| bigint/);
  assert.match(view.out, /View "public.rich"/);
});

test('other backslash commands of psql are answered', { skip }, () => {
  for (const command of ['\\dt', '\\dv', '\\dm', '\\dn', '\\l', '\\du', '\\df', '\\dT', '\\di', '\\dt millrace.*', '\\d millrace.jobs', '\\conninfo', '\\dx', '\\dp']) {
    const { err, status } = psql(`${command}\n`);
    assert.equal(err.replace(/Did not find any.*\n?/g, ''), '', command);
    assert.equal(status, 0, command);
  }
});

test('a syntax error points at its place', { skip }, () => {
  const { err } = psql('SELECT 1 +;\n');
  assert.match(err, /ERROR: {2}syntax error at or near ";"\nLINE 1: SELECT 1 \+;\n {18}\^/);
  const name = psql('SELECT nope FROM account;\n');
  assert.match(name.err, /column "nope" does not exist\nLINE 1: SELECT nope FROM account;\n {15}\^/);
});

test('COPY goes in and out', { skip }, () => {
  const { out, err } = psql("CREATE TABLE c (a int PRIMARY KEY, b text);\nCOPY c FROM STDIN;\n1\tone\n2\t\\N\n\\.\nCOPY c TO STDOUT WITH (FORMAT csv, HEADER);\n");
  assert.equal(err, '');
  assert.match(out, /COPY 2\na,b\n1,one\n2,\n/);
});

test('Ctrl-C ends a subscription and the session goes on', { skip: skip !== false ? skip : spawnSync('script', ['--version']).status === 0 ? false : 'SKIPPED: script (a terminal for psql) is not installed', timeout: 30_000 }, async () => {
  // On a terminal, as a user has it: psql reading from a pipe ends at Ctrl-C, and holds its output back until the COPY ends.
  const child = spawn('script', ['-qfec', `psql -X -P pager=off -h 127.0.0.1 -p ${server.port} -U me -d shop`, '/dev/null'], { stdio: ['pipe', 'pipe', 'pipe'] });
  const exited = new Promise(resolve => { child.once('exit', resolve); });
  let out = '';
  const waitFor = async (what: () => boolean): Promise<void> => { while (!what()) await new Promise(resolve => { setTimeout(resolve, 20); }); };
  child.stdout.on('data', (d: Buffer) => { out += d.toString(); });
  await waitFor(() => out.includes('=>') || out.includes('=#'));
  child.stdin.write('COPY (SUBSCRIBE TO pages) TO STDOUT;\n');
  await waitFor(() => /1\thome\t2/.test(out));
  await server.query("INSERT INTO click VALUES ('home', '2024-01-01 10:05'); FLUSH");
  await waitFor(() => /1\thome\t3/.test(out));
  child.stdin.write('\x03');
  await waitFor(() => /canceling statement due to user request/.test(out));
  child.stdin.write("SELECT 'still ' || 'here';\n");
  await waitFor(() => out.includes('still here'));
  child.stdin.end('\\q\n');
  await exited;
});

test('transactions: all changes of a block come at once, a rollback leaves none', { skip }, () => {
  const { out } = psql("CREATE TABLE acc (id int PRIMARY KEY, b int); CREATE MATERIALIZED VIEW tot AS SELECT sum(b) AS s FROM acc;\nBEGIN; INSERT INTO acc VALUES (1, 50); INSERT INTO acc VALUES (2, 50); COMMIT; FLUSH;\nSELECT s FROM tot;\nBEGIN; UPDATE acc SET b = 0; ROLLBACK; FLUSH; SELECT s FROM tot; SELECT id, b FROM acc ORDER BY 1;\n", '-At');
  assert.match(out, /100\n[\s\S]*100\n1\|50\n2\|50/);
});
