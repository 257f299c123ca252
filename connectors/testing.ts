/** What connectors' tests share: a source's rows as text, with its positions along the way. Not used by the server. */
import { datumAt } from '../runtime/vectors.js';
import type { Batch } from '../runtime/batch.js';
import type { BadRecord, SourceContext, SourceReader, SplitBatch } from '../runtime/connector.js';
import type { Json } from '../types/connect.js';
import type { SourceField } from '../types/plan.js';
import type { Column, SqlType } from '../types/sqltype.js';
import { formatDatum } from '../types/textio.js';
import { SqlError } from '../types/error.js';

export function sourceField(name: string, type: SqlType, extra: Partial<SourceField> = {}): SourceField {
  return { name, type, path: null, metadata: null, notNull: false, defaultExpr: null, ordinal: 0, ...extra };
}

export function batchRows(columns: readonly { readonly type: SqlType }[], b: Batch): string[] {
  const rows: string[] = [];
  for (let i = 0; i < b.length; i++) {
    rows.push(columns.map((c, k) => {
      const v = datumAt(c.type, b.columns[k], i);
      return v === null ? 'NULL' : formatDatum(c.type, v);
    }).join(' | '));
  }
  return rows;
}

export class TestContext implements SourceContext {
  readonly bad: BadRecord[] = [];
  readonly logs: string[] = [];
  readonly onError: 'fail' | 'skip';
  clock: (() => number) | null = null;
  #waiting: (() => void) | null = null;
  #woken = false;

  constructor(onError: 'fail' | 'skip' = 'fail') {
    this.onError = onError;
  }

  badRecord(r: BadRecord): void {
    this.bad.push({ ...r, raw: Uint8Array.from(r.raw) });
    if (this.onError === 'fail') throw new SqlError('22P02', r.reason, { detail: r.position });
  }

  wake(): void {
    this.#woken = true;
    this.#waiting?.();
  }

  log(level: string, message: string): void {
    this.logs.push(`${level}: ${message}`);
  }

  now(): number {
    return this.clock === null ? Date.now() : this.clock();
  }

  /** Resolves at the next wake(), or at once when one came since the last call. */
  async woken(): Promise<void> {
    if (!this.#woken) await new Promise<void>((resolve) => { this.#waiting = resolve; });
    this.#woken = false;
    this.#waiting = null;
  }
}

/** Rows until the end, or until `rowsMax` are there; waits for wake() when the source is idle. */
export async function readRows(reader: SourceReader, context: TestContext, fields: readonly Pick<Column, 'type'>[], rowsMax = Infinity): Promise<{ rows: string[]; ended: boolean; batches: SplitBatch[]; positions: Record<string, Json> }> {
  const rows: string[] = [];
  const batches: SplitBatch[] = [];
  while (rows.length < rowsMax) {
    const got = await reader.next();
    if (got === 'end') return { rows, ended: true, batches, positions: reader.positions() };
    if (got === 'idle') {
      await context.woken();
      continue;
    }
    batches.push(got);
    rows.push(...batchRows(fields, got.batch));
  }
  return { rows, ended: false, batches, positions: reader.positions() };
}

/**
 * What `bound` promises (runtime/connector.ts): reads `rowsBefore` rows, then up to the borders one after another (each the position of another
 * reader), then to the end. The reader must come to stand at each border exactly; gives all rows, which the caller compares.
 */
export async function readByBorders(reader: SourceReader, context: TestContext, fields: readonly Pick<Column, 'type'>[], rowsBefore: number, borders: readonly Readonly<Record<string, Json>>[]): Promise<string[]> {
  const rows = (await readRows(reader, context, fields, rowsBefore)).rows;
  for (const border of borders) {
    reader.bound?.(border);
    const there = (): boolean => Object.entries(border).every(([split, at]) => JSON.stringify(reader.positions()[split] ?? null) === JSON.stringify(at));
    for (;;) {
      const got = await reader.next();
      if (got === 'end') throw new Error('an end at a border');
      if (got !== 'idle') { rows.push(...batchRows(fields, got.batch)); continue; }
      if (there()) break;
      await context.woken();
    }
    if (await reader.next() !== 'idle') throw new Error('rows past a border');
  }
  reader.bound?.(null);
  rows.push(...(await readRows(reader, context, fields)).rows);
  return rows;
}
