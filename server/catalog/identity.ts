/**
 * Columns that count (serial, GENERATED … AS IDENTITY): the rules of their numbers as Postgres' sequences have them, their next number, and how
 * they are shown. What was counted stands in the table store (`nextNumber`), beside the rows that took the numbers; the catalog never changes for it.
 */
import type { Identity, TableColumn, TableRelation } from '../../planner/catalog.js';
import type { IdentityDefinition } from '../../planner/parse/statement.js';
import { SqlError } from '../../types/error.js';
import { int8 } from '../../types/functions/define.js';
import type { SqlType } from '../../types/sqltype.js';
import { quoteIdentifier } from '../../types/textio.js';
import { formatType } from '../../types/typeinfo.js';
import type { Datum } from '../../types/value.js';

const BITS: Readonly<Partial<Record<SqlType['kind'], bigint>>> = { int2: 15n, int4: 31n, int8: 63n };

/** Throws 22023. */
export function identityOf(d: IdentityDefinition, type: SqlType): Identity {
  const bits = BITS[type.kind];
  const wrong = (message: string): SqlError => new SqlError('22023', message, { position: d.position });
  if (bits === undefined) throw wrong('identity column type must be smallint, integer, or bigint');
  const increment = d.increment ?? 1n;
  if (increment === 0n) throw wrong('INCREMENT must not be zero');
  const highest = (1n << bits) - 1n;
  const lowest = -(1n << bits);
  const min = d.min ?? (increment > 0n ? 1n : lowest);
  const max = d.max ?? (increment > 0n ? highest : -1n);
  if (max > highest || max < lowest) throw wrong(`MAXVALUE (${max}) is out of range for sequence data type ${formatType(type)}`);
  if (min > highest || min < lowest) throw wrong(`MINVALUE (${min}) is out of range for sequence data type ${formatType(type)}`);
  if (min >= max) throw wrong(`MINVALUE (${min}) must be less than MAXVALUE (${max})`);
  const start = d.start ?? (increment > 0n ? min : max);
  if (start < min) throw wrong(`START value (${start}) cannot be less than MINVALUE (${min})`);
  if (start > max) throw wrong(`START value (${start}) cannot be greater than MAXVALUE (${max})`);
  return { kind: d.kind, start: String(start), increment: String(increment), min: String(min), max: String(max) };
}

/** Gives the column's numbers, one a call; `count`: how many were given before. Throws 2200H when there are no more. */
export function numbersOf(table: TableRelation, column: number, count: () => number): () => Datum {
  const { name, identity } = table.columns[column] ?? {};
  if (name === undefined || identity === undefined) throw new SqlError('XX000', `internal error: column ${column} of "${table.name}" does not count`);
  const [start, increment, min, max] = [identity.start, identity.increment, identity.min, identity.max].map(BigInt) as [bigint, bigint, bigint, bigint];
  return () => {
    const value = start + BigInt(count()) * increment;
    if (value > max) throw new SqlError('2200H', `nextval: reached maximum value of sequence "${sequenceName(table.name, name)}" (${max})`);
    if (value < min) throw new SqlError('2200H', `nextval: reached minimum value of sequence "${sequenceName(table.name, name)}" (${min})`);
    return int8(value);
  };
}

/** Bytes of a name in Postgres. */
const NAME_MAX = 63;

/** The name that Postgres gives the column's sequence: parts that are too long together lose their ends, the longer first. */
function sequenceName(table: string, column: string): string {
  const parts = [table, column].map(part => [...part]);
  const bytes = (part: readonly string[]): number => Buffer.byteLength(part.join(''));
  const [first, second] = parts as [string[], string[]];
  while (bytes(first) + bytes(second) + '__seq'.length > NAME_MAX) (bytes(first) > bytes(second) ? first : second).pop();
  return `${first.join('')}_${second.join('')}_seq`;
}

/** DEFAULT as clients see it: that of serial is a call. */
export function shownDefault(table: string, column: Pick<TableColumn, 'name'> & { readonly defaultSql?: string | null; readonly identity?: Identity }): string | null {
  if (column.identity?.kind === 'serial') return `nextval('${quoteIdentifier(sequenceName(table, column.name)).replace(/'/g, "''")}'::regclass)`;
  return column.defaultSql ?? null;
}
