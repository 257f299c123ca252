/**
 * A batch query: the plan's operators once over bounded entries, in one worker. Entries are read one after the other in plan order
 * (views in chunks of one pinned epoch, tables from one snapshot, bounded sources to their end), then every watermark is Infinity and the
 * operators end. Batches go to the client with credit: at most QUERY_BATCHES_AHEAD are made before they are taken. Between batches the query
 * looks whether it was cancelled, and yields to the worker's tasks.
 */
import type { Env } from '../../types/env.js';
import { SqlError } from '../../types/error.js';
import { hashBytes } from '../../types/encoding/hash.js';
import type { CatalogLookup, EvalContext } from '../../types/functions/evalcontext.js';
import type { Plan, PlanNode, Recursion, RowsNode, SourceNode, TableNode, ViewNode } from '../../types/plan.js';
import { knownSetting } from '../../types/settings.js';
import type { FileSystem } from '../../storage/filesystem.js';
import type { TableReader } from '../../storage/tablestore.js';
import { BATCH_ROWS_MAX, type Batch } from '../batch.js';
import { BatchBuilder } from '../batchbuilder.js';
import type { Connectors } from '../connector.js';
import { Driver } from '../driver.js';
import type { OperatorContext } from '../operator.js';
import { createOperator } from '../operators/registry.js';
import { constantRows } from '../operators/rows.js';
import type { Pin, QuerySpec } from '../protocol.js';
import type { CatalogSnapshot } from '../query.js';
import { RowLog } from '../state/rowlog.js';
import { nodesOptions, NODES_TABLE, PackedGroupTable } from '../state/grouptable.js';
import { PageAllocator } from '../state/pages.js';
import { HashStateTable, type StateTableOptions } from '../state/statetable.js';
import { innerPlans, isConstant, isEntry, PlanRunner, subplansOf, type EntryNode } from '../subplan.js';
import { fromTransferable } from '../vectors.js';
import { RecursiveRows } from './recursion.js';
import { ConnectorFeed } from './connectorfeed.js';
import type { Feed } from './feed.js';
import { readPast, type PastSpec } from './past.js';
import { StreamLogFeed } from './tablefeed.js';

/** Named limit: batches made before the client took them. */
export const QUERY_BATCHES_AHEAD = 4;
/** Named limit: bytes of state a query may hold. */
const QUERY_STATE_BYTES_MAX = 2 * 1024 * 1024 * 1024;
const YIELD_MS = 8;

export interface QueryHost {
  readonly tables: TableReader;
  readonly connectors: Connectors;
  readonly env: Env;
  readonly files: FileSystem;
  readonly dataDir: string;
  readChunk(pin: Pin, node: ViewNode): Promise<Batch | null>;
  give(batch: Batch): void;
}

/** View nodes in one order that both threads agree on: the plan's, then those of its subplans. */
export function viewNodesOf(plan: Plan): ViewNode[] {
  return allViewNodes(plan).filter(n => n.checkpoint === undefined);
}

/** Views and states as checkpoints hold them, in one order likewise. */
export function pastNodesOf(plan: Plan): ViewNode[] { return allViewNodes(plan).filter(n => n.checkpoint !== undefined); }

function allViewNodes(plan: Plan): ViewNode[] { return [plan, ...subplansOf(plan)].flatMap(p => p.nodes.filter((n): n is ViewNode => n.op === 'view')); }

/** By the id of the recursive query: the rows that its step reads. */
type LastRows = ReadonlyMap<number, readonly Batch[]>;
const NO_ROWS: LastRows = new Map();

const isRecursive = (node: EntryNode): boolean => node.op === 'rows' && (node.recursion !== undefined || node.working !== undefined);

async function* given(batches: readonly Batch[]): AsyncIterable<Batch> { yield* batches; }

export class Query {
  readonly #spec: QuerySpec;
  readonly #host: QueryHost;
  readonly #session: EvalContext;
  readonly #pins = new Map<ViewNode, readonly Pin[]>();
  readonly #past = new Map<ViewNode, PastSpec>();
  readonly #pages = new PageAllocator();
  #ahead = 0;
  #cancelled = false;
  #wake: (() => void) | null = null;
  #slice = 0;
  #tableId = 0;
  /** What entries of inner plans gave. */
  readonly #collected = new Map<EntryNode, readonly Batch[]>();
  readonly #runner: PlanRunner;

  constructor(spec: QuerySpec, host: QueryHost) {
    this.#spec = spec;
    this.#host = host;
    this.#session = {
      nowUs: spec.nowUs, timeZone: spec.timeZone, user: spec.user, database: spec.catalog?.settings['database'] ?? 'millrace', outer: [],
      catalog: spec.catalog === null ? null : catalogLookup(spec.catalog), random: () => host.env.random(), clockUs: () => host.env.nowUs(),
    };
    this.#runner = new PlanRunner(node => this.#collected.get(node) ?? [], (node, emit) => this.#context(node, emit), this.#session);
    viewNodesOf(spec.plan).forEach((node, i) => this.#pins.set(node, spec.pins[i] ?? []));
    pastNodesOf(spec.plan).forEach((node, i) => { this.#past.set(node, spec.past[i]); });
  }

  more(): void {
    this.#ahead--;
    this.#wake?.();
  }

  cancel(): void {
    this.#cancelled = true;
    this.#wake?.();
  }

  async run(): Promise<void> {
    this.#slice = performance.now();
    const { plan } = this.#spec;
    const inner = innerPlans(plan);
    for (const node of inner.flatMap(p => p.plan.nodes)) if (isEntry(node) && !isConstant(node) && !isRecursive(node)) await this.#collect(node);
    // An expression cannot wait: recursive queries in it run before, those inside them first.
    for (const p of inner.reverse()) if (p.inExpression) for (const node of p.plan.nodes) if (isEntry(node) && isRecursive(node)) await this.#collect(node);
    const given: Batch[] = [];
    await this.#drive(plan, NO_ROWS, batch => { given.push(batch); }, () => this.#hand(given), this.#pages);
  }

  async #collect(node: EntryNode): Promise<void> {
    if (this.#collected.has(node)) return;
    const batches: Batch[] = [];
    for await (const batch of this.#entry(node, NO_ROWS)) batches.push(batch);
    this.#collected.set(node, batches);
  }

  /** Runs a plan to its end. `last`: what the terms of recursive queries read; `hand` is called between batches. */
  async #drive(plan: Plan, last: LastRows, take: (batch: Batch) => void, hand: () => Promise<void>, pages: PageAllocator): Promise<void> {
    const runner = this.#runner;
    const driver = new Driver(plan.nodes, null, hand);
    const byId = new Map(plan.nodes.map(n => [n.id, n]));
    for (const node of plan.nodes) {
      if (isEntry(node)) continue;
      const emit = plan.roots.includes(node.id) ? (batch: Batch): void => { if (batch.length > 0) take(batch); } : driver.emitter(node.id);
      const operator = createOperator(node, this.#context(node, emit, pages), node.inputs.map(i => byId.get(i)?.columns ?? []), runner);
      if (operator !== null) driver.attach(node.id, operator);
      operator?.begin?.(null);
    }
    for (const node of plan.nodes) {
      if (!isEntry(node)) continue;
      if (isConstant(node)) {
        await driver.push(node.id, constantRows(node, this.#session, runner));
        await hand();
        continue;
      }
      if (!driver.wanted(node.id)) continue;
      for await (const batch of this.#collected.get(node) ?? this.#entry(node, last)) {
        const waiting = driver.push(node.id, batch);
        if (waiting !== null) await waiting;
        await hand();
        if (!driver.wanted(node.id)) break;
      }
    }
    for (const node of plan.nodes) {
      if (!isEntry(node)) continue;
      await driver.watermark(node.id, Infinity);
      await hand();
    }
    await driver.end();
    await hand();
    for (const operator of driver.operators()) operator.close?.();
  }

  /** Hands on what came out, in the client's pace. */
  async #hand(given: Batch[]): Promise<void> {
    for (const batch of given.splice(0)) {
      this.#check();
      while (this.#ahead >= QUERY_BATCHES_AHEAD) {
        await new Promise<void>(resolve => { this.#wake = resolve; });
        this.#check();
      }
      this.#ahead++;
      this.#host.give(batch);
    }
    await this.#turn();
  }

  async #turn(pages = this.#pages): Promise<void> {
    this.#check(pages);
    if (performance.now() - this.#slice < YIELD_MS) return;
    await new Promise<void>(resolve => { setImmediate(resolve); });
    this.#slice = performance.now();
    this.#check();
  }

  #check(pages = this.#pages): void {
    if (this.#cancelled) throw new SqlError('57014', 'canceling statement due to user request');
    if (pages.usedBytes > QUERY_STATE_BYTES_MAX) throw new SqlError('53200', 'the query needs too much memory', { detail: `The limit is ${QUERY_STATE_BYTES_MAX} bytes.` });
  }

  #context(node: PlanNode, emit: (batch: Batch) => void, pages = this.#pages): OperatorContext {
    const first = this.#tableId;
    this.#tableId += 16;
    const options = (k: number): StateTableOptions => ({ tableId: first + k, maxParallelism: 1, pages, hash: hashBytes, tracking: false, cold: null });
    return {
      jobId: 0, subtask: 0, parallelism: 1, batchMode: true, session: this.#session, emit, own: { functions: this.#host.connectors.functions ?? [], now: () => this.#host.env.now() },
      stateTable: k => new HashStateTable(options(k)),
      groupTable: (k, order) => {
        const nodes = nodesOptions(options(k));
        return new PackedGroupTable(options(k), order, { roots: new HashStateTable(options(k)), nodes: new HashStateTable({ ...nodes, tableId: first + k + NODES_TABLE }) });
      },
      rowLog: k => new RowLog({ tableId: first + k, pages, hash: hashBytes, store: null }),
      count: () => undefined,
    };
  }

  #entry(node: EntryNode, last: LastRows): AsyncIterable<Batch> {
    switch (node.op) {
      case 'rows':
        if (node.working !== undefined) return given(last.get(node.working) ?? []);
        return node.recursion === undefined ? this.#system(node.system ?? '') : this.#recursive(node, node.recursion, last);
      case 'view': {
        const past = this.#past.get(node);
        return past === undefined ? this.#view(node) : readPast(node, past, { files: this.#host.files, dataDir: this.#host.dataDir, session: this.#session });
      }
      case 'table': return this.#table(node);
      case 'source': return this.#source(node);
    }
  }

  async *#recursive(node: RowsNode, recursion: Recursion, last: LastRows): AsyncIterable<Batch> {
    const held = new RecursiveRows(recursion, node.columns.map(c => c.type));
    const run = async (term: Plan, rows: LastRows): Promise<Batch[]> => {
      const out: Batch[] = [];
      const pages = new PageAllocator();
      await this.#drive(term, rows, batch => { held.count(batch); out.push(batch); }, () => this.#turn(pages), pages);
      return held.fresh(out);
    };
    for (let rows = await run(recursion.base, last); rows.length > 0; rows = await run(recursion.step, new Map([...last, [recursion.id, rows]]))) yield* rows;
  }

  async *#system(name: string): AsyncIterable<Batch> {
    const given = this.#spec.system.find(s => s.name === name);
    if (given === undefined) throw new SqlError('XX000', `internal error: rows of ${name} did not come with the query`);
    for (const wire of given.batches) yield fromTransferable(given.types, wire);
  }

  async *#view(node: ViewNode): AsyncIterable<Batch> {
    for (const pin of this.#pins.get(node) ?? []) {
      for (let batch = await this.#host.readChunk(pin, node); batch !== null; batch = await this.#host.readChunk(pin, node)) yield batch;
    }
  }

  async *#table(node: TableNode): AsyncIterable<Batch> {
    const snapshot = await this.#host.tables.snapshot(node.tableId);
    try {
      const builder = new BatchBuilder(node.storedTypes);
      let after: Uint8Array | null = null;
      for (;;) {
        const rows: { key: Uint8Array; row: Uint8Array }[] = await snapshot.rows(after, BATCH_ROWS_MAX);
        for (const { row } of rows) builder.appendStored(row, 0);
        if (rows.length > 0) {
          const batch = builder.finish();
          yield { length: batch.length, columns: node.fields.map(f => batch.columns[f]), weights: null };
        }
        if (rows.length < BATCH_ROWS_MAX) return;
        after = rows[rows.length - 1].key;
      }
    } finally {
      await snapshot.close();
    }
  }

  async *#source(node: SourceNode): AsyncIterable<Batch> {
    let wake: (() => void) | null = null;
    const feed = this.#feed(node, () => { wake?.(); });
    await feed.open(undefined);
    try {
      if (node.logId !== null) {
        yield* feed.untilBarrier(this.#spec.logPosition) ?? [];
        return;
      }
      for (;;) {
        this.#check();
        let woken = false;
        const sleeping = new Promise<void>(resolve => { wake = () => { woken = true; resolve(); }; this.#wake = resolve; });
        const batch = feed.take(await feed.next());
        if (batch === 'end') return;
        if (batch !== 'idle') yield batch;
        else if (!woken) await sleeping;
      }
    } finally {
      await feed.close();
    }
  }

  #feed(node: SourceNode, wake: () => void): Feed {
    if (node.logId !== null) return new StreamLogFeed(node, node.logId, this.#host.tables, this.#session, true);
    const connector = this.#host.connectors.sources.find(c => c.name === node.connector);
    if (connector === undefined) throw new SqlError('42704', `connector "${node.connector}" does not exist`);
    return new ConnectorFeed(node, connector, {
      streams: null, busyMs: () => 0,
      jobId: 0, subtask: 0, parallelism: 1, idleTimeoutMs: 0, env: this.#host.env, session: this.#session, wake,
      deadLetter: () => undefined, log: () => undefined,
    });
  }
}

function catalogLookup(catalog: CatalogSnapshot): CatalogLookup {
  const byOid = new Map(catalog.relations.map(r => [r.oid, r]));
  const schemas = new Map(catalog.schemas.map(s => [s.oid, s.name]));
  return {
    relationOid: (schema, name) => catalog.relations.find(r => r.name === name && (schema === null ? r.visible : r.schema === schema))?.oid ?? null,
    relationName: oid => byOid.get(oid) ?? null,
    schemaOid: name => catalog.schemas.find(s => s.name === name)?.oid ?? null,
    schemaName: oid => schemas.get(oid) ?? null,
    viewDefinition: oid => byOid.get(oid)?.definition ?? null,
    comment: () => null,
    setting: name => catalog.settings[name] ?? catalog.settings[knownSetting(name)?.name ?? ''] ?? null,
  };
}
