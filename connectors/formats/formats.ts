/** Formats by name: which decoder a source's options ask for, and the options they add. */
import type { OptionSpec } from '../../runtime/connector.js';
import { SqlError } from '../../types/error.js';
import type { SourceField } from '../../types/plan.js';
import type { Column } from '../../types/sqltype.js';
import { TIMESTAMP_FORMAT, booleanOption, textOption } from '../optionvalues.js';
import type { Options } from '../optionvalues.js';
import type { TimestampFormat } from './convert.js';
import { CsvDecoder } from './csv.js';
import { csvEncoder, jsonEncoder } from './encode.js';
import type { RowEncoder } from './encode.js';
import type { BlockDecoder, RecordDecoder } from './format.js';
import { JsonDecoder } from './json.js';

export const FORMAT: OptionSpec = { name: 'format', kind: 'text', default: 'json', values: ['json', 'csv'], description: 'json = one JSON object a line; csv = RFC 4180' };
const HEADER: OptionSpec = { name: 'header', kind: 'boolean', default: 'true', description: 'csv: the first line names the columns' };
const DELIMITER: OptionSpec = { name: 'delimiter', kind: 'text', default: ',', description: 'csv: the character between fields' };
const NULL_TEXT: OptionSpec = { name: 'null_text', kind: 'text', default: '', description: 'csv: an unquoted field of this text is NULL' };
export const CSV_OPTIONS: readonly OptionSpec[] = [HEADER, DELIMITER, NULL_TEXT];

const TIMESTAMPS: Readonly<Record<string, TimestampFormat>> = { text: 'text', seconds: 'seconds', millis: 'millis', micros: 'micros' };

/** Options that contradict each other: 22023. */
export function checkFormat(options: Options): void {
  const csv = textOption(options, FORMAT) === 'csv';
  for (const spec of CSV_OPTIONS) if (!csv && options[spec.name] !== undefined) throw new SqlError('22023', `option "${spec.name}" needs format = 'csv'`);
  if (csv && options[TIMESTAMP_FORMAT.name] !== undefined) throw new SqlError('22023', `option "${TIMESTAMP_FORMAT.name}" needs format = 'json'`);
  const delimiter = textOption(options, DELIMITER);
  if (delimiter.length !== 1 || delimiter > '\u007f' || delimiter === '\0' || /["\r\n]/.test(delimiter)) throw new SqlError('22023', `invalid value for option "delimiter": "${delimiter}"`, { hint: 'One ASCII character that is no quote and no line end.' });
}

/** For messages: each is a record. */
export function recordDecoder(options: Options, fields: readonly SourceField[]): RecordDecoder {
  return new JsonDecoder(fields, TIMESTAMPS[textOption(options, TIMESTAMP_FORMAT)]);
}

export function blockDecoder(options: Options, fields: readonly SourceField[]): BlockDecoder {
  if (textOption(options, FORMAT) === 'json') return new JsonDecoder(fields, TIMESTAMPS[textOption(options, TIMESTAMP_FORMAT)]);
  for (const f of fields) if (f.path !== null) throw new SqlError('42601', `PATH of column "${f.name}" needs format = 'json'`);
  return new CsvDecoder(fields, { header: booleanOption(options, HEADER), delimiter: textOption(options, DELIMITER), nullText: textOption(options, NULL_TEXT) });
}

export function rowEncoder(options: Options, columns: readonly Column[], changelog: boolean): RowEncoder {
  if (textOption(options, FORMAT) === 'json') return jsonEncoder(columns);
  return csvEncoder(columns, { header: booleanOption(options, HEADER), delimiter: textOption(options, DELIMITER), nullText: textOption(options, NULL_TEXT), changelog });
}
