/**
 * What a worker of the pool does: answers the main thread (protocol.ts) by deploying parts of jobs and running queries. A failing task or query
 * is reported; the worker goes on. It knows no threads: clock, files, stores and the link to the main thread are given.
 */
import type { FileSystem } from '../storage/filesystem.js';
import type { KvOpener } from '../storage/kv.js';
import type { TableReader } from '../storage/tablestore.js';
import type { Env } from '../types/env.js';
import { SqlError, toErrorData } from '../types/error.js';
import type { SqlType } from '../types/sqltype.js';
import { parseDatum } from '../types/textio.js';
import type { Batch } from './batch.js';
import type { Connectors } from './connector.js';
import type { MaterializeOperator, ViewReader } from './operators/materialize.js';
import type { MainMethods, Pin, TaskInfos, WorkerData, WorkerMethods } from './protocol.js';
import { Rpc, Transfer, type Link } from './rpc.js';
import { SharedStreams } from './sharing/streams.js';
import { JobPart, type DeployHost } from './task/deploy.js';
import { Query } from './task/query.js';
import type { TaskEvents } from './task/task.js';
import { fromTransferable, toTransferable, type WireBatch } from './vectors.js';

export interface WorkerDeps {
  readonly place: Pick<WorkerData, 'index' | 'workers' | 'dataDir'> & Partial<Pick<WorkerData, 'running'>>;
  readonly connectors: Connectors;
  readonly tables: TableReader;
  readonly env: Env;
  readonly files: FileSystem;
  readonly kvs: KvOpener;
  readonly link: Link;
}

/** One reader for each of the view's tasks in this worker. */
interface OpenPin { readonly readers: ViewReader[]; readonly types: readonly SqlType[] }

/** Every message of the link is to be given to the Rpc's `receive`. */
export function serveWorker({ place, connectors, tables, env, files, kvs, link }: WorkerDeps): Rpc<WorkerMethods, MainMethods> {
  const jobs = new Map<number, JobPart>();
  const deploying = new Map<number, Promise<void>>();
  const pins = new Map<number, OpenPin>();
  const queries = new Map<number, Query>();
  /** Ends of the subscription's parts: one for each of the view's tasks here. */
  const taps = new Map<number, (() => void)[]>();

  const rpc = new Rpc<WorkerMethods, MainMethods>(link, {
    async deploy(spec) {
      const before = deploying.get(spec.jobId) ?? Promise.resolve();
      const run = before.catch(() => undefined).then(async () => {
        await stop(spec.jobId);
        jobs.set(spec.jobId, await JobPart.deploy(spec, host));
      });
      deploying.set(spec.jobId, run);
      await run;
    },
    start({ jobId, attempt }) { part(jobId, attempt)?.start(); },
    barrier({ jobId, attempt, injected }) { part(jobId, attempt)?.inject(injected); },
    completed({ jobId, attempt, checkpointId }) { for (const task of part(jobId, attempt)?.tasks ?? []) task.completed(checkpointId); },
    async committed({ jobId, attempt }) { await Promise.all((part(jobId, attempt)?.tasks ?? []).map(task => task.committed())); },
    aborted({ jobId, attempt, checkpointId }) { for (const task of part(jobId, attempt)?.tasks ?? []) task.aborted(checkpointId); },
    async stop({ jobId }) {
      await deploying.get(jobId)?.catch(() => undefined);
      await stop(jobId);
    },
    pin({ jobId, attempt, pins: specs }) { part(jobId, attempt)?.pin(specs, events); },
    async readChunk({ pinId }) {
      const pin = pins.get(pinId);
      const batch = await chunk(pinId);
      if (batch === null || pin === undefined) return null;
      const { wire, transfer } = toTransferable(pin.types, batch);
      return new Transfer<WireBatch | null>(wire, transfer);
    },
    unpin({ pinId }) { unpin(pinId); },
    query(spec) {
      if (spec.quiet !== null && part(spec.quiet.jobId, spec.quiet.attempt)?.pinQuiet(spec.quiet.pins, events) !== true) {
        rpc.notify('queryEnd', { queryId: spec.queryId, error: null, last: null, busy: true });
        return;
      }
      const types = rootTypes(spec.plan);
      const query = new Query(spec, {
        tables, connectors, env, files, dataDir: place.dataDir,
        readChunk: (pin, node) => readPinned(pin, node.columns.map(c => c.type)),
        give(batch) {
          send();
          last = batch;
          void env.turn().then(send);
        },
      });
      // A batch waits to the end of this turn for the query's end, to go in one message with it: most queries give one batch.
      let last: Batch | null = null;
      const send = (): void => {
        if (last === null) return;
        const { wire, transfer } = toTransferable(types, last);
        last = null;
        rpc.notify('queryBatch', { queryId: spec.queryId, batch: wire }, transfer);
      };
      queries.set(spec.queryId, query);
      query.run().then(() => null, (e: unknown) => toErrorData(e)).then(error => {
        queries.delete(spec.queryId);
        for (const pin of spec.pins.flat()) if (pin.worker === place.index) unpin(pin.pinId);
        const end = last === null ? null : toTransferable(types, last);
        last = null;
        rpc.notify('queryEnd', { queryId: spec.queryId, error, last: end?.wire ?? null, busy: false }, end?.transfer ?? []);
      }).catch((e: unknown) => { console.error(e); });
    },
    queryMore({ queryId }) { queries.get(queryId)?.more(); },
    queryCancel({ queryId }) { queries.get(queryId)?.cancel(); },
    unsubscribe({ subscriptionId }) {
      for (const end of taps.get(subscriptionId) ?? []) end();
      taps.delete(subscriptionId);
    },
    infos() {
      const all: TaskInfos = { operators: [], tasks: [], channels: [], sources: [], sinks: [], watermarks: [], stateTables: [], restores: [] };
      for (const job of jobs.values()) {
        for (const i of job.infos()) {
          all.operators.push(...i.operators);
          all.tasks.push(...i.tasks);
          all.channels.push(...i.channels);
          all.sources.push(...i.sources);
          all.sinks.push(...i.sinks);
          all.watermarks.push(...i.watermarks);
          all.stateTables.push(...i.stateTables);
        }
      }
      for (const { jobId, task, subtask, checkpointId, startedMs, progress } of host.restoring) {
        const { phase, bytesDone, bytesTotal, entriesDone, entriesTotal } = progress;
        all.restores.push({ jobId, task, subtask, worker: place.index, checkpointId, phase, startedMs, bytesDone, bytesTotal, entriesDone, entriesTotal });
      }
      return all;
    },
    ping() { /* the answer says that the event loop turns */ },
  }, e => { rpc.notify('log', { level: 'error', message: 'a notice could not be handled', fields: { error: toErrorData(e).message } }); });

  const events: TaskEvents = {
    passed: arg => { rpc.notify('passed', arg); },
    acknowledged: arg => { rpc.notify('acknowledged', arg); },
    declined: arg => { rpc.notify('declined', arg); },
    failed: arg => { rpc.notify('taskFailed', arg); },
    ended: arg => { rpc.notify('taskEnded', arg); },
    active: arg => { rpc.notify('active', arg); },
    pinned(spec, view) {
      const reader = (spec.point === null ? null : view.openPoint(spec.fields, new Map(spec.point.map(p => [p.column, parseDatum(p.type, p.text)])))) ?? view.openReader(spec.fields);
      const pin = pins.get(spec.pinId);
      if (pin !== undefined) pin.readers.push(reader);
      else pins.set(spec.pinId, { readers: [reader], types: spec.fields.map(f => view.node.columns[f].type) });
    },
    tapped: (subscriptionId, snapshot, epoch, view) => { tap(subscriptionId, snapshot, epoch, view); },
  };

  const host: DeployHost = {
    worker: place.index, running: place.running ?? new Int32Array(1), workers: place.workers, dataDir: place.dataDir, connectors, tables, env, files, kvs, streams: new SharedStreams(), events, restoring: new Set(),
    wantCheckpoint: arg => { rpc.notify('wantCheckpoint', arg); },
    deadLetter: row => { rpc.notify('deadLetter', row); },
    log: (level, message, fields) => { rpc.notify('log', { level, message, fields: fields ?? {} }); },
  };

  function part(jobId: number, attempt: number): JobPart | null {
    const job = jobs.get(jobId);
    return job !== undefined && job.spec.attempt === attempt ? job : null;
  }

  async function stop(jobId: number): Promise<void> {
    const job = jobs.get(jobId);
    jobs.delete(jobId);
    await job?.close();
  }

  async function chunk(pinId: number): Promise<Batch | null> {
    const readers = pins.get(pinId)?.readers;
    // Not the end of its rows: the worker that opened them died, and this one took its place.
    if (readers === undefined) throw new SqlError('40001', 'the rows of a view that was being read are gone: its worker was started anew', { hint: 'Run the query again.' });
    while (readers.length > 0) {
      const [reader] = readers;
      const batch = await reader.next();
      if (batch !== null) return batch;
      reader.close();
      readers.shift();
    }
    pins.delete(pinId);
    return null;
  }

  function unpin(pinId: number): void {
    for (const reader of pins.get(pinId)?.readers ?? []) reader.close();
    pins.delete(pinId);
  }

  async function readPinned(pin: Pin, types: readonly SqlType[]): Promise<Batch | null> {
    if (pin.worker === place.index) return await chunk(pin.pinId);
    const wire = await rpc.call('remoteChunk', pin);
    return wire === null ? null : fromTransferable(types, wire);
  }

  /** A subscription's part here: the view as of this barrier in chunks, and each later epoch's changes as its barrier passes. */
  function tap(subscriptionId: number, snapshot: boolean, epoch: number, view: MaterializeOperator): void {
    const visible = view.node.visible;
    const types = view.node.columns.slice(0, visible).map(c => c.type);
    const send = (batch: Batch, at: number, isSnapshot: boolean): void => {
      const { wire, transfer } = toTransferable(types, { length: batch.length, columns: batch.columns.slice(0, visible), weights: batch.weights });
      rpc.notify('subscriptionBatch', { subscriptionId, epoch: at, snapshot: isSnapshot, batch: wire }, transfer);
    };
    const unlisten = view.listen((at, changes) => { for (const batch of changes) send(batch, at, false); });
    const reader = snapshot ? view.openReader(Array.from({ length: visible }, (_, i) => i)) : null;
    taps.set(subscriptionId, [...taps.get(subscriptionId) ?? [], () => { unlisten(); reader?.close(); }]);
    const read = async (): Promise<void> => {
      for (let batch = await reader?.next() ?? null; batch !== null; batch = await reader?.next() ?? null) send(batch, epoch, true);
      rpc.notify('subscriptionBatch', { subscriptionId, epoch, snapshot: true, batch: null });
    };
    read().catch((e: unknown) => { rpc.notify('subscriptionFailed', { subscriptionId, error: toErrorData(e instanceof Error ? e : new SqlError('XX000', String(e))) }); });
  }

  return rpc;
}

function rootTypes(plan: { readonly roots: readonly number[]; readonly nodes: readonly { readonly id: number; readonly columns: readonly { readonly type: SqlType }[] }[] }): SqlType[] {
  return plan.nodes.find(n => n.id === plan.roots[0])?.columns.map(c => c.type) ?? [];
}
