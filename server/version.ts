/** The package's version, read from package.json beside the compiled code's folder. */
import { readFileSync } from 'node:fs';

let cached: string | null = null;

export function version(): string {
  if (cached !== null) return cached;
  for (const up of ['../package.json', '../../package.json', '../../../package.json']) {
    try {
      const data = JSON.parse(readFileSync(new URL(up, import.meta.url), 'utf8')) as { name?: string; version?: string };
      if (data.name === 'millrace' && data.version !== undefined) { cached = data.version; return cached; }
    } catch {
      continue; // not at this level: compiled code may stand one folder deeper
    }
  }
  return '0.0.0';
}
