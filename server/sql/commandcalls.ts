/**
 * Functions of Postgres that are commands: `SELECT pg_notify(channel, payload)` and `SELECT set_config(name, value, is_local)`. A SELECT whose only column is
 * such a call is planned as a SELECT of the call's arguments, and the command is carried out for each of its rows by the session. Anywhere else the
 * functions do not exist.
 */
import type { Node } from 'libpg-query';
import type { Query } from '../../planner/parse/statement.js';
import { type Column, TEXT, VOID } from '../../types/sqltype.js';

export interface CommandCall {
  readonly name: 'pg_notify' | 'set_config';
  /** Gives the arguments. */
  readonly query: Query;
  /** What the SELECT gives a client. */
  readonly columns: readonly Column[];
}

/** Types of the arguments. */
const COMMANDS = { pg_notify: ['text', 'text'], set_config: ['text', 'text', 'bool'] } as const;

export function commandCall(query: Query): CommandCall | null {
  const target = query.ast.targetList?.length === 1 ? query.ast.targetList[0] : undefined;
  if (target === undefined || !('ResTarget' in target) || target.ResTarget.val === undefined || !('FuncCall' in target.ResTarget.val)) return null;
  const { funcname, args } = target.ResTarget.val.FuncCall;
  const parts = (funcname ?? []).map(n => ('String' in n ? n.String.sval ?? '' : ''));
  const name = parts[parts.length - 1];
  if ((name !== 'pg_notify' && name !== 'set_config') || (parts.length > 1 && parts[0] !== 'pg_catalog') || args?.length !== COMMANDS[name].length) return null;
  const targetList = args.map((arg, i): Node => ({ ResTarget: { name: `argument${i}`, val: { TypeCast: { arg, typeName: { names: [{ String: { sval: COMMANDS[name][i] } }], typemod: -1 } } } } }));
  return { name, query: { ...query, ast: { ...query.ast, targetList } }, columns: [{ name: target.ResTarget.name ?? name, type: name === 'pg_notify' ? VOID : TEXT }] };
}
