/** WITH (…) lists as records, and checks common to the statements that take them. */
import type { Option } from '../../planner/parse/statement.js';
import { SqlError } from '../../types/error.js';
import { referredSecret, resolveSecrets, secretReference } from '../../types/secretref.js';
import type { Database } from '../database.js';
import { nearest } from '../../types/settings.js';

/** Options as a record, with references in place of secrets; a key given twice is refused. */
export function optionRecord(options: readonly Option[]): Record<string, string> {
  const record: Record<string, string> = {};
  for (const o of options) {
    if (o.key in record) throw new SqlError('42601', `option "${o.key}" is given twice`, { position: o.position });
    record[o.key] = o.form === 'secret' ? secretReference(o.value) : o.value;
  }
  return record;
}

/** The options as the connector sees them, with secrets' values, to be checked; 42704 at the option for a secret that is not there. */
export function optionsWithSecrets(database: Pick<Database, 'catalog'>, record: Readonly<Record<string, string>>, options: readonly Option[]): Readonly<Record<string, string>> {
  try {
    return resolveSecrets(record, name => database.catalog.secret(name)?.values ?? null);
  } catch (e) {
    if (e instanceof SqlError) e.position ??= options.find(o => o.form === 'secret' && e.message.startsWith(`secret "${o.value}" `))?.valuePosition;
    throw e;
  }
}

/** `checked` as it is stored: options that were secrets are references again. */
export function withReferences(checked: Readonly<Record<string, string>>, given: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  return Object.fromEntries(Object.entries(checked).map(([key, value]) => [key, given[key] !== undefined && referredSecret(given[key]) !== null ? given[key] : value]));
}

/** Refuses every option outside `known`, naming the nearest. */
export function refuseUnknown(options: readonly Option[], known: readonly string[], what: string): void {
  for (const o of options) {
    if (known.includes(o.key)) continue;
    const near = nearest(o.key, known);
    throw new SqlError('22023', `unknown option "${o.key}" of ${what}`, {
      position: o.position, hint: near !== null ? `Perhaps you meant "${near}".` : known.length === 0 ? `${what} takes no options.` : `Known options: ${known.join(', ')}.`,
    });
  }
}

const SECRET = /(password|secret|token|sasl|private|credential|\.key$)/i;

/** The statement with values of secret options masked, as it is kept in the catalog and shown. */
export function maskSecrets(sql: string, options: readonly Option[]): string {
  let masked = sql;
  for (const o of options) {
    if (SECRET.test(o.key) && o.form !== 'secret' && o.value !== '') masked = masked.split(`'${o.value.replace(/'/g, "''")}'`).join("'********'");
  }
  return masked;
}
