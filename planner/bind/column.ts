/** Expressions and types of CREATE TABLE and CREATE STREAM, checked when the relation is made: DEFAULT, GENERATED, WATERMARK. */
import type { Expr } from '../../types/expr.js';
import type { Column, SqlType } from '../../types/sqltype.js';
import type { PlannerCatalog } from '../catalog.js';
import type { Expression, TypeRef } from '../parse/statement.js';
import { canCoerce, coerce } from './coerce.js';
import { BindContext } from './context.js';
import { bindExpr } from './expr.js';
import { isVolatile, locationOf } from './exprs.js';
import { Scope, type Env } from './scope.js';
import { typeFromName, typeWords } from './typename.js';

const NO_CATALOG: PlannerCatalog = { relation: () => null, relationNames: () => [], schemaExists: () => false, jobByName: () => null };

/** Throws 42704, 0A000, 22023 with position. */
export function resolveType(ref: TypeRef): SqlType {
  return typeFromName(new BindContext(NO_CATALOG, true, [], ref.source), ref.ast);
}

/** A DEFAULT: no columns; any volatility. */
export function bindDefault(e: Expression, type: SqlType): Expr { return bindExpression(e, [], type, 'DEFAULT expressions', null); }

/** GENERATED and WATERMARK: over `columns` (column i = index i); the same input must give the same result again. */
export function bindColumnExpression(e: Expression, columns: readonly Column[], type: SqlType): Expr {
  const bound = bindExpression(e, columns, type, 'column expressions', null);
  if (isVolatile(bound)) throw new BindContext(NO_CATALOG, true, [], e.source).error('42P17', 'generation expression is not immutable', 0);
  return bound;
}

/** `columns` in order: the expression's `column` nodes hold indexes into them. `name` null = any type. */
export function bindExpression(e: Expression, columns: readonly Column[], type: SqlType, clause: string, target: string | null): Expr {
  const ctx = new BindContext(NO_CATALOG, true, [], e.source);
  const scope = new Scope(null, []);
  scope.columns = columns.map((c) => ({ name: c.name, id: ctx.newColumn(c.name, c.type).id }));
  scope.items = [{ alias: target ?? '', columns: scope.columns, primaryKey: null }];
  const env: Env = { ctx, scope, ctes: null, clause, aggregates: null, setCalls: null, insideAggregate: false };
  const bound = bindExpr(env, e.ast);
  if (bound.type.kind !== 'unknown' && !canCoerce(bound.type, type, 'assignment')) {
    throw ctx.error('42804', `the expression is of type ${typeWords(bound.type)}, but ${typeWords(type)} is needed`, locationOf(bound), { hint: 'You will need to rewrite or cast the expression.' });
  }
  return coerce(ctx, bound, type, 'assignment');
}
