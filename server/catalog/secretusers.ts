/** Who uses a secret, for DROP SECRET and millrace.secrets. */
import { referredSecret } from '../../types/secretref.js';
import type { Catalog } from './catalog.js';

/** "stream clicks", "job hot": relations whose options refer to it, jobs whose storage is reached with it. */
export function secretUsers(catalog: Pick<Catalog, 'relations' | 'jobs'>, name: string): string[] {
  const users: string[] = [];
  for (const r of catalog.relations()) if ('options' in r && Object.values(r.options).some(v => referredSecret(v) === name)) users.push(`${r.kind} ${r.name}`);
  for (const j of catalog.jobs()) if (j.settings.s3_secret === name) users.push(`job ${j.name}`);
  return users;
}
