/**
 * Sockets for kafkajs whose bytes are gathered by us, response by response:
 *
 *   a response's bytes go from the kernel straight into one buffer of its size (net's onread; TLS: copied once), with the pad behind them that
 *   decoders ask for. Answers to requests sent with `exchange` are handed over as that buffer; all others go on to kafkajs as a whole.
 *
 * kafkajs itself gathers 64 KB pieces and copies them together, and looks at each response's objects; for the fetches of a source that is
 * a third of the work. It connects, authenticates and asks for metadata as ever. Correlation ids of ours begin where its do not come.
 */
import { createConnection, isIP } from 'node:net';
import type { Socket } from 'node:net';
import { connect as tlsConnect } from 'node:tls';
import { newBlock } from '../formats/format.js';

const KEEP_ALIVE_MS = 60_000;
/** The first bytes of a response come here, the rest where it belongs. */
const HEAD_BYTES = 4096;
const LENGTH_BYTES = 4;
/** A response is length, correlation id, payload. */
export const PAYLOAD_AT = 8;
const FIRST_CORRELATION_ID = 0x40000000;
const LAST_CORRELATION_ID = 0x7ffffff0;

interface Waiting { resolve(response: Buffer): void; reject(e: Error): void; readonly timer: NodeJS.Timeout }

class Frames {
  readonly head = Buffer.allocUnsafeSlow(HEAD_BYTES);
  readonly waiting = new Map<number, Waiting>();
  nextId = FIRST_CORRELATION_ID;
  readonly #socket: () => Socket;
  readonly #length = Buffer.alloc(LENGTH_BYTES);
  #lengthFilled = 0;
  #frame: Buffer | null = null;
  #filled = 0;
  #end = 0;

  constructor(socket: () => Socket) {
    this.#socket = socket;
  }

  /** Where the next bytes go. */
  target(): Uint8Array {
    return this.#frame === null ? this.head : this.#frame.subarray(this.#filled, this.#end);
  }

  /** So many bytes came to `into`, which `target` gave. */
  came(bytes: number, into: Uint8Array): void {
    if (this.#frame === null) this.take(into, bytes);
    else {
      this.#filled += bytes;
      if (this.#filled === this.#end) this.#deliver(this.#frame);
    }
  }

  take(from: Uint8Array, to: number): void {
    for (let at = 0; at < to;) {
      if (this.#frame === null) {
        this.#length[this.#lengthFilled++] = from[at++];
        if (this.#lengthFilled < LENGTH_BYTES) continue;
        this.#lengthFilled = 0;
        this.#end = LENGTH_BYTES + this.#length.readUInt32BE(0);
        this.#frame = newBlock(this.#end);
        this.#length.copy(this.#frame);
        this.#filled = LENGTH_BYTES;
      }
      const bytes = Math.min(to - at, this.#end - this.#filled);
      this.#frame.set(from.subarray(at, at + bytes), this.#filled);
      at += bytes;
      this.#filled += bytes;
      if (this.#filled === this.#end) this.#deliver(this.#frame);
    }
  }

  #deliver(frame: Buffer): void {
    this.#frame = null;
    const id = this.#end >= PAYLOAD_AT ? frame.readInt32BE(LENGTH_BYTES) : 0;
    const ours = this.waiting.get(id);
    if (ours === undefined) {
      this.#socket().emit('data', frame.subarray(0, this.#end));
      return;
    }
    this.waiting.delete(id);
    clearTimeout(ours.timer);
    ours.resolve(frame);
  }

  fail(e: Error): void {
    for (const w of this.waiting.values()) {
      clearTimeout(w.timer);
      w.reject(e);
    }
    this.waiting.clear();
  }
}

function closed(): Error { return Object.assign(new Error('the broker closed the connection'), { code: 'ECONNRESET' }); }

const framesOf = new WeakMap<object, Frames>();

export interface SocketRequest { readonly host: string; readonly port: number; readonly ssl: object | null | undefined; onConnect(): void }

export function frameSocket({ host, port, ssl, onConnect }: SocketRequest): Socket {
  const frames = new Frames(() => socket);
  // kafkajs sets ssl to undefined for plain text.
  const plain = ssl === undefined || ssl === null;
  const socket: Socket = plain
    ? createConnection({ host, port, onread: { buffer: () => frames.target(), callback: (bytes, into) => { frames.came(bytes, into); return true; } } }, onConnect)
    : tlsConnect({ host, port, ...(isIP(host) === 0 ? { servername: host } : {}), ...ssl }, onConnect);
  framesOf.set(socket, frames);
  socket.setKeepAlive(true, KEEP_ALIVE_MS);
  socket.setNoDelay(true);
  if (!plain) wholeFrames(socket, frames);
  const gone = (): void => { frames.fail(closed()); };
  socket.on('close', gone);
  socket.on('end', gone);
  return socket;
}

/** TLS has no onread: what kafkajs listens to gets whole responses, and pieces come to us. */
function wholeFrames(socket: Socket, frames: Frames): void {
  const emit = socket.emit.bind(socket);
  let inner = false;
  socket.emit = (event: string | symbol, ...args: unknown[]): boolean => {
    const [data] = args;
    if (event !== 'data' || inner || !(data instanceof Uint8Array)) return emit(event as 'data', ...(args as [Buffer]));
    inner = true;
    try {
      frames.take(data, data.length);
    } finally {
      inner = false;
    }
    return true;
  };
}

export interface FrameRequest { readonly apiKey: number; readonly apiVersion: number; readonly clientId: string; readonly body: Buffer; readonly timeoutMs: number }

/**
 * The response's bytes (payload from PAYLOAD_AT on; the buffer's last DECODE_PAD bytes are the pad) to one request over a connected, authenticated
 * socket of `frameSocket`.
 */
export function exchange(socket: Socket, request: FrameRequest): Promise<Buffer> {
  const frames = framesOf.get(socket);
  if (frames === undefined) return Promise.reject(new Error('a socket that is not ours'));
  if (!socket.writable) return Promise.reject(closed());
  const id = frames.nextId;
  frames.nextId = id >= LAST_CORRELATION_ID ? FIRST_CORRELATION_ID : id + 1;
  const client = Buffer.from(request.clientId);
  const b = Buffer.allocUnsafe(LENGTH_BYTES + 2 + 2 + 4 + 2 + client.length + request.body.length);
  let at = b.writeInt32BE(b.length - LENGTH_BYTES, 0);
  at = b.writeInt16BE(request.apiKey, at);
  at = b.writeInt16BE(request.apiVersion, at);
  at = b.writeInt32BE(id, at);
  at = b.writeInt16BE(client.length, at);
  at += client.copy(b, at);
  request.body.copy(b, at);
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => { socket.destroy(Object.assign(new Error(`no answer within ${request.timeoutMs} ms`), { code: 'ETIMEDOUT' })); }, request.timeoutMs);
    frames.waiting.set(id, { resolve, reject, timer });
    socket.write(b);
  });
}
