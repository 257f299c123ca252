/**
 * Decoder of what a client sends: bytes in any pieces → messages, one after the other. Pure: no sockets.
 *
 * Steps: wait for a header (length; after startup a type byte before it), check the length against the named limits, wait for the body,
 * read its fields. Chunks are joined at most twice a message. CopyData bodies are handed on piece by piece as they arrive.
 * Whatever is malformed throws 08P01 (FATAL: the connection ends); bytes that are not UTF-8 throw 22021.
 */
import { isUtf8 } from 'node:buffer';
import { BufferReader } from 'pg-protocol/dist/buffer-reader.js';
import { SqlError } from '../../types/error.js';
import { CANCEL_REQUEST, GSSENC_REQUEST, MESSAGE_BYTES_MAX, SSL_REQUEST, STARTUP_BYTES_MAX } from './messages.js';
import type { BindMessage, Format, FrontendMessage, StartupMessage } from './messages.js';

/** An error of the protocol itself: after sending it the connection is closed. */
export class ProtocolError extends SqlError {
  constructor(message: string, detail?: string) { super('08P01', message, { detail }); }
}

export class FrontendDecoder {
  #chunks: Buffer[] = [];
  #bytes = 0;
  /** Bytes of a CopyData body still to come. */
  #copyLeft = 0;

  /** Bytes received and not yet decoded. */
  get buffered(): number { return this.#bytes; }

  push(chunk: Buffer): void {
    if (chunk.length === 0) return;
    this.#chunks.push(chunk);
    this.#bytes += chunk.length;
  }

  /** The next message of the startup phase (no type byte), or null until more bytes came. */
  nextStartup(): StartupMessage | null {
    const head = this.#peek(4);
    if (head === null) return null;
    const length = head.readInt32BE(0);
    if (length < 8 || length > STARTUP_BYTES_MAX) throw new ProtocolError('invalid length of startup packet');
    const whole = this.#peek(length);
    if (whole === null) return null;
    this.#take(length);
    return decodeStartup(whole.subarray(4, length));
  }

  /** The next message, or null until more bytes came. */
  next(): FrontendMessage | null {
    if (this.#copyLeft > 0) return this.#copyPiece();
    const head = this.#peek(5);
    if (head === null) return null;
    const type = head[0] ?? 0;
    const length = head.readInt32BE(1);
    if (!KNOWN_TYPES.has(type)) throw new ProtocolError(`invalid frontend message type ${type}`);
    if (length < 4) throw new ProtocolError('invalid message length');
    if (type === COPY_DATA) {
      this.#take(5);
      this.#copyLeft = length - 4;
      return this.#copyLeft === 0 ? { kind: 'copyData', data: Buffer.alloc(0) } : this.#copyPiece();
    }
    if (length > MESSAGE_BYTES_MAX) throw new ProtocolError('invalid message length', `A message may have ${MESSAGE_BYTES_MAX} bytes; this one has ${length}.`);
    const whole = this.#peek(length + 1);
    if (whole === null) return null;
    this.#take(length + 1);
    return decodeMessage(type, whole.subarray(5, length + 1));
  }

  #copyPiece(): FrontendMessage | null {
    const first = this.#chunks[0];
    if (first === undefined) return null;
    const length = Math.min(first.length, this.#copyLeft);
    this.#take(length);
    this.#copyLeft -= length;
    return { kind: 'copyData', data: first.subarray(0, length) };
  }

  /** A buffer that begins with the next `length` bytes; null when they are not all there. */
  #peek(length: number): Buffer | null {
    if (this.#bytes < length) return null;
    let first = this.#chunks[0];
    if (first === undefined) return null;
    if (first.length < length) {
      first = Buffer.concat(this.#chunks);
      this.#chunks = [first];
    }
    return first;
  }

  #take(length: number): void {
    this.#bytes -= length;
    let left = length;
    while (left > 0) {
      const first = this.#chunks[0];
      if (first === undefined) return;
      if (first.length > left) { this.#chunks[0] = first.subarray(left); return; }
      left -= first.length;
      this.#chunks.shift();
    }
  }
}

const code = (c: string): number => c.charCodeAt(0);
const COPY_DATA = code('d');
const KNOWN_TYPES = new Set(['Q', 'P', 'B', 'D', 'E', 'C', 'S', 'H', 'd', 'c', 'f', 'F', 'p', 'X'].map(code));

/** pg-protocol's reader over one message body, with the bounds checked. */
class Body {
  readonly #reader = new BufferReader();
  readonly #body: Buffer;
  #at = 0;

  constructor(body: Buffer) {
    this.#body = body;
    this.#reader.setBuffer(0, body);
  }
  #need(length: number): void {
    if (length < 0 || this.#at + length > this.#body.length) throw new ProtocolError('insufficient data left in message');
    this.#at += length;
  }
  int16(): number { this.#need(2); return this.#reader.int16(); }
  int32(): number { this.#need(4); return this.#reader.int32(); }
  uint32(): number { this.#need(4); return this.#reader.uint32(); }
  byte(): number { this.#need(1); return this.#reader.byte(); }
  bytes(length: number): Buffer { this.#need(length); return this.#reader.bytes(length); }
  rest(): Buffer { return this.bytes(this.#body.length - this.#at); }
  cstring(): string {
    const end = this.#body.indexOf(0, this.#at);
    if (end < 0) throw new ProtocolError('invalid string in message');
    const raw = this.#body.subarray(this.#at, end);
    if (!isUtf8(raw)) throw invalidUtf8(raw);
    this.#need(end + 1 - this.#at);
    return this.#reader.cstring();
  }
  count(): number {
    const n = this.int16();
    if (n < 0) throw new ProtocolError('invalid message format');
    return n;
  }
  /** Nothing may be left. */
  end(): void {
    if (this.#at !== this.#body.length) throw new ProtocolError('invalid message format');
  }
}

export function invalidUtf8(bytes: Uint8Array): SqlError {
  let at = 0;
  for (let n = 1; n <= 4 && at + n <= bytes.length;) {
    if (isUtf8(bytes.subarray(at, at + n))) { at += n; n = 1; } else n++;
  }
  const shown = [...bytes.subarray(at, at + 1)].map((b) => `0x${b.toString(16).padStart(2, '0')}`).join(' ');
  return new SqlError('22021', `invalid byte sequence for encoding "UTF8": ${shown}`);
}

function decodeStartup(body: Buffer): StartupMessage {
  const b = new Body(body);
  const request = b.uint32();
  if (request === SSL_REQUEST) { b.end(); return { kind: 'ssl' }; }
  if (request === GSSENC_REQUEST) { b.end(); return { kind: 'gssenc' }; }
  if (request === CANCEL_REQUEST) return { kind: 'cancel', pid: b.int32(), key: b.rest() };
  const major = request >>> 16;
  if (major !== 3) throw new SqlError('0A000', `unsupported frontend protocol ${major}.${request & 0xffff}: server supports 3.0 to 3.2`);
  const parameters = new Map<string, string>();
  for (;;) {
    const name = b.cstring();
    if (name === '') break;
    parameters.set(name, b.cstring());
  }
  b.end();
  return { kind: 'startup', protocol: request, parameters };
}

function decodeMessage(type: number, body: Buffer): FrontendMessage {
  const b = new Body(body);
  const message = readFields(type, b);
  b.end();
  return message;
}

function readFields(type: number, b: Body): FrontendMessage {
  switch (String.fromCharCode(type)) {
    case 'Q': return { kind: 'query', sql: b.cstring() };
    case 'P': {
      const name = b.cstring();
      const sql = b.cstring();
      const types: number[] = [];
      for (let n = b.count(); n > 0; n--) types.push(b.uint32());
      return { kind: 'parse', name, sql, types };
    }
    case 'B': return readBind(b);
    case 'D': return { kind: 'describe', what: readWhat(b, 'DESCRIBE'), name: b.cstring() };
    case 'C': return { kind: 'close', what: readWhat(b, 'CLOSE'), name: b.cstring() };
    case 'E': return { kind: 'execute', portal: b.cstring(), rowsMax: Math.max(0, b.int32()) };
    case 'S': return { kind: 'sync' };
    case 'H': return { kind: 'flush' };
    case 'c': return { kind: 'copyDone' };
    case 'f': return { kind: 'copyFail', reason: b.cstring() };
    case 'F': b.rest(); return { kind: 'functionCall' };
    case 'p': b.rest(); return { kind: 'password' };
    default: b.rest(); return { kind: 'terminate' };
  }
}

function readWhat(b: Body, message: string): 'statement' | 'portal' {
  const what = b.byte();
  if (what === code('S')) return 'statement';
  if (what === code('P')) return 'portal';
  throw new ProtocolError(`invalid ${message} message subtype ${what}`);
}

function readFormats(b: Body): Format[] {
  const formats: Format[] = [];
  for (let n = b.count(); n > 0; n--) {
    const f = b.int16();
    if (f !== 0 && f !== 1) throw new SqlError('22023', `unsupported format code: ${f}`);
    formats.push(f);
  }
  return formats;
}

function readBind(b: Body): BindMessage {
  const portal = b.cstring();
  const statement = b.cstring();
  const paramFormats = readFormats(b);
  const params: (Buffer | null)[] = [];
  for (let n = b.count(); n > 0; n--) {
    const length = b.int32();
    params.push(length === -1 ? null : b.bytes(length));
  }
  if (paramFormats.length > 1 && paramFormats.length !== params.length) {
    throw new ProtocolError(`bind message has ${paramFormats.length} parameter formats but ${params.length} parameters`);
  }
  return { kind: 'bind', portal, statement, paramFormats, params, resultFormats: readFormats(b) };
}
