/** Vectors of metadata columns (METADATA FROM 'offset' …), and the check of their declared types. */
import type { Vector } from '../runtime/batch.js';
import { SqlError } from '../types/error.js';
import type { SourceField } from '../types/plan.js';
import type { SqlType } from '../types/sqltype.js';
import { formatType } from '../types/typeinfo.js';

export type MetadataKind = 'text' | 'integer' | 'timestamp' | 'jsonb' | 'bytes';

const ACCEPTS: Readonly<Record<MetadataKind, readonly SqlType['kind'][]>> = {
  text: ['text', 'varchar'], integer: ['int8', 'int4'], timestamp: ['timestamp', 'timestamptz'], jsonb: ['jsonb'], bytes: ['text', 'varchar', 'bytea'],
};

/** 42703 for a metadata name that the connector has not, 42804 for a type that it cannot have. */
export function checkMetadata(connector: string, known: Readonly<Record<string, MetadataKind>>, fields: readonly SourceField[]): void {
  for (const f of fields) {
    if (f.metadata === null) continue;
    const kind = known[f.metadata];
    if (kind === undefined) throw new SqlError('42703', `the ${connector} source has no metadata '${f.metadata}'`, { hint: `It has ${Object.keys(known).map((k) => `'${k}'`).join(', ')}.` });
    if (!ACCEPTS[kind].includes(f.type.kind)) throw new SqlError('42804', `metadata '${f.metadata}' of column "${f.name}" is ${ACCEPTS[kind].join(' or ')}, not ${formatType(f.type)}`);
  }
}

/** One text for all rows. */
export function constantText(text: string, rows: number): Vector {
  const data = Buffer.from(text);
  return { form: 'bytes', data, start: new Int32Array(rows), end: new Int32Array(rows).fill(data.length), nulls: null };
}

export function numbers(rows: number, value: (row: number) => number): Vector {
  const values = new Float64Array(rows);
  for (let i = 0; i < rows; i++) values[i] = value(i);
  return { form: 'f64', values, nulls: null };
}
