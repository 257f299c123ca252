import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CONSTANT_CONTEXT } from '../codegen/interpret.js';
import { doubles } from '../operators/eventtimes.js';
import { batchFromDatums } from '../vectors.js';
import type { Expr } from '../../types/expr.js';
import { INT4, TIMESTAMP } from '../../types/sqltype.js';
import { EventTime } from './eventtime.js';

const TYPES = [INT4, TIMESTAMP];
const TIME: Expr = { node: 'column', index: 1, type: TIMESTAMP };
const US = 1.7e15;

test('rows whose time no window can take, NULL, infinite or centuries away, are dropped and counted, and do not move the watermark', () => {
  const times = new EventTime({ watermark: { timeExpr: TIME, watermarkExpr: TIME }, splitWatermark: false }, TYPES, CONSTANT_CONTEXT);
  const far = BigInt(Number.MAX_SAFE_INTEGER) * 4n;
  const kept = times.apply(batchFromDatums(TYPES, [[1, US], [2, Infinity], [3, far], [4, null], [5, -Infinity], [6, -far], [7, US + 5]]), -Infinity);
  assert.deepEqual([...doubles(kept, 1).values.subarray(0, kept.length)], [US, US + 5]);
  assert.equal(times.nullEventTimes, 5);
  assert.equal(times.watermarkUs, US + 5);
});

test('a time beyond exact numbers reads as infinite, whatever form its column has', () => {
  const far = BigInt(Number.MAX_SAFE_INTEGER) * 4n;
  for (const rows of [[[1, US], [2, far]], [[1, US], [2, far], [3, Infinity]], [[1, US], [2, -Infinity]]]) {
    const { values } = doubles(batchFromDatums(TYPES, rows), 1);
    assert.equal(values[0], US);
    assert.ok([...values.subarray(1, rows.length)].every(v => Math.abs(v) === Infinity));
  }
});
