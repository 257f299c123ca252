import assert from 'node:assert/strict';
import { test } from 'node:test';
import { seeded } from '../../types/encoding/testdatums.js';
import { DueTimes } from './duetimes.js';

test('keys come in the order of time, and what is due by a time is known before it is taken', () => {
  const random = seeded(3);
  const due = new DueTimes();
  const left: [number, number][] = [];
  for (let step = 0; step < 3000; step++) {
    if (random(3) > 0) {
      const time = random(500) - 100;
      const key = random(256);
      due.addKey(time, Uint8Array.of(key), 0, 1, key);
      left.push([time, key]);
      continue;
    }
    const until = random(400) - 100;
    const keys = due.due(until);
    const known = left.filter(([time]) => time <= until).map(([, key]) => key).sort((a, b) => a - b);
    assert.deepEqual(keys === null ? [] : Array.from({ length: keys.length }, (_, k) => keys.data[keys.start[k]]).sort((a, b) => a - b), known);
    assert.equal(due.first, Math.min(Infinity, ...left.map(([time]) => time)));
    if (due.first === Infinity) continue;
    const time = due.first;
    const taken = due.take();
    const expected = left.filter(([t]) => t === time).map(([, key]) => key);
    assert.deepEqual(Array.from({ length: taken.length }, (_, k) => taken.data[taken.start[k]]), expected);
    left.splice(0, left.length, ...left.filter(([t]) => t !== time));
  }
});
