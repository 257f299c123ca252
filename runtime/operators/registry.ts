/** Which operator runs which plan node. Sources, tables, views and given rows are entries of a task: they have no operator. */
import type { PlanNode, TopNNode } from '../../types/plan.js';
import type { Column } from '../../types/sqltype.js';
import { unreachable } from '../../types/error.js';
import type { SubplanRunner } from '../codegen/subplan.js';
import type { Operator, OperatorContext } from '../operator.js';
import { AggregateOperator } from './aggregate.js';
import { CalcOperator } from './calc.js';
import { CumulateOperator } from './cumulate.js';
import { ExtremeRowsOperator } from './extremerows.js';
import { JoinOperator } from './join.js';
import { LimitOperator } from './limit.js';
import { OverOperator } from './over.js';
import { LookupOperator } from './lookupjoin.js';
import { MaterializeOperator } from './materialize.js';
import { OutputOperator } from './output.js';
import { PassThroughOperator } from './passthrough.js';
import { ProcessOperator } from './process.js';
import { SessionOperator } from './session.js';
import { SessionAggregateOperator } from './sessionaggregate.js';
import { SortOperator } from './sort.js';
import { FEW_ROWS_MAX, TopFewOperator } from './topfew.js';
import { TopNOperator } from './topn.js';
import { UnnestOperator } from './unnest.js';
import { WindowOperator } from './window.js';

/** null: the node is an entry (fed from outside), or a sink, which the task makes itself. */
export function createOperator(node: PlanNode, context: OperatorContext, inputs: readonly (readonly Column[])[], subplans: SubplanRunner | null = null): Operator | null {
  switch (node.op) {
    case 'source': case 'table': case 'view': case 'rows': case 'sink': return null;
    case 'calc': return new CalcOperator(node, context, inputs[0], subplans);
    case 'window': return node.cumulate === true ? new CumulateOperator(node, context) : new WindowOperator(node, context);
    case 'session': return new SessionOperator(node, context, inputs[0]);
    case 'sessionaggregate': return new SessionAggregateOperator(node, context, inputs[0]);
    case 'process': return new ProcessOperator(node, context, inputs[0]);
    case 'unnest': return new UnnestOperator(node, context, inputs[0], subplans);
    case 'exchange': case 'union': return new PassThroughOperator(node, context);
    case 'aggregate': return new AggregateOperator(node, context, inputs[0], subplans);
    case 'extremerows': return new ExtremeRowsOperator(node, context, inputs[0]);
    case 'topn': return topN(node, context, inputs[0]);
    case 'over': return new OverOperator(node, context, inputs[0]);
    case 'join': return new JoinOperator(node, context, inputs[0], inputs[1], subplans);
    case 'lookup': return new LookupOperator(node, context, inputs[0], inputs[1], subplans);
    case 'materialize': return new MaterializeOperator(node, context, inputs[0]);
    case 'sort': return new SortOperator(node, context, inputs[0]);
    case 'limit': return new LimitOperator(node, context, inputs[0], subplans);
    case 'output': return new OutputOperator(node, context, inputs[0]);
    default: return unreachable(node);
  }
}

function topN(node: TopNNode, context: OperatorContext, input: readonly Column[]): Operator {
  const few = (node.inputAppendOnly || context.batchMode) && node.fn === 'row_number' && node.to !== null && node.to <= FEW_ROWS_MAX;
  return few ? new TopFewOperator(node, context, input, node.to ?? 1) : new TopNOperator(node, context, input);
}
