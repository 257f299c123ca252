/** Shared reading against a stream of two splits in memory: rows v = 0 … ROWS − 1 of each, columns v, twice (2v) and fussy (bad where v % 101 = 0). */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Json } from '../../types/connect.js';
import { ManualEnv } from '../../types/env.js';
import { SqlError } from '../../types/error.js';
import type { SourceField } from '../../types/plan.js';
import { INT8 } from '../../types/sqltype.js';
import type { BadRecord, SourceConnector, SourceContext, SourceReader, SourceSpec, SplitBatch } from '../connector.js';
import { SharedStreams } from './streams.js';

const SPLITS = ['a', 'b'];
type Positions = Readonly<Record<string, Json>>;

function generator(seed: number): () => number {
  let s = seed >>> 0;
  return () => {
    s = (Math.imul(s, 1664525) + 1013904223) >>> 0;
    return s / 2 ** 32;
  };
}

class Memory implements SourceReader {
  readonly #at = new Map(SPLITS.map(s => [s, 0]));
  #bound: Positions | null = null;

  readonly world: World;
  readonly spec: SourceSpec;
  readonly context: SourceContext;

  constructor(world: World, spec: SourceSpec, context: SourceContext) {
    this.world = world;
    this.spec = spec;
    this.context = context;
  }

  async open(positions: Positions): Promise<void> {
    await Promise.resolve();
    this.world.readers++;
    for (const s of SPLITS) this.#at.set(s, Number(positions[s] ?? 0));
  }

  next(): SplitBatch | 'idle' | 'end' | Promise<SplitBatch | 'idle' | 'end'> {
    if (this.world.broken) throw new SqlError('58000', 'broken');
    const { random } = this.world;
    if (this.world.lazy && random() < 0.2) {
      this.world.later.push(() => { this.context.wake(); });
      return 'idle';
    }
    return random() < 0.5 ? this.#read() : Promise.resolve().then(() => this.#read());
  }

  #read(): SplitBatch | 'idle' | 'end' {
    const { random, rows } = this.world;
    let open = false;
    for (const s of random() < 0.5 ? SPLITS : [...SPLITS].reverse()) {
      const from = this.#at.get(s) ?? 0;
      if (from < rows) open = true;
      const end = this.#bound === null ? rows : Math.min(rows, Number(this.#bound[s] ?? 0));
      const to = Math.min(end, from + 1 + Math.floor(random() * 20));
      if (to <= from) continue;
      this.#at.set(s, to);
      return this.#batch(s, from, to);
    }
    return open ? 'idle' : 'end';
  }

  #batch(split: string, from: number, to: number): SplitBatch {
    const fussy = this.spec.fields.some(f => f.name === 'fussy');
    const v: number[] = [];
    for (let i = from; i < to; i++) {
      this.world.decoded++;
      if (fussy && i % 101 === 0) this.context.badRecord({ split, position: String(i), reason: 'fussy', raw: new Uint8Array(1) });
      else v.push(i);
    }
    const column = (f: SourceField): Float64Array => Float64Array.from(v, x => (f.name === 'twice' ? 2 * x : x));
    return { split, batch: { length: v.length, columns: this.spec.fields.map(f => ({ form: 'f64', values: column(f), nulls: null })), weights: null } };
  }

  bound(positions: Positions | null): void { this.#bound = positions; }
  positions(): Record<string, Json> { return Object.fromEntries(this.#at); }
  unreadSplits(): readonly string[] { return []; }
  progress(): { split: string; position: string; lag: number | null }[] { return [...this.#at].map(([split, at]) => ({ split, position: String(at), lag: this.world.rows - at })); }
  close(): Promise<void> { this.world.readers--; return Promise.resolve(); }
}

class World {
  readonly env: ManualEnv;
  readonly random: () => number;
  readonly streams: SharedStreams;
  readonly connector: SourceConnector;
  readonly later: (() => void)[] = [];
  decoded = 0;
  readers = 0;
  lazy = false;
  broken = false;

  readonly rows: number;

  constructor(seed: number, rows: number, backlogBytes?: number) {
    this.rows = rows;
    this.random = generator(seed);
    this.env = new ManualEnv(0, this.random);
    this.streams = new SharedStreams(backlogBytes);
    this.connector = {
      name: 'memory', description: '', options: [], bounded: () => true, sharing: () => ({ place: Number, unit: 'rows' }),
      create: (spec, context) => new Memory(this, spec, context),
    };
  }
}

const field = (name: string, ordinal: number): SourceField => ({ name, type: INT8, path: null, metadata: null, notNull: false, defaultExpr: null, ordinal });
const V = field('v', 0);
const TWICE = field('twice', 1);
const FUSSY = field('fussy', 2);

class Member {
  readonly bad: BadRecord[] = [];
  readonly seen = new Map(SPLITS.map(s => [s, new Set<number>()]));
  readonly restarts: number[] = [];
  idle = false;
  pending = false;
  wakes = 0;
  ended = false;
  busyMs = 0;
  error: unknown = null;
  reader!: SourceReader;

  readonly world: World;
  readonly fields: readonly SourceField[];

  constructor(world: World, fields: readonly SourceField[]) {
    this.world = world;
    this.fields = fields;
  }

  async open(positions: Positions = {}): Promise<this> {
    const { world, fields } = this;
    this.reader = world.streams.reader(world.connector, { jobId: 1, nodeId: 0, relationName: 'm', options: {}, fields, subtask: 0, parallelism: 1 },
      { badRecord: r => { this.bad.push(r); }, wake: () => { this.wakes++; this.idle = false; }, log: () => undefined, now: () => world.env.now() }, { env: world.env, busyMs: () => this.busyMs });
    await this.reader.open(positions);
    return this;
  }

  /** One turn: true when it asked. */
  poll(): boolean {
    if (this.idle || this.pending || this.ended) return false;
    const { wakes } = this;
    this.idle = true;
    const raw = this.reader.next();
    if (!(raw instanceof Promise)) { this.take(raw); return true; }
    this.pending = true;
    raw.then(item => {
      this.pending = false;
      // A wake while it was under way counts.
      this.idle = item === 'idle' && wakes === this.wakes;
      this.take(item);
    }, (e: unknown) => { this.error = e; this.ended = true; });
    return true;
  }

  take(item: SplitBatch | 'idle' | 'end'): void {
    if (item === 'idle') return;
    this.idle = false;
    if (item === 'end') { this.ended = true; return; }
    const { split, batch } = item;
    assert.equal(batch.columns.length, this.fields.length);
    const seen = this.seen.get(split) ?? new Set();
    const position = Number(this.reader.positions()[split]);
    for (let i = 0; i < batch.length; i++) {
      const [first] = batch.columns;
      const v = first.form === 'f64' ? first.values[i] : NaN;
      assert.ok(!seen.has(v), `${split} ${v} came twice`);
      assert.ok(v < position, `${split} ${v} is past its position ${position}`);
      seen.add(v);
      for (const [c, f] of this.fields.entries()) {
        const column = batch.columns[c];
        assert.equal(column.form === 'f64' ? column.values[i] : NaN, f === TWICE ? 2 * v : v);
      }
    }
  }

  async restart(): Promise<void> {
    const positions = this.reader.positions();
    for (const s of SPLITS) for (const v of this.seen.get(s) ?? []) assert.ok(v < Number(positions[s]), 'rows given are before the position');
    await this.reader.close();
    this.idle = false;
    await this.open(positions);
  }

  whole(): void {
    const fussy = this.fields.includes(FUSSY);
    for (const s of SPLITS) {
      const seen = this.seen.get(s) ?? new Set();
      const bad = fussy ? Math.ceil(this.world.rows / 101) : 0;
      assert.equal(seen.size, this.world.rows - bad, `rows of ${s}`);
      assert.equal(this.bad.filter(b => b.split === s).length, bad);
    }
  }
}

/** Turns until every member's stream has ended; `each` may do something to a member before its turn. */
async function run(world: World, members: readonly Member[], each: (m: Member) => Promise<void> | void = () => undefined): Promise<void> {
  for (let turn = 0; members.some(m => !m.ended); turn++) {
    assert.ok(turn < 200_000, `stuck: ${JSON.stringify(world.streams.sizes())} ${members.map(m => `${JSON.stringify(m.reader.positions())}${m.idle ? ' idle' : ''}${m.pending ? ' pending' : ''}`).join('; ')}`);
    const m = members[Math.floor(world.random() * members.length)];
    if (!m.pending) await each(m);
    m.poll();
    if (turn % 10 === 0) {
      world.env.advance(1);
      for (const wake of world.later.splice(0)) wake();
    }
    if (turn % 5 === 0) await new Promise<void>(resolve => { setImmediate(resolve); });
  }
}

test('jobs that begin together decode once, and each gets every row once', async () => {
  const world = new World(1, 5000);
  const members = await Promise.all([[V], [V], [V]].map(f => new Member(world, f).open()));
  await run(world, members);
  for (const m of members) m.whole();
  assert.ok(world.decoded < 10_000 * 1.05, `${world.decoded} rows decoded`);
  assert.deepEqual(world.streams.sizes().map(s => s.groups), [1]);
  for (const m of members) await m.reader.close();
  assert.equal(world.readers, 0);
  assert.deepEqual(world.streams.sizes(), []);
});

test('jobs of different columns get their own; one that comes later catches up and joins', async () => {
  const world = new World(2, 30_000);
  const first = await new Member(world, [V]).open();
  while ((first.seen.get('a')?.size ?? 0) < 3000) { first.poll(); await Promise.resolve(); world.env.advance(1); }
  const members = [first, await new Member(world, [V, TWICE]).open(), await new Member(world, [TWICE, V].reverse()).open()];
  await run(world, members);
  for (const m of members) m.whole();
  assert.ok(world.decoded < 60_000 * 1.5, `${world.decoded} rows decoded`);
});

test('a record that is bad for a column nobody else reads is bad for its reader only', async () => {
  const world = new World(3, 3000);
  const members = await Promise.all([[V], [V, FUSSY], [V, TWICE]].map(f => new Member(world, f).open()));
  await run(world, members);
  for (const m of members) m.whole();
});

test('restarts, drops and comers at any moment leave every job with exactly its rows', async () => {
  for (let seed = 10; seed < 30; seed++) {
    const world = new World(seed, 2000, 4000);
    world.lazy = true;
    const kinds = [[V], [V, TWICE], [V, FUSSY], [V], [V, TWICE, FUSSY], [V]];
    const members = await Promise.all(kinds.slice(0, 4).map(f => new Member(world, f).open()));
    let comers = 6;
    await run(world, members, async m => {
      m.busyMs += world.random() * (members.indexOf(m) + 1);
      const chance = world.random();
      if (chance < 0.01) await m.restart();
      else if (chance < 0.012 && comers-- > 0) members.push(await new Member(world, kinds[members.length % kinds.length]).open());
      else if (chance < 0.013 && members.length > 2) await members.splice(members.indexOf(m), 1)[0].reader.close();
    });
    for (const m of members) { assert.equal(m.error, null); m.whole(); await m.reader.close(); }
    assert.equal(world.readers, 0, `readers left open, seed ${seed}`);
  }
});

test('a reader that stands still keeps the others waiting for a moment only, and goes on by itself', async () => {
  const world = new World(4, 20_000, 20_000);
  const [slow, a, b] = await Promise.all([[V], [V], [V]].map(f => new Member(world, f).open()));
  await run(world, [slow, a, b], m => { if ((a.seen.get('a')?.size ?? 0) > 2000) slow.ended = true; else m.busyMs += 1; });
  a.whole();
  b.whole();
  slow.ended = false;
  await run(world, [slow]);
  slow.whole();
});

test('a reader whose work is many times the others’ is not waited for', async () => {
  const world = new World(5, 20_000, 20_000);
  const [heavy, a, b] = await Promise.all([[V], [V], [V]].map(f => new Member(world, f).open()));
  let waited = 0;
  await run(world, [heavy, a, b], m => {
    m.busyMs += m === heavy ? 50 : 0.1;
    if (m === heavy && world.random() < 0.95) m.pending = true;
    queueMicrotask(() => { if (m === heavy) m.pending = false; });
    if (m !== heavy && m.idle) waited++;
  });
  for (const m of [heavy, a, b]) m.whole();
  assert.ok(waited < 20_000);
});

test('the failure of the shared reader is every member’s', async () => {
  const world = new World(6, 2000);
  const members = await Promise.all([[V], [V]].map(f => new Member(world, f).open()));
  for (let k = 0; k < 50; k++) { for (const m of members) await m.reader.next(); world.env.advance(1); }
  world.broken = true;
  for (const m of members) {
    await assert.rejects(async () => { for (let k = 0; k < 10_000; k++) await m.reader.next(); }, /broken/);
  }
  for (const m of members) await m.reader.close();
});
