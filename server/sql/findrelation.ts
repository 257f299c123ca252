/** A relation that a statement names. */
import type { Relation } from '../../planner/catalog.js';
import type { RelationName } from '../../planner/parse/statement.js';
import { SqlError } from '../../types/error.js';
import { nearest } from '../../types/settings.js';
import type { Database } from '../database.js';

/** Throws 42P01 with the nearest name. */
export function findRelation(database: Database, name: RelationName): Relation {
  const relation = database.catalog.relation(name.schema, name.name);
  if (relation !== null) return relation;
  const near = nearest(name.name, database.catalog.relationNames());
  throw new SqlError('42P01', `relation "${name.name}" does not exist`, { position: name.position, hint: near === null ? undefined : `Perhaps you meant "${near}".` });
}
