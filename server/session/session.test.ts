/** The protocol layer driven by real clients: node-postgres and psql, over a Backend that knows VALUES only. */
import { execFile, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { once } from 'node:events';
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { promisify } from 'node:util';
import pg from 'pg';
import { pino } from 'pino';
import { serialize } from 'pg-protocol';
import { Parser } from 'pg-protocol/dist/parser.js';
import { listen, type Listener } from '../listen.js';
import { ValuesBackend } from './valuesbackend.test.js';

const backend = new ValuesBackend();
let listener: Listener;
before(async () => { listener = await listen(backend, { port: 0, host: '127.0.0.1', log: pino({ level: 'silent' }) }); });
after(async () => { await listener.close(); });

async function withClient<T>(use: (client: pg.Client) => Promise<T>, options: pg.ClientConfig = {}): Promise<T> {
  const client = new pg.Client({ host: '127.0.0.1', port: listener.port, user: 'u', database: 'd', ...options });
  client.on('error', () => undefined);
  await client.connect();
  try { return await use(client); } finally { await client.end(); }
}
function lastSession(): (typeof backend.sessions)[number] {
  const s = backend.sessions.at(-1);
  assert(s !== undefined);
  return s;
}

test('a simple query gives rows with names, types and the command tag', async () => {
  await withClient(async (c) => {
    const r = await c.query("VALUES (1, 'é', true, 1.50), (2, NULL, false, 0.1)");
    assert.deepEqual(r.rows, [{ column1: 1, column2: 'é', column3: true, column4: '1.50' }, { column1: 2, column2: null, column3: false, column4: '0.1' }]);
    assert.deepEqual(r.fields.map((f) => f.dataTypeID), [23, 25, 16, 1700]);
    assert.equal(r.command, 'SELECT');
    assert.equal(r.rowCount, 2);
  });
});

test('a query of several statements is one implicit transaction, committed before its last tag', async () => {
  await withClient(async (c) => {
    const r = (await c.query('SELECT 1; ; SET x = 1; SELECT 2')) as unknown as pg.QueryResult[];
    assert.deepEqual(r.map((x) => x.command), ['SELECT', 'SET', 'SELECT']);
    const log = lastSession().log;
    assert.equal(log.filter((l) => l === 'commit implicit').length, 1);
    assert.equal(log.at(-1), 'commit implicit');
  });
});

test('an empty query is answered', async () => {
  await withClient(async (c) => {
    assert.deepEqual((await c.query('')).rows, []);
    assert.deepEqual((await c.query(' -- nothing\n;')).rows, []);
    assert.deepEqual((await c.query({ text: '', values: [] })).rows, []);
  });
});

test('an error carries SQLSTATE, detail, hint and position, stops the rest of its query, and the session goes on', async () => {
  await withClient(async (c) => {
    await assert.rejects(c.query('SELECT 1; SET bad = 1; SET x = 2'), (e: pg.DatabaseError) => e.code === '22023' && e.detail === 'detail text' && e.hint === 'hint text' && e.position === '15' && e.severity === 'ERROR');
    assert.deepEqual(lastSession().log.slice(-3), ['begin implicit', 'set', 'fail']);
    await assert.rejects(c.query("SELECT 'é', * FROM nix"), (e: pg.DatabaseError) => e.code === '42P01' && e.position === '20');
    await assert.rejects(c.query('SELECT 1; SELEC 2'), (e: pg.DatabaseError) => e.code === '42601' && e.position === '11' && e.message === 'syntax error at or near "SELEC"');
    await assert.rejects(c.query('GRANT ALL ON t TO u'), (e: pg.DatabaseError) => e.code === '0A000' && e.message === 'GRANT is not supported');
    assert.equal((await c.query('SELECT 1')).rowCount, 1);
  });
});

test('parameters go in as text and types are told back', async () => {
  await withClient(async (c) => {
    const r = await c.query('VALUES ($1::int, $2, $3::timestamp, $4::int[])', [7, "it's", '2026-01-02 03:04:05', [1, 2]]);
    assert.equal(r.rows[0].column1, 7);
    assert.equal(r.rows[0].column2, "it's");
    assert.deepEqual(r.rows[0].column4, [1, 2]);
    assert.equal((await c.query('VALUES ($1::int)', [null])).rows[0].column1, null);
    await assert.rejects(c.query('VALUES ($1, $2)', ['a']), (e: pg.DatabaseError) => e.code === '08P01');
  });
});

test('binary parameters and results', async () => {
  await withClient(async (c) => {
    const four = Buffer.from([0, 0, 1, 2]);
    const r = await c.query({ text: 'VALUES ($1::int)', values: [four] });
    assert.equal(r.rows[0].column1, 258);
    await assert.rejects(c.query({ text: 'VALUES ($1::int)', values: [Buffer.from([1])] }), (e: pg.DatabaseError) => e.code === '22P03' || e.code === '08P01');
    const b = await c.query({ text: "VALUES ('1.5'::float8, '-3'::int8, 'x')", binary: true } as pg.QueryConfig);
    assert.equal(b.rows[0].column1, 1.5);
  });
});

test('named prepared statements are parsed once and run many times', async () => {
  await withClient(async (c) => {
    for (const v of ['a', 'b']) assert.equal((await c.query({ name: 'q', text: 'VALUES ($1)', values: [v] })).rows[0].column1, v);
    await c.query('DEALLOCATE q');
    await assert.rejects(c.query('EXECUTE q'), (e: pg.DatabaseError) => e.code === '26000');
  });
});

test('an error in the extended protocol skips to Sync and the session goes on', async () => {
  await withClient(async (c) => {
    await assert.rejects(c.query('SELECT $1 FROM nix', ['x']), (e: pg.DatabaseError) => e.code === '42P01');
    await assert.rejects(c.query('SELECT 1; SELECT $1', ['x']), (e: pg.DatabaseError) => e.code === '42601');
    assert.equal((await c.query('VALUES ($1)', ['x'])).rows[0].column1, 'x');
  });
});

test('a failed transaction block refuses all but its end', async () => {
  await withClient(async (c) => {
    await c.query('BEGIN');
    await assert.rejects(c.query('SET bad = 1'));
    await assert.rejects(c.query('SELECT 1'), (e: pg.DatabaseError) => e.code === '25P02');
    await assert.rejects(c.query('VALUES ($1)', ['x']), (e: pg.DatabaseError) => e.code === '25P02');
    assert.equal((await c.query('COMMIT')).command, 'ROLLBACK');
    assert.equal((await c.query('SELECT 1')).rowCount, 1);
  });
});

test('PREPARE, EXECUTE and DEALLOCATE in SQL', async () => {
  await withClient(async (c) => {
    await c.query("PREPARE p (int, text) AS VALUES ($1, $2)");
    assert.deepEqual((await c.query("EXECUTE p (5, 'x')")).rows, [{ column1: 5, column2: 'x' }]);
    await assert.rejects(c.query('EXECUTE p (5)'), (e: pg.DatabaseError) => e.code === '42601' && e.detail === 'Expected 2 parameters but got 1.');
    await assert.rejects(c.query('PREPARE p AS SELECT 1'), (e: pg.DatabaseError) => e.code === '42P05');
    await c.query('DEALLOCATE ALL');
    await assert.rejects(c.query("EXECUTE p (5, 'x')"), (e: pg.DatabaseError) => e.code === '26000');
  });
});

test('cursors: DECLARE, FETCH, MOVE, CLOSE; only what is fetched is computed', async () => {
  await withClient(async (c) => {
    await assert.rejects(c.query('DECLARE x CURSOR FOR SELECT * FROM numbers'), (e: pg.DatabaseError) => e.code === '25P01');
    const takenBefore = backend.taken;
    await c.query('BEGIN; DECLARE x CURSOR FOR SELECT * FROM numbers');
    assert.deepEqual((await c.query('FETCH 3 FROM x')).rows, [{ n: 0 }, { n: 1 }, { n: 2 }]);
    assert.equal((await c.query('MOVE 200 IN x')).command, 'MOVE');
    assert.deepEqual((await c.query('FETCH NEXT x')).rows, [{ n: 203 }]);
    assert.deepEqual((await c.query('FETCH ABSOLUTE 300 x')).rows, [{ n: 299 }]);
    assert(backend.taken - takenBefore <= 4);
    await assert.rejects(c.query('FETCH PRIOR x'), (e: pg.DatabaseError) => e.code === '55000');
    await c.query('ROLLBACK');
    await assert.rejects(c.query('FETCH x'), (e: pg.DatabaseError) => e.code === '34000');
  });
});

test('FETCH from a subscription returns as soon as rows are there', async () => {
  await withClient(async (c) => {
    await c.query('BEGIN; DECLARE x CURSOR FOR SUBSCRIBE TO ticks');
    assert.equal((await c.query('FETCH 100 x')).rows[0].n, 0);
    assert.equal((await c.query('FETCH ALL x')).rows[0].n, 1);
    await c.query('COMMIT');
    assert(lastSession().log.includes('ticks ended'));
  });
});

test('a cancel request ends the running statement with 57014', async () => {
  await withClient(async (c) => {
    const running = c.query('SELECT * FROM ticks');
    const caught = assert.rejects(running, (e: pg.DatabaseError) => e.code === '57014' && e.message === 'canceling statement due to user request');
    while (!lastSession().log.includes('select')) await new Promise((r) => setImmediate(r));
    const { processID, secretKey } = c as unknown as { processID: number; secretKey: number };
    const wrong = await raw();
    wrong.write(cancelRequest(processID, secretKey ^ 1));
    await once(wrong, 'close');
    const right = await raw();
    right.write(cancelRequest(processID, secretKey));
    await once(right, 'close');
    await caught;
    assert.equal((await c.query('SELECT 1')).rowCount, 1);
  });
});

test('statement_timeout ends a statement with 57014', async () => {
  await withClient(async (c) => {
    await c.query('SET statement_timeout = 30');
    await assert.rejects(c.query('FLUSH'), (e: pg.DatabaseError) => e.code === '57014' && e.message === 'canceling statement due to statement timeout');
  });
});

test('a client that goes away ends its running statement', async () => {
  const client = new pg.Client({ host: '127.0.0.1', port: listener.port, user: 'u', database: 'd' });
  client.on('error', () => undefined);
  await client.connect();
  const session = lastSession();
  client.query('SELECT * FROM ticks').catch(() => undefined);
  while (!session.log.includes('select')) await new Promise((r) => setImmediate(r));
  (client as unknown as { connection: { stream: Socket } }).connection.stream.destroy();
  while (!session.closed) await new Promise((r) => setImmediate(r));
  assert(session.log.includes('ticks ended'));
});

test('a client that does not read holds the statement back instead of filling memory', async () => {
  const socket = await raw();
  socket.write(startupPacket({ user: 'u' }));
  await once(socket, 'readable');
  const takenBefore = backend.taken;
  socket.pause();
  const sql = 'SELECT * FROM numbers;'.repeat(1000);
  socket.write(packet('Q', Buffer.from(`${sql}\0`)));
  let seen = -1;
  while (backend.taken !== seen || backend.taken === takenBefore) { seen = backend.taken; await new Promise((r) => setTimeout(r, 100)); }
  assert(backend.taken - takenBefore < 100_000);
  socket.destroy();
});

test('changed settings are reported and notices arrive', async () => {
  await withClient(async (c) => {
    const notices: string[] = [];
    c.on('notice', (n) => notices.push(`${n.severity ?? ''} ${n.code ?? ''} ${n.message ?? ''} ${n.hint ?? ''}`));
    await c.query('SET noisy = 1');
    assert.deepEqual(notices, ['NOTICE 00000 you set noisy be quiet']);
    const reported: string[] = [];
    (c as unknown as { connection: NodeJS.EventEmitter }).connection.on('parameterStatus', (m: { parameterName: string; parameterValue: string }) => reported.push(`${m.parameterName}=${m.parameterValue}`));
    await c.query("SET TimeZone = 'Europe/Berlin'");
    assert.deepEqual(reported, ['TimeZone=Europe/Berlin']);
  });
});

test('notifications arrive while the connection is idle', async () => {
  await withClient(async (c) => {
    const got = once(c, 'notification') as Promise<[{ channel: string; payload: string }]>;
    await c.query('SELECT 1');
    lastSession().events.notification('checkpoints', '{"id":1}', 7);
    const [n] = await got;
    assert.equal(`${n.channel} ${n.payload}`, 'checkpoints {"id":1}');
  });
});

test('a row limit suspends a portal; the next Execute goes on; Sync closes it', async () => {
  const socket = await raw();
  socket.write(startupPacket({ user: 'u' }));
  const execute = (rows: number): Buffer => serialize.execute({ portal: 'p', rows });
  socket.write(Buffer.concat([
    serialize.parse({ name: '', text: 'SELECT * FROM numbers', types: [] }), serialize.describe({ type: 'S', name: '' }), serialize.bind({ portal: 'p', statement: '' }), execute(2), execute(3), serialize.flush(),
    serialize.describe({ type: 'P', name: 'p' }), serialize.close({ type: 'P', name: 'p' }), serialize.sync(), execute(1), serialize.query('SELECT 1'), serialize.sync(), serialize.query('SELECT 1'), serialize.end(),
  ]));
  const names: string[] = [];
  const parser = new Parser();
  parser.parse(await everything(socket), (m) => { names.push(m.name === 'error' ? `error ${(m as unknown as pg.DatabaseError).code ?? ''}` : m.name); });
  assert.deepEqual(names.filter((n) => n !== 'parameterStatus').slice(3), [
    'parseComplete', 'parameterDescription', 'rowDescription', 'bindComplete', 'dataRow', 'dataRow', 'portalSuspended', 'dataRow', 'dataRow', 'dataRow', 'portalSuspended',
    'rowDescription', 'closeComplete', 'readyForQuery', 'error 34000', 'readyForQuery', 'rowDescription', 'dataRow', 'commandComplete', 'readyForQuery',
  ]);
});

test('startup: options become settings, a refused user is FATAL, no user is 28000', async () => {
  await withClient(async (c) => { assert.equal((await c.query('SHOW statement_timeout')).rows[0].statement_timeout, '123'); }, { options: '-c statement_timeout=123' });
  await assert.rejects(withClient(async () => undefined, { user: 'nobody' }), (e: pg.DatabaseError) => e.code === '28000' && e.severity === 'FATAL');
  const socket = await raw();
  socket.write(startupPacket({ database: 'd' }));
  assert.match((await everything(socket)).toString('latin1'), /FATAL.*28000/s);
});

test('protocol 3.2 gets a long cancel key; a later minor version and unknown protocol options are negotiated down', async () => {
  const socket = await raw();
  socket.write(startupPacket({ user: 'u', '_pq_.x': '1' }, 196609 + 100));
  socket.write(packet('X', Buffer.alloc(0)));
  const bytes = await everything(socket);
  assert.equal(bytes.toString('latin1', 0, 1), 'v');
  assert.equal(bytes.readInt32BE(5), 196610);
  assert(bytes.toString('latin1').includes('_pq_.x'));
  const key = bytes.indexOf(Buffer.from([75, 0, 0, 0, 40]));
  assert(key > 0, 'BackendKeyData of 32 bytes');
});

test('malformed, unknown and oversized messages end that connection with 08P01, never the server', async () => {
  const bad: [string, Buffer][] = [
    ['unknown type', packet('?', Buffer.alloc(3))],
    ['length below its own size', Buffer.from([81, 0, 0, 0, 3])],
    ['over 64 MB', Buffer.from([81, 0x7f, 0xff, 0xff, 0xff])],
    ['string without an end', packet('Q', Buffer.from('SELECT 1'))],
    ['bytes left over', packet('Q', Buffer.from('SELECT 1\0x'))],
    ['negative count', packet('P', Buffer.from([0, 0, 0xff, 0xff]))],
    ['parameter longer than the message', packet('B', Buffer.from([0, 0, 0, 0, 0, 1, 0, 0, 1, 0]))],
    ['Describe of neither', packet('D', Buffer.from('x\0'))],
  ];
  for (const [what, bytes] of bad) {
    const socket = await raw();
    socket.write(startupPacket({ user: 'u' }));
    socket.write(bytes);
    assert.match((await everything(socket)).toString('latin1'), /VFATAL\0C08P01/, what);
  }
  const early = await raw();
  early.write(Buffer.from('GET / HTTP/1.1\r\n\r\n'));
  assert.match((await everything(early)).toString('latin1'), /FATAL.*08P01/s);
  await withClient(async (c) => { assert.equal((await c.query('SELECT 1')).rowCount, 1); });
});

test('shutdown ends idle and busy sessions with 57P01', async () => {
  const other = await listen(backend, { port: 0, host: '127.0.0.1', log: pino({ level: 'silent' }) });
  const client = new pg.Client({ host: '127.0.0.1', port: other.port, user: 'u', database: 'd' });
  const errors: pg.DatabaseError[] = [];
  client.on('error', (e) => errors.push(e as pg.DatabaseError));
  await client.connect();
  const busy = new pg.Client({ host: '127.0.0.1', port: other.port, user: 'u', database: 'd' });
  busy.on('error', () => undefined);
  await busy.connect();
  const session = lastSession();
  const running = busy.query('SELECT * FROM ticks').catch((e: unknown) => e);
  while (!session.log.includes('select')) await new Promise((r) => setImmediate(r));
  const ended = new Promise<void>((resolve) => { client.once('end', () => { resolve(); }); });
  await other.close();
  await ended;
  assert.equal(errors[0]?.code, '57P01');
  assert.equal(((await running) as pg.DatabaseError).code, '57P01');
});

const psql = ['/usr/lib/postgresql/15/bin/psql', '/usr/bin/psql'].find((p) => existsSync(p));
const noPsql = psql === undefined ? 'psql is not installed' : false;
const run = promisify(execFile);
const psqlArgs = (...rest: string[]): string[] => ['-X', '-h', '127.0.0.1', '-p', String(listener.port), '-U', 'u', '-d', 'd', ...rest];

test('psql: queries, COPY in and out, row by row fetching', { skip: noPsql }, async () => {
  assert(psql !== undefined);
  const one = await run(psql, psqlArgs('-At', '-c', "VALUES (1, 'x'), (2, NULL)"));
  assert.equal(one.stdout, '1|x\n2|\n');
  const fetched = await run(psql, psqlArgs('-At', '-v', 'FETCH_COUNT=7', '-c', 'SELECT * FROM numbers'));
  assert.equal(fetched.stdout.split('\n').length, 10_001);
  backend.kept.length = 0;
  const child = spawn(psql, psqlArgs('-c', 'COPY kept FROM STDIN', '-c', 'COPY kept TO STDOUT WITH (FORMAT csv, HEADER)'));
  child.stdin.end('1\ta\\tb\n2\t\\N\n3\té"q"\n\\.\n');
  const out = await output(child.stdout);
  assert.equal(out, 'COPY 3\na,b\n1,a\tb\n2,\n3,"é""q"""\n');
  assert.deepEqual(backend.kept, [['1', 'a\tb'], ['2', null], ['3', 'é"q"']]);
});

test('a bad COPY row fails the COPY with its line, the rest of the data is dropped and the session goes on', { skip: noPsql }, async () => {
  assert(psql !== undefined);
  const child = spawn(psql, psqlArgs('-At', '-c', 'COPY kept FROM STDIN WITH (FORMAT csv)', '-c', 'SELECT 42'));
  child.stdin.on('error', () => undefined);
  child.stdin.end(`1,a\n2,b\nx,c\n${'3,d\n'.repeat(50_000)}`);
  const errors = output(child.stderr);
  assert.equal(await output(child.stdout), '42\n');
  assert.match(await errors, /invalid input syntax for type integer: "x"[\s\S]*COPY line 3/);
});

test('psql: Ctrl-C ends COPY (SUBSCRIBE …) TO STDOUT', { skip: noPsql }, async () => {
  assert(psql !== undefined);
  const child = spawn(psql, psqlArgs('-c', 'COPY (SUBSCRIBE TO ticks) TO STDOUT'));
  child.stdout.once('data', () => { child.kill('SIGINT'); });
  child.stdout.resume();
  const errors = output(child.stderr);
  await once(child, 'close');
  assert.match(await errors, /canceling statement due to user request/);
});

async function output(stream: NodeJS.ReadableStream): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const c of stream) chunks.push(Buffer.from(c as Buffer));
  return Buffer.concat(chunks).toString();
}
async function raw(): Promise<Socket> {
  const socket = connect(listener.port, '127.0.0.1');
  socket.on('error', () => undefined);
  await once(socket, 'connect');
  return socket;
}
async function everything(socket: Socket): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const c of socket) chunks.push(c as Buffer);
  return Buffer.concat(chunks);
}
function packet(type: string, body: Buffer): Buffer {
  const head = Buffer.alloc(5);
  head.write(type, 'latin1');
  head.writeInt32BE(body.length + 4, 1);
  return Buffer.concat([head, body]);
}
function startupPacket(parameters: Readonly<Record<string, string>>, protocol = 196608): Buffer {
  const text = Buffer.from(`${Object.entries(parameters).flat().map((s) => `${s}\0`).join('')}\0`);
  const head = Buffer.alloc(8);
  head.writeInt32BE(text.length + 8, 0);
  head.writeInt32BE(protocol, 4);
  return Buffer.concat([head, text]);
}
function cancelRequest(pid: number, key: number): Buffer {
  const b = Buffer.alloc(16);
  b.writeInt32BE(16, 0);
  b.writeInt32BE(80877102, 4);
  b.writeInt32BE(pid, 8);
  b.writeInt32BE(key | 0, 12);
  return b;
}
