/**
 * Operator state (source positions, what sinks prepared) for the subtasks of a restored job: each task's own where the layout is the same,
 * otherwise put together from all subtasks' and given to the new ones. A source's reader takes the positions of the splits that it owns now.
 */
import type { TaskMetadata } from '../../storage/checkpoint/metadata.js';
import type { Json } from '../../types/connect.js';
import { SqlError } from '../../types/error.js';
import type { PlanNode } from '../../types/plan.js';
import type { SinkConnector } from '../connector.js';
import { dealOut, withUnion, type OperatorStateJson } from '../functions/operatorstate.js';
import type { ConnectorState } from './connectorfeed.js';
import { watermarkJson, watermarkOf } from './feed.js';
import type { RowsState } from './rowsfeed.js';
import type { StreamState, TableState } from './tablefeed.js';

export interface Layout {
  /** The state comes from tasks of another parallelism, or of another job. */
  readonly moved: boolean;
  readonly nodes: readonly PlanNode[];
  readonly subtask: number;
  readonly parallelism: number;
  readonly sinks: readonly SinkConnector[];
}

type SinkState = { readonly rows: number; readonly sink: Json; readonly otherJob?: boolean };

/** Node id → state, for one task. */
export function operatorStates(tasks: readonly TaskMetadata[], layout: Layout): Record<string, Json> {
  const out: Record<string, Json> = {};
  if (!layout.moved) {
    for (const t of tasks) if (t.subtask === layout.subtask) Object.assign(out, t.operators);
    for (const node of layout.nodes) {
      const id = String(node.id);
      const own = out[id];
      if (node.op === 'process') {
        const all = tasks.map(t => t.operators[id] as unknown as OperatorStateJson | undefined);
        if (all.some(s => s !== undefined)) out[id] = withUnion(own as unknown as OperatorStateJson | undefined, all) as unknown as Json;
        continue;
      }
      if (node.op === 'sink') {
        const restore = layout.sinks.find(c => c.name === node.connector)?.restore;
        const all = tasks.map(t => t.operators[id] as SinkState | undefined);
        if (restore !== undefined && all.some(s => s !== undefined)) {
          const mine = own as SinkState | undefined;
          out[id] = { ...(mine ?? { rows: 0 }), sink: restore(mine?.sink ?? null, all.map(s => s?.sink ?? null)) };
        }
        continue;
      }
      if (node.op !== 'source' || node.logId !== null || own === undefined) continue;
      // A reader takes its own splits' positions. How the others' were cut (the stripes of a file) is a matter of all.
      out[id] = { ...(own as object), positions: Object.assign({}, ...tasks.map(t => (t.operators[id] as unknown as ConnectorState | undefined)?.positions)) as Record<string, Json> };
    }
    return out;
  }
  for (const node of layout.nodes) {
    const states: Json[] = [];
    for (const t of [...tasks].sort((a, b) => a.subtask - b.subtask)) {
      const state = t.operators[String(node.id)];
      if (state !== undefined) states[t.subtask] = state;
    }
    if (states.length === 0) continue;
    const given = share(node, states, layout);
    if (given !== undefined) out[String(node.id)] = given;
  }
  return out;
}

/** `states`: by the subtask that had them, perhaps with holes. */
function share(node: PlanNode, states: readonly Json[], layout: Layout): Json | undefined {
  const known = states.filter(s => s !== undefined);
  const first = layout.subtask === 0;
  switch (node.op) {
    case 'source': return node.logId === null ? connectorState(known as unknown as ConnectorState[], first) : streamState(known as unknown as StreamState[], first);
    case 'table': return tableState(node.tableName, known as unknown as TableState[], first);
    case 'rows': return { given: (known as unknown as RowsState[]).some(s => s.given) } satisfies RowsState;
    case 'process': return dealOut(states as unknown as (OperatorStateJson | undefined)[], layout.subtask, layout.parallelism) as unknown as Json;
    case 'sink': return sinkState(node, states, layout);
    default: return undefined;
  }
}

const sum = (numbers: readonly number[]): number => numbers.reduce((a, b) => a + b, 0);

function connectorState(states: readonly ConnectorState[], first: boolean): Json {
  // One that has no split yet, or none any more, holds nothing back.
  const reading = states.filter(s => Object.keys(s.watermarks).length > 0);
  const watermark = reading.length === 0 ? -Infinity : Math.min(...reading.map(s => watermarkOf(s.watermark)));
  return {
    positions: Object.assign({}, ...states.map(s => s.positions)) as Record<string, Json>, watermarks: Object.assign({}, ...states.map(s => s.watermarks)) as Record<string, number | null>, watermark: watermarkJson(watermark),
    rows: first ? sum(states.map(s => s.rows)) : 0, skipped: first ? sum(states.map(s => s.skipped)) : 0, nullEventTimes: first ? sum(states.map(s => s.nullEventTimes)) : 0, moved: true,
  } satisfies ConnectorState;
}

/** Subtask 0 reads the stream's log; the others only say how far. */
function streamState(states: readonly StreamState[], first: boolean): Json {
  const [reader] = states;
  return { ...reader, rows: first ? reader.rows : 0, nullEventTimes: first ? reader.nullEventTimes : 0 };
}

function tableState(name: string, states: readonly TableState[], first: boolean): Json {
  const [one] = states;
  if (states.some(s => !s.backfilled)) {
    throw new SqlError('55000', `table "${name}" was still being read for the first time when the checkpoint was taken: the job cannot go on from it at another parallelism`, { hint: 'Go on at the same parallelism, and try again when the view is filled.' });
  }
  return { ...one, rows: first ? sum(states.map(s => s.rows)) : 0 };
}

function sinkState(node: Extract<PlanNode, { op: 'sink' }>, states: readonly Json[], layout: Layout): Json | undefined {
  const own = states as readonly (SinkState | undefined)[];
  const rows = layout.subtask === 0 ? sum(own.map(s => s?.rows ?? 0)) : 0;
  const connector = layout.sinks.find(c => c.name === node.connector);
  const prepared = own.map(s => s?.sink ?? null);
  if (prepared.every(p => p === null)) return { rows, sink: null };
  if (connector?.redistribute === undefined) throw new SqlError('0A000', `a ${node.connector} sink cannot go on at another parallelism`);
  return { rows, sink: connector.redistribute(prepared, layout.parallelism, own.some(s => s?.otherJob === true))[layout.subtask] ?? null };
}
