/** Which accumulator computes which aggregate call. */
import type { AggregateCall, AggregateNode } from '../../types/plan.js';
import type { SqlType } from '../../types/sqltype.js';
import { unsupported } from '../../types/error.js';
import { layoutOf } from '../../types/encoding/kinds.js';
import type { EvalContext } from '../codegen/context.js';
import type { GroupTable } from '../state/table.js';
import { BitAccumulator, BoolAccumulator, CountAccumulator, ExtremeAccumulator, type FixedAccumulator } from './fixed.js';
import { FloatSum, FloatVariance, RegressionAccumulator, type RegressionForm } from './floats.js';
import { type GroupAccumulator, ListAccumulator, listFinish, OrderedExtreme } from './ordered.js';
import { OrderedSetAccumulator } from './orderedset.js';
import { IntegerSum, IntervalSum, NumericSum, NumericVariance, type VarianceForm } from './sums.js';

export interface AccumulatorContext {
  readonly node: Pick<AggregateNode, 'inputAppendOnly'>;
  /** Types of the input columns. */
  readonly types: readonly SqlType[];
  readonly session: EvalContext;
  readonly batchMode: boolean;
  /** The next group table of the node. */
  nextTable(): GroupTable;
}

const VARIANCES: Readonly<Record<string, VarianceForm>> = {
  variance: { root: false, sample: true }, var_samp: { root: false, sample: true }, var_pop: { root: false, sample: false },
  stddev: { root: true, sample: true }, stddev_samp: { root: true, sample: true }, stddev_pop: { root: true, sample: false },
};
const isFloat = (t: SqlType): boolean => t.kind === 'float4' || t.kind === 'float8';

export function makeAccumulator(call: AggregateCall, c: AccumulatorContext): { readonly fixed: FixedAccumulator } | { readonly group: GroupAccumulator } {
  const name = call.fn.slice(0, call.fn.indexOf('('));
  if (call.direct !== undefined) return { group: new OrderedSetAccumulator(call, c.types, c.nextTable()) };
  const argTypes = call.args.map((a) => c.types[a]);
  const finish = listFinish(name, argTypes, c.session);
  if (finish !== null) return { group: new ListAccumulator(c.nextTable(), c.types, call, c.batchMode, finish, name === 'string_agg' ? call.args[0] : null) };
  if (name === 'min' || name === 'max') return extreme(call, c, argTypes[0], name === 'max');
  const fixed = makeFixed(name, call, argTypes);
  if (fixed === null) throw unsupported(`aggregate ${call.fn}`);
  return { fixed };
}

function extreme(call: AggregateCall, c: AccumulatorContext, type: SqlType, max: boolean): { readonly fixed: FixedAccumulator } | { readonly group: GroupAccumulator } {
  const layout = layoutOf(type);
  const [column] = call.args;
  if (c.node.inputAppendOnly && (layout === 'number' || layout === 'big' || layout === 'float')) return { fixed: new ExtremeAccumulator(column, type, max) };
  return { group: new OrderedExtreme(c.nextTable(), c.types, column, max, c.node.inputAppendOnly) };
}

function makeFixed(name: string, call: AggregateCall, argTypes: readonly SqlType[]): FixedAccumulator | null {
  const [column] = call.args;
  switch (name) {
    case 'count': return new CountAccumulator(call.args.length === 0 ? null : column);
    case 'bool_and': case 'every': return new BoolAccumulator(column, true);
    case 'bool_or': return new BoolAccumulator(column, false);
    case 'bit_and': return new BitAccumulator(column, argTypes[0], 'and');
    case 'bit_or': return new BitAccumulator(column, argTypes[0], 'or');
    case 'bit_xor': return new BitAccumulator(column, argTypes[0], 'xor');
    case 'sum': case 'avg': return sum(column, argTypes[0], name === 'avg', call.type);
    default:
  }
  const variance = VARIANCES[name];
  if (variance !== undefined) return isFloat(argTypes[0]) ? new FloatVariance(column, argTypes[0], variance) : new NumericVariance(column, argTypes[0], variance);
  if (name.startsWith('regr_') || name.startsWith('covar_') || name === 'corr') return new RegressionAccumulator(column, call.args[1], name as RegressionForm);
  return null;
}

function sum(column: number, type: SqlType, average: boolean, result: SqlType): FixedAccumulator | null {
  switch (type.kind) {
    case 'int2': case 'int4': return new IntegerSum(column, average ? 'avg' : 'int8');
    case 'int8': return new IntegerSum(column, average ? 'avg' : 'numeric');
    case 'numeric': return new NumericSum(column, average);
    case 'float4': case 'float8': return new FloatSum(column, average, result.kind === 'float4');
    case 'interval': return new IntervalSum(column, average);
    default: return null;
  }
}

const MERGEABLE = new Set(['count', 'sum', 'avg', 'bool_and', 'every', 'bool_or', 'bit_and', 'bit_or', 'bit_xor', ...Object.keys(VARIANCES), 'corr']);

/** Whether the aggregate over append-only input is a fixed state, which `FixedAccumulator.merge` can add up. */
export function isMergeable(call: Pick<AggregateCall, 'fn' | 'distinct'>, argTypes: readonly SqlType[]): boolean {
  const name = call.fn.slice(0, call.fn.indexOf('('));
  if (name === 'min' || name === 'max') return ['number', 'big', 'float'].includes(layoutOf(argTypes[0]));
  if (call.distinct && !/^(bool_|every|bit_and|bit_or)/.test(name)) return false;
  return MERGEABLE.has(name) || name.startsWith('regr_') || name.startsWith('covar_');
}
