/**
 * Builds what a task runs: the driver over its fragment's nodes, operators with their state, feeds for sources and tables, sinks, and the
 * sending ends of its exchanges. Nothing is opened here.
 */
import type { Json } from '../../types/connect.js';
import type { Env } from '../../types/env.js';
import { assert, SqlError } from '../../types/error.js';
import type { PlanNode } from '../../types/plan.js';
import type { Column } from '../../types/sqltype.js';
import type { JobSettings } from '../../types/settings.js';
import type { TableReader } from '../../storage/tablestore.js';
import type { EvalContext } from '../codegen/context.js';
import type { Connectors } from '../connector.js';
import { Driver, type DriverNode } from '../driver.js';
import type { DeadLetterInfo } from '../engine.js';
import type { OperatorContext } from '../operator.js';
import { PreaggregateOperator } from '../operators/preaggregate.js';
import { createOperator } from '../operators/registry.js';
import type { SharedStreams } from '../sharing/streams.js';
import { MaterializeOperator } from '../operators/materialize.js';
import type { Injected } from '../protocol.js';
import type { TaskState } from '../state/taskstate.js';
import type { ChannelOut } from './channel.js';
import { ConnectorFeed } from './connectorfeed.js';
import { ExchangeSender } from './exchange.js';
import type { Feed } from './feed.js';
import { edgeColumns, type Edge, type Fragment } from './fragment.js';
import { comesNet, SinkOperator } from './sinkoperator.js';
import { RowsFeed } from './rowsfeed.js';
import { StreamLogFeed, TableFeed } from './tablefeed.js';

export interface TaskHost {
  readonly jobId: number;
  readonly subtask: number;
  readonly settings: JobSettings;
  readonly connectors: Connectors;
  readonly tables: TableReader;
  readonly env: Env;
  readonly streams: SharedStreams | null;
  busyMs(): number;
  wake(feed: number): void;
  deadLetter(row: DeadLetterInfo): void;
  log(level: 'debug' | 'info' | 'warn' | 'error', message: string, fields?: Readonly<Record<string, Json>>): void;
}

export interface BuiltTask {
  readonly driver: Driver;
  readonly feeds: readonly Feed[];
  readonly sinks: readonly SinkOperator[];
  readonly views: ReadonlyMap<number, MaterializeOperator>;
  readonly session: EvalContext;
  readonly counters: ReadonlyMap<number, Map<string, number>>;
}

/** Id of an exchange's sender in the task that sends: beside the plan's ids (>= 0) and forward edges' (far below 0). */
export const senderId = (edge: Edge): number => -1 - 2_000_000_000 - edge.entry * 64 - edge.toFragment % 64;

/** Where an edge's rows go in: the pre-aggregation before the sender, or the sender. */
export const headId = (edge: Edge): number => (edge.partials === null ? senderId(edge) : senderId(edge) - HEAD_BASE);
const HEAD_BASE = 2 ** 48;

export function buildTask(fragment: Fragment, columns: ReadonlyMap<number, readonly Column[]>, host: TaskHost, state: TaskState | null,
  outs: (edge: Edge) => readonly ChannelOut[], injected: () => Injected, readOnly: boolean, nowUs: number): BuiltTask {
  const senders = fragment.outbound.flatMap((edge): DriverNode[] =>
    (edge.partials === null ? [{ id: senderId(edge), inputs: [edge.from] }] : [{ id: headId(edge), inputs: [edge.from] }, { id: senderId(edge), inputs: [headId(edge)] }]));
  const entries = fragment.inbound.map((edge): DriverNode => ({ id: edge.entry, inputs: [] }));
  const driver = new Driver([...entries, ...fragment.nodes, ...senders], () => host.env.monotonic(), () => host.env.turn());
  const session: EvalContext = { nowUs, timeZone: 'UTC', user: '', database: '', outer: [], catalog: null, random: () => host.env.random() };
  const feeds: Feed[] = [];
  const sinks: SinkOperator[] = [];
  const views = new Map<number, MaterializeOperator>();
  const counters = new Map<number, Map<string, number>>();
  const inputColumns = new Map<number, readonly Column[]>(columns);
  for (const edge of fragment.inbound) inputColumns.set(edge.entry, columns.get(edge.from) ?? []);
  for (const node of fragment.nodes) {
    const counts = new Map<string, number>();
    counters.set(node.id, counts);
    if (node.op === 'source' || node.op === 'table' || node.op === 'rows') {
      if (!readOnly) feeds.push(createFeed(node, feeds.length, fragment.parallelism, host, inZone(session, node.timeZone)));
      continue;
    }
    if (node.op === 'sink') {
      if (readOnly) continue;
      const sink = createSink(node, fragment, host);
      sinks.push(sink);
      driver.attach(node.id, sink);
      continue;
    }
    if (readOnly && node.op !== 'materialize') continue;
    const context: OperatorContext = {
      jobId: host.jobId, subtask: host.subtask, parallelism: fragment.parallelism, batchMode: false, session: inZone(session, node.timeZone),
      emit: driver.emitter(node.id), own: { functions: host.connectors.functions ?? [], now: () => host.env.now() },
      stateTable: k => stateOf(state).stateTable(node.id * 16 + k),
      groupTable: (k, order) => stateOf(state).groupTable(node.id * 16 + k, order),
      rowLog: k => stateOf(state).rowLog(node.id * 16 + k),
      count: (name, by) => { counts.set(name, (counts.get(name) ?? 0) + by); },
      // Jobs of older versions know no such setting.
      ...((host.settings.state_ttl as number | undefined ?? 0) > 0 ? { ttl: { us: host.settings.state_ttl * 1000, nowUs: () => host.env.now() * 1000 } } : {}),
    };
    const operator = createOperator(node, context, node.inputs.map(i => inputColumns.get(i) ?? []));
    if (operator === null) continue;
    driver.attach(node.id, operator);
    if (operator instanceof MaterializeOperator) views.set(node.id, operator);
  }
  for (const edge of fragment.outbound) {
    const from = fragment.nodes.find(n => n.id === edge.from);
    assert(from !== undefined, `no node ${edge.from} to send from`);
    const types = edgeColumns(edge, columns).map(c => c.type);
    if (edge.partials !== null) driver.attach(headId(edge), new PreaggregateOperator(edge.partials, from.columns, driver.emitter(headId(edge))));
    driver.attach(senderId(edge), new ExchangeSender(from, types, edge.kind === 'hash' ? edge.keys : null, host.settings.max_parallelism, outs(edge), injected));
  }
  return { driver, feeds, sinks, views, session, counters };
}

/** The task's session as a node sees it: now() is the task's, which moves; the zone is that of the query's maker. */
function inZone(session: EvalContext, timeZone: string | undefined): EvalContext {
  return timeZone === undefined ? session : { ...session, timeZone, get nowUs() { return session.nowUs; } };
}

function stateOf(state: TaskState | null): TaskState {
  assert(state !== null, 'a task without state made a stateful operator');
  return state;
}

function createFeed(node: Extract<PlanNode, { op: 'source' | 'table' | 'rows' }>, index: number, parallelism: number, host: TaskHost, session: EvalContext): Feed {
  if (node.op === 'rows') return new RowsFeed(node, session, host.subtask === 0);
  if (node.op === 'table') return new TableFeed(node, host.tables, host.subtask, parallelism);
  if (node.logId !== null) return new StreamLogFeed(node, node.logId, host.tables, session, host.subtask === 0);
  const connector = host.connectors.sources.find(c => c.name === node.connector);
  if (connector === undefined) throw new SqlError('42704', `connector "${node.connector}" does not exist`);
  return new ConnectorFeed(node, connector, {
    jobId: host.jobId, subtask: host.subtask, parallelism, idleTimeoutMs: host.settings.idle_source_timeout, env: host.env, session,
    // Jobs of older versions know no such setting.
    streams: (host.settings.shared_reading as boolean | undefined) === false ? null : host.streams, busyMs: () => host.busyMs(), wake: () => { host.wake(index); }, deadLetter: host.deadLetter, log: host.log,
  });
}

function createSink(node: Extract<PlanNode, { op: 'sink' }>, fragment: Fragment, host: TaskHost): SinkOperator {
  const connector = host.connectors.sinks.find(c => c.name === node.connector);
  if (connector === undefined) throw new SqlError('42704', `connector "${node.connector}" does not exist`);
  return new SinkOperator(node, connector, { jobId: host.jobId, subtask: host.subtask, parallelism: fragment.parallelism }, { log: host.log, now: () => host.env.now() }, comesNet(node, fragment.nodes));
}
