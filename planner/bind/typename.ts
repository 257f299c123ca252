/** TypeName trees → SqlType, and the facts about types that binding needs: words for messages, category, preferred. */
import type { Node, TypeName } from 'libpg-query';
import { arrayOf, type SqlType } from '../../types/sqltype.js';
import { SqlError } from '../../types/error.js';
import { formatType, typeByName, typeCategory, typeInfo } from '../../types/typeinfo.js';
import type { BindContext } from './context.js';

export const typeWords = (type: SqlType): string => formatType(type);
export type Category = string;
export const category = (type: SqlType): Category => typeCategory(type);
export const isPreferred = (type: SqlType): boolean => type.kind !== 'array' && typeInfo(type).preferred;

/** The String values of a list of nodes: a dotted name's parts. */
export function strings(nodes: readonly Node[] | undefined): string[] {
  const out: string[] = [];
  for (const n of nodes ?? []) if ('String' in n) out.push(n.String.sval ?? '');
  return out;
}

function typmodInts(ctx: BindContext, name: TypeName): number[] {
  return (name.typmods ?? []).map((n) => {
    if ('A_Const' in n && n.A_Const.ival !== undefined) return n.A_Const.ival.ival ?? 0;
    throw ctx.error('22023', 'type modifiers must be simple constants', name.location);
  });
}

/** 42704 for an unknown type, 0A000 for one of Postgres' that is not here, 22023 for bad modifiers. */
export function typeFromName(ctx: BindContext, name: TypeName): SqlType {
  const parts = strings(name.names);
  if (name.setof === true) throw ctx.unsupported('SETOF', name.location);
  if (name.pct_type === true) throw ctx.unsupported('%TYPE', name.location);
  let type: SqlType | null;
  try {
    type = typeByName(parts, typmodInts(ctx, name));
  } catch (e) {
    if (e instanceof SqlError && e.position === undefined) e.position = ctx.position(name.location);
    throw e;
  }
  if (type === null) throw ctx.error('42704', `type "${parts.join('.')}" does not exist`, name.location ?? 0);
  return (name.arrayBounds ?? []).length > 0 && type.kind !== 'array' ? arrayOf(type) : type;
}
