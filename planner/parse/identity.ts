/** Columns of tables that count: serial types, and GENERATED { ALWAYS | BY DEFAULT } AS IDENTITY [(options)]. */
import { SqlError, unsupported } from '../../types/error.js';
import type { TokenReader } from './reader.js';
import type { IdentityDefinition, TypeRef } from './statement.js';

const SERIAL: Readonly<Record<string, string>> = { smallserial: 'int2', serial2: 'int2', serial: 'int4', serial4: 'int4', bigserial: 'int8', serial8: 'int8' };

/** A serial type stands for its integer and numbers; null: another type. */
export function serialType(type: TypeRef): { readonly type: TypeRef; readonly identity: IdentityDefinition } | null {
  const { names = [], arrayBounds = [] } = type.ast;
  const first = names[0];
  const integer = names.length === 1 && first !== undefined && 'String' in first ? SERIAL[first.String.sval ?? ''] : undefined;
  if (integer === undefined) return null;
  if (arrayBounds.length > 0) throw new SqlError('0A000', 'array of serial is not implemented', { position: type.position });
  return {
    type: { ...type, ast: { ...type.ast, names: [{ String: { sval: 'pg_catalog' } }, { String: { sval: integer } }] } },
    identity: { kind: 'serial', start: null, increment: null, min: null, max: null, position: type.position },
  };
}

/** The cursor after GENERATED; null, not moved: GENERATED ALWAYS AS (expression). */
export function parseIdentity(r: TokenReader, position: number): IdentityDefinition | null {
  const byDefault = r.accept('by', 'default');
  if (!byDefault && !(r.word() === 'always' && r.word(1) === 'as' && r.word(2) === 'identity')) return null;
  if (!byDefault) r.expect('always');
  r.expect('as', 'identity');
  const options: Partial<Record<'start' | 'increment' | 'min' | 'max', bigint | null>> = {};
  if (r.acceptSymbol('(')) {
    do parseOption(r, options); while (!r.acceptSymbol(')'));
  }
  return { kind: byDefault ? 'by default' : 'always', start: options.start ?? null, increment: options.increment ?? null, min: options.min ?? null, max: options.max ?? null, position };
}

function parseOption(r: TokenReader, options: Partial<Record<'start' | 'increment' | 'min' | 'max', bigint | null>>): void {
  const position = r.position();
  const set = (name: keyof typeof options, value: bigint | null): void => {
    if (name in options) throw new SqlError('42601', 'conflicting or redundant options', { position, hint: 'Give each option once.' });
    options[name] = value;
  };
  if (r.accept('start')) { r.accept('with'); set('start', integer(r)); return; }
  if (r.accept('increment')) { r.accept('by'); set('increment', integer(r)); return; }
  if (r.accept('minvalue')) { set('min', integer(r)); return; }
  if (r.accept('maxvalue')) { set('max', integer(r)); return; }
  if (r.accept('no', 'minvalue')) { set('min', null); return; }
  if (r.accept('no', 'maxvalue')) { set('max', null); return; }
  if (r.accept('no', 'cycle')) return;
  // How many numbers a session takes at once: here none stays with a session.
  if (r.accept('cache')) { integer(r); return; }
  const word = r.word();
  if (word === 'cycle' || word === 'sequence' || word === 'restart' || word === 'owned' || word === 'as') throw unsupported(`${word.toUpperCase()} of an identity column`, position);
  throw r.syntaxError();
}

function integer(r: TokenReader): bigint {
  const position = r.position();
  const negative = r.acceptSymbol('-');
  if (!negative) r.acceptSymbol('+');
  const t = r.peek();
  if (t === undefined || t.kind !== 'number' || !/^\d+$/.test(t.text)) throw r.syntaxError();
  r.at++;
  const value = negative ? -BigInt(t.text) : BigInt(t.text);
  if (BigInt.asIntN(64, value) !== value) throw new SqlError('22003', `value "${value}" is out of range for type bigint`, { position });
  return value;
}
