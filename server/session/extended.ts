/** The extended protocol: Parse, Bind, Describe, Execute, Close. Errors are thrown; the session skips to the next Sync after one. */
import { isUtf8 } from 'node:buffer';
import { SqlError, unsupported } from '../../types/error.js';
import { receiveDatum } from '../../types/binaryio.js';
import { formatDatum } from '../../types/textio.js';
import { formatType, typeByOid } from '../../types/typeinfo.js';
import type { SqlType } from '../../types/sqltype.js';
import { invalidUtf8, ProtocolError } from '../wire/decoder.js';
import * as encode from '../wire/encoder.js';
import type { BindMessage, FrontendMessage } from '../wire/messages.js';
import { ALL_ROWS, isLocal, type SessionCore } from './core.js';
import { startLocal } from './local.js';
import { Portal } from './portal.js';

type Message<K extends FrontendMessage['kind']> = Extract<FrontendMessage, { kind: K }>;

export async function parseMessage(core: SessionCore, message: Message<'parse'>): Promise<void> {
  const statements = await core.parse(message.sql);
  if (statements.length > 1) throw new SqlError('42601', 'cannot insert multiple commands into a prepared statement');
  const parsed = statements[0] ?? null;
  if (parsed !== null) core.checkNotFailed(parsed.statement);
  if (message.name === '') core.statements.delete('');
  else if (core.statements.has(message.name)) throw new SqlError('42P05', `prepared statement "${message.name}" already exists`);
  const statement = await core.prepare(parsed, message.types.map(typeOfOid));
  core.addStatement(message.name, statement);
  core.connection.send(encode.parseComplete());
}

/** 0 and `unknown` leave the type open. */
function typeOfOid(oid: number): SqlType | null {
  if (oid === 0) return null;
  const type = typeByOid(oid);
  if (type === null) throw unsupported(`parameter type with OID ${oid}`);
  return type.kind === 'unknown' ? null : type;
}

export async function bindMessage(core: SessionCore, message: BindMessage): Promise<void> {
  const statement = core.statement(message.statement);
  if (statement.parsed !== null) core.checkNotFailed(statement.parsed.statement);
  const expected = statement.paramTypes.length;
  if (message.params.length !== expected) {
    throw new SqlError('08P01', `bind message supplies ${message.params.length} parameters, but prepared statement "${message.statement}" requires ${expected}`);
  }
  const columns = core.columnsOf(statement)?.length ?? 0;
  if (message.resultFormats.length > 1 && message.resultFormats.length !== columns) {
    throw new SqlError('08P01', `bind message has ${message.resultFormats.length} result formats but query has ${columns} columns`);
  }
  const params = message.params.map((raw, i) => (raw === null ? null : paramText(core, raw, statement.paramTypes[i] ?? { kind: 'text' }, encode.formatOf(message.paramFormats, i), i)));
  if (message.portal === '') await core.closePortal('');
  else if (core.portals.has(message.portal)) throw new SqlError('42P03', `cursor "${message.portal}" already exists`);
  core.addPortal(new Portal(message.portal, statement, params, message.resultFormats));
  core.connection.send(encode.bindComplete());
}

function paramText(core: SessionCore, raw: Buffer, type: SqlType, format: 0 | 1, index: number): string {
  if (format === 0) {
    if (!isUtf8(raw)) throw invalidUtf8(raw);
    return raw.toString('utf8');
  }
  try {
    return formatDatum(type, receiveDatum(type, raw, core.io()), core.io());
  } catch (e) {
    if (e instanceof RangeError) throw new SqlError('22P03', `incorrect binary data format in bind parameter ${index + 1}`, { detail: `It has ${raw.length} bytes; type ${formatType(type)} takes others.`, cause: e });
    throw e;
  }
}

export function describeMessage(core: SessionCore, message: Message<'describe'>): void {
  if (message.what === 'statement') {
    const statement = core.statement(message.name);
    core.connection.send(encode.parameterDescription(statement.paramTypes));
    const columns = core.columnsOf(statement);
    core.connection.send(columns === null ? encode.noData() : encode.rowDescription(columns, []));
    return;
  }
  const portal = core.portal(message.name);
  const columns = portal.execution?.kind === 'slices' ? portal.execution.columns : core.columnsOf(portal.statement);
  core.connection.send(columns === null ? encode.noData() : encode.rowDescription(columns, portal.formats));
}

export async function executeMessage(core: SessionCore, message: Message<'execute'>): Promise<void> {
  const portal = core.portal(message.portal);
  const parsed = portal.statement.parsed;
  if (parsed === null) { core.connection.send(encode.emptyQueryResponse()); return; }
  core.checkNotFailed(parsed.statement);
  const limit = message.rowsMax === 0 ? ALL_ROWS : message.rowsMax;
  const tag = await core.running(portal.controller, async () => {
    if (portal.execution === null) {
      if (portal.done) throw new SqlError('55000', `portal "${portal.name}" cannot be run`);
      portal.execution = isLocal(parsed.statement) ? await startLocal(core, portal) : await core.start(portal);
    } else if (portal.execution.kind !== 'slices') throw new SqlError('55000', `portal "${portal.name}" cannot be run`);
    return core.run(portal, limit, false);
  });
  core.connection.send(tag === null ? encode.portalSuspended() : encode.commandComplete(tag));
  if (parsed.statement.kind === 'commit' || parsed.statement.kind === 'rollback') await core.closePortals();
}

export async function closeMessage(core: SessionCore, message: Message<'close'>): Promise<void> {
  if (message.what === 'statement') core.statements.delete(message.name);
  else await core.closePortal(message.name);
  core.connection.send(encode.closeComplete());
}

export function functionCall(): never {
  throw new ProtocolError('function calls through the protocol are not supported');
}
