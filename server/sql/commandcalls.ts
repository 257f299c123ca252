/**
 * Functions of Postgres that are commands: pg_notify(channel, payload), set_config(name, value, is_local), pg_cancel_backend(pid), pg_terminate_backend(pid). A SELECT
 * whose only column is such a call is planned as a SELECT of the call's arguments, and the command is carried out for each of its rows by the session. Anywhere else the
 * functions do not exist.
 */
import type { Node } from 'libpg-query';
import type { Query } from '../../planner/parse/statement.js';
import { BOOL, type Column, type SqlType, TEXT, VOID } from '../../types/sqltype.js';

export interface CommandCall {
  readonly name: keyof typeof COMMANDS;
  /** Gives the arguments. */
  readonly query: Query;
  /** What the SELECT gives a client. */
  readonly columns: readonly Column[];
}

/** Types of the arguments, and of what each call gives. */
const COMMANDS = {
  pg_notify: { args: ['text', 'text'], gives: VOID },
  set_config: { args: ['text', 'text', 'bool'], gives: TEXT },
  pg_cancel_backend: { args: ['int4'], gives: BOOL },
  pg_terminate_backend: { args: ['int4'], gives: BOOL },
} as const satisfies Readonly<Record<string, { readonly args: readonly string[]; readonly gives: SqlType }>>;

const isCommand = (name: string): name is CommandCall['name'] => Object.hasOwn(COMMANDS, name);

export function commandCall(query: Query): CommandCall | null {
  const target = query.ast.targetList?.length === 1 ? query.ast.targetList[0] : undefined;
  if (target === undefined || !('ResTarget' in target) || target.ResTarget.val === undefined || !('FuncCall' in target.ResTarget.val)) return null;
  const { funcname, args } = target.ResTarget.val.FuncCall;
  const parts = (funcname ?? []).map(n => ('String' in n ? n.String.sval ?? '' : ''));
  const name = parts[parts.length - 1];
  if (name === undefined || !isCommand(name) || (parts.length > 1 && parts[0] !== 'pg_catalog')) return null;
  const { args: types, gives } = COMMANDS[name];
  if (args?.length !== types.length) return null;
  const targetList = args.map((arg, i): Node => ({ ResTarget: { name: `argument${i}`, val: { TypeCast: { arg, typeName: { names: [{ String: { sval: types[i] } }], typemod: -1 } } } } }));
  return { name, query: { ...query, ast: { ...query.ast, targetList } }, columns: [{ name: target.ResTarget.name ?? name, type: gives }] };
}
