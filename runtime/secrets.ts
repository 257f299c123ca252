/** Plans as they go to workers: connectors' options with secrets' values in place of references. Stored plans and checkpoints keep the references. */
import type { Plan, PlanNode } from '../types/plan.js';
import { referredSecret, resolveSecrets, type Secrets } from '../types/secretref.js';
import { subplansOf } from './subplan.js';

/** The same plan when no option refers to a secret. Throws 42704 and 22023 for what a reference does not find. */
export function withSecrets(plan: Plan, secrets: Secrets): Plan {
  if (!nodesOf(plan).some(refers)) return plan;
  const copy = structuredClone(plan);
  for (const node of nodesOf(copy)) if (refers(node)) Object.assign(node, { options: resolveSecrets(node.options, secrets) });
  return copy;
}

type ConnectorNode = Extract<PlanNode, { op: 'source' | 'sink' }>;

function refers(node: PlanNode): node is ConnectorNode {
  return (node.op === 'source' || node.op === 'sink') && Object.values(node.options).some(v => referredSecret(v) !== null);
}

function nodesOf(plan: Plan): PlanNode[] { return [plan, ...subplansOf(plan)].flatMap(p => p.nodes); }
