/** The startup phase of a connection: encryption requests answered with N, cancel requests, protocol version, parameters. */
import { SqlError } from '../../types/error.js';
import type { Connection } from '../wire/connection.js';
import * as encode from '../wire/encoder.js';
import { PROTOCOL_3_2 } from '../wire/messages.js';

/** Parameters that libpq and others send and that are no settings. */
const PROTOCOL_PARAMETERS = new Set(['user', 'database', 'replication', 'options']);

export interface Startup {
  readonly user: string;
  readonly database: string;
  readonly parameters: ReadonlyMap<string, string>;
  /** 3.2 has longer cancel keys. */
  readonly protocol: number;
}

export interface CancelRequest { readonly pid: number; readonly key: Buffer }

/** The client's startup message; or the cancel request it sent instead; null when it went away. Throws SqlError (FATAL). */
export async function receiveStartup(connection: Connection): Promise<Startup | CancelRequest | null> {
  for (;;) {
    const message = await connection.nextStartup();
    if (message === null) return null;
    switch (message.kind) {
      case 'ssl': case 'gssenc':
        connection.send(Buffer.from('N'));
        await connection.flush();
        break;
      case 'cancel': return { pid: message.pid, key: message.key };
      case 'startup': return startup(connection, message.protocol, message.parameters);
    }
  }
}

function startup(connection: Connection, protocol: number, given: ReadonlyMap<string, string>): Startup {
  const unknown = [...given.keys()].filter((name) => name.startsWith('_pq_.'));
  const version = Math.min(protocol, PROTOCOL_3_2);
  if (protocol > PROTOCOL_3_2 || unknown.length > 0) connection.send(encode.negotiateProtocolVersion(version, unknown));
  const user = given.get('user') ?? '';
  if (user === '') throw new SqlError('28000', 'no PostgreSQL user name specified in startup packet');
  const replication = given.get('replication') ?? 'false';
  if (!/^(false|off|no|0)$/i.test(replication)) throw new SqlError('0A000', 'replication connections are not supported');
  const parameters = new Map<string, string>();
  for (const [name, value] of given) if (!PROTOCOL_PARAMETERS.has(name) && !name.startsWith('_pq_.')) parameters.set(name, value);
  for (const [name, value] of commandLineOptions(given.get('options') ?? '')) parameters.set(name, value);
  const database = given.get('database') ?? '';
  return { user, database: database === '' ? user : database, parameters, protocol: version };
}

/** `-c name=value` and `--name=value` of the options parameter; a backslash keeps a space. */
function commandLineOptions(text: string): [string, string][] {
  const words = [...text.matchAll(/(?:\\.|[^\s\\])+/g)].map((m) => m[0].replace(/\\(.)/g, '$1'));
  const settings: [string, string][] = [];
  for (let i = 0; i < words.length; i++) {
    let word = words[i] ?? '';
    if (word === '-c') word = words[++i] ?? '';
    else if (word.startsWith('-c')) word = word.slice(2);
    else if (word.startsWith('--')) word = word.slice(2).replaceAll('-', '_');
    else throw new SqlError('42601', `invalid command-line argument for server process: ${word}`);
    const at = word.indexOf('=');
    if (at < 0) throw new SqlError('42601', `"${word}" of the options parameter requires a value`);
    settings.push([word.slice(0, at), word.slice(at + 1)]);
  }
  return settings;
}
