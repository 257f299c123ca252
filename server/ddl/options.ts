/** WITH (…) lists as records, and checks common to the statements that take them. */
import type { Option } from '../../planner/parse/statement.js';
import { SqlError } from '../../types/error.js';
import { nearest } from '../../types/settings.js';

/** Options as a record; a key given twice is refused. */
export function optionRecord(options: readonly Option[]): Record<string, string> {
  const record: Record<string, string> = {};
  for (const o of options) {
    if (o.key in record) throw new SqlError('42601', `option "${o.key}" is given twice`, { position: o.position });
    record[o.key] = o.value;
  }
  return record;
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
    if (SECRET.test(o.key) && o.value !== '') masked = masked.split(`'${o.value.replace(/'/g, "''")}'`).join("'********'");
  }
  return masked;
}
