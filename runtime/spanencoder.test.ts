/** Spans are copied to the bit, whatever their length, their place and what their bytes would mean as a double, by code of every tier of the engine. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { seeded } from '../types/encoding/testdatums.js';
import type { BytesVector } from './batch.js';
import { equalityColumn, SpanEncoder, storedColumn } from './spanencoder.js';

/** NaNs, quiet and signalling, with every kind of payload and sign; infinities, zeros, denormals. */
const PATTERNS = [[0x7ff80000, 0], [0x7ff00000, 1], [0xfff80000, 0x4e554c4c], [0xfff7ffff, 0xffffffff], [0x7fffffff, 0xffffffff], [0xffffffff, 0xfff7ffff], [0x7ff00000, 0], [0x80000000, 0], [0, 1]] as const;

test('spans of stored rows and of keys are the bytes given', () => {
  const random = seeded(3);
  const data = new Uint8Array(1 << 16);
  const view = new DataView(data.buffer);
  for (let p = 0; p + 8 <= data.length; p += 8) {
    const [high, low] = PATTERNS[random(PATTERNS.length)];
    view.setUint32(p, low, true);
    view.setUint32(p + 4, high, true);
  }
  const n = 1000;
  for (const [column, head] of [[storedColumn({ kind: 'bytea' }), 1], [equalityColumn({ kind: 'bytea' }), 0], [equalityColumn({ kind: 'text' }), 0]] as const) {
    const encoder = new SpanEncoder([column], head);
    const [from, to] = [new Int32Array(n), new Int32Array(n)];
    for (let round = 0; round < 60; round++) {
      const start = Int32Array.from({ length: n }, () => random(data.length - 300));
      const end = start.map((s) => s + random(random(4) === 0 ? 300 : 40));
      const vector: BytesVector = { form: 'bytes', data, start, end, nulls: null };
      encoder.encode([vector], n, from, to);
      for (let i = 0; i < n; i++) {
        const length = end[i] - start[i];
        const got = encoder.bytes.subarray(to[i] - length, to[i]);
        assert.equal(to[i] - from[i], head === 1 ? length + (length > 127 ? 3 : 2) : length + 4);
        if (Buffer.compare(got, data.subarray(start[i], end[i])) !== 0) assert.fail(`round ${round}: ${Buffer.from(got).toString('hex')} for ${Buffer.from(data.subarray(start[i], end[i])).toString('hex')}`);
      }
    }
  }
});
