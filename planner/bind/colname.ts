/** The name of a select-list column without AS: Postgres' FigureColname. */
import type { Node } from 'libpg-query';
import { strings } from './typename.js';

export function columnName(node: Node): string { return figure(node)?.name ?? '?column?'; }

/** `weak` names (of types, of CASE) give way to a stronger one from inside. */
function figure(node: Node | undefined): { name: string; weak: boolean } | null {
  const strong = (name: string | undefined) => (name === undefined ? null : { name, weak: false });
  if (node === undefined) return null;
  if ('ColumnRef' in node) return strong(strings(node.ColumnRef.fields).at(-1));
  if ('A_Indirection' in node) return strong(strings(node.A_Indirection.indirection).at(-1)) ?? figure(node.A_Indirection.arg);
  if ('FuncCall' in node) return strong(strings(node.FuncCall.funcname).at(-1));
  if ('A_Expr' in node) return node.A_Expr.kind === 'AEXPR_NULLIF' ? strong('nullif') : null;
  if ('TypeCast' in node) {
    const inner = figure(node.TypeCast.arg);
    if (inner !== null && !inner.weak) return inner;
    const type = strings(node.TypeCast.typeName?.names).at(-1);
    return type === undefined ? inner : { name: type, weak: true };
  }
  if ('CollateClause' in node) return figure(node.CollateClause.arg);
  if ('GroupingFunc' in node) return strong('grouping');
  if ('CaseExpr' in node) {
    const inner = figure(node.CaseExpr.defresult);
    return inner !== null && !inner.weak ? inner : { name: 'case', weak: true };
  }
  if ('A_ArrayExpr' in node) return strong('array');
  if ('RowExpr' in node) return strong('row');
  if ('CoalesceExpr' in node) return strong('coalesce');
  if ('MinMaxExpr' in node) return strong(node.MinMaxExpr.op === 'IS_LEAST' ? 'least' : 'greatest');
  if ('SQLValueFunction' in node) return strong((node.SQLValueFunction.op ?? '').replace(/^SVFOP_/, '').replace(/_N$/, '').toLowerCase());
  if ('SubLink' in node) {
    const { subLinkType, subselect } = node.SubLink;
    if (subLinkType === 'EXISTS_SUBLINK') return strong('exists');
    if (subLinkType === 'ARRAY_SUBLINK') return strong('array');
    if (subLinkType !== 'EXPR_SUBLINK' || subselect === undefined || !('SelectStmt' in subselect)) return null;
    const first = subselect.SelectStmt.targetList?.[0];
    if (first === undefined || !('ResTarget' in first)) return null;
    return strong(first.ResTarget.name) ?? figure(first.ResTarget.val);
  }
  return null;
}
