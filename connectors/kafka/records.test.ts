import { test } from 'node:test';
import assert from 'node:assert/strict';
import { gzipSync } from 'node:zlib';
import { newBlock } from '../formats/format.js';
import { decompress } from './decompress.js';
import { murmur2 } from './partitioner.js';
import { NO_PRODUCER, RecordBatchWriter } from './recordbatch.js';
import { readBatches, readRecords } from './records.js';
import type { Chunk, FetchedPartition, MessageParts } from './records.js';

const PARTS: MessageParts = { key: true, headers: true, timestamp: true, crc: true };
const VALUES = ['{"a":1}', null, '', `{"s":"${'é'.repeat(300)}"}`, '{"a":\n2}', ...Array.from({ length: 300 }, (_, i) => `{"i":${i}}`)];

function batch(values: readonly (string | null)[], compression = 0): Buffer {
  const w = new RecordBatchWriter(16);
  values.forEach((v, i) => {
    const key = i % 2 === 0 ? Buffer.from(`..key${i}..`) : null;
    const value = v === null ? null : Buffer.from(v);
    w.add(key, 2, key === null ? 0 : key.length - 2, value, 0, value?.length ?? 0);
  });
  return Buffer.from(w.finish(compression, 1_700_000_000_000, NO_PRODUCER, -1));
}

function read(batches: readonly Buffer[], from: number, parts = PARTS): Chunk {
  const bytes = Buffer.concat(batches.map((b) => Buffer.from(b)));
  const raw = newBlock(bytes.length);
  bytes.copy(raw);
  const f: FetchedPartition = { partition: 0, errorCode: 0, highWatermark: 1000, aborted: [], from: 0, to: bytes.length };
  return readRecords(raw, f, readBatches(raw, f, from, parts.crc), from, parts);
}

const at = (b: Buffer, base: number): Buffer => { b.writeBigInt64BE(BigInt(base), 0); return b; };
const value = (c: Chunk, i: number): string => c.block.toString('utf8', c.records.starts[i], c.records.ends[i]);

test('what the writer writes is read: values, keys, tombstones, offsets, timestamps; compressed or not, from any offset', () => {
  for (const compression of [0, 1]) {
    for (const from of [0, 1, 7, VALUES.length + 5]) {
      const c = read([at(batch(VALUES, compression), 0), at(batch(VALUES, 0), VALUES.length)], from);
      const all = [...VALUES, ...VALUES];
      assert.equal(c.records.count, all.length - from);
      for (let i = 0; i < c.records.count; i++) {
        const n = (from + i) % VALUES.length;
        assert.equal(value(c, i), all[from + i] ?? '');
        assert.equal(c.offsets[i], from + i);
        assert.equal(c.tombstones?.has(i) ?? false, all[from + i] === null);
        const start = c.keys?.starts[i] ?? 0;
        assert.equal(start < 0 ? null : c.keys?.data.toString('utf8', start, c.keys.ends[i]), n % 2 === 0 ? `key${n}` : null);
        assert.equal(c.timestampsMs?.[i], 1_700_000_000_000);
        // Between values there are blanks only, for a check of the whole for UTF-8.
        if (i > 0) assert.equal(c.block.toString('latin1', c.records.ends[i - 1], c.records.starts[i]).trim(), '');
      }
      assert.equal(c.next, 2 * VALUES.length);
    }
  }
});

test('a batch cut by the byte limit waits; damaged ones are named, never read', () => {
  const b = batch(VALUES);
  const whole = read([at(Buffer.from(b), 0), b.subarray(0, b.length - 1)], 0);
  assert.equal(whole.records.count, VALUES.length);
  const flipped = Buffer.from(b);
  flipped[200] ^= 1;
  assert.throws(() => read([flipped], 0), { code: 'XX001' });
  const longer = Buffer.from(b);
  longer[61] = 0xfe;
  longer[62] = 0x7f;
  assert.throws(() => read([longer], 0, { ...PARTS, crc: false }), { code: 'XX001' });
  const old = Buffer.from(b);
  old[16] = 1;
  assert.throws(() => read([old], 0), { code: '0A000' });
});

test('snappy and lz4 by their specifications: literals, overlapping matches, both framings; what is cut or wrong is refused', () => {
  // "abcd" then a match of distance 4 and length 9, then a literal.
  const raw = Buffer.from([14, (3 << 2) | 0, ...Buffer.from('abcd'), ((9 - 4) << 2) | 1, 4, 0 << 2, 0x21]);
  const expected = 'abcdabcdabcda!';
  assert.equal(decompress(2, raw).toString(), expected);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(raw.length);
  const xerial = Buffer.concat([Buffer.from([0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0, 0, 0, 0, 1, 0, 0, 0, 1]), length, raw, length, raw]);
  assert.equal(decompress(2, xerial).toString(), expected + expected);
  const block = Buffer.from([(4 << 4) | (9 - 4), ...Buffer.from('abcd'), 4, 0, 1 << 4, 0x21]);
  const frame = (b: Buffer, flag = 0): Buffer => Buffer.concat([Buffer.from([0x04, 0x22, 0x4d, 0x18, 0x60, 0x40, 0x82, b.length, 0, 0, flag]), b, Buffer.alloc(4)]);
  assert.equal(decompress(3, frame(block)).toString(), expected);
  assert.equal(decompress(3, frame(Buffer.from('plain'), 0x80)).toString(), 'plain');
  for (const [codec, bytes] of [[2, raw], [2, xerial], [3, frame(block)]] as const) {
    for (let cut = 1; cut < bytes.length; cut++) {
      try {
        decompress(codec, bytes.subarray(0, cut));
      } catch (e) {
        assert.equal((e as { code: string }).code, '22P03');
      }
    }
  }
  assert.throws(() => decompress(2, Buffer.from([5, 1, 9])), { code: '22P03' });
  assert.throws(() => decompress(1, gzipSync('x').subarray(0, 5)), { code: '22P03' });
  assert.throws(() => decompress(6, raw), { code: '0A000' });
});

test('keys hash as in Kafka\'s own clients', () => {
  const hashes: Readonly<Record<string, number>> = {
    21: -973932308, foobar: -790332482, 'a-little-bit-long-string': -985981536, 'a-little-bit-longer-string': -1486304829, 'lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8': -58897971, abc: 479470107,
  };
  for (const [key, hash] of Object.entries(hashes)) assert.equal(murmur2(Buffer.from(`..${key}.`), 2, 2 + key.length), hash, key);
});
