import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Expr } from '../../types/expr.js';
import type { CalcNode, UnnestNode, WindowNode } from '../../types/plan.js';
import type { Column, SqlType } from '../../types/sqltype.js';
import { arrayOf, BOOL, INT4, INT8, TEXT, TIMESTAMP } from '../../types/sqltype.js';
import type { Batch } from '../batch.js';
import { CONSTANT_CONTEXT } from '../codegen/interpret.js';
import { draw, parseDrawn } from '../drawn.js';
import type { Operator, OperatorContext } from '../operator.js';
import { CalcOperator } from './calc.js';
import { UnnestOperator } from './unnest.js';
import { CumulateOperator } from './cumulate.js';
import { WindowOperator } from './window.js';

class Spy {
  readonly out: Batch[] = [];
  readonly counts: Record<string, number> = {};
  readonly context: OperatorContext;
  constructor() {
    this.context = {
      jobId: 1, subtask: 0, parallelism: 1, batchMode: false,
      emit: b => { this.out.push(b); },
      stateTable: () => { throw new Error('stateless'); },
      groupTable: () => { throw new Error('stateless'); },
      rowLog: () => { throw new Error('stateless'); },
      count: (name, by) => { this.counts[name] = (this.counts[name] ?? 0) + by; },
      session: { ...CONSTANT_CONTEXT },
    };
  }
  run(make: (c: OperatorContext) => Operator, input: readonly SqlType[], output: readonly SqlType[], drawing: string): string {
    make(this.context).process(parseDrawn(input, drawing), 0);
    return this.out.splice(0).map(b => draw(output, b)).join('\n--\n');
  }
}

const columns = (types: readonly SqlType[]): Column[] => types.map((type, i) => ({ name: `c${i}`, type }));
const base = { id: 2, inputs: [1], appendOnly: true, key: null } as const;
const col = (index: number, type: SqlType): Expr => ({ node: 'column', index, type });
const lit = (text: string, type: SqlType): Expr => ({ node: 'literal', text, type });
const call = (fn: string, args: readonly Expr[], type: SqlType): Expr => ({ node: 'call', fn, args, type });

test('calc filters, projects and keeps weights', () => {
  const input = [INT8, TEXT];
  const output = [TEXT, INT8];
  const node: CalcNode = { ...base, op: 'calc', columns: columns(output), filter: call('>(int8,int8)', [col(0, INT8), lit('1', INT8)], BOOL), project: [col(1, TEXT), call('*(int8,int8)', [col(0, INT8), lit('10', INT8)], INT8)] };
  assert.equal(new Spy().run(c => new CalcOperator(node, c, columns(input)), input, output, '+ 1 a\n- 2 b\n+3 3 c\n+ . d'), '- b 20\n+3 c 30');
});

test('calc emits nothing when no row passes', () => {
  const node: CalcNode = { ...base, op: 'calc', columns: columns([INT8]), filter: lit('f', BOOL), project: [col(0, INT8)] };
  const spy = new Spy();
  assert.equal(spy.run(c => new CalcOperator(node, c, columns([INT8])), [INT8], [INT8], '+ 1'), '');
});

const SECOND = 1_000_000;
const window = (fields: Partial<WindowNode>): WindowNode => ({ ...base, op: 'window', columns: columns([INT4, TIMESTAMP, TIMESTAMP, TIMESTAMP, TIMESTAMP]), timeColumn: 1, sizeUs: 10 * SECOND, slideUs: 10 * SECOND, offsetUs: 0, lateColumn: null, ...fields });
const W_IN = [INT4, TIMESTAMP, TIMESTAMP];
const W_OUT = [...W_IN, TIMESTAMP, TIMESTAMP];
const at = (clock: string): string => `"2020-01-01 00:00:${clock}"`;

test('tumble puts each row into one window, also before 1970', () => {
  const drawing = `+ 1 ${at('09.999999')} .\n- 2 ${at('10')} .\n+ 3 "1969-12-31 23:59:59.999999" .`;
  assert.equal(new Spy().run(c => new WindowOperator(window({}), c), W_IN, W_OUT, drawing), [
    `+ 1 ${at('09.999999')} . ${at('00')} ${at('10')}`,
    `- 2 ${at('10')} . ${at('10')} ${at('20')}`,
    '+ 3 "1969-12-31 23:59:59.999999" . "1969-12-31 23:59:50" "1970-01-01 00:00:00"',
  ].join('\n'));
});

test('tumble with an offset', () => {
  assert.equal(new Spy().run(c => new WindowOperator(window({ offsetUs: 3 * SECOND }), c), W_IN, W_OUT, `+ 1 ${at('12')} .`), `+ 1 ${at('12')} . ${at('03')} ${at('13')}`);
});

test('hop puts each row into size / slide windows', () => {
  assert.equal(new Spy().run(c => new WindowOperator(window({ slideUs: 4 * SECOND }), c), W_IN, W_OUT, `+2 1 ${at('21')} .`), [
    `+2 1 ${at('21')} . ${at('12')} ${at('22')}`,
    `+2 1 ${at('21')} . ${at('16')} ${at('26')}`,
    `+2 1 ${at('21')} . ${at('20')} ${at('30')}`,
  ].join('\n'));
});

test('hop with gaps leaves rows between windows out', () => {
  assert.equal(new Spy().run(c => new WindowOperator(window({ sizeUs: 2 * SECOND }), c), W_IN, W_OUT, `+ 1 ${at('11')} .\n+ 2 ${at('12')} .`), `+ 1 ${at('11')} . ${at('10')} ${at('12')}`);
});

test('cumulate puts each row into the windows of its day that end after it', () => {
  const spy = new Spy();
  const drawing = `+ 1 ${at('21')} .\n- 2 ${at('26')} .\n+ 3 ${at('29')} ${at('28')}\n+ 4 ${at('25')} ${at('28')}\n+ 5 . .`;
  assert.equal(spy.run(c => new CumulateOperator(window({ slideUs: 2 * SECOND, cumulate: true, lateColumn: 2 }), c), W_IN, W_OUT, drawing), [
    ...['22', '24', '26', '28', '30'].map(end => `+ 1 ${at('21')} . ${at('20')} ${at(end)}`),
    `- 2 ${at('26')} . ${at('20')} ${at('28')}`, `- 2 ${at('26')} . ${at('20')} ${at('30')}`,
    `+ 3 ${at('29')} ${at('28')} ${at('20')} ${at('30')}`,
    `+ 4 ${at('25')} ${at('28')} ${at('20')} ${at('30')}`,
  ].join('\n'));
  assert.deepEqual(spy.counts, { late_rows: 2, null_event_time: 1 });
});

test('windows ended by the split watermark are dropped per window and counted; NULL times too', () => {
  const spy = new Spy();
  const drawing = `+ 1 ${at('21')} ${at('22')}\n+ 2 ${at('21')} ${at('31')}\n+ 3 . .\n+ 4 ${at('21')} .`;
  assert.equal(spy.run(c => new WindowOperator(window({ slideUs: 5 * SECOND, lateColumn: 2 }), c), W_IN, W_OUT, drawing), [
    `+ 1 ${at('21')} ${at('22')} ${at('15')} ${at('25')}`,
    `+ 1 ${at('21')} ${at('22')} ${at('20')} ${at('30')}`,
    `+ 4 ${at('21')} . ${at('15')} ${at('25')}`,
    `+ 4 ${at('21')} . ${at('20')} ${at('30')}`,
  ].join('\n'));
  assert.deepEqual(spy.counts, { late_rows: 2, null_event_time: 1 });
});

test('a window ending exactly at the watermark is late', () => {
  const spy = new Spy();
  assert.equal(spy.run(c => new WindowOperator(window({ lateColumn: 2 }), c), W_IN, W_OUT, `+ 1 ${at('05')} ${at('10')}`), '');
  assert.deepEqual(spy.counts, { late_rows: 1 });
});

test('unnest repeats the row for each element, with ordinality, weights kept, NULL rows for outer', () => {
  const input = [INT4, arrayOf(TEXT)];
  const output = [...input, TEXT, INT8];
  const node: UnnestNode = { ...base, op: 'unnest', columns: columns(output), fn: 'unnest(anyarray…)', args: [col(1, arrayOf(TEXT))], ordinality: true, outer: true };
  assert.equal(new Spy().run(c => new UnnestOperator(node, c, columns(input)), input, output, '- 1 {x,NULL}\n+ 2 {}\n+ 3 .'), '- 1 {x,NULL} x 1\n- 1 {x,NULL} . 2\n+ 2 {} . .\n+ 3 . . .');
});

test('generate_series makes rows in more than one batch', () => {
  const output = [INT4, INT4];
  const node: UnnestNode = { ...base, op: 'unnest', columns: columns(output), fn: 'generate_series(int4,int4)', args: [lit('1', INT4), col(0, INT4)], ordinality: false, outer: false };
  const spy = new Spy();
  new UnnestOperator(node, spy.context, columns([INT4])).process(parseDrawn([INT4], '+ 5000\n+ 0'));
  assert.deepEqual(spy.out.map(b => b.length), [4096, 904]);
});
