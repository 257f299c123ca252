/**
 * Batches drawn as text, for tests and their snapshots: a line a row, '+' or '-' (or a weight such as '+2'), then the values' text forms;
 * '.' is NULL. Values with blanks stand in double quotes.
 *
 *   + 1 4
 *   - 2 "two words"
 */
import type { SqlType } from '../types/sqltype.js';
import { formatDatum, parseDatum } from '../types/textio.js';
import type { Batch } from './batch.js';
import { batchFromDatums, datumAt } from './vectors.js';

export function draw(types: readonly SqlType[], batch: Batch): string {
  const lines: string[] = [];
  for (let i = 0; i < batch.length; i++) {
    const w = batch.weights === null ? 1 : batch.weights[i];
    const sign = w === 1 ? '+' : w === -1 ? '-' : w > 0 ? `+${w}` : String(w);
    const values = types.map((t, c) => {
      const d = datumAt(t, batch.columns[c], i);
      if (d === null) return '.';
      const text = formatDatum(t, d);
      return text === '' || text === '.' || /[\s"]/.test(text) ? JSON.stringify(text) : text;
    });
    lines.push([sign, ...values].join(' '));
  }
  return lines.join('\n');
}

export function parseDrawn(types: readonly SqlType[], text: string): Batch {
  const lines = text.split('\n').map(l => l.trim()).filter(l => l !== '');
  const weights: number[] = [];
  const rows = lines.map(line => {
    const [sign = '+', ...values] = line.match(/"(?:[^"\\]|\\.)*"|\S+/g) ?? [];
    weights.push(sign === '+' ? 1 : sign === '-' ? -1 : Number(sign));
    return types.map((t, c) => {
      const v = values[c] ?? '.';
      return v === '.' ? null : parseDatum(t, v.startsWith('"') ? (JSON.parse(v) as string) : v);
    });
  });
  return batchFromDatums(types, rows, weights.every(w => w === 1) ? null : weights);
}
