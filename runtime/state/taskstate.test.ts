import { after, test } from 'node:test';
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CheckpointStorage } from '../../storage/checkpoint/storage.js';
import type { FileRef, TaskMetadata } from '../../storage/checkpoint/metadata.js';
import { Faults } from '../../storage/faults.js';
import { faultyOpener } from '../../storage/faulty.js';
import { faultyFiles } from '../../storage/faultyfiles.js';
import { realFiles } from '../../storage/filesystem.js';
import { localStore } from '../../storage/localstore.js';
import type { Kv, KvOpener } from '../../storage/kv.js';
import { levelDb } from '../../storage/leveldb.js';
import { MemoryKvs } from '../../storage/memory.js';
import { hashBytes } from '../../types/encoding/hash.js';
import type { KeyBatch } from '../keys.js';
import { testKeys } from './testkeys.js';
import { TaskState, type FrozenState, type TaskStateOptions } from './taskstate.js';
import type { RowLog } from './rowlog.js';
import type { GroupTable, StateTable } from './table.js';
import { seeded } from '../../types/encoding/testdatums.js';

const root = await mkdtemp(join(tmpdir(), 'millrace-state-'));
after(() => rm(root, { recursive: true, force: true }));
let folders = 0;
const decoder = new TextDecoder();
const encoder = new TextEncoder();
const NODE = 3;
const TABLE = NODE * 16;
const GROUPS = NODE * 16 + 1;
const LOG = NODE * 16 + 2;
const KEY_GROUPS = 128;

function keysOf(keys: readonly string[]): KeyBatch {
  const batch = testKeys(keys);
  for (let i = 0; i < batch.length; i++) batch.hash[i] = hashBytes(batch.data, batch.start[i], batch.end[i]);
  return batch;
}

function keyGroupOf(key: string): number { return (keysOf([key]).hash[0] >>> 0) % KEY_GROUPS; }

async function put(t: StateTable, key: string, value: string | null): Promise<void> {
  const keys = keysOf([key]);
  await t.prefetch(keys);
  if (value === null) {
    const slot = t.find(keys, 0);
    if (slot >= 0) t.delete(slot);
    return;
  }
  const bytes = encoder.encode(value);
  const slot = t.findOrInsert(keys, 0, bytes.length);
  t.resize(slot, bytes.length);
  t.page(slot).bytes.set(bytes, t.offset(slot));
}

function get(t: StateTable, key: string): string | undefined {
  const keys = keysOf([key]);
  const slot = t.find(keys, 0);
  return slot < 0 ? undefined : decoder.decode(t.page(slot).bytes.subarray(t.offset(slot), t.offset(slot) + t.length(slot)));
}

async function content(t: StateTable): Promise<Map<string, string>> {
  const out = new Map<string, string>();
  await t.scan((k, v) => {
    assert.equal(out.has(decoder.decode(k)), false, 'a key is scanned once');
    out.set(decoder.decode(k), decoder.decode(v));
  });
  return out;
}

async function groupContent(t: GroupTable, group: string): Promise<string[]> {
  const keys = keysOf([group]);
  await t.prefetch(keys);
  const out: string[] = [];
  t.visit(keys, 0, false, (data, ss, se, _ps, _pe, count) => {
    out.push(`${decoder.decode(data.subarray(ss, se))}×${count}`);
    return true;
  });
  return out;
}

function addRow(log: RowLog, key: string, row: string, count: number): void {
  const data = encoder.encode(row);
  log.add(keysOf([key]), 0, { data, start: Int32Array.of(0), end: Int32Array.of(data.length) }, count);
}

/** Rows end with '.', as what follows is padding. */
async function logContent(log: RowLog, key: string): Promise<string[]> {
  const keys = keysOf([key]);
  await log.prefetch(keys);
  const out: string[] = [];
  for (let more = log.first(keys, 0); more; more = log.next()) out.push(`${decoder.decode(log.data.subarray(log.rowAt, log.data.indexOf(46, log.rowAt) + 1))}×${log.count}`);
  return out.reverse();
}

/** One task's job: kv, files and the completed checkpoint, with a model that follows. */
class Harness {
  readonly faults = new Faults();
  readonly files = faultyFiles(realFiles, this.faults);
  readonly folder = join(root, String(folders++));
  readonly storage = new CheckpointStorage(localStore(this.files, `${this.folder}/checkpoints`), 7);
  readonly opener: KvOpener;
  readonly errors: unknown[] = [];
  limitCalls = 0;
  kv: Kv | null = null;
  completed: { checkpointId: number; files: readonly FileRef[] } | null = null;
  history: { checkpointId: number; files: readonly FileRef[]; table: Map<string, string>; groups: Map<string, Map<string, number>>; logs: Map<string, string[]> }[] = [];
  table = new Map<string, string>();
  groups = new Map<string, Map<string, number>>();
  /** Rows by key, oldest first. */
  logs = new Map<string, string[]>();
  state: TaskState;
  /** Files of checkpoints that were acknowledged, and perhaps never completed. */
  readonly acknowledged = new Set<string>();
  next = 1;
  nowMs = 0;
  /** incremental_checkpoints off. */
  whole: () => boolean = () => false;

  private constructor(options: Partial<TaskStateOptions>, opener: KvOpener | null) {
    this.options = options;
    this.opener = faultyOpener(opener ?? new MemoryKvs(), this.faults);
    this.useKv = opener !== null;
    this.state = null as unknown as TaskState;
  }
  readonly useKv: boolean;
  readonly options: Partial<TaskStateOptions>;

  static async start(options: Partial<TaskStateOptions>, opener: KvOpener | null): Promise<Harness> {
    const h = new Harness(options, opener);
    await h.open(null);
    return h;
  }

  meta(files: readonly FileRef[]): TaskMetadata {
    return { task: '1.0', subtask: 0, keyGroupFirst: 0, keyGroupLast: KEY_GROUPS - 1, nodeIds: [NODE], since: 0, files, operators: {} };
  }

  async open(tasks: readonly TaskMetadata[] | null): Promise<void> {
    if (this.useKv) this.kv = await this.opener.open(`${this.folder}/kv`);
    const restored = this.completed === null ? null : { checkpointId: this.completed.checkpointId, tasks: tasks ?? [this.meta(this.completed.files)] };
    this.state = await TaskState.restore({
      task: '1.0', nodeIds: [NODE], keyGroupFirst: 0, keyGroupLast: KEY_GROUPS - 1, maxParallelism: KEY_GROUPS, kv: this.kv, storage: this.storage,
      memoryBytes: 1e9, onBackgroundError: (e) => { this.errors.push(e); }, onDirtyLimit: () => { this.limitCalls++; }, now: () => this.nowMs, ...this.options,
    }, restored);
  }

  async close(): Promise<void> {
    await this.state.close();
    await this.kv?.close();
    const left = await this.shared();
    assert.deepEqual(left.filter((name) => !this.acknowledged.has(name)), [], 'files that no checkpoint names');
  }

  async shared(): Promise<string[]> { return (await realFiles.list(`${this.folder}/checkpoints/7/shared`)).sort(); }

  async crash(): Promise<void> {
    await this.close();
    const last = this.history.find((c) => c.checkpointId === this.completed?.checkpointId);
    this.table = new Map(last?.table);
    this.groups = new Map([...(last?.groups ?? [])].map(([k, v]) => [k, new Map(v)]));
    this.logs = new Map([...(last?.logs ?? [])].map(([k, v]) => [k, [...v]]));
    await this.open(null);
  }

  async write(frozen: FrozenState): Promise<readonly FileRef[]> {
    const files = await this.state.write(frozen);
    for (const ref of files) this.acknowledged.add(ref.path.slice(ref.path.lastIndexOf('/') + 1));
    return files;
  }

  async checkpoint(outcome: 'complete' | 'abort' | 'crash'): Promise<void> {
    const id = this.next++;
    const since = this.completed?.checkpointId ?? 0;
    const whole = this.whole();
    const frozen = this.state.freeze(id, since, whole);
    const snapshot = { table: new Map(this.table), groups: new Map([...this.groups].map(([k, v]) => [k, new Map(v)])), logs: new Map([...this.logs].map(([k, v]) => [k, [...v]])) };
    const files = await this.write(frozen);
    if (whole) assert.deepEqual(files.filter((ref) => ref.checkpoint !== id), [], 'a whole checkpoint refers to its own files only');
    if (outcome === 'abort') {
      this.state.aborted(id);
      for (const ref of files) if (ref.checkpoint === id) this.acknowledged.delete(ref.path.slice(ref.path.lastIndexOf('/') + 1));
    }
    if (outcome === 'complete') {
      this.history.push({ checkpointId: id, files, ...snapshot });
      this.completed = { checkpointId: id, files };
      this.state.completed(id);
    }
  }

  async check(): Promise<void> {
    const t = this.state.stateTable(TABLE);
    assert.equal(t.size, this.table.size);
    assert.deepEqual(new Map([...(await content(t))].sort()), new Map([...this.table].sort()));
    const g = this.state.groupTable(GROUPS, 'ordered');
    for (const [group, entries] of this.groups) {
      assert.deepEqual(await groupContent(g, group), [...entries].filter(([, n]) => n !== 0).sort((a, b) => (a[0] < b[0] ? -1 : 1)).map(([s, n]) => `${s}×${n}`));
    }
    const log = this.state.rowLog(LOG);
    let rows = 0;
    for (const [key, expected] of this.logs) {
      assert.deepEqual(await logContent(log, key), expected);
      rows += expected.length;
    }
    assert.equal(log.rows, rows);
    assert.deepEqual(await logContent(log, 'no such key'), []);
    assert.deepEqual(this.errors, []);
  }

  async change(random: (n: number) => number, step: number): Promise<void> {
    const t = this.state.stateTable(TABLE);
    const key = `key ${random(2000)}`;
    const value = random(4) === 0 ? null : `value ${step} ${'x'.repeat(random(200))}`;
    assert.equal(get(t, key), this.table.get(key));
    await put(t, key, value);
    if (value === null) this.table.delete(key);
    else this.table.set(key, value);
    const group = `group ${random(20)}`;
    const sub = `sub ${random(300)} ${'y'.repeat(50)}`;
    const entries = this.groups.get(group) ?? new Map<string, number>();
    this.groups.set(group, entries);
    const count = random(2) === 0 ? 1 : -(entries.get(sub) ?? 0);
    const keys = keysOf([group]);
    const g = this.state.groupTable(GROUPS, 'ordered');
    await g.prefetch(keys);
    const bytes = encoder.encode(sub);
    g.add(keys, 0, bytes, 0, bytes.length, bytes, 0, 0, count);
    entries.set(sub, (entries.get(sub) ?? 0) + count);
    const logKey = `log ${random(random(2) === 0 ? 10 : 1000)}`;
    const row = `${step} ${'z'.repeat(random(200) === 0 ? 60_000 + random(150_000) : random(300))}.`;
    const times = random(10) === 0 ? 2 + random(5) : 1;
    addRow(this.state.rowLog(LOG), logKey, row, times);
    this.logs.set(logKey, [...(this.logs.get(logKey) ?? []), `${row}×${times}`]);
  }
}

const BACKENDS = [['leveldb, all in memory', levelDb, 1e9], ['leveldb, nearly all evicted', levelDb, 60_000], ['memory kv, nearly all evicted', new MemoryKvs(), 60_000], ['memory backend', null, 1e9]] as const;
for (const [name, opener, memoryBytes, wholes] of [...BACKENDS.map((b) => [...b, 0] as const), ...BACKENDS.map(([n, ...b]) => [`${n}, one checkpoint in three whole`, ...b, 3] as const)]) {
  test(`state equals the model through checkpoints, aborts, crashes and eviction: ${name}`, async () => {
    const seed = 5;
    const random = seeded(seed);
    const h = await Harness.start({ memoryBytes }, opener);
    const choice = seeded(6);
    if (wholes > 0) h.whole = () => choice(wholes) === 0;
    for (let step = 0; step < (wholes > 0 ? 3000 : 6000); step++) {
      await h.change(random, step);
      if (random(20) === 0) await h.state.maintain();
      if (random(100) === 0) await h.checkpoint(random(5) === 0 ? 'abort' : random(10) === 0 ? 'crash' : 'complete');
      if (random(60) === 0) h.nowMs += 3000;
      if (random(400) === 0) await h.check();
      if (random(600) === 0) {
        await h.crash();
        await h.check();
      }
    }
    await h.check();
    await h.checkpoint('complete');
    await h.crash();
    await h.check();
    if (memoryBytes < 1e6) {
      await h.state.maintain();
      assert.ok(!h.state.stateTable(TABLE).allResident || !h.state.stateTable(TABLE + 0x80000000).allResident);
    }
    await h.close();
  });
}

test('memory backend: deltas that outgrow the base are merged with it in the background, not copied anew at a barrier', async () => {
  const random = seeded(3);
  const h = await Harness.start({}, null);
  let base = '';
  let rebased = 0;
  for (let n = 0; n < 80; n++) {
    for (let k = 0; k < 40; k++) await h.change(random, n * 40 + k);
    await h.checkpoint('complete');
    await h.state.settled();
    const files = h.completed?.files ?? [];
    const [first] = files.filter((ref) => ref.kind !== 'log');
    assert.equal(first?.kind, 'base');
    if (first.path !== base) {
      rebased++;
      assert.ok(first.checkpoint < n + 1 || n === 0, 'the base is of an older checkpoint: this one wrote what changed');
    }
    base = first.path;
  }
  assert.ok(rebased > 2, `${rebased} bases`);
  await h.crash();
  await h.check();
  await h.state.close();
});

for (const [name, opener] of [['leveldb', levelDb], ['memory', null]] as const) {
  test(`${name}: a damaged file that a compaction meets is replaced by a new base, which restores`, async () => {
    const random = seeded(4);
    const h = await Harness.start({}, opener);
    let damaged = false;
    for (let n = 0; n < 60; n++) {
      for (let k = 0; k < 10; k++) await h.change(random, n * 10 + k);
      await h.checkpoint('complete');
      const victim = h.completed?.files.find((ref) => ref.kind === 'delta' && ref.checkpoint === 15);
      if (n === 18 && victim !== undefined) {
        const bytes = Buffer.from(await realFiles.readFile(h.storage.filePath(victim)));
        bytes[bytes.length >> 1] ^= 1;
        const file = await realFiles.open(h.storage.filePath(victim), 'create');
        await file.append(bytes);
        await file.close();
        damaged = true;
      }
      await h.state.applyNow();
      await h.state.settled();
    }
    assert.ok(damaged && h.errors.length > 0);
    h.errors.length = 0;
    await h.state.close();
    await h.kv?.close();
    // From the files alone.
    await rm(join(h.folder, 'kv'), { recursive: true, force: true });
    await h.open(null);
    await h.check();
    await h.state.close();
    await h.kv?.close();
  });
}

test('a checkpoint restored from its files alone, and an older one after LevelDB went ahead, are exact', async () => {
  const random = seeded(9);
  const h = await Harness.start({}, levelDb);
  for (let n = 0; n < 60; n++) {
    for (let k = 0; k < 30; k++) await h.change(random, n * 30 + k);
    await h.checkpoint('complete');
    await h.state.applyNow();
    await h.state.settled();
  }
  const files = h.completed?.files ?? [];
  assert.ok(files.filter((ref) => ref.kind !== 'log').length <= 22, 'the chain is kept short');
  assert.ok(files.filter((ref) => ref.kind === 'log').length <= 21, 'log files are few');
  for (const back of [1, 2, 5]) {
    const older = h.history[h.history.length - back];
    h.completed = older;
    await h.crash();
    await h.check();
  }
  await h.state.close();
  await h.kv?.close();
  await rm(`${h.folder}/kv`, { recursive: true });
  await h.open(null);
  await h.check();
  await h.state.close();
  await h.kv?.close();
});

for (const [name, opener, memoryBytes] of [['leveldb', levelDb, 1e9], ['leveldb, nearly all evicted', levelDb, 60_000], ['memory backend', null, 1e9]] as const) {
  test(`several checkpoints in progress, superseded, given up and restored, leave the state exact and no file behind: ${name}`, async () => {
    const random = seeded(23);
    const h = await Harness.start({ memoryBytes }, opener);
    let open: { id: number; since: number; snapshot: Omit<Harness['history'][number], 'files'>; files: Promise<readonly FileRef[] | null> }[] = [];
    const copy = (): Omit<Harness['history'][number], 'checkpointId' | 'files'> => ({ table: new Map(h.table), groups: new Map([...h.groups].map(([k, v]) => [k, new Map(v)])), logs: new Map([...h.logs].map(([k, v]) => [k, [...v]])) });
    const begin = (): void => {
      const id = h.next++;
      const since = h.completed?.checkpointId ?? 0;
      const frozen = h.state.freeze(id, since);
      open.push({ id, since, snapshot: { checkpointId: id, ...copy() }, files: h.write(frozen).catch(() => null) });
    };
    const complete = async (at: number): Promise<void> => {
      const [p] = open.splice(at, 1);
      const files = await p.files;
      assert.ok(files !== null);
      h.history.push({ ...p.snapshot, files });
      h.completed = { checkpointId: p.id, files };
      h.state.completed(p.id);
      // Told afterwards, or not at all.
      for (const older of open.filter(o => o.id < p.id)) if (random(2) === 0) h.state.aborted(older.id);
      open = open.filter(o => o.id > p.id);
    };
    for (let step = 0; step < 5000; step++) {
      await h.change(random, step);
      if (random(20) === 0) await h.state.maintain();
      if (random(50) === 0 && open.length < 4) begin();
      if (random(90) === 0 && open.length > 0) await complete(random(open.length));
      if (random(200) === 0 && open.length > 0) h.state.aborted(open.splice(random(open.length), 1)[0].id);
      if (random(60) === 0) h.nowMs += 3000;
      if (random(400) === 0) await h.check();
      if (random(700) === 0) {
        // The attempt ends: nobody is told of what was in progress.
        open = [];
        if (h.history.length > 3 && random(2) === 0) h.completed = h.history[h.history.length - 1 - random(2)];
        h.history = h.history.filter(c => c.checkpointId <= (h.completed?.checkpointId ?? 0));
        await h.crash();
        await h.check();
      }
    }
    while (open.length > 0) await complete(0);
    await h.crash();
    await h.check();
    await h.state.close();
    await h.kv?.close();
  });
}

test('a checkpoint given up while its files are written leaves none', async () => {
  const random = seeded(29);
  const h = await Harness.start({}, levelDb);
  for (let k = 0; k < 200; k++) await h.change(random, k);
  await h.checkpoint('complete');
  const before = await h.shared();
  for (let k = 0; k < 200; k++) await h.change(random, k);
  h.faults.add({ operation: 'file.sync', fault: 'stall' });
  const writing = h.state.write(h.state.freeze(2, 1));
  const ended = assert.rejects(writing, (e: { code?: string }) => e.code === '57014');
  h.state.aborted(2);
  h.faults.clear();
  await ended;
  await h.state.settled();
  assert.deepEqual(await h.shared(), before);
  await h.close();
});

test('a task that is closed while a checkpoint is written, or its files are removed, leaves no file behind', async () => {
  for (const abort of [false, true]) {
    for (const operation of ['file.sync', 'file.unlink'] as const) {
      const random = seeded(31);
      const h = await Harness.start({}, levelDb);
      for (let k = 0; k < 200; k++) await h.change(random, k);
      await h.checkpoint('complete');
      const before = await h.shared();
      for (let k = 0; k < 200; k++) await h.change(random, k);
      h.faults.add({ operation, fault: 'stall', stallMs: 100 });
      const writing = h.state.write(h.state.freeze(2, 1));
      const ended = writing.catch((e: { code?: string }) => e.code);
      if (operation === 'file.unlink' && abort) await ended;
      if (abort) h.state.aborted(2);
      await h.close();
      assert.deepEqual(await h.shared(), before, `${operation} ${abort}`);
    }
  }
});

test('dirty state above the limit asks for a checkpoint once, then spills, and stays right without any checkpoint', async () => {
  const random = seeded(13);
  const h = await Harness.start({ memoryBytes: 50_000 }, levelDb);
  for (let step = 0; step < 4000; step++) {
    await h.change(random, step);
    await h.state.maintain();
  }
  assert.equal(h.limitCalls, 1);
  assert.ok(h.state.memoryUsed < 300_000);
  await h.check();
  await h.checkpoint('complete');
  await h.state.applyNow();
  await h.check();
  await h.crash();
  await h.check();
  await h.state.close();
  await h.kv?.close();
});

test('a reader sees one moment while entries are evicted, spilled, loaded, changed and checkpointed', async () => {
  const random = seeded(17);
  const h = await Harness.start({ memoryBytes: 100_000 }, levelDb);
  for (let step = 0; step < 3000; step++) {
    await h.change(random, step);
    if (step % 50 === 0) await h.state.maintain();
    if (step % 500 === 0) await h.checkpoint('complete');
  }
  const t = h.state.stateTable(TABLE);
  const expected = new Map([...h.table].sort());
  const reader = t.openReader();
  const seen = new Map<string, string>();
  for (let more = true, step = 0; more; step++) {
    more = await reader.next(50, (key, ks, ke, value, vs, ve) => {
      const k = decoder.decode(key.subarray(ks, ke));
      assert.equal(seen.has(k), false);
      seen.set(k, decoder.decode(value.subarray(vs, ve)));
    });
    for (let k = 0; k < 10; k++) await h.change(random, step);
    if (step % 20 === 7) {
      await h.checkpoint('complete');
      await h.state.applyNow();
    }
  }
  reader.close();
  assert.deepEqual(new Map([...seen].sort()), expected);
  await h.check();
  await h.state.close();
  await h.kv?.close();
});

test('a reader ends for want of memory only where that frees some', async () => {
  // The index of a log cannot leave memory: it alone is over the limit.
  for (const [logKeys, entries, ends] of [[20_000, 40, false], [0, 8000, true]] as const) {
    const h = await Harness.start({ memoryBytes: 100_000 }, levelDb);
    const t = h.state.stateTable(TABLE);
    const log = h.state.rowLog(LOG);
    for (let k = 0; k < logKeys; k++) addRow(log, `log ${k}`, `${k}.`, 1);
    for (let k = 0; k < entries; k++) { await put(t, `key ${k}`, `value ${k}`); h.table.set(`key ${k}`, `value ${k}`); }
    await h.checkpoint('complete');
    await h.state.applyNow();
    const reader = t.openReader();
    let seen = 0;
    const read = async (): Promise<number> => {
      for (let more = true; more;) {
        for (let k = 0; k < 3; k++) await h.state.maintain();
        assert.ok(h.state.memoryUsed > 110_000 || ends, 'over its limit all the time');
        more = await reader.next(10, () => { seen++; });
      }
      return seen;
    };
    if (ends) await assert.rejects(read(), { code: '53400' });
    else assert.equal(await read(), entries);
    reader.close();
    await h.state.close();
    await h.kv?.close();
  }
});

test('a full disk fails the write of a checkpoint with its code, and the next delta holds everything', async () => {
  const h = await Harness.start({}, levelDb);
  const t = h.state.stateTable(TABLE);
  await put(t, 'a', '1');
  h.table.set('a', '1');
  h.faults.add({ operation: 'file.write', times: 1, fault: 'ENOSPC', tornBytes: 10 });
  const frozen = h.state.freeze(h.next++, 0);
  await assert.rejects(h.state.write(frozen), { code: 'ENOSPC' });
  h.state.aborted(frozen.checkpointId);
  assert.deepEqual((await realFiles.list(`${h.storage.directory}/shared`)), []);
  await h.checkpoint('complete');
  await h.crash();
  await h.check();
  await h.state.close();
  await h.kv?.close();
});

test('a crash in the middle of an apply is repaired from the files', async () => {
  const kvs = new MemoryKvs();
  const h = await Harness.start({}, kvs);
  const random = seeded(23);
  for (let n = 0; n < 6; n++) {
    for (let k = 0; k < 1800; k++) await h.change(random, k);
    await h.checkpoint('complete');
    if (n % 2 === 1) {
      h.faults.add({ operation: 'kv.write', after: n % 3, times: 1, fault: 'EIO' });
      await h.state.applyNow();
      assert.equal(h.errors.length, 1);
      h.errors.length = 0;
      h.faults.clear();
      await h.crash();
      await h.check();
    }
  }
  await h.state.close();
});

test('every flipped byte of a state file is found and the file named', async () => {
  const h = await Harness.start({}, levelDb);
  for (let n = 0; n < 20; n++) await put(h.state.stateTable(TABLE), `key ${n}`, 'x'.repeat(n));
  await h.checkpoint('complete');
  const ref = h.completed?.files[0];
  assert.ok(ref !== undefined);
  const path = h.storage.filePath(ref);
  const good = await realFiles.readFile(path);
  for (let at = 0; at <= good.length; at++) {
    const bad = at < good.length ? Uint8Array.from(good) : good.subarray(0, at - 1);
    if (at < good.length) bad[at] ^= 1 << (at % 8);
    const file = await realFiles.open(path, 'create');
    await file.append(bad);
    await file.close();
    await assert.rejects(async () => { for await (const block of h.storage.readStateFile(ref)) assert.ok(block.length > 0); },
      (e: Error & { code?: string }) => e.code === 'XX001' && e.message.includes(path), `byte ${at}`);
  }
  await h.state.close();
  await h.kv?.close();
});

test('state restores at another parallelism by key group', async () => {
  const random = seeded(29);
  const h = await Harness.start({}, levelDb);
  for (let step = 0; step < 1500; step++) await h.change(random, step);
  await h.checkpoint('complete');
  await h.state.close();
  await h.kv?.close();
  const files = h.completed?.files ?? [];
  const whole = h.meta(files);
  const kv = await levelDb.open(`${h.folder}/rescaled`);
  const parts: TaskState[] = [];
  const metas: TaskMetadata[] = [];
  let id = 100;
  for (const [subtask, first, last] of [[0, 0, 63], [1, 64, 127]] as const) {
    const options = { task: `1.${subtask}`, nodeIds: [NODE], keyGroupFirst: first, keyGroupLast: last, maxParallelism: KEY_GROUPS, kv, storage: h.storage, memoryBytes: 1e9 };
    const part = await TaskState.restore(options, { checkpointId: h.completed?.checkpointId ?? 0, tasks: [whole] });
    parts.push(part);
    for (const key of h.table.keys()) assert.equal(get(part.stateTable(TABLE), key), keyGroupOf(key) >= first && keyGroupOf(key) <= last ? h.table.get(key) : undefined);
    for (const key of h.logs.keys()) assert.deepEqual(await logContent(part.rowLog(LOG), key), keyGroupOf(key) >= first && keyGroupOf(key) <= last ? h.logs.get(key) : []);
    const grows = [...h.logs.keys()].find((k) => keyGroupOf(k) >= first && keyGroupOf(k) <= last) ?? '';
    addRow(part.rowLog(LOG), grows, 'after.', 1);
    h.logs.get(grows)?.push('after.×1');
    await put(part.stateTable(TABLE), [...h.table.keys()].find((k) => keyGroupOf(k) >= first && keyGroupOf(k) <= last) ?? '', 'after');
    const frozen = part.freeze(++id, h.completed?.checkpointId ?? 0);
    metas.push({ ...whole, task: options.task, subtask, keyGroupFirst: first, keyGroupLast: last, files: await part.write(frozen) });
    await part.close();
  }
  await kv.close();
  const after2 = parts.length;
  assert.equal(after2, 2);
  for (const first of [0, 64]) h.table.set([...h.table.keys()].find((k) => keyGroupOf(k) >= first && keyGroupOf(k) < first + 64) ?? '', 'after');
  h.completed = { checkpointId: 200, files: [] };
  await h.open(metas);
  await h.check();
  await h.state.close();
  await h.kv?.close();
});

test('a task keeps entries of every hash inside its own key groups, and has them after a restart', async () => {
  const storage = new CheckpointStorage(localStore(realFiles, join(root, 'own-groups')), 7);
  const kv = await levelDb.open(join(root, 'own-groups-kv'));
  const keys = Array.from({ length: 500 }, (_, i) => `row ${i}`);
  const metas: TaskMetadata[] = [];
  const open = (subtask: number, restored: Parameters<typeof TaskState.restore>[1]): Promise<TaskState> => TaskState.restore({
    task: `1.${subtask}`, nodeIds: [NODE], keyGroupFirst: subtask * 64, keyGroupLast: subtask * 64 + 63, maxParallelism: KEY_GROUPS, kv, storage, memoryBytes: 1e9,
  }, restored);
  for (const subtask of [0, 1]) {
    const state = await open(subtask, null);
    for (const key of keys) await put(state.stateTable(TABLE), key, `of ${subtask}`);
    const files = await state.write(state.freeze(1, 0));
    state.completed(1);
    await state.applyNow();
    metas.push({ task: `1.${subtask}`, subtask, keyGroupFirst: subtask * 64, keyGroupLast: subtask * 64 + 63, nodeIds: [NODE], since: 0, files, operators: {} });
    await state.close();
  }
  for (const subtask of [0, 1]) {
    const state = await open(subtask, { checkpointId: 1, tasks: metas });
    assert.deepEqual(await content(state.stateTable(TABLE)), new Map(keys.map((k) => [k, `of ${subtask}`])));
    await state.close();
  }
  await kv.close();
});
