import { after, test } from 'node:test';
import assert from 'node:assert/strict';
import { cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Faults } from '../faults.js';
import { faultyOpener } from '../faulty.js';
import { levelDb } from '../leveldb.js';
import { MemoryKvs } from '../memory.js';
import type { RowChange, TableReader, TableWriter } from '../tablestore.js';
import { openTableReader } from './reader.js';
import { openTableWriter } from './writer.js';

const root = await mkdtemp(join(tmpdir(), 'millrace-tables-'));
after(() => rm(root, { recursive: true, force: true }));

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const text = (value: Uint8Array | null | undefined): string | null => (value === null || value === undefined ? null : new TextDecoder().decode(value));
const change = (tableId: number, key: string, old: string | null, now: string | null): RowChange => ({ tableId, key: bytes(key), old: old === null ? null : bytes(old), new: now === null ? null : bytes(now) });

async function rows(reader: TableReader, tableId: number): Promise<string[]> {
  const snapshot = await reader.snapshot(tableId);
  const out: string[] = [];
  let last: Uint8Array | null = null;
  for (;;) {
    const part: { key: Uint8Array; row: Uint8Array }[] = await snapshot.rows(last, 2);
    for (const { key, row } of part) out.push(`${text(key)}=${text(row)}`);
    if (part.length < 2) break;
    last = part[part.length - 1].key;
  }
  await snapshot.close();
  return out;
}

async function log(reader: TableReader, tables: readonly number[], from: number, to: number): Promise<string[]> {
  const out: string[] = [];
  let next = from;
  while (next < to) {
    const part = await reader.log(new Set(tables), next, to, 1);
    for (const r of part.records) out.push(`${r.seq}: ${r.changes.map((c) => `${c.tableId} ${text(c.key)} ${text(c.old)}→${text(c.new)}`).join(', ')}`);
    next = part.next;
  }
  return out;
}

async function open(path: string): Promise<{ writer: TableWriter; reader: TableReader }> {
  return { writer: await openTableWriter(await levelDb.open(path)), reader: openTableReader(await levelDb.open(path)) };
}

test('rows, log and sequences agree, for concurrent transactions and after a restart', async () => {
  const path = join(root, 'a');
  let { writer, reader } = await open(path);
  const seen: number[] = [];
  writer.onCommit((seq) => seen.push(seq));
  const seqs = await Promise.all([
    writer.commit([change(1, 'a', null, '1'), change(1, 'b', null, '2')]),
    writer.commit([change(2, 'x', null, 'y')]),
    writer.commit([change(1, 'a', '1', '3'), change(1, 'b', '2', null), change(1, 'c', null, '')]),
  ]);
  assert.deepEqual(seqs, [1, 2, 3]);
  assert.equal(seen[seen.length - 1], 3);
  assert.ok(seen.length < 3, 'they shared a batch');
  for (let again = 0; again < 2; again++) {
    assert.equal(writer.lastSeq, 3);
    assert.deepEqual(await rows(reader, 1), ['a=3', 'c=']);
    assert.deepEqual((await writer.getMany(1, [bytes('a'), bytes('b')])).map(text), ['3', null]);
    assert.deepEqual(await log(reader, [1], 0, 3), ['1: 1 a null→1, 1 b null→2', '3: 1 a 1→3, 1 b 2→null, 1 c null→']);
    assert.deepEqual(await log(reader, [1, 2], 1, 2), ['2: 2 x null→y']);
    await writer.close();
    await reader.close();
    ({ writer, reader } = await open(path));
  }
  await writer.drop(1);
  assert.deepEqual(await rows(reader, 1), []);
  assert.deepEqual(await rows(reader, 2), ['x=y']);
  await writer.close();
  await reader.close();
});

test('a snapshot contains exactly the transactions up to its sequence', async () => {
  const { writer, reader } = await open(join(root, 'b'));
  await writer.commit([change(1, 'a', null, '1')]);
  const snapshot = await reader.snapshot(1);
  await writer.commit([change(1, 'b', null, '2')]);
  assert.equal(snapshot.seq, 1);
  assert.deepEqual((await snapshot.rows(null, 10)).map((r) => text(r.key)), ['a']);
  assert.deepEqual((await snapshot.rows(bytes('a'), 10)), []);
  await snapshot.close();
  await writer.close();
  await reader.close();
});

test('row ids are never given twice, over restarts too', async () => {
  const path = join(root, 'c');
  const ids = new Set<number>();
  for (let start = 0; start < 3; start++) {
    const { writer, reader } = await open(path);
    for (let k = 0; k < 10; k++) {
      const id = writer.nextRowId(5);
      assert.equal(ids.has(id), false);
      ids.add(id);
      await writer.commit([change(5, String(id), null, 'row')]);
    }
    await writer.close();
    await reader.close();
  }
});

test('numbers of columns: each column its own, few are lost in a crash and none by an orderly end, a dropped table begins again', async () => {
  const path = join(root, 'numbers');
  let { writer, reader } = await open(path);
  const take = async (n: number): Promise<number[]> => {
    const taken = Array.from({ length: n }, () => writer.nextNumber(5, 0));
    await writer.commit([change(5, String(taken[0]), null, 'row')]);
    return taken;
  };
  assert.deepEqual(await take(3), [0, 1, 2]);
  assert.equal(writer.nextNumber(5, 1), 0);
  assert.equal(writer.nextNumber(50, 0), 0);
  // The process goes without a word: what the disk has is what another copy of it reads.
  await cp(path, `${path}-crashed`, { recursive: true });
  await writer.close();
  await reader.close();
  ({ writer, reader } = await open(`${path}-crashed`));
  const [after = -1] = await take(1);
  assert.ok(after >= 3 && after <= 32, String(after));
  await writer.close();
  await reader.close();
  ({ writer, reader } = await open(path));
  assert.deepEqual(await take(40), Array.from({ length: 40 }, (_, k) => 3 + k));
  await writer.commit([], [{ tableId: 5, column: 0, next: 7 }]);
  assert.deepEqual(writer.numbering(5), { given: 40, restarts: 1 });
  assert.deepEqual(await take(2), [7, 8]);
  await writer.drop(5);
  await writer.close();
  await reader.close();
  ({ writer, reader } = await open(path));
  assert.deepEqual(await take(1), [0]);
  assert.equal(writer.nextNumber(50, 0), 1, 'table 50 is another one');
  await writer.close();
  await reader.close();
});

test('trimming keeps the rows of streams that are under their retention', async () => {
  const path = join(root, 'd');
  let nowMs = 1000;
  const writer = await openTableWriter(await levelDb.open(path), () => nowMs);
  const reader = openTableReader(await levelDb.open(path));
  assert.equal(await reader.oldestSeq(), 0);
  for (let k = 1; k <= 6; k++) {
    nowMs = k * 1000;
    await writer.commit([change(1, `k${k}`, null, 'table row'), { tableId: 9, key: new Uint8Array(0), old: null, new: bytes(`stream row ${k}`) }]);
  }
  writer.setRetention(9, { ms: 2500, bytes: 1e9 });
  await writer.trim(5);
  assert.equal(await reader.oldestSeq(), 6);
  assert.deepEqual(await log(reader, [9], 0, 6), ['4: 9  null→stream row 4', '5: 9  null→stream row 5', '6: 9  null→stream row 6']);
  assert.deepEqual(await log(reader, [1], 0, 6), ['6: 1 k6 null→table row']);
  assert.equal((await rows(reader, 1)).length, 6);
  assert.deepEqual(await rows(reader, 9), [], 'a stream has a log only');
  writer.setRetention(9, { ms: 1e9, bytes: 20 });
  await writer.trim(6);
  assert.deepEqual(await log(reader, [9], 0, 6), ['6: 9  null→stream row 6']);
  await writer.close();
  await reader.close();
});

test('a power cut leaves whole transactions, and every acknowledged one', async () => {
  const kvs = new MemoryKvs();
  const faults = new Faults();
  const writer = await openTableWriter(await faultyOpener(kvs, faults).open('t'));
  await writer.commit([change(1, 'a', null, '1')]);
  faults.add({ operation: 'kv.write', fault: 'stall' });
  const lost = writer.commit([change(1, 'a', '1', '2'), change(1, 'b', null, '2')]);
  kvs.loseUnsynced();
  const reader = openTableReader(await kvs.open('t'));
  assert.deepEqual(await rows(reader, 1), ['a=1']);
  assert.equal((await openTableWriter(await kvs.open('t'))).lastSeq, 1);
  faults.clear();
  assert.equal(await lost, 2);
  assert.deepEqual(await rows(reader, 1), ['a=2', 'b=2']);
});

test('after a failed write the store takes no more transactions', async () => {
  const faults = new Faults();
  const writer = await openTableWriter(await faultyOpener(new MemoryKvs(), faults).open('t'));
  faults.add({ operation: 'kv.write', times: 1, fault: 'ENOSPC' });
  await assert.rejects(writer.commit([change(1, 'a', null, '1')]), { code: '53100' });
  await assert.rejects(writer.commit([change(1, 'a', null, '1')]), { code: '53100' });
  assert.equal(writer.lastSeq, 0);
});

test('a damaged log record is found by its checksum', async () => {
  const kv = await new MemoryKvs().open('t');
  const writer = await openTableWriter(kv);
  await writer.commit([change(1, 'a', null, '1')]);
  const key = new Uint8Array([2, 0, 0, 0, 0, 0, 0, 0, 1]);
  const record = await kv.get(key);
  assert.ok(record !== undefined);
  for (let at = 0; at < record.length; at++) {
    const bad = Uint8Array.from(record);
    bad[at] ^= 4;
    const batch = kv.batch();
    batch.put(key, bad);
    await batch.write(false);
    await assert.rejects(openTableReader(kv).log(new Set([1]), 0, 1, 1e6), { code: 'XX001' });
  }
});
