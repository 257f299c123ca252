import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { PGlite } from '@electric-sql/pglite';
import type { Expr } from '../../types/expr.js';
import type { JoinNode, PlanNode, RowsNode } from '../../types/plan.js';
import type { Column, SqlType } from '../../types/sqltype.js';
import { BOOL, INT4, TEXT } from '../../types/sqltype.js';
import { parseDatum } from '../../types/textio.js';
import type { Datum } from '../../types/value.js';
import { parseDrawn } from '../drawn.js';
import { batchFromDatums } from '../vectors.js';
import { Content, TestRun } from './testrun.js';
import { seeded } from '../../types/encoding/testdatums.js';

const LEFT: readonly SqlType[] = [INT4, TEXT, INT4];
const RIGHT: readonly SqlType[] = [INT4, INT4];
const columns = (types: readonly SqlType[]): Column[] => types.map((type, i) => ({ name: `c${i}`, type }));
const entry = (id: number, types: readonly SqlType[]): RowsNode => ({ op: 'rows', id, inputs: [], columns: columns(types), appendOnly: true, key: null, rows: [], system: null });
const LESS: Expr = { node: 'call', fn: '<(int4,int4)', args: [{ node: 'column', index: 2, type: INT4 }, { node: 'column', index: 4, type: INT4 }], type: BOOL };
const outTypes = (kind: JoinNode['kind']): readonly SqlType[] => (kind === 'semi' || kind === 'anti' ? LEFT : [...LEFT, ...RIGHT]);

function plan(kind: JoinNode['kind'], residual: Expr | null, appendOnly: boolean, keys: readonly number[] = [0]): PlanNode[] {
  return [entry(1, LEFT), entry(2, RIGHT), {
    op: 'join', id: 3, inputs: [1, 2], columns: columns(outTypes(kind)), appendOnly: false, key: null, kind, leftKeys: keys, rightKeys: keys, residual,
    leftAppendOnly: appendOnly, rightAppendOnly: appendOnly,
  }];
}

// Awaited before the first test: a runner that exits after the last test known would leave out those that come after.
const db = await PGlite.create();
after(() => db.close());
await db.exec('CREATE TABLE l (k int4, t text, v int4); CREATE TABLE r (k int4, w int4)');

test('a left row shows with NULLs until a right row matches, and again when the last one goes', async () => {
  const run = new TestRun(plan('left', null, false));
  await run.push(1, parseDrawn(LEFT, '+ 1 a 5\n+ . b 6'));
  assert.equal(run.draw(3), '+ 1 a 5 . .\n+ . b 6 . .');
  await run.push(2, parseDrawn(RIGHT, '+ 1 7\n+ 1 8\n+ . 9'));
  const content = new Content(outTypes('left'));
  content.add(run.take(3));
  assert.deepEqual(content.rows(), ['+ 1 a 5 1 7', '+ 1 a 5 1 8', '- 1 a 5 . .']);
  await run.push(2, parseDrawn(RIGHT, '- 1 8\n- 1 7'));
  content.add(run.take(3));
  assert.deepEqual(content.rows(), []);
});

test('a product in a batch query gives others a turn, and a cancellation its moment, before all pairs are made', async () => {
  const right = batchFromDatums(RIGHT, Array.from({ length: 100 }, (_, i) => [1, i]));
  const left = batchFromDatums(LEFT, Array.from({ length: 1000 }, (_, i) => [1, 'a', i]));
  const run = new TestRun(plan('inner', null, true), { batchMode: true });
  await run.push(2, right);
  const pushed = run.push(1, left);
  await new Promise(resolve => { setImmediate(resolve); });
  const soFar = run.take(3).reduce((n, b) => n + b.length, 0);
  assert.ok(soFar > 0 && soFar < 50_000, `${soFar} pairs before the first turn`);
  await pushed;
  assert.equal(run.take(3).reduce((n, b) => n + b.length, 0), 100_000 - soFar);
});

test('an early retraction inside an epoch leaves no trace', async () => {
  for (const kind of ['inner', 'left', 'full', 'semi', 'anti'] as const) {
    const run = new TestRun(plan(kind, null, false));
    const content = new Content(outTypes(kind));
    await run.push(2, parseDrawn(RIGHT, '- 1 7'));
    await run.push(1, parseDrawn(LEFT, '- 1 a 5\n+ 1 b 5'));
    await run.push(2, parseDrawn(RIGHT, '+ 1 7'));
    await run.push(1, parseDrawn(LEFT, '+ 1 a 5\n- 1 b 5'));
    await run.barrier();
    content.add(run.take(3));
    assert.deepEqual(content.rows(), [], kind);
  }
});

const SQL: Readonly<Record<JoinNode['kind'], (on: string) => string>> = {
  inner: (on) => `SELECT l.*, r.* FROM l JOIN r ON ${on}`, left: (on) => `SELECT l.*, r.* FROM l LEFT JOIN r ON ${on}`, right: (on) => `SELECT l.*, r.* FROM l RIGHT JOIN r ON ${on}`,
  full: (on) => `SELECT l.k, t, v, r.k, w FROM l FULL JOIN r ON ${on}`,
  semi: (on) => `SELECT l.* FROM l WHERE EXISTS (SELECT FROM r WHERE ${on})`, anti: (on) => `SELECT l.* FROM l WHERE NOT EXISTS (SELECT FROM r WHERE ${on})`,
};

async function followsPostgres(kind: JoinNode['kind'], residual: boolean, appendOnly: boolean, evict: boolean, seed: number): Promise<void> {
  await db.exec('DELETE FROM l; DELETE FROM r');
  const random = seeded(seed);
  const run = new TestRun(plan(kind, residual ? LESS : null, appendOnly), { evict });
  const types = outTypes(kind);
  const content = new Content(types);
  const rows: Datum[][][] = [[], []];
  for (let epoch = 0; epoch < 4; epoch++) {
    for (let b = 0; b < 4; b++) {
      const side = random(2);
      const batch: Datum[][] = [];
      const weights: number[] = [];
      for (let n = 1 + random(4); n > 0; n--) {
        if (!appendOnly && rows[side].length > 0 && random(5) < 2) {
          batch.push(...rows[side].splice(random(rows[side].length), 1));
          weights.push(-1);
        } else {
          const key = random(7) === 0 ? null : random(4);
          const row = side === 0 ? [key, ['a', 'b'][random(2)], random(5)] : [key, random(5)];
          rows[side].push(row);
          batch.push(row);
          weights.push(1);
        }
      }
      await run.push(side + 1, batchFromDatums(side === 0 ? LEFT : RIGHT, batch, weights));
    }
    await run.barrier();
    content.add(run.take(3));
    for (const [k, name] of ['l', 'r'].entries()) {
      await db.exec(`DELETE FROM ${name}`);
      if (rows[k].length > 0) await db.exec(`INSERT INTO ${name} VALUES ${rows[k].map((r) => `(${r.map((d) => (d === null ? 'NULL' : typeof d === 'string' ? `'${d}'` : String(d as number))).join(',')})`).join(',')}`);
    }
    const on = residual ? 'l.k = r.k AND l.v < r.w' : 'l.k = r.k';
    // FULL JOIN with a condition beside the equality is a hash join with a filter in PostgreSQL too.
    const result = await db.query<(string | null)[]>(SQL[kind](on), [], { rowMode: 'array', parsers: { 23: (s: string) => s } });
    const expected = new Content(types);
    expected.add([batchFromDatums(types, result.rows.map((r) => r.map((text, c) => (text === null ? null : parseDatum(types[c], text)))))]);
    assert.deepEqual(content.rows(), expected.rows(), `epoch ${epoch} of seed ${seed}`);
    if (evict) assert.equal(run.syncReads, 0, 'prefetch brought every key');
  }
}

for (const kind of ['inner', 'left', 'right', 'full', 'semi', 'anti'] as const) {
  for (const residual of [false, true]) {
    test(`${kind} join${residual ? ' with a residual condition' : ''} follows random changes as PostgreSQL computes it`, async () => {
      await followsPostgres(kind, residual, false, false, 1);
      await followsPostgres(kind, residual, false, true, 2);
      await followsPostgres(kind, residual, true, false, 3);
      await followsPostgres(kind, residual, true, true, 4);
    });
  }
}

test('a join without keys is the product', async () => {
  const run = new TestRun(plan('inner', LESS, false, []));
  await run.push(1, parseDrawn(LEFT, '+ 1 a 5\n+ 2 b 1'));
  await run.push(2, parseDrawn(RIGHT, '+ 9 3\n+ 9 6'));
  assert.deepEqual(run.draw(3).split('\n').sort(), ['+ 1 a 5 9 6', '+ 2 b 1 9 3', '+ 2 b 1 9 6']);
});

// Left: key, text, time. Right: key, end of a window that changes until the watermark has reached it.
const WITHIN: Expr = {
  node: 'and', type: BOOL, args: [
    { node: 'call', fn: '>(int4,int4)', args: [{ node: 'column', index: 2, type: INT4 }, { node: 'call', fn: '-(int4,int4)', args: [{ node: 'column', index: 4, type: INT4 }, { node: 'literal', text: '10', type: INT4 }], type: INT4 }], type: BOOL },
    { node: 'call', fn: '<=(int4,int4)', args: [{ node: 'column', index: 2, type: INT4 }, { node: 'column', index: 4, type: INT4 }], type: BOOL },
  ],
};

for (const kind of ['inner', 'left', 'semi', 'anti'] as const) {
  test(`rows freed by time leave the result of the ${kind} join as it is, with late rows too`, async () => {
    for (const evict of [false, true]) {
      const random = seeded(11);
      const base = plan(kind, WITHIN, true);
      const join = base[2] as JoinNode;
      // The first one keeps everything, on both sides with counts.
      const whole = new TestRun([...base.slice(0, 2), { ...join, leftAppendOnly: false, rightAppendOnly: false }], { evict });
      const freed = new TestRun([...base.slice(0, 2), { ...join, rightAppendOnly: false, leftEnds: { column: 2, addUs: 10 } }], { evict });
      const runs = [whole, freed];
      const windows = new Map<string, number>();
      let watermark = 0;
      // The watermark at the last barrier.
      let epochMark = 0;
      let sent = 0;
      for (let epoch = 0; epoch < 60; epoch++) {
        for (let b = 0; b < 3; b++) {
          const rows = Array.from({ length: 40 }, () => [random(3), `${random(2)}${'p'.repeat(random(700))}`, random(20) === 0 ? random(watermark + 1) : watermark + random(30)]);
          for (const run of runs) await run.push(1, batchFromDatums(LEFT, rows));
          sent += rows.length;
          if (b < 2) watermark += random(6);
          for (const run of runs) for (const input of [1, 2]) await run.watermark(input, watermark);
        }
        // Windows that were open at the last barrier change once more at this one.
        const changes: Datum[][] = [];
        const weights: number[] = [];
        for (let n = 0; n < 4; n++) {
          const end = epochMark + 1 + random(20);
          const key = random(3);
          const name = `${key} ${end}`;
          const weight = (windows.get(name) ?? 0) > 0 && random(2) === 0 ? -1 : 1;
          windows.set(name, (windows.get(name) ?? 0) + weight);
          changes.push([key, end]);
          weights.push(weight);
        }
        epochMark = watermark;
        for (const run of runs) await run.push(2, batchFromDatums(RIGHT, changes, weights));
        const changed: string[][] = [];
        for (const run of runs) {
          await run.barrier();
          const content = new Content(outTypes(kind));
          content.add(run.take(3));
          changed.push(content.rows());
        }
        assert.deepEqual(changed[1], changed[0], `epoch ${epoch}`);
      }
      assert.ok(freed.logRows(3, 0) < sent / 2, `${freed.logRows(3, 0)} of ${sent} rows are kept`);
    }
  });
}
