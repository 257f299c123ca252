/**
 * CREATE [OR REPLACE] SECRET and DROP SECRET: values that statements use by name and that nothing shows. They lie in the catalog's store in the data
 * directory, as they are, which only the server's user may read; plans and checkpoints hold references only. A replaced value is used from a job's next start on.
 */
import type { Option, RelationName, Statement } from '../../planner/parse/statement.js';
import { SqlError, unsupported } from '../../types/error.js';
import { nearest } from '../../types/settings.js';
import type { StoredSecret } from '../catalog/relation.js';
import { secretUsers } from '../catalog/secretusers.js';
import type { Database } from '../database.js';
import type { ExecuteContext } from '../session/backend.js';
import { optionRecord } from './options.js';

type CreateSecret = Extract<Statement, { kind: 'create secret' }>;

export async function createSecret(database: Database, statement: CreateSecret, context: ExecuteContext): Promise<void> {
  const { name } = statement;
  refuseSchema(name);
  const existing = database.catalog.secret(name.name);
  if (existing !== null && !statement.orReplace) {
    if (!statement.ifNotExists) throw new SqlError('42710', `secret "${name.name}" already exists`, { position: name.position, hint: `CREATE OR REPLACE SECRET ${name.name} …; gives it another value.` });
    context.notice({ severity: 'NOTICE', code: '42710', message: `secret "${name.name}" already exists, skipping` });
    return;
  }
  const values = optionRecord(statement.options);
  if (statement.options.length === 0) throw new SqlError('42601', `secret "${name.name}" needs a value`, { position: name.position, hint: `CREATE SECRET ${name.name} AS 'value'; or WITH (key = 'value', …);` });
  const bad = statement.options.find((o: Option) => o.form === 'secret');
  if (bad !== undefined) throw unsupported('a secret that names another secret', bad.valuePosition);
  await database.catalog.change({ putSecrets: [{ id: existing?.id ?? await database.catalog.allocateId(), name: name.name, values, createdMs: Date.now() }] });
}

export async function dropSecrets(database: Database, names: readonly RelationName[], ifExists: boolean, cascade: boolean, context: ExecuteContext): Promise<void> {
  const targets: StoredSecret[] = [];
  for (const name of names) {
    const secret = database.catalog.secret(name.name);
    if (secret === null) {
      if (ifExists) { context.notice({ severity: 'NOTICE', message: `secret "${name.name}" does not exist, skipping` }); continue; }
      const near = nearest(name.name, [...database.catalog.secrets()].map(s => s.name));
      throw new SqlError('42704', `secret "${name.name}" does not exist`, { position: name.position, hint: near === null ? undefined : `Perhaps you meant "${near}".` });
    }
    const users = secretUsers(database.catalog, name.name);
    if (users.length > 0) {
      if (cascade) throw unsupported('DROP SECRET … CASCADE', name.position, `DROP what uses it first: ${users.join(', ')}.`);
      throw new SqlError('2BP01', `cannot drop secret ${name.name} because other objects depend on it`, { position: name.position, detail: users.map(u => `${u} uses secret ${name.name}`).join('\n'), hint: `CREATE OR REPLACE SECRET ${name.name} …; gives it another value.` });
    }
    targets.push(secret);
  }
  await database.catalog.change({ dropSecrets: targets });
}

function refuseSchema(name: RelationName): void {
  if (name.schema !== null && name.schema !== 'public') throw new SqlError('3F000', `secrets stand in schema public, not in "${name.schema}"`, { position: name.position });
}
