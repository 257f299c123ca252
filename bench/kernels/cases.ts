/**
 * Kernels alone, without decoding: projections, filters, keys, stored rows, gathering and windows over Nexmark-like bids.
 * Batches have BATCH_ROWS_MAX rows, as in a job. run.ts prints them, ../check/check.ts guards them.
 */
import { seeded } from '../../types/encoding/testdatums.js';
import type { Expr } from '../../types/expr.js';
import { BOOL, INT8, INTERVAL, NUMERIC, TEXT, TIMESTAMP } from '../../types/sqltype.js';
import type { SqlType } from '../../types/sqltype.js';
import { BATCH_ROWS_MAX } from '../../runtime/batch.js';
import type { Batch } from '../../runtime/batch.js';
import { BatchBuilder } from '../../runtime/batchbuilder.js';
import { compileFilter, compileProject } from '../../runtime/codegen/compile.js';
import { CONSTANT_CONTEXT } from '../../runtime/codegen/interpret.js';
import { keyEncoder, rowEncoder } from '../../runtime/keys.js';
import { WindowOperator } from '../../runtime/operators/window.js';
import type { OperatorContext } from '../../runtime/operator.js';
import { batchFromDatums, concat, fromTransferable, gather, toTransferable } from '../../runtime/vectors.js';
import { consolidate } from '../../runtime/zset.js';
import type { WindowNode } from '../../types/plan.js';

/** One step of the product. `run` works on `rows` rows. */
export interface Kernel { readonly name: string; readonly rows: number; readonly run: () => void }

const TYPES: readonly SqlType[] = [INT8, INT8, INT8, TEXT, TIMESTAMP, NUMERIC];
const [AUCTION, BIDDER, PRICE, CHANNEL, TIME, AMOUNT] = TYPES.map((type, index): Expr => ({ node: 'column', index, type }));

const lit = (text: string, type: SqlType): Expr => ({ node: 'literal', text, type });
const call = (fn: string, args: readonly Expr[], type: SqlType): Expr => ({ node: 'call', fn, args, type });
const numeric = (arg: Expr): Expr => ({ node: 'cast', arg, explicit: false, type: NUMERIC });

function bids(nullable: boolean): Batch {
  const r = seeded(7);
  const builder = new BatchBuilder(TYPES);
  for (let i = 0; i < BATCH_ROWS_MAX; i++) {
    const hole = nullable && i % 10 === 0;
    builder.appendDatums([1000 + r(2000), hole ? null : r(50000), 100 + r(1000000), hole ? null : ['Google', 'Facebook', 'Baidu', 'Apple', `channel-${r(10000)}`][r(5)], 1.6e15 + i * 10000, null]);
  }
  const { length, columns, weights } = builder.finish();
  const amounts = Float64Array.from({ length }, () => r(1000000));
  return { length, weights, columns: [...columns.slice(0, 5), { form: 'dec', values: amounts, scale: 2, nulls: null }] };
}

const batch = bids(false);
const holes = bids(true);
const context: OperatorContext = {
  jobId: 1, subtask: 0, parallelism: 1, batchMode: false, emit: b => { sum += b.length; },
  stateTable: () => { throw new Error('stateless'); }, groupTable: () => { throw new Error('stateless'); }, rowLog: () => { throw new Error('stateless'); }, count: () => undefined, session: { ...CONSTANT_CONTEXT },
};
let sum = 0;

function project(exprs: readonly Expr[], b: Batch = batch): () => void {
  const f = compileProject(exprs, TYPES);
  return () => { sum += f(b, null, CONSTANT_CONTEXT).length; };
}
function filter(expr: Expr, b: Batch = batch): () => void {
  const f = compileFilter(expr, TYPES);
  return () => { sum += f(b, CONSTANT_CONTEXT).count; };
}
function window(slides: number): () => void {
  const node: WindowNode = { id: 1, inputs: [], columns: [], appendOnly: true, key: null, op: 'window', timeColumn: 4, sizeUs: 10_000_000, slideUs: 10_000_000 / slides, offsetUs: 0, lateColumn: null };
  const operator = new WindowOperator(node, context);
  return () => { operator.process(batch); };
}

const and = (...args: Expr[]): Expr => ({ node: 'and', args, type: BOOL });
const hour = call('extract(text,timestamp)', [lit('hour', TEXT), TIME], NUMERIC);
const every = Int32Array.from({ length: BATCH_ROWS_MAX }, (_, i) => i);
const stored = rowEncoder(TYPES);
const builder = new BatchBuilder(TYPES);
const key2 = keyEncoder(TYPES, [0, 1]);
const keyText = keyEncoder(TYPES, [3]);
const keyMixed = keyEncoder(TYPES, [0, 3]);
const keyDecimal = keyEncoder(TYPES, [5]);
const keyOrder = keyEncoder(TYPES, [0, 4], 'order');
const datums = Array.from({ length: 1000 }, (_, i) => [i, i, i, 'text', i, null]);

const CASES: readonly (readonly [string, () => void, number?])[] = [
  ['project 5 columns, 2 computed (q1-like)', project([AUCTION, BIDDER, call('*(numeric,numeric)', [lit('0.908', NUMERIC), numeric(PRICE)], NUMERIC), TIME, call('+(int8,int8)', [PRICE, lit('1', INT8)], INT8)])],
  ['project 5 computed integers', project([0, 1, 2, 3, 4].map(k => call('+(int8,int8)', [[AUCTION, BIDDER, PRICE][k % 3], lit(String(k + 1), INT8)], INT8)))],
  ['project 5 computed integers, NULLs', project([0, 1, 2, 3, 4].map(k => call('+(int8,int8)', [[AUCTION, BIDDER, PRICE][k % 3], lit(String(k + 1), INT8)], INT8)), holes)],
  ['filter auction % 123 = 0 (q2)', filter(call('=(int8,int8)', [call('%(int8,int8)', [AUCTION, lit('123', INT8)], INT8), lit('0', INT8)], BOOL))],
  ['filter text = literal', filter(call('=(text,text)', [CHANNEL, lit('Google', TEXT)], BOOL))],
  ['filter text in (4 literals)', filter({ node: 'in', arg: CHANNEL, list: ['Google', 'Apple', 'Baidu', 'Bing'].map(s => lit(s, TEXT)), equal: '=(text,text)', type: BOOL })],
  ['filter decimal range (q14)', filter(and(call('>(numeric,numeric)', [call('*(numeric,numeric)', [lit('0.908', NUMERIC), numeric(PRICE)], NUMERIC), lit('1000000', NUMERIC)], BOOL), call('<(numeric,numeric)', [call('*(numeric,numeric)', [lit('0.908', NUMERIC), numeric(PRICE)], NUMERIC), lit('50000000', NUMERIC)], BOOL)))],
  ['project CASE of extract(hour) (q14)', project([{ node: 'case', whens: [
    { when: and(call('>=(numeric,numeric)', [hour, lit('8', NUMERIC)], BOOL), call('<=(numeric,numeric)', [hour, lit('18', NUMERIC)], BOOL)), then: lit('dayTime', TEXT) },
    { when: { node: 'or', args: [call('<=(numeric,numeric)', [hour, lit('6', NUMERIC)], BOOL), call('>=(numeric,numeric)', [hour, lit('20', NUMERIC)], BOOL)], type: BOOL }, then: lit('nightTime', TEXT) }], otherwise: lit('otherTime', TEXT), type: TEXT }])],
  ['project timestamp + interval', project([call('+(timestamp,interval)', [TIME, lit('10 seconds', INTERVAL)], TIMESTAMP)])],
  ['project lower(text)', project([call('lower(text)', [CHANNEL], TEXT)])],
  ['project numeric + numeric', project([call('+(numeric,numeric)', [AMOUNT, AMOUNT], NUMERIC)])],
  ['project 2 int sums and a filter on half', (() => {
    const f = compileFilter(call('>(int8,int8)', [PRICE, lit('500000', INT8)], BOOL), TYPES);
    const p = compileProject([AUCTION, CHANNEL, TIME, call('+(int8,int8)', [PRICE, BIDDER], INT8)], TYPES);
    return () => { sum += p(batch, f(batch, CONSTANT_CONTEXT), CONSTANT_CONTEXT).length; };
  })()],
  ['key + hash, 2 integers', () => { sum += key2(batch).length; }],
  ['key + hash, 2 integers, NULLs', () => { sum += key2(holes).length; }],
  ['key + hash, text', () => { sum += keyText(batch).length; }],
  ['key + hash, integer and text', () => { sum += keyMixed(batch).length; }],
  ['key + hash, numeric', () => { sum += keyDecimal(batch).length; }],
  ['order key, integer and timestamp', () => { sum += keyOrder(batch).length; }],
  ['row encode, 6 columns', () => { sum += stored(batch).start.length; }],
  ['row encode + decode, 6 columns', () => { const s = stored(batch); for (let i = 0; i < batch.length; i++) builder.appendStored(s.data, s.start[i]); sum += builder.finish().length; }],
  ['gather all, 6 columns', () => { sum += gather(batch, every, every.length).length; }],
  ['append rows, 6 columns', () => { for (let i = 0; i < batch.length; i++) builder.appendRow(batch, i); sum += builder.finish().length; }],
  ['concat 2, 6 columns', () => { sum += concat(TYPES, [batch, batch]).length; }, 2],
  ['transfer and back, 6 columns', () => { const { wire } = toTransferable(TYPES, batch); sum += fromTransferable(TYPES, wire).length; }],
  ['consolidate by key', () => { sum += consolidate(TYPES, [batch], [0, 1, 4], false).length; }],
  ['tumble', window(1)],
  ['hop of 5', window(5)],
  ['batch from datums', () => { sum += batchFromDatums(TYPES, datums).length; }, datums.length / BATCH_ROWS_MAX],
];

export const kernels: readonly Kernel[] = CASES.map(([name, run, scale = 1]) => ({ name, run, rows: BATCH_ROWS_MAX * scale }));

/** Rows that came out so far: reading it keeps the engine from leaving the work out. */
export function rowsOut(): number { return sum; }
