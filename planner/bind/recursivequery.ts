/**
 * A recursive WITH query: a relation of given rows whose plans stand beside it (RowsRel.recursion). Its types and names are those of the
 * non-recursive term; the recursive term reads, under the query's name, the rows that came last.
 */
import type { SelectStmt } from 'libpg-query';
import { sameType } from '../../types/sqltype.js';
import { locationIn } from './arguments.js';
import { coerce, commonType } from './coerce.js';
import type { BindContext } from './context.js';
import { column, locationOf } from './exprs.js';
import { requireEquality } from './operator.js';
import { recursiveTerms, type RecursiveItem } from './recursion.js';
import { Scope, type Cte, type CteScope, type Env, type RecursiveCte } from './scope.js';
import { bindQuery, coerceOutput, withCtes } from './select.js';
import { branchLocation, outputExpr } from './setop.js';
import { strings, typeWords } from './typename.js';

export function bindRecursive(ctx: BindContext, ast: RecursiveItem['ast'], ctes: CteScope): RecursiveCte {
  const name = ast.ctename ?? '';
  const terms = recursiveTerms(ctx, ast);
  if (ctx.job) throw ctx.unsupported('a recursive query in a continuous query', ast.location);
  const around = withCtes({ ctx, parent: null, ctes, outer: [] }, terms.stmt);
  const base = bindQuery(around, terms.base);
  const types = base.columns.map((c) => ctx.info(c.id).type);
  const aliases = strings(ast.aliascolnames);
  if (aliases.length > types.length) throw ctx.error('42P10', `WITH query "${name}" has ${types.length} columns available but ${aliases.length} columns specified`, ast.location);
  const columns = base.columns.map((c, i) => ({ name: aliases[i] ?? c.name, type: types[i] ?? ctx.info(c.id).type }));
  const id = ctx.newColumn(name, { kind: 'int8' }).id;
  const working: Cte = { name, ast, ctes, uses: 0, working: { id, columns } };
  const q = { ctx, parent: null, ctes: { own: new Map([[name, working]]), parent: around.ctes }, outer: [], keepUnknown: true };
  const step = bindQuery(q, terms.step);
  if (step.columns.length !== columns.length) throw ctx.error('42601', 'each UNION query must have the same number of columns', branchLocation(terms.step));
  const env: Env = { ctx, scope: new Scope(null, []), ctes: null, clause: 'UNION', aggregates: null, setCalls: null, insideAggregate: false };
  columns.forEach((c, i) => {
    const first = outputExpr(q, base, i);
    const all = commonType(ctx, [first, outputExpr(q, step, i)], 'UNION');
    if (typeWords(all) !== typeWords(c.type) || !sameType(all, c.type)) {
      throw ctx.error('42804', `recursive query "${name}" column ${i + 1} has type ${typeWords(c.type)} in non-recursive term but type ${typeWords(all)} overall`, targetLocation(terms.base, i) ?? locationOf(first), { hint: 'Cast the output of the non-recursive term to the correct type.' });
    }
    if (!terms.all) requireEquality(env, column(-1, c.type), undefined);
  });
  const converted = coerceOutput(ctx, step, types, (e, type) => coerce(ctx, e, type, 'implicit'));
  return {
    columns, volatile: base.volatile || step.volatile,
    recursion: { id, name, distinct: !terms.all, base: ctx.lowerSubplan(base), step: ctx.lowerSubplan(converted) },
  };
}

function targetLocation(stmt: SelectStmt, i: number): number | undefined {
  const target = stmt.targetList?.[i];
  return target !== undefined && 'ResTarget' in target && target.ResTarget.val !== undefined ? locationIn(target.ResTarget.val) : undefined;
}
