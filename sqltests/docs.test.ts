/**
 * The documentation's examples, run: every ```sql block of docs/tour.md, docs/windows.md, docs/topn.md, docs/checkpoints.md and docs/functions.md in order on one fresh server a page, with the example's extension (a following ```text block is
 * psql's output for it, compared line by line), and every row of docs/errors.md's tables (statement, SQLSTATE, message).
 */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { existsSync, readFileSync, mkdirSync, writeFileSync } from 'node:fs';
import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import pg from 'pg';
import { ServerProcess, removeFolder, temporaryFolder } from './serverprocess.js';

function root(): string {
  let dir = path.dirname(fileURLToPath(import.meta.url));
  while (!existsSync(path.join(dir, 'package.json'))) dir = path.dirname(dir);
  return dir;
}

interface Block { readonly language: string; readonly text: string; readonly line: number }

function blocks(markdown: string): Block[] {
  const found: Block[] = [];
  let open: { language: string; line: number; text: string[] } | null = null;
  markdown.split('\n').forEach((line, i) => {
    if (open === null) {
      const m = /^```(\w+)/.exec(line);
      if (m !== null) open = { language: m[1] ?? '', line: i + 1, text: [] };
    } else if (line.startsWith('```')) {
      found.push({ language: open.language, text: open.text.join('\n'), line: open.line });
      open = null;
    } else open.text.push(line);
  });
  return found;
}

const hasPsql = spawnSync('psql', ['--version']).status === 0;

for (const page of ['docs/tour.md', 'docs/windows.md', 'docs/topn.md', 'docs/checkpoints.md', 'docs/functions.md']) test(`${page} works as written, in psql`, { skip: hasPsql ? false : 'SKIPPED: psql is not installed', timeout: 120_000 }, async () => {
  const dir = temporaryFolder('tour');
  const server = await ServerProcess.start(path.join(dir, 'data'), { args: ['--extension', fileURLToPath(new URL('../examples/extension/extension.js', import.meta.url))] });
  try {
    mkdirSync(path.join(dir, 'work'));
    writeFileSync(path.join(dir, 'work', 'orders.ndjson'), '{"id":1,"customer":"ann","amount":12.5,"at":"2024-05-01 10:00:00"}\n{"id":2,"customer":"bob","amount":7,"at":"2024-05-01 10:00:03"}\n');
    const all = blocks(readFileSync(path.join(root(), page), 'utf8'));
    for (let i = 0; i < all.length; i++) {
      const block = all[i];
      if (block?.language !== 'sql') continue;
      const expected = all[i + 1]?.language === 'text' ? all[i + 1]?.text : undefined;
      const run = spawnSync('psql', ['-X', '-q', '-v', 'ON_ERROR_STOP=1', '-h', '127.0.0.1', '-p', String(server.port), '-U', 'me', '-d', 'test'], { input: block.text.replaceAll('/tmp/orders.ndjson', path.join(dir, 'work', 'orders.ndjson')).replaceAll('/tmp/alerts', path.join(dir, 'work', 'alerts')), encoding: 'utf8', timeout: 60_000 });
      assert.equal(run.status, 0, `${page}:${block.line}: ${run.stderr}`);
      if (expected !== undefined) {
        const tidy = (text: string): string => text.split('\n').map(l => l.trimEnd()).filter(l => l !== '').join('\n');
        assert.equal(tidy(run.stdout), tidy(expected), `${page}:${block.line}`);
      }
    }
  } finally {
    await server.kill();
    removeFolder(dir);
  }
});

interface Row { readonly statement: string; readonly code: string; readonly says: string; readonly line: number }

/** Rows of the tables whose first column is a statement in backticks. */
function errorRows(markdown: string): Row[] {
  return markdown.split('\n').flatMap((line, i) => {
    const m = /^\| `(.+?)` \| (\w{5}) \| (.+?) \|$/.exec(line.replaceAll('\\|', '\u0001'));
    if (m === null) return [];
    const unescape = (s: string | undefined): string => (s ?? '').replaceAll('\u0001', '|');
    return [{ statement: unescape(m[1]), code: m[2] ?? '', says: unescape(m[3]), line: i + 1 }];
  });
}

test('every bad statement of docs/errors.md gets the error written there', { timeout: 120_000 }, async () => {
  const dir = temporaryFolder('errors');
  const server = await ServerProcess.start(dir);
  const client = await server.connect();
  try {
    await client.query(`CREATE TABLE account (id int PRIMARY KEY, owner text NOT NULL, balance numeric(10,2)); INSERT INTO account VALUES (1, 'ann', 10);
      CREATE STREAM click (page text, at timestamp); CREATE MATERIALIZED VIEW pages AS SELECT page, count(*) AS n FROM click GROUP BY page;
      CREATE VIEW owners AS SELECT owner FROM account`);
    const wrong: string[] = [];
    for (const row of errorRows(readFileSync(path.join(root(), 'docs/errors.md'), 'utf8'))) {
      try {
        await client.query(row.statement);
        wrong.push(`docs/errors.md:${row.line}: ${row.statement}: no error`);
      } catch (e) {
        const error = e as pg.DatabaseError;
        const said = `${error.message}${error.detail === undefined ? '' : ` DETAIL ${error.detail}`}${error.hint === undefined ? '' : ` HINT ${error.hint}`}`;
        const parts = row.says.split(' … ').map(p => p.replace(/^`|`$/g, ''));
        if (error.code !== row.code || !parts.every(p => said.includes(p))) wrong.push(`docs/errors.md:${row.line}: ${row.statement}: ${error.code ?? '?'} ${said}`);
      }
      await client.query('ROLLBACK').catch(() => undefined);
    }
    assert.deepEqual(wrong, []);
    assert.deepEqual((await client.query({ text: 'SELECT id, owner FROM account', rowMode: 'array' })).rows, [['1', 'ann']], 'nothing was lost');
  } finally {
    await client.end().catch(() => undefined);
    await server.kill();
    removeFolder(dir);
  }
});
