/**
 * Options of connectors that name a secret: `password = SECRET pw` is kept, in catalog, plans and checkpoints, as a reference, and replaced by the secret's
 * value only on the way to the connector. A reference begins with a NUL, which no text of SQL can hold.
 */
import { SqlError } from './error.js';

/** Content of a secret by its name; null when there is none. */
export type Secrets = (name: string) => Readonly<Record<string, string>> | null;

/** Key of the value of CREATE SECRET name AS 'value'. */
export const SECRET_VALUE = 'value';
const MARK = '\u0000secret:';

export function secretReference(name: string): string { return MARK + name; }
/** The secret that an option's value refers to; null for a plain value. */
export function referredSecret(value: string): string | null { return value.startsWith(MARK) ? value.slice(MARK.length) : null; }

/** Options with secrets' values: of a secret with several values, the one named as the option. 42704 and 22023 for what is not there. */
export function resolveSecrets(options: Readonly<Record<string, string>>, secrets: Secrets): Readonly<Record<string, string>> {
  if (!Object.values(options).some(v => v.startsWith(MARK))) return options;
  return Object.fromEntries(Object.entries(options).map(([key, value]) => {
    const name = referredSecret(value);
    return [key, name === null ? value : secretValue(name, key, secrets)];
  }));
}

function secretValue(name: string, option: string, secrets: Secrets): string {
  const content = secrets(name);
  if (content === null) throw new SqlError('42704', `secret "${name}" does not exist`, { hint: `CREATE SECRET ${name} AS '…';` });
  const value = content[option] ?? content[SECRET_VALUE];
  if (value === undefined) throw new SqlError('22023', `secret "${name}" has no value for option "${option}"`, { hint: `It has ${Object.keys(content).join(', ')}. CREATE OR REPLACE SECRET ${name} AS '…'; gives it one value for any option.` });
  return value;
}
