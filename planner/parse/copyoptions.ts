/** Options of COPY, new style (FORMAT csv, HEADER …) and old style, from Postgres' tree; contradictions refused as Postgres does. */
import type { Node } from 'libpg-query';
import { SqlError, unsupported } from '../../types/error.js';
import type { SourceText } from './sourcetext.js';
import type { CopyOptions } from './statement.js';

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

export function convertCopyOptions(nodes: readonly Node[], source: SourceText): CopyOptions {
  const o: Mutable<CopyOptions> = {
    format: 'text', delimiter: null, nullText: null, header: false, quote: null, escape: null, encoding: null, forceQuote: null, forceNotNull: null, forceNull: null, default: null,
  };
  const seen = new Set<string>();
  for (const node of nodes) {
    if (!('DefElem' in node)) continue;
    const { defname = '', arg, location } = node.DefElem;
    const position = source.position(location);
    if (seen.has(defname)) throw new SqlError('42601', 'conflicting or redundant options', { position });
    seen.add(defname);
    switch (defname) {
      case 'format': {
        const format = text(arg);
        if (format !== 'text' && format !== 'csv' && format !== 'binary') throw new SqlError('22023', `COPY format "${format}" not recognized`, { position });
        if (format === 'binary') throw unsupported('COPY in binary format', position, 'COPY … WITH (FORMAT csv)');
        o.format = format;
        break;
      }
      case 'delimiter': o.delimiter = oneByte(text(arg), 'COPY delimiter must be a single one-byte character', position); break;
      case 'null': o.nullText = text(arg); break;
      case 'header': o.header = header(arg, position); break;
      case 'quote': o.quote = oneByte(text(arg), 'COPY quote must be a single one-byte character', position); break;
      case 'escape': o.escape = oneByte(text(arg), 'COPY escape must be a single one-byte character', position); break;
      case 'encoding': {
        o.encoding = text(arg);
        if (!/^(utf-?8|unicode|sql_ascii)$/i.test(o.encoding)) throw unsupported(`COPY in encoding ${o.encoding}`, position);
        break;
      }
      case 'force_quote': o.forceQuote = names(arg); break;
      case 'force_not_null': o.forceNotNull = names(arg); break;
      case 'force_null': o.forceNull = names(arg); break;
      case 'default': o.default = text(arg); break;
      case 'freeze': break;
      default: throw defname === 'on_error' || defname === 'log_verbosity' || defname === 'reject_limit' ? unsupported(`COPY option ${defname}`, position) : new SqlError('42601', `option "${defname}" not recognized`, { position });
    }
  }
  check(o);
  return o;
}

function check(o: CopyOptions): void {
  const refuse = (message: string, code = '0A000'): void => { throw new SqlError(code, message); };
  const csv = o.format === 'csv';
  if (o.quote !== null && !csv) refuse('COPY QUOTE requires CSV mode');
  if (o.escape !== null && !csv) refuse('COPY ESCAPE requires CSV mode');
  if (o.forceQuote !== null && !csv) refuse('COPY FORCE_QUOTE requires CSV mode');
  if (o.forceNotNull !== null && !csv) refuse('COPY FORCE_NOT_NULL requires CSV mode');
  if (o.forceNull !== null && !csv) refuse('COPY FORCE_NULL requires CSV mode');
  if (o.default !== null) refuse('COPY option DEFAULT is not supported');
  const delimiter = o.delimiter ?? (csv ? ',' : '\t');
  if (/[\r\n]/.test(delimiter)) refuse('COPY delimiter cannot be newline or carriage return', '22023');
  if (!csv && /[\\.a-z0-9]/.test(delimiter)) refuse(`COPY delimiter cannot be "${delimiter}"`, '22023');
  if (o.nullText !== null && /[\r\n]/.test(o.nullText)) refuse('COPY null representation cannot use newline or carriage return', '22023');
  if (csv && delimiter === (o.quote ?? '"')) refuse('COPY delimiter and quote must be different', '22023');
  if (o.nullText?.includes(delimiter) === true) refuse('COPY delimiter character must not appear in the NULL specification', '22023');
}

function text(arg: Node | undefined): string {
  if (arg === undefined) return 'true';
  if ('String' in arg) return arg.String.sval ?? '';
  if ('Integer' in arg) return String(arg.Integer.ival ?? 0);
  if ('Float' in arg) return arg.Float.fval ?? '';
  if ('Boolean' in arg) return String(arg.Boolean.boolval ?? false);
  return '';
}

function names(arg: Node | undefined): readonly string[] | '*' {
  if (arg !== undefined && 'List' in arg) return (arg.List.items ?? []).map(text);
  return '*';
}

function header(arg: Node | undefined, position: number | undefined): boolean | 'match' {
  const value = text(arg).toLowerCase();
  if (value === 'match') return 'match';
  if (['true', 'on', '1'].includes(value)) return true;
  if (['false', 'off', '0'].includes(value)) return false;
  throw new SqlError('42601', 'header requires a Boolean value or "match"', { position });
}

function oneByte(value: string, message: string, position: number | undefined): string {
  if (value.length !== 1 || value.charCodeAt(0) > 127) throw new SqlError('0A000', message, { position });
  return value;
}
