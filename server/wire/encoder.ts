/** Encoder of what the server sends, but for rows (rows.ts): one function a message, each giving the message's bytes. Pure: no sockets. */
import { Writer } from 'pg-protocol/dist/buffer-writer.js';
import type { Violated } from '../../types/error.js';
import { typeLength, typeMod, typeOid } from '../../types/typeinfo.js';
import type { Column, SqlType } from '../../types/sqltype.js';
import type { Format } from './messages.js';

const writer = new Writer(1024);
const code = (c: string): number => c.charCodeAt(0);

export function authenticationOk(): Buffer { return writer.addInt32(0).flush(code('R')); }
/** Newest version we speak, and the `_pq_.` parameters we do not know. */
export function negotiateProtocolVersion(version: number, unknown: readonly string[]): Buffer {
  writer.addInt32(version).addInt32(unknown.length);
  for (const name of unknown) writer.addCString(name);
  return writer.flush(code('v'));
}
export function backendKeyData(pid: number, key: Buffer): Buffer { return writer.addInt32(pid).add(key).flush(code('K')); }
export function parameterStatus(name: string, value: string): Buffer { return writer.addCString(name).addCString(value).flush(code('S')); }
export function readyForQuery(status: 'I' | 'T' | 'E'): Buffer { return writer.addString(status).flush(code('Z')); }
export function parseComplete(): Buffer { return writer.flush(code('1')); }
export function bindComplete(): Buffer { return writer.flush(code('2')); }
export function closeComplete(): Buffer { return writer.flush(code('3')); }
export function noData(): Buffer { return writer.flush(code('n')); }
export function portalSuspended(): Buffer { return writer.flush(code('s')); }
export function emptyQueryResponse(): Buffer { return writer.flush(code('I')); }
export function commandComplete(tag: string): Buffer { return writer.addCString(tag).flush(code('C')); }
export function copyDone(): Buffer { return writer.flush(code('c')); }

export function copyData(data: Buffer): Buffer { return writer.add(data).flush(code('d')); }
export function copyResponse(direction: 'in' | 'out', columns: number): Buffer {
  writer.addString('\0').addInt16(columns);
  for (let i = 0; i < columns; i++) writer.addInt16(0);
  return writer.flush(code(direction === 'in' ? 'G' : 'H'));
}
export function notificationResponse(pid: number, channel: string, payload: string): Buffer {
  return writer.addInt32(pid).addCString(channel).addCString(payload).flush(code('A'));
}
export function parameterDescription(types: readonly SqlType[]): Buffer {
  writer.addInt16(types.length);
  for (const t of types) writer.addInt32(typeOid(t));
  return writer.flush(code('t'));
}
/** Columns that are of no type yet ('unknown') are text to a client. */
export function rowDescription(columns: readonly Column[], formats: readonly Format[]): Buffer {
  writer.addInt16(columns.length);
  for (let i = 0; i < columns.length; i++) {
    const column = columns[i];
    if (column === undefined) break;
    const type: SqlType = column.type.kind === 'unknown' ? { kind: 'text' } : column.type;
    writer.addCString(column.name).addInt32(0).addInt16(0).addInt32(typeOid(type)).addInt16(typeLength(type)).addInt32(typeMod(type)).addInt16(formatOf(formats, i));
  }
  return writer.flush(code('T'));
}
/** Formats of columns as Bind gives them: none = all text, one = for all, else one each. */
export function formatOf(formats: readonly Format[], column: number): Format {
  return formats.length === 0 ? 0 : formats.length === 1 ? formats[0] ?? 0 : formats[column] ?? 0;
}

export interface Report {
  readonly severity: 'ERROR' | 'FATAL' | 'NOTICE' | 'WARNING' | 'INFO' | 'LOG' | 'DEBUG';
  readonly code: string;
  readonly message: string;
  readonly detail?: string | undefined;
  readonly hint?: string | undefined;
  readonly position?: number | undefined;
  readonly violated?: Violated | undefined;
}

export function errorResponse(report: Report): Buffer { return fields(report, 'E'); }
export function noticeResponse(report: Report): Buffer { return fields(report, 'N'); }

function fields(report: Report, type: 'E' | 'N'): Buffer {
  const field = (name: string, value: string | undefined): void => {
    // A zero byte would end the field early.
    if (value !== undefined) writer.addString(name).addCString(value.replaceAll('\0', ''));
  };
  field('S', report.severity);
  field('V', report.severity);
  field('C', report.code);
  field('M', report.message);
  field('D', report.detail);
  field('H', report.hint);
  field('P', report.position === undefined ? undefined : String(report.position));
  field('s', report.violated?.schema);
  field('t', report.violated?.table);
  field('c', report.violated?.column);
  field('n', report.violated?.constraint);
  return writer.addString('\0').flush(code(type));
}
