/**
 * The example extension (examples/extension) in a real server: own source → own function with keyed state, timers and a map with a time to live → own sink and
 * a view. The server is killed (−9) at random moments, and goes on with other numbers of subtasks: the view's rows and the sink's lines must be those that plain
 * code computes from the same events, each once.
 */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { event } from '../examples/extension/counter.js';
import { open } from '../server/open.js';
import { seeded } from '../types/encoding/testdatums.js';
import { removeFolder, ServerProcess, temporaryFolder, until, type TextRow } from './serverprocess.js';

const EXTENSION = fileURLToPath(new URL('../examples/extension/extension.js', import.meta.url));
const LANES = 4;
const ROWS = 800;
const WITHIN_S = 15;

const STREAM = `CREATE STREAM payment (lane int, n bigint, card text, amount float8, country text, at timestamp, WATERMARK FOR at AS at - INTERVAL '1 second') WITH (connector = 'counter', lanes = '${LANES}', rows = '${ROWS}', pause_ms = '150', hurry = '$HURRY');`;
const JOBS = `
CREATE MATERIALIZED VIEW alerts AS SELECT card, at, reason, payments FROM fraud(payment, 1, 500, within => INTERVAL '${WITHIN_S} seconds', partition_by => card);
CREATE SINK told AS SELECT card, at, reason FROM fraud(TABLE payment PARTITION BY card, 1, 500, INTERVAL '${WITHIN_S} seconds') WHERE reason LIKE '%0 after %' WITH (connector = 'ledger', path = '$DIR');
`;

/** What the function must say, by hand: cards are independent, and each card's payments come in the order of time. */
function expected(): string[] {
  const said: string[] = [];
  const cards = new Map<string, { readonly at: number; readonly amount: number; readonly country: string }[]>();
  for (let lane = 0; lane < LANES; lane++) {
    for (let n = 0; n < ROWS; n++) {
      const e = event(lane, n);
      const card = String(e['card']);
      cards.set(card, [...cards.get(card) ?? [], { at: Number(e['at']), amount: Number(e['amount']), country: String(e['country']) }]);
    }
  }
  for (const [card, payments] of cards) {
    const countries = new Set<string>();
    let small: { at: number; amount: number } | null = null;
    payments.forEach(({ at, amount, country }, k) => {
      if (small !== null && at > small.at + WITHIN_S * 1e6) { said.push(`${card} ${small.at + WITHIN_S * 1e6} quiet after a small payment`); small = null; }
      if (small !== null && amount > 500) { said.push(`${card} ${at} ${amount} after ${small.amount}`); small = null; }
      else if (amount < 1) small = { at, amount };
      if (!countries.has(country) && countries.size > 0) said.push(`${card} ${at} first seen in ${country}`);
      countries.add(country);
      if (k === payments.length - 1 && small !== null) said.push(`${card} ${small.at + WITHIN_S * 1e6} quiet after a small payment`);
    });
  }
  return said.sort();
}

/** Completed checkpoints, and jobs that are over. */
const COMPLETED = "SELECT count(*), (SELECT count(*) FROM millrace.jobs WHERE status IN ('finished', 'failed')) FROM millrace.checkpoints WHERE status = 'completed'";
const us = (text: string | null): number => Date.parse(`${String(text).replace(' ', 'T')}Z`) * 1000;
const lines = (dir: string): string[] => (existsSync(dir) ? readdirSync(dir) : []).filter(f => f.endsWith('.ndjson')).flatMap(f => readFileSync(path.join(dir, f), 'utf8').trimEnd().split('\n'))
  .map(l => JSON.parse(l) as { card: string; at: number; reason: string }).map(r => `${r.card} ${r.at} ${r.reason}`).sort();
const over = (rows: readonly TextRow[]): boolean => rows.length === 2 && rows.every(r => r[0] === 'finished' || r[0] === 'failed');

async function withServer(run: (server: ServerProcess, dir: string) => Promise<void>): Promise<void> {
  const dir = temporaryFolder('functions');
  const server = await ServerProcess.start(path.join(dir, 'data'), { args: ['--extension', EXTENSION] });
  try {
    await run(server, dir);
  } finally {
    await server.kill();
    removeFolder(dir);
  }
}

test('own function, source and sink: every row once after kills −9 and at 1, 2, 3 and 1 subtasks', { timeout: 240_000 }, async () => {
  const random = seeded(5);
  const dir = temporaryFolder('functions');
  const data = path.join(dir, 'data');
  const out = path.join(dir, 'out');
  const hurry = path.join(dir, 'hurry');
  const args = { args: ['--extension', EXTENSION] };
  let server = await ServerProcess.start(data, args);
  const ask = (): Promise<TextRow[]> => server.query('SELECT status, failure FROM millrace.jobs');
  try {
    await server.query(`SET checkpoint_interval = '100ms'; SET parallelism = 1; SET restart_strategy = 'fixed_delay'; ${STREAM.replace('$HURRY', hurry)} ${JOBS.replace('$DIR', out)}`);
    let kills = 0;
    for (const parallelism of [2, null, 3, null, 1, null]) {
      const done = Number((await server.query(COMPLETED))[0]?.[0]);
      await until(() => server.query(COMPLETED), rows => Number(rows[0]?.[0]) > done + 4 || rows[0]?.[1] === '2', 60_000, 'some checkpoints');
      if (parallelism !== null) {
        await server.query('PAUSE JOB alerts; PAUSE JOB told');
        await server.query(`RESUME JOB alerts WITH (parallelism = ${parallelism}); RESUME JOB told WITH (parallelism = ${parallelism})`);
        continue;
      }
      await new Promise(resolve => { setTimeout(resolve, random(150)); });
      await server.kill();
      kills++;
      server = await ServerProcess.start(data, args);
    }
    writeFileSync(hurry, '');
    const ended = await until(ask, over, 120_000, 'the end of the jobs');
    assert.deepEqual(ended.map(r => r[0]), ['finished', 'finished'], JSON.stringify(ended));
    assert.equal(kills, 3);
    const all = expected();
    const view = (await server.query('SELECT card, at, reason FROM alerts')).map(r => `${String(r[0])} ${us(r[1])} ${String(r[2])}`).sort();
    assert.deepEqual(view, all);
    assert.deepEqual(lines(out), all.filter(l => / after \d/.test(l)));
    assert.ok(all.some(l => l.includes('quiet')) && all.some(l => l.includes('first seen')), 'every kind of alert is among them');
    // The count of a card's payments went on over everything: the last alert of a card has nearly all of them.
    assert.deepEqual((await server.query('SELECT max(payments) FROM alerts'))[0]?.[0], String(ROWS / 10));
  } finally {
    await server.kill();
    removeFolder(dir);
  }
});

test('queries, EXPLAIN, errors and millrace.state of an own function', { timeout: 120_000 }, async () => withServer(async server => {
  const client = await server.connect();
  const fails = async (sql: string): Promise<string[]> => {
    const e: unknown = await client.query(sql).then(() => null, (x: unknown) => x);
    const { code, message, position } = e as { code: string; message: string; position?: string };
    return [code, message, position ?? ''];
  };
  try {
    await client.query(`${STREAM.replace(", pause_ms = '150', hurry = '$HURRY'", '')} CREATE TABLE cards (card text, amount float8, country text);`);
    const rows = await server.query(`SELECT card, at, reason FROM fraud(payment, 1, 500, INTERVAL '${WITHIN_S} seconds', partition_by => card)`);
    assert.deepEqual(rows.map(r => `${String(r[0])} ${us(r[1])} ${String(r[2])}`).sort(), expected());
    const [small] = await server.query("WITH few AS (SELECT card, amount, country, at FROM payment WHERE n < 20) SELECT count(*) FROM fraud(few, 1, 500, partition_by => (card, country), on_time => at) f JOIN payment p ON p.card = f.card AND p.n < 10");
    assert.ok(Number(small?.[0]) > 0);
    assert.deepEqual(await fails('SELECT * FROM fraud(payment, 1)'), ['42883', 'wrong arguments of function fraud: "large" is missing', '15']);
    assert.deepEqual(await fails('SELECT * FROM fraud(payment, 1, 2, largest => 3)'), ['42883', 'wrong arguments of function fraud: it has none named "largest"', '36']);
    assert.deepEqual((await fails("SELECT * FROM fraud(payment, 'x', 2)"))[0], '22P02');
    assert.deepEqual(await fails('SELECT * FROM fraud(payment, n, 2)'), ['42703', 'column "n" does not exist', '30']);
    assert.deepEqual((await fails('SELECT * FROM fraud(payment, 1, 2, partition_by => amount)'))[0], '0A000');
    assert.deepEqual(await fails('WITH q AS (SELECT card FROM payment) SELECT * FROM fraud(q, 1, 2)'), ['22023', 'function fraud: its relation has no column "amount"', '52']);
    assert.deepEqual(await fails('CREATE MATERIALIZED VIEW v AS SELECT * FROM fraud(cards, 1, 2)'), ['0A000', 'function fraud over rows that change, in a continuous query is not supported', '45']);
    assert.deepEqual((await fails('SELECT * FROM fraud(payment, 1, 2)'))[0], '38000');
    const plan = (await server.query('EXPLAIN CREATE MATERIALIZED VIEW v AS SELECT * FROM fraud(payment, 1, 500, partition_by => card)')).map(r => String(r[0]));
    assert.ok(plan.some(l => l.includes('Function fraud by (card) time at')) && plan.some(l => l.includes('Exchange hash (card)')), plan.join('\n'));

    await client.query("CREATE STREAM pay (card text, amount float8, country text, at timestamp, WATERMARK FOR at AS at); CREATE MATERIALIZED VIEW v AS SELECT * FROM fraud(pay, 1, 500, partition_by => card)");
    await client.query("INSERT INTO pay VALUES ('c', 0.5, 'NO', '2024-01-01 00:00:00'), ('c', 20, 'SE', '2024-01-01 00:00:10'), ('d', 20, 'SE', '2024-01-01 00:00:10')");
    await client.query('FLUSH');
    await client.query('CHECKPOINT');
    const [id] = await server.query("SELECT operator_id FROM millrace.operators WHERE job_name = 'v' AND operator = 'process' LIMIT 1");
    const state = await server.query(`SELECT card, state_name, map_key, value FROM millrace.state('v', ${String(id?.[0])}) s WHERE state_table = 'keys' ORDER BY 1, 2, 3`);
    assert.deepEqual(state, [
      ['c', 'countries', '"NO"', '1704067200000000'], ['c', 'countries', '"SE"', '1704067210000000'], ['c', 'payments', null, '2'], ['c', 'small', null, '{"atUs": 1704067200000000, "amount": 0.5}'], ['c', 'timer', null, '"2024-01-01 00:01:00.000001"'],
      ['d', 'countries', '"SE"', '1704067210000000'], ['d', 'payments', null, '1'],
    ]);
  } finally {
    await client.end();
  }
}));

test('a module that is no good is refused at start, with what is wrong', { timeout: 60_000 }, async () => {
  const dir = temporaryFolder('extensions');
  const refused = async (text: string): Promise<string> => {
    const file = path.join(dir, `${Math.abs(text.length)}.mjs`);
    writeFileSync(file, text);
    const url = new URL(`file://${file}`);
    const e: unknown = await open({ data: path.join(dir, 'data'), port: null, logLevel: 'silent', extensions: [url] }).then(s => s.close(), (x: unknown) => x);
    return e instanceof Error ? e.message.replace(url.href, 'FILE') : '';
  };
  try {
    assert.equal(await refused("export const functions = [{ name: 'f', columns() {} }];"), 'extension FILE: "f" in "functions" has no method create');
    assert.equal(await refused("export const functions = [{ name: 'tumble', columns() {}, create() {} }];"), 'extension FILE: function "tumble" is one of the server\'s own');
    assert.equal(await refused("export const sources = [{ name: 'kafka', bounded() {}, createFunction() {} }];"), 'extension FILE: source "kafka" exists already');
    assert.equal(await refused("export const sinks = [{ name: 'Mine', createFunction() {} }];"), 'extension FILE: "Mine" in "sinks" is no name in lower case');
    assert.equal(await refused("throw new Error('broken');"), 'extension FILE could not be loaded: broken');
  } finally {
    removeFolder(dir);
  }
});
