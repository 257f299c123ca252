/**
 * WITH RECURSIVE: which of its queries name which, and where a recursive one may name itself, over the parse tree (parse_cte.c's
 * makeDependencyGraph and checkWellFormedRecursion).
 */
import type { CommonTableExpr, JoinExpr, Node, RangeVar, SelectStmt, SubLink } from 'libpg-query';
import { locationIn } from './arguments.js';
import type { BindContext } from './context.js';

type Place = 'fine' | 'its non-recursive term' | 'a subquery' | 'an outer join' | 'INTERSECT' | 'EXCEPT';
type Found = (name: string, location: number | undefined, place: Place) => void;

/** Calls `found` for each of the names that stands for a relation and is not hidden by a WITH inside. */
class References {
  readonly #found: Found;
  #hidden: string[] = [];
  constructor(names: ReadonlySet<string>, found: Found) {
    this.#found = (name, location, place) => { if (names.has(name) && !this.#hidden.includes(name)) found(name, location, place); };
  }

  visit(x: unknown, place: Place): void {
    if (Array.isArray(x)) { for (const item of x) this.visit(item, place); return; }
    if (x === null || typeof x !== 'object') return;
    for (const [key, value] of Object.entries(x)) {
      switch (key) {
        case 'RangeVar': this.#relation(value as RangeVar, place); break;
        case 'SelectStmt': this.select(value as SelectStmt, place); break;
        case 'JoinExpr': this.#join(value as JoinExpr, place); break;
        case 'SubLink': {
          const { subselect, ...rest } = value as SubLink;
          this.visit(subselect, 'a subquery');
          this.visit(rest, place);
          break;
        }
        default: this.visit(value, place);
      }
    }
  }

  #relation(v: RangeVar, place: Place): void { if (v.schemaname === undefined) this.#found(v.relname ?? '', v.location, place); }

  select(stmt: SelectStmt, place: Place): void {
    const { withClause, ...body } = stmt;
    const outside = this.#hidden;
    const ctes = (withClause?.ctes ?? []).flatMap((c) => ('CommonTableExpr' in c ? [c.CommonTableExpr] : []));
    if (withClause?.recursive === true) this.#hidden = [...outside, ...ctes.map((c) => c.ctename ?? '')];
    for (const c of ctes) {
      this.visit(c.ctequery, place);
      if (withClause?.recursive !== true) this.#hidden = [...this.#hidden, c.ctename ?? ''];
    }
    const { larg, rarg, op, ...rest } = body;
    const word = place !== 'fine' ? place : op === 'SETOP_INTERSECT' ? 'INTERSECT' : op === 'SETOP_EXCEPT' ? 'EXCEPT' : place;
    if (larg !== undefined) this.select(larg, stmt.all === true ? word : place);
    if (rarg !== undefined) this.select(rarg, stmt.all === true || op === 'SETOP_EXCEPT' ? word : place);
    this.visit(rest, place);
    this.#hidden = outside;
  }

  #join(j: JoinExpr, place: Place): void {
    const nullable = place === 'fine' ? 'an outer join' : place;
    this.visit(j.larg, j.jointype === 'JOIN_RIGHT' || j.jointype === 'JOIN_FULL' ? nullable : place);
    this.visit(j.rarg, j.jointype === 'JOIN_LEFT' || j.jointype === 'JOIN_FULL' ? nullable : place);
    this.visit(j.quals, place);
  }
}

export interface RecursiveItem { readonly ast: CommonTableExpr; readonly recursive: boolean }

/** The queries of WITH RECURSIVE, each behind those it names. 0A000 for mutual recursion. */
export function inDependencyOrder(ctx: BindContext, ctes: readonly CommonTableExpr[]): RecursiveItem[] {
  const names = new Set(ctes.map((c) => c.ctename ?? ''));
  let left = ctes.map((ast) => {
    const needs = new Set<string>();
    new References(names, (name) => { needs.add(name); }).visit(ast.ctequery, 'fine');
    return { ast, recursive: needs.delete(ast.ctename ?? ''), needs };
  });
  const order: RecursiveItem[] = [];
  const done = new Set<string>();
  while (left.length > 0) {
    const next = left.find((c) => [...c.needs].every((n) => done.has(n)));
    if (next === undefined) throw ctx.error('0A000', 'mutual recursion between WITH items is not implemented', left[0]?.ast.location);
    order.push(next);
    done.add(next.ast.ctename ?? '');
    left = left.filter((c) => c !== next);
  }
  return order;
}

/** The two terms of a recursive query of right form. 42P19. */
export function recursiveTerms(ctx: BindContext, ast: CommonTableExpr): { readonly stmt: SelectStmt; readonly base: SelectStmt; readonly step: SelectStmt; readonly all: boolean } {
  const name = ast.ctename ?? '';
  const query = ast.ctequery;
  if (query === undefined || !('SelectStmt' in query)) throw ctx.error('42P19', `recursive query "${name}" must not contain data-modifying statements`, ast.location);
  const stmt = query.SelectStmt;
  const { larg: base, rarg: step } = stmt;
  if (stmt.op !== 'SETOP_UNION' || base === undefined || step === undefined) throw ctx.error('42P19', `recursive query "${name}" does not have the form non-recursive-term UNION [ALL] recursive-term`, ast.location);
  let count = 0;
  const references = new References(new Set([name]), (_, location, place) => {
    if (place !== 'fine') throw ctx.error('42P19', `recursive reference to query "${name}" must not appear within ${place}`, location);
    if (++count > 1) throw ctx.error('42P19', `recursive reference to query "${name}" must not appear more than once`, location);
  });
  references.visit(stmt.withClause?.ctes, 'a subquery');
  references.select(base, 'its non-recursive term');
  const [sort] = stmt.sortClause ?? [];
  const sorted = sort !== undefined && 'SortBy' in sort ? sort.SortBy.node : undefined;
  for (const [word, node] of [['ORDER BY', sorted], ['OFFSET', stmt.limitOffset], ['LIMIT', stmt.limitCount]] as const) {
    if (node !== undefined) throw ctx.error('0A000', `${word} in a recursive query is not implemented`, locationIn(node));
  }
  if (stmt.lockingClause !== undefined) throw ctx.error('0A000', 'FOR UPDATE/SHARE in a recursive query is not implemented', undefined);
  references.select(step, 'fine');
  return { stmt, base, step, all: stmt.all === true };
}

/** Whether FROM names the recursive query itself: not inside a subquery. */
export function namesInFrom(from: readonly Node[], isWorking: (name: string) => boolean): boolean {
  return from.some((n): boolean => {
    if ('RangeVar' in n) return n.RangeVar.schemaname === undefined && isWorking(n.RangeVar.relname ?? '');
    return 'JoinExpr' in n && namesInFrom([n.JoinExpr.larg, n.JoinExpr.rarg].filter((x) => x !== undefined), isWorking);
  });
}
