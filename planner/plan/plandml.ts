/**
 * INSERT, UPDATE and DELETE as batch plans whose rows are stored rows of the target; server/sql/write.ts checks, encodes and commits them.
 *
 *   insert   the stored physical columns in order, without a table's hidden _row_id; defaults filled in, assignment casts done; then the flags
 *            that `numbered` names
 *   update   the stored row before (all stored columns, hidden row id too), then the stored row after: twice the width
 *   delete   the stored row before
 *
 * Columns that count (serial, identity) are NULL where they take their next number: the numbers are given when the rows are written.
 * RETURNING and ON CONFLICT DO UPDATE work on single stored rows: they are given as functions, interpreted.
 */
import type { MultiAssignRef, Node, OnConflictClause, OverridingKind } from 'libpg-query';
import { BOOL, type Column, type SqlType } from '../../types/sqltype.js';
import type { Plan } from '../../types/plan.js';
import type { Datum } from '../../types/value.js';
import type { Expr } from '../../types/expr.js';
import { SqlError } from '../../types/error.js';
import { interpret } from '../../runtime/codegen/interpret.js';
import { canCoerce, coerce, known } from '../bind/coerce.js';
import { columnName } from '../bind/colname.js';
import type { BindContext, Session } from '../bind/context.js';
import { bindExpr } from '../bind/expr.js';
import { column, hasSubplan, literal, locationOf, some, substitute } from '../bind/exprs.js';
import { bindFrom } from '../bind/from.js';
import { nearest } from '../bind/hints.js';
import { bindText, tableScan, visibleCount } from '../bind/relation.js';
import type { ColId, Item, Rel } from '../bind/rel.js';
import { Scope, type Env, type ScopeColumn } from '../bind/scope.js';
import { bindQuery, coerceOutput, withCtes, type BoundQuery, type QueryEnv } from '../bind/select.js';
import { strings, typeWords } from '../bind/typename.js';
import { bindWhere } from '../bind/where.js';
import type { Identity, PlannerCatalog, StreamColumn, StreamRelation, TableColumn, TableRelation } from '../catalog.js';
import type { Delete, Insert, Update } from '../parse/statement.js';
import { positional } from './builder.js';
import { batchPlan, bounded, newContext, paramTypes } from './planquery.js';

export interface DmlPlan {
  readonly plan: Plan;
  readonly paramTypes: readonly SqlType[];
  /** Columns of RETURNING, null = none. */
  readonly returning: readonly Column[] | null;
  /** RETURNING over one stored row. */
  readonly project: ((stored: readonly Datum[]) => readonly Datum[]) | null;
  /** Columns that take their next number. */
  readonly numbered: readonly Numbered[];
  /** null = a taken key is an error; `update` gives the row to store, null when its WHERE is not true. */
  readonly onConflict: null | { readonly kind: 'nothing' } | { readonly kind: 'update'; readonly update: (existing: readonly Datum[], proposed: readonly Datum[]) => readonly Datum[] | null };
}

/** A stored column that takes its next number, in rows whose value at `flag` is true; null: in every row. */
export interface Numbered { readonly column: number; readonly flag: number | null }

type Target = TableRelation | StreamRelation;
type TargetColumn = TableColumn | StreamColumn;

/** Columns a statement can name: no hidden row id. */
const visible = (t: Target): readonly TargetColumn[] => (t.kind === 'table' ? t.columns.slice(0, visibleCount(t)) : t.columns);
/** Columns that are stored and computed here: a stream's generated columns are not stored. */
const physical = (t: Target): readonly TargetColumn[] => (t.kind === 'table' ? visible(t) : t.columns.filter((c) => c.generatedSql === null));

export function planInsert(statement: Insert, target: Target, catalog: PlannerCatalog, given: readonly (SqlType | null)[], session?: Session): DmlPlan {
  return bounded(() => insertPlan(statement, target, catalog, given, session));
}

function insertPlan(statement: Insert, target: Target, catalog: PlannerCatalog, given: readonly (SqlType | null)[], session: Session | undefined): DmlPlan {
  const { ast } = statement;
  const ctx = newContext(catalog, false, given, statement.source, session);
  const q = withCtes({ ctx, parent: null, ctes: null, outer: [], keepUnknown: true }, ast);
  const names = ast.cols === undefined ? null : ast.cols.map((c) => ('ResTarget' in c ? { name: c.ResTarget.name ?? '', location: c.ResTarget.location ?? 0 } : { name: '', location: 0 }));
  const select = ast.selectStmt !== undefined && 'SelectStmt' in ast.selectStmt ? ast.selectStmt.SelectStmt : null;
  const targets = names === null ? visible(target) : names.map((n) => targetColumn(ctx, target, n.name, n.location));
  refuseRepeated(ctx, targets, names?.map((n) => n.location));
  const overriding = ast.override ?? 'OVERRIDING_NOT_SET';
  let bound: BoundQuery;
  let supplied: readonly TargetColumn[];
  let flagged: readonly TargetColumn[] = [];
  if (select === null) { supplied = []; bound = { rel: { rel: 'rows', cols: [], rows: [[]] }, columns: [], volatile: false }; }
  else if (select.valuesLists !== undefined && select.sortClause === undefined && select.limitCount === undefined && select.withClause === undefined) {
    const rows = select.valuesLists.map((l) => ('List' in l ? l.List.items ?? [] : []));
    supplied = targets.slice(0, rows[0]?.length ?? 0);
    checkCount(ctx, names !== null, targets, rows[0] ?? []);
    flagged = supplied.filter((c, i) => identityOf(c) !== null && rows.some((row) => 'SetToDefault' in (row[i] ?? {})));
    bound = valuesInto(q, supplied, rows, flagged, overriding);
  } else {
    const source = bindQuery(q, select);
    supplied = targets.slice(0, source.columns.length);
    if (source.columns.length > targets.length) throw ctx.error('42601', 'INSERT has more expressions than target columns', targetLocation(select.targetList?.[targets.length]));
    if (names !== null && source.columns.length < targets.length) throw ctx.error('42601', 'INSERT has more target columns than expressions', names[source.columns.length]?.location);
    for (const c of supplied) { refuseGenerated(ctx, c, 'insert a non-DEFAULT value into', 0); refuseAlways(ctx, c, overriding); }
    bound = coerceOutput(ctx, source, supplied.map((c) => c.type), (e, _type, i) => assign(ctx, e, supplied[i] as TargetColumn));
  }
  const used = supplied.map((c) => (overriding === 'OVERRIDING_USER_VALUE' && isIdentity(c) ? null : c));
  const complete = completed(ctx, target, bound, used, bound.columns.slice(supplied.length));
  const { plan } = batchPlan(ctx, complete);
  const numbered = numberedOf(target, used, flagged);
  return { plan, paramTypes: paramTypes(ctx), ...returningOf(ctx, target, ast.returningClause?.exprs, null), numbered, onConflict: conflictOf(ctx, target, ast.onConflictClause) };
}

const identityOf = (c: TargetColumn): Identity | null => ('identity' in c ? c.identity ?? null : null);
const isIdentity = (c: TargetColumn): boolean => { const kind = identityOf(c)?.kind; return kind === 'always' || kind === 'by default'; };

/** `given`: the columns that are given values, or DEFAULT where they are among `flagged`, whose flags follow the stored columns. */
function numberedOf(target: Target, given: readonly (TargetColumn | null)[], flagged: readonly TargetColumn[]): Numbered[] {
  const stored = physical(target);
  return stored.flatMap((c, column): Numbered[] => {
    if (identityOf(c) === null) return [];
    if (!given.includes(c)) return [{ column, flag: null }];
    const at = flagged.indexOf(c);
    return at < 0 ? [] : [{ column, flag: stored.length + at }];
  });
}

function refuseAlways(ctx: BindContext, c: TargetColumn, overriding: OverridingKind): void {
  if (identityOf(c)?.kind !== 'always' || overriding !== 'OVERRIDING_NOT_SET') return;
  throw ctx.error('428C9', `cannot insert a non-DEFAULT value into column "${c.name}"`, undefined, { detail: `Column "${c.name}" is an identity column defined as GENERATED ALWAYS.`, hint: 'Use OVERRIDING SYSTEM VALUE to override.' });
}

function targetLocation(node: Node | undefined): number | undefined { return node !== undefined && 'ResTarget' in node ? node.ResTarget.location : undefined; }

function targetColumn(ctx: BindContext, target: Target, name: string, location: number): TargetColumn {
  const c = visible(target).find((x) => x.name === name);
  if (c !== undefined) return c;
  const near = nearest(name, visible(target).map((x) => x.name));
  throw ctx.error('42703', `column "${name}" of relation "${target.name}" does not exist`, location, near === null ? {} : { hint: `Perhaps you meant "${near}".` });
}

function refuseRepeated(ctx: BindContext, targets: readonly TargetColumn[], locations: readonly number[] | undefined): void {
  targets.forEach((t, i) => { if (targets.indexOf(t) !== i) throw ctx.error('42701', `column "${t.name}" specified more than once`, locations?.[i]); });
}

function refuseGenerated(ctx: BindContext, c: TargetColumn, verb: string, location: number): void {
  if (c.generatedSql !== null) throw ctx.error('428C9', `cannot ${verb} column "${c.name}"`, location, { detail: `Column "${c.name}" is a generated column.` });
}

function checkCount(ctx: BindContext, named: boolean, targets: readonly TargetColumn[], first: readonly Node[]): void {
  if (first.length > targets.length) throw ctx.error('42601', 'INSERT has more expressions than target columns', undefined);
  if (named && first.length < targets.length) throw ctx.error('42601', 'INSERT has more target columns than expressions', undefined);
}

const plainEnv = (ctx: BindContext, q: QueryEnv | null, clause: string, scope = new Scope(null, [])): Env => ({ ctx, scope, ctes: q?.ctes ?? null, clause, aggregates: null, setCalls: null, insideAggregate: false });

/** Columns: the targets, then for each of `flagged` whether the row has DEFAULT there. */
function valuesInto(q: QueryEnv, targets: readonly TargetColumn[], rows: readonly (readonly Node[])[], flagged: readonly TargetColumn[], overriding: OverridingKind): BoundQuery {
  const { ctx } = q;
  const env = plainEnv(ctx, q, 'VALUES');
  const cells = rows.map((row) => {
    if (row.length !== targets.length) throw ctx.error('42601', 'VALUES lists must all be the same length', undefined);
    const values = row.map((node, i) => {
      const c = targets[i] as TargetColumn;
      if ('SetToDefault' in node) return c.generatedSql === null ? defaultOf(ctx, c) : literal(null, c.type);
      const value = bindExpr(env, node);
      refuseGenerated(ctx, c, 'insert a non-DEFAULT value into', locationOf(value) ?? 0);
      refuseAlways(ctx, c, overriding);
      return assign(ctx, value, c);
    });
    return [...values, ...flagged.map((c) => literal('SetToDefault' in (row[targets.indexOf(c)] ?? {}) ? 't' : 'f', BOOL))];
  });
  const columns: ScopeColumn[] = [...targets, ...flagged.map((c) => ({ name: c.name, type: BOOL }))].map((c) => ({ name: c.name, id: ctx.newColumn(c.name, c.type).id }));
  return { rel: { rel: 'rows', cols: columns.map((c) => c.id), rows: cells }, columns, volatile: false };
}

/** Assignment to a column: 42804 in Postgres' words when there is no assignment cast. */
function assign(ctx: BindContext, e: Expr, c: TargetColumn): Expr {
  if (e.type.kind !== 'unknown' && !canCoerce(e.type, c.type, 'assignment')) {
    throw ctx.error('42804', `column "${c.name}" is of type ${typeWords(c.type)} but expression is of type ${typeWords(e.type)}`, locationOf(e), { hint: 'You will need to rewrite or cast the expression.' });
  }
  return coerce(ctx, e, c.type, 'assignment');
}

function defaultOf(ctx: BindContext, c: TargetColumn): Expr {
  return c.defaultSql === null ? literal(null, c.type) : bindText(ctx, c.defaultSql, [], (e) => coerce(ctx, e, c.type, 'assignment'));
}

/** Generated columns' expressions over values of the others. */
function generatedOver(ctx: BindContext, target: Target, c: TargetColumn, values: ReadonlyMap<string, Expr>): Expr {
  const scope = visible(target).filter((x) => x.generatedSql === null).map((x) => ({ name: x.name, id: ctx.newColumn(x.name, x.type).id }));
  const expr = bindText(ctx, c.generatedSql ?? 'NULL', scope, (e) => coerce(ctx, e, c.type, 'assignment'));
  return substitute(expr, (id) => { const name = scope.find((s) => s.id === id)?.name; return name === undefined ? undefined : values.get(name); });
}

/** All physical columns in order: given ones, defaults, generated ones; then `flags` as they are. */
function completed(ctx: BindContext, target: Target, bound: BoundQuery, given: readonly (TargetColumn | null)[], flags: readonly ScopeColumn[]): BoundQuery {
  const values = new Map<string, Expr>();
  for (const c of physical(target)) {
    if (c.generatedSql !== null) continue;
    const at = given.indexOf(c);
    const id = bound.columns[at]?.id;
    values.set(c.name, id === undefined ? defaultOf(ctx, c) : column(id, ctx.info(id).type));
  }
  const items = physical(target).map((c): Item => ({ id: ctx.newColumn(c.name, c.type).id, expr: values.get(c.name) ?? generatedOver(ctx, target, c, values) }));
  for (const f of flags) items.push({ id: ctx.newColumn(f.name, BOOL).id, expr: column(f.id, BOOL) });
  return { rel: { rel: 'project', input: bound.rel, items }, columns: items.map((i) => ({ name: ctx.info(i.id).name, id: i.id })), volatile: true };
}

/** The target's scan, named in scope by its alias. */
function targetScope(ctx: BindContext, q: QueryEnv, target: TableRelation, alias: string | undefined): { env: Env; rel: Rel; stored: ScopeColumn[] } {
  const scan = tableScan(ctx, target);
  ctx.reads.set(target.id, target);
  const scope = new Scope(null, []);
  scope.items = [{ alias: alias ?? target.name, columns: scan.columns, primaryKey: scan.primaryKey }];
  scope.columns = [...scan.columns];
  const stored = scan.hidden === null ? [...scan.columns] : [...scan.columns, { name: '_row_id', id: scan.hidden }];
  return { env: { ...plainEnv(ctx, q, 'WHERE'), scope }, rel: scan.rel, stored };
}

export function planUpdate(statement: Update, target: TableRelation, catalog: PlannerCatalog, given: readonly (SqlType | null)[], session?: Session): DmlPlan {
  return bounded(() => updatePlan(statement, target, catalog, given, session));
}

function updatePlan(statement: Update, target: TableRelation, catalog: PlannerCatalog, given: readonly (SqlType | null)[], session: Session | undefined): DmlPlan {
  const { ast } = statement;
  const ctx = newContext(catalog, false, given, statement.source, session);
  if (ast.fromClause !== undefined) throw ctx.unsupported('UPDATE … FROM', undefined, 'Use a subquery: SET column = (SELECT …) WHERE EXISTS (SELECT …).');
  const q = withCtes({ ctx, parent: null, ctes: null, outer: [] }, ast);
  const { env, rel, stored } = targetScope(ctx, q, target, ast.relation?.alias?.aliasname);
  const { set, numbered } = assignments(ctx, { ...env, clause: 'UPDATE' }, target, ast.targetList ?? []);
  const filtered = bindWhere(env, rel, ast.whereClause);
  const before: Item[] = stored.map((s) => ({ id: ctx.newColumn(s.name, ctx.info(s.id).type).id, expr: column(s.id, ctx.info(s.id).type) }));
  const values = new Map<string, Expr>(stored.map((s) => [s.name, set.get(s.name) ?? column(s.id, ctx.info(s.id).type)]));
  const after: Item[] = stored.map((s) => {
    const c = target.columns.find((x) => x.name === s.name);
    const expr = c !== undefined && c.generatedSql !== null ? generatedOver(ctx, target, c, values) : values.get(s.name) ?? column(s.id, ctx.info(s.id).type);
    return { id: ctx.newColumn(s.name, expr.type).id, expr };
  });
  const items = [...before, ...after];
  const bound: BoundQuery = { rel: { rel: 'project', input: filtered, items }, columns: items.map((i) => ({ name: ctx.info(i.id).name, id: i.id })), volatile: true };
  const { plan } = batchPlan(ctx, bound);
  return { plan, paramTypes: paramTypes(ctx), ...returningOf(ctx, target, ast.returningClause?.exprs, ast.relation?.alias?.aliasname ?? null), numbered, onConflict: null };
}

/** SET (a, b) = (x, y): the value of one of them. */
function fieldAssigned(ctx: BindContext, ref: MultiAssignRef, at: number): Node {
  const source = ref.source;
  if (source === undefined || !('RowExpr' in source)) throw ctx.unsupported('assignment of a subquery: SET (a, b) = (SELECT …)', at, 'Write SET a = (SELECT …), b = (SELECT …).');
  const fields = source.RowExpr.args ?? [];
  const field = fields[(ref.colno ?? 1) - 1];
  if (field === undefined || fields.length !== ref.ncolumns) throw ctx.error('42601', 'number of columns does not match number of values', at);
  return field;
}

function assignments(ctx: BindContext, env: Env, target: TableRelation, list: readonly Node[]): { set: Map<string, Expr>; numbered: Numbered[] } {
  const set = new Map<string, Expr>();
  const numbered: Numbered[] = [];
  for (const node of list) {
    if (!('ResTarget' in node) || node.ResTarget.val === undefined) continue;
    const { name = '', val, location = 0, indirection } = node.ResTarget;
    if (indirection !== undefined) throw ctx.unsupported('assignment to an element of a column', location);
    const value = 'MultiAssignRef' in val ? fieldAssigned(ctx, val.MultiAssignRef, location) : val;
    const c = targetColumn(ctx, target, name, location) as TableColumn;
    if (set.has(name)) throw ctx.error('42601', `multiple assignments to same column "${name}"`, location);
    if ('SetToDefault' in value) {
      if (c.generatedSql === null) set.set(name, defaultOf(ctx, c));
      if (identityOf(c) !== null) numbered.push({ column: target.columns.indexOf(c), flag: null });
      continue;
    }
    if (identityOf(c)?.kind === 'always') throw ctx.error('428C9', `column "${name}" can only be updated to DEFAULT`, undefined, { detail: `Column "${name}" is an identity column defined as GENERATED ALWAYS.` });
    if (c.generatedSql !== null) throw ctx.error('428C9', `column "${name}" can only be updated to DEFAULT`, location, { detail: `Column "${name}" is a generated column.` });
    set.set(name, assign(ctx, bindExpr(env, value), c));
  }
  return { set, numbered };
}

export function planDelete(statement: Delete, target: TableRelation, catalog: PlannerCatalog, given: readonly (SqlType | null)[], session?: Session): DmlPlan {
  return bounded(() => deletePlan(statement, target, catalog, given, session));
}

function deletePlan(statement: Delete, target: TableRelation, catalog: PlannerCatalog, given: readonly (SqlType | null)[], session: Session | undefined): DmlPlan {
  const { ast } = statement;
  const ctx = newContext(catalog, false, given, statement.source, session);
  const q = withCtes({ ctx, parent: null, ctes: null, outer: [] }, ast);
  const { env, rel, stored } = targetScope(ctx, q, target, ast.relation?.alias?.aliasname);
  const filtered = ast.usingClause === undefined ? bindWhere(env, rel, ast.whereClause) : deleteUsing(ctx, env, rel, ast.usingClause, ast.whereClause);
  const items: Item[] = stored.map((s) => ({ id: ctx.newColumn(s.name, ctx.info(s.id).type).id, expr: column(s.id, ctx.info(s.id).type) }));
  const { plan } = batchPlan(ctx, { rel: { rel: 'project', input: filtered, items }, columns: items.map((i) => ({ name: ctx.info(i.id).name, id: i.id })), volatile: true });
  return { plan, paramTypes: paramTypes(ctx), ...returningOf(ctx, target, ast.returningClause?.exprs, ast.relation?.alias?.aliasname ?? null), numbered: [], onConflict: null };
}

/** A row is deleted once however many rows of USING match it: a semi join. */
function deleteUsing(ctx: BindContext, env: Env, rel: Rel, using: readonly Node[], where: Node | undefined): Rel {
  const other: Env = { ...env, scope: new Scope(null, []) };
  const right = bindFrom(other, using) ?? { rel: 'rows' as const, cols: [], rows: [[]] };
  const scope = new Scope(null, []);
  scope.items = [...env.scope.items, ...other.scope.items];
  scope.columns = [...env.scope.columns, ...other.scope.columns];
  const both: Rel = { rel: 'join', kind: 'inner', left: rel, right, on: [] };
  const filtered = bindWhere({ ...env, scope }, both, where);
  if (filtered === both) return { ...both, kind: 'semi' };
  if (filtered.rel === 'filter' && filtered.input === both && !filtered.preds.some(hasSubplan)) return { ...both, kind: 'semi', on: filtered.preds };
  throw ctx.unsupported('a subquery in DELETE … USING', undefined);
}

const evaluated = (ctx: BindContext) => ({ ...ctx.evalContext, nowUs: Date.now() * 1000 });

/** Stored columns as a scope whose ids are in `layout`; generated columns of a stream are computed. */
function storedScope(ctx: BindContext, target: Target, alias: string): { scope: Scope; layout: ColId[]; generated: Map<ColId, Expr> } {
  const scope = new Scope(null, []);
  const layout: ColId[] = [];
  const values = new Map<string, Expr>();
  const columns: ScopeColumn[] = [];
  for (const c of physical(target)) {
    const id = ctx.newColumn(c.name, c.type).id;
    layout.push(id);
    values.set(c.name, column(id, c.type));
    columns.push({ name: c.name, id });
  }
  const generated = new Map<ColId, Expr>();
  const all = visible(target).map((c): ScopeColumn => {
    const own = columns.find((x) => x.name === c.name);
    if (own !== undefined) return own;
    const id = ctx.newColumn(c.name, c.type).id;
    generated.set(id, generatedOver(ctx, target, c, values));
    return { name: c.name, id };
  });
  scope.items = [{ alias, columns: all, primaryKey: null }];
  scope.columns = all;
  return { scope, layout, generated };
}

function returningOf(ctx: BindContext, target: Target, list: readonly Node[] | undefined, alias: string | null): Pick<DmlPlan, 'returning' | 'project'> {
  if (list === undefined) return { returning: null, project: null };
  const { scope, layout, generated } = storedScope(ctx, target, alias ?? target.name);
  const env = plainEnv(ctx, null, 'RETURNING', scope);
  const columns: Column[] = [];
  const exprs: Expr[] = [];
  for (const node of list) {
    if (!('ResTarget' in node) || node.ResTarget.val === undefined) continue;
    const { val, name } = node.ResTarget;
    if ('ColumnRef' in val && (val.ColumnRef.fields ?? []).some((f) => 'A_Star' in f)) {
      const [qualifier] = strings(val.ColumnRef.fields);
      if (qualifier !== undefined && qualifier !== (alias ?? target.name)) throw ctx.error('42P01', `missing FROM-clause entry for table "${qualifier}"`, val.ColumnRef.location);
      for (const c of scope.columns) { columns.push({ name: c.name, type: ctx.info(c.id).type }); exprs.push(column(c.id, ctx.info(c.id).type)); }
      continue;
    }
    const e = known(ctx, bindExpr(env, val));
    refuseParams(ctx, e, 'RETURNING');
    columns.push({ name: name ?? columnName(val), type: e.type });
    exprs.push(e);
  }
  const run = exprs.map((e) => interpret(positional(substitute(e, (id) => generated.get(id)), layout)));
  return { returning: columns, project: (stored) => { const c = evaluated(ctx); return run.map((f) => f(stored, c)); } };
}

function refuseParams(ctx: BindContext, e: Expr, where: string): void {
  if (some(e, (x) => x.node === 'param')) throw ctx.unsupported(`a parameter in ${where}`, locationOf(e));
  if (hasSubplan(e)) throw ctx.unsupported(`a subquery in ${where}`, locationOf(e));
}

function conflictOf(ctx: BindContext, target: Target, clause: OnConflictClause | undefined): DmlPlan['onConflict'] {
  if (clause === undefined) return null;
  const at = clause.location;
  if (target.kind !== 'table') throw ctx.unsupported('ON CONFLICT of a stream', at);
  const { infer } = clause;
  if (infer !== undefined) {
    const names = (infer.indexElems ?? []).map((n) => ('IndexElem' in n ? n.IndexElem.name ?? '' : ''));
    const key = target.hiddenRowId ? [] : target.primaryKey.map((k) => target.columns[k]?.name ?? '');
    const byName = infer.conname === `${target.name}_pkey` && key.length > 0;
    for (const n of names) if (n !== '') targetColumn(ctx, target, n, infer.location ?? 0);
    const same = names.length === key.length && key.length > 0 && key.every((k) => names.includes(k)) && infer.whereClause === undefined;
    if (infer.conname !== undefined && infer.conname !== '' && !byName) throw ctx.error('42704', `constraint "${infer.conname}" for table "${target.name}" does not exist`, infer.location);
    if (!byName && !same) throw ctx.error('42P10', 'there is no unique or exclusion constraint matching the ON CONFLICT specification', infer.location);
  }
  if (clause.action === 'ONCONFLICT_NOTHING') return { kind: 'nothing' };
  if (infer === undefined) throw ctx.error('42601', 'ON CONFLICT DO UPDATE requires inference specification or constraint name', at, { hint: 'For example, ON CONFLICT (column_name).' });
  return conflictUpdate(ctx, target, clause);
}

function conflictUpdate(ctx: BindContext, target: TableRelation, clause: OnConflictClause): DmlPlan['onConflict'] {
  const old = storedScope(ctx, target, target.name);
  const proposed = storedScope(ctx, target, 'excluded');
  const scope = new Scope(null, []);
  scope.items = [...old.scope.items, ...proposed.scope.items];
  scope.columns = [...old.scope.columns];
  const env = plainEnv(ctx, null, 'ON CONFLICT DO UPDATE', scope);
  const { set, numbered } = assignments(ctx, env, target, clause.targetList ?? []);
  if (numbered.length > 0) throw ctx.unsupported('DEFAULT of a serial or identity column in ON CONFLICT DO UPDATE', clause.location);
  const layout = [...old.layout, ...proposed.layout];
  const compile = (e: Expr) => { refuseParams(ctx, e, 'ON CONFLICT DO UPDATE'); return interpret(positional(e, layout)); };
  const values = new Map<string, Expr>(old.scope.columns.map((c) => [c.name, set.get(c.name) ?? column(c.id, ctx.info(c.id).type)]));
  const columns = physical(target).map((c) => compile(c.generatedSql === null ? values.get(c.name) ?? literal(null, c.type) : generatedOver(ctx, target, c, values)));
  const where = clause.whereClause === undefined ? null : compile(coerce(ctx, bindExpr(env, clause.whereClause), { kind: 'bool' }, 'implicit'));
  const width = old.layout.length;
  return {
    kind: 'update',
    update: (existing, given) => {
      const c = evaluated(ctx);
      const row = [...existing.slice(0, width), ...given.slice(0, width)];
      if (where !== null && where(row, c) !== true) return null;
      // A hidden row id, past the width, stays.
      return [...columns.map((f) => f(row, c)), ...existing.slice(width)];
    },
  };
}

/** COPY … FROM: the given columns' types, and the stored row of one row of them. Throws 42703, 42701, 428C9. */
export function planInsertRows(target: Target, columnNames: readonly string[] | null, position: number): { columns: readonly Column[]; numbered: readonly Numbered[]; complete(given: readonly Datum[]): readonly Datum[] } {
  const ctx = newContext({ relation: () => null, relationNames: () => [], schemaExists: () => false, jobByName: () => null }, false, [], null);
  const at = (e: unknown): unknown => { if (e instanceof SqlError && e.position === undefined) e.position = position; return e; };
  try {
    const given = columnNames === null ? visible(target).filter((c) => c.generatedSql === null) : columnNames.map((n) => targetColumn(ctx, target, n, 0));
    refuseRepeated(ctx, given, undefined);
    for (const c of given) if (c.generatedSql !== null) throw ctx.error('428C9', `column "${c.name}" is a generated column`, undefined, { detail: 'Generated columns cannot be used in COPY.' });
    const layout = given.map((c) => ctx.newColumn(c.name, c.type).id);
    const bound: BoundQuery = { rel: { rel: 'rows', cols: layout, rows: [] }, columns: given.map((c, i) => ({ name: c.name, id: layout[i] as number })), volatile: false };
    const project = completed(ctx, target, bound, given, []).rel;
    const run = project.rel === 'project' ? project.items.map((i) => interpret(positional(i.expr, layout))) : [];
    return { columns: given.map((c) => ({ name: c.name, type: c.type })), numbered: numberedOf(target, given, []), complete: (row) => { const c = evaluated(ctx); return run.map((f) => f(row, c)); } };
  } catch (e) {
    throw at(e);
  }
}
