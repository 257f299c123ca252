/** The codec against pg-protocol: its serializer's bytes are decoded here, our bytes by its client parser. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { serialize } from 'pg-protocol';
import { Parser } from 'pg-protocol/dist/parser.js';
import type { BackendMessage, DataRowMessage, Field } from 'pg-protocol/dist/messages.js';
import type { Batch } from '../../runtime/batch.js';
import { PLAIN_IO, parseDatum } from '../../types/textio.js';
import { BOOL, BYTEA, FLOAT8, INT2, INT4, INT8, NUMERIC, TEXT, arrayOf, type Column } from '../../types/sqltype.js';
import { SqlError } from '../../types/error.js';
import { FrontendDecoder, ProtocolError } from './decoder.js';
import * as encode from './encoder.js';
import type { FrontendMessage } from './messages.js';
import { RowEncoder } from './rows.js';

const conversation = Buffer.concat([
  serialize.query("SELECT 'é€😀'"), serialize.parse({ name: 'q', text: 'SELECT $1', types: [23, 0] }),
  serialize.bind({ portal: 'p', statement: 'q', values: ['x', null, Buffer.from([1, 2])], binary: true }), serialize.describe({ type: 'S', name: 'q' }), serialize.describe({ type: 'P', name: 'p' }),
  serialize.execute({ portal: 'p', rows: 7 }), serialize.close({ type: 'S', name: 'q' }), serialize.flush(), serialize.sync(),
  serialize.copyData(Buffer.from('1\t2\n')), serialize.copyDone(), serialize.copyFail('no'), serialize.end(),
]);
const decoded: FrontendMessage[] = [
  { kind: 'query', sql: "SELECT 'é€😀'" }, { kind: 'parse', name: 'q', sql: 'SELECT $1', types: [23, 0] },
  { kind: 'bind', portal: 'p', statement: 'q', paramFormats: [0, 0, 1], params: [Buffer.from('x'), null, Buffer.from([1, 2])], resultFormats: [1] },
  { kind: 'describe', what: 'statement', name: 'q' }, { kind: 'describe', what: 'portal', name: 'p' }, { kind: 'execute', portal: 'p', rowsMax: 7 }, { kind: 'close', what: 'statement', name: 'q' },
  { kind: 'flush' }, { kind: 'sync' }, { kind: 'copyData', data: Buffer.from('1\t2\n') }, { kind: 'copyDone' }, { kind: 'copyFail', reason: 'no' }, { kind: 'terminate' },
];

function decodeAll(pieces: readonly Buffer[]): FrontendMessage[] {
  const decoder = new FrontendDecoder();
  const out: FrontendMessage[] = [];
  for (const piece of pieces) {
    decoder.push(piece);
    for (let m = decoder.next(); m !== null; m = decoder.next()) {
      const last = out.at(-1);
      // Pieces of one CopyData are one in the comparison.
      if (m.kind === 'copyData' && last?.kind === 'copyData') out[out.length - 1] = { kind: 'copyData', data: Buffer.concat([last.data, m.data]) };
      else out.push(m);
    }
  }
  assert.equal(decoder.buffered, 0);
  return out;
}

test('a byte stream cut at any offset gives the same messages', () => {
  assert.deepEqual(decodeAll([conversation]), decoded);
  for (let cut = 1; cut < conversation.length; cut++) assert.deepEqual(decodeAll([conversation.subarray(0, cut), conversation.subarray(cut)]), decoded, `cut at ${cut}`);
  assert.deepEqual(decodeAll([...conversation].map((b) => Buffer.from([b]))), decoded);
});

test('a startup packet cut at any offset is read, and requests before it', () => {
  const bytes = Buffer.concat([serialize.requestSsl(), serialize.startup({ user: 'u', database: 'é' })]);
  for (let cut = 0; cut <= bytes.length; cut++) {
    const decoder = new FrontendDecoder();
    const out: unknown[] = [];
    for (const piece of [bytes.subarray(0, cut), bytes.subarray(cut)]) {
      decoder.push(piece);
      for (let m = decoder.nextStartup(); m !== null; m = decoder.nextStartup()) out.push(m);
    }
    assert.deepEqual(out, [{ kind: 'ssl' }, { kind: 'startup', protocol: 196608, parameters: new Map([['user', 'u'], ['database', 'é'], ['client_encoding', 'UTF8']]) }]);
  }
});

test('every truncation and every flipped length byte of a message is refused or waits, and never throws anything but SqlError', () => {
  for (let at = 0; at < conversation.length; at++) {
    for (const value of [0, 1, 127, 255]) {
      const bytes = Buffer.from(conversation);
      bytes[at] = value;
      const decoder = new FrontendDecoder();
      decoder.push(bytes);
      try {
        for (let m = decoder.next(); m !== null; m = decoder.next());
      } catch (e) {
        assert(e instanceof SqlError, `byte ${at} = ${value}: ${String(e)}`);
        assert(e instanceof ProtocolError || e.code === '22021' || e.code === '22023');
      }
    }
  }
});

test('a CopyData over the message limit passes in pieces, and bad UTF-8 is 22021', () => {
  const decoder = new FrontendDecoder();
  const head = Buffer.from([100, 0, 0, 0, 0]);
  head.writeInt32BE((100 << 20) + 4, 1);
  decoder.push(head);
  const piece = Buffer.alloc(1 << 20);
  let bytes = 0;
  for (let i = 0; i < 100; i++) {
    decoder.push(piece);
    for (let m = decoder.next(); m !== null; m = decoder.next()) if (m.kind === 'copyData') bytes += m.data.length;
  }
  assert.equal(bytes, 100 << 20);
  decoder.push(Buffer.from([81, 0, 0, 0, 8, 65, 0xc3, 0x28, 0]));
  assert.throws(() => decoder.next(), (e: SqlError) => e.code === '22021' && e.message === 'invalid byte sequence for encoding "UTF8": 0xc3');
});

function clientReads(bytes: Buffer): BackendMessage[] {
  const out: BackendMessage[] = [];
  new Parser().parse(bytes, (m) => out.push(m));
  return out;
}

test("the client's parser reads every message back", () => {
  const columns: Column[] = [{ name: 'a', type: INT4 }, { name: 'é', type: arrayOf(TEXT) }, { name: 'v', type: { kind: 'varchar', mod: 14 } }, { name: 'u', type: { kind: 'unknown' } }];
  const messages = clientReads(Buffer.concat([
    encode.authenticationOk(), encode.parameterStatus('TimeZone', 'UTC'), encode.readyForQuery('T'), encode.parseComplete(), encode.bindComplete(), encode.closeComplete(), encode.noData(),
    encode.portalSuspended(), encode.emptyQueryResponse(), encode.commandComplete('SELECT 1'), encode.copyDone(), encode.copyData(Buffer.from('x')), encode.copyResponse('in', 2), encode.copyResponse('out', 1),
    encode.notificationResponse(7, 'c', 'p'), encode.parameterDescription([INT4, TEXT]), encode.rowDescription(columns, [0, 1, 0, 0]),
    encode.errorResponse({ severity: 'ERROR', code: '22012', message: 'division by zero', detail: 'd', hint: 'h\0', position: 3 }), encode.noticeResponse({ severity: 'NOTICE', code: '00000', message: 'm' }),
  ]));
  assert.deepEqual(messages.map((m) => m.name), ['authenticationOk', 'parameterStatus', 'readyForQuery', 'parseComplete', 'bindComplete', 'closeComplete', 'noData', 'portalSuspended', 'emptyQuery', 'commandComplete',
    'copyDone', 'copyData', 'copyInResponse', 'copyOutResponse', 'notification', 'parameterDescription', 'rowDescription', 'error', 'notice']);
  const description = messages[16] as BackendMessage & { fields: Field[] };
  assert.deepEqual(description.fields.map((f) => [f.name, f.dataTypeID, f.dataTypeSize, f.dataTypeModifier, f.format]),
    [['a', 23, 4, -1, 'text'], ['é', 1009, -1, -1, 'binary'], ['v', 1043, -1, 14, 'text'], ['u', 25, -1, -1, 'text']]);
  const error = messages[17] as BackendMessage & { code: string; hint: string; position: string };
  assert.deepEqual([error.code, error.hint, error.position], ['22012', 'h', '3']);
});

const spans = (texts: readonly string[]): Batch['columns'][number] => {
  const data = Buffer.from(texts.join('|'));
  let at = 0;
  const starts = texts.map((t) => { const s = at; at += Buffer.byteLength(t) + 1; return s; });
  return { form: 'bytes', data, start: Int32Array.from(starts), end: Int32Array.from(texts.map((t, i) => (starts[i] ?? 0) + Buffer.byteLength(t))), nulls: Uint8Array.of(0, 0, 1) };
};
const batch: Batch = {
  length: 3, weights: null,
  columns: [
    { form: 'f64', values: Float64Array.of(-7, 0, 9007199254740991), nulls: null }, { form: 'f64', values: Float64Array.of(-12, 32767, 0), nulls: Uint8Array.of(0, 0, 1) }, { form: 'bool', values: Uint8Array.of(1, 0, 1), nulls: null },
    spans(['x', `é${'long '.repeat(20)}`, '']), { form: 'dec', values: Float64Array.of(-105, 7, 9007199254740991), scale: 2, nulls: null }, { form: 'f64', values: Float64Array.of(0.1, -0, Infinity), nulls: null },
    { form: 'i64', values: BigInt64Array.of(9223372036854775807n, -1n, 5n), nulls: null }, { form: 'datum', values: [Uint8Array.of(1, 255), null, new Uint8Array()], nulls: null },
  ],
};
const columns: Column[] = [INT8, INT2, BOOL, TEXT, NUMERIC, FLOAT8, INT8, BYTEA].map((type, i) => ({ name: `c${i}`, type }));

test('rows of every vector form are written as text as Postgres prints them', () => {
  const rows = clientReads(new RowEncoder(columns, [], PLAIN_IO).encode(batch, 0, 3)) as DataRowMessage[];
  assert.deepEqual(rows.map((r) => r.fields), [
    ['-7', '-12', 't', 'x', '-1.05', '0.1', '9223372036854775807', '\\x01ff'],
    ['0', '32767', 'f', `é${'long '.repeat(20)}`, '0.07', '-0', '-1', null],
    ['9007199254740991', null, 't', null, '90071992547409.91', 'Infinity', '5', '\\x'],
  ]);
});

test('a slice of a batch, and rows larger than the first buffer', () => {
  const rows = clientReads(new RowEncoder(columns, [], PLAIN_IO).encode(batch, 1, 2)) as DataRowMessage[];
  assert.equal(rows.length, 1);
  const large = 'y'.repeat(3_000_000);
  const one: Batch = { length: 1, weights: null, columns: [{ form: 'datum', values: [large], nulls: null }] };
  assert.equal((clientReads(new RowEncoder([{ name: 'a', type: TEXT }], [], PLAIN_IO).encode(one, 0, 1))[0] as DataRowMessage).fields[0], large);
});

test('rows are written in binary as the manual lays them out', () => {
  const bytes = new RowEncoder(columns, [1], PLAIN_IO).encode(batch, 0, 1);
  const fields: string[] = [];
  for (let at = 7; at < bytes.length;) {
    const length = bytes.readInt32BE(at);
    fields.push(bytes.toString('hex', at + 4, at + 4 + length));
    at += 4 + length;
  }
  assert.deepEqual(fields, ['fffffffffffffff9', 'fff4', '01', '78', '0002000040000002000101f4', '3fb999999999999a', '7fffffffffffffff', '01ff']);
});

test('every decimal writes as the exact path does', () => {
  for (let scale = 0; scale <= 15; scale++) {
    for (const unscaled of [0, 1, 9, 10, 99, 100, 123456789012345, 9007199254740991, -1, -9007199254740991]) {
      const b: Batch = { length: 1, weights: null, columns: [{ form: 'dec', values: Float64Array.of(unscaled), scale, nulls: null }] };
      const text = String((clientReads(new RowEncoder([{ name: 'a', type: NUMERIC }], [], PLAIN_IO).encode(b, 0, 1))[0] as DataRowMessage).fields[0]);
      const digits = String(Math.abs(unscaled)).padStart(scale + 1, '0');
      const expected = `${unscaled < 0 ? '-' : ''}${scale === 0 ? digits : `${digits.slice(0, -scale)}.${digits.slice(-scale)}`}`;
      assert.equal(text, expected);
      assert.notEqual(parseDatum(NUMERIC, text), null);
    }
  }
});
