/**
 * Connection: a socket with the codec around it. Input is decoded on demand, output is gathered and written with backpressure.
 *
 * Reading goes on while a statement runs, so that a client that goes away is noticed; it pauses while more than INPUT_BYTES_MAX are
 * waiting undecoded. `flush` resolves when the socket has taken the bytes: a client that does not read holds back only its own session.
 */
import type { Socket } from 'node:net';
import { FrontendDecoder } from './decoder.js';
import type { FrontendMessage, StartupMessage } from './messages.js';

/** Named limits: undecoded input at which reading pauses (above one whole message it resumes), gathered output at which `send` writes. */
const INPUT_BYTES_MAX = 1 << 20;
const OUTPUT_BYTES = 64 << 10;

export class Connection {
  readonly remoteAddress: string | null;
  readonly #socket: Socket;
  readonly #decoder = new FrontendDecoder();
  #out: Buffer[] = [];
  #outBytes = 0;
  #closed = false;
  #wake: (() => void)[] = [];
  readonly #onClose: (() => void)[] = [];

  constructor(socket: Socket) {
    this.#socket = socket;
    this.remoteAddress = socket.remoteAddress ?? null;
    socket.setNoDelay(true);
    socket.setKeepAlive(true, 60_000);
    socket.on('data', (chunk: Buffer) => {
      this.#decoder.push(chunk);
      if (this.#decoder.buffered > INPUT_BYTES_MAX) socket.pause();
      this.#wakeAll();
    });
    const closed = (): void => {
      if (this.#closed) return;
      this.#closed = true;
      this.#wakeAll();
      for (const f of this.#onClose) f();
    };
    socket.on('end', closed);
    socket.on('close', closed);
    socket.on('error', closed);
    socket.on('drain', () => { this.#wakeAll(); });
  }

  get closed(): boolean { return this.#closed; }
  /** Called once when the peer is gone. */
  onClose(f: () => void): void {
    if (this.#closed) f();
    else this.#onClose.push(f);
  }

  async nextStartup(): Promise<StartupMessage | null> {
    for (;;) {
      const message = this.#decoder.nextStartup();
      if (message !== null) return message;
      if (this.#closed) return null;
      await this.readable();
    }
  }

  /** The next message if it is here whole. Throws 08P01 on malformed bytes. */
  poll(): FrontendMessage | null {
    const message = this.#decoder.next();
    // A message larger than the limit needs the rest of it to be read.
    if (this.#socket.isPaused() && (message === null || this.#decoder.buffered <= INPUT_BYTES_MAX)) this.#socket.resume();
    return message;
  }

  /** null: the peer is gone. */
  async next(): Promise<FrontendMessage | null> {
    for (;;) {
      const message = this.poll();
      if (message !== null) return message;
      if (this.#closed) return null;
      await this.readable();
    }
  }

  /** Resolves when something came, or the peer is gone. May be abandoned. */
  readable(): Promise<void> {
    return new Promise((resolve) => { this.#wake.push(resolve); });
  }

  /** Bytes that the peer has not taken yet. */
  get pendingBytes(): number { return this.#outBytes + this.#socket.writableLength; }

  send(message: Buffer): void {
    if (this.#closed) return;
    this.#out.push(message);
    this.#outBytes += message.length;
    if (this.#outBytes >= OUTPUT_BYTES) this.#write();
  }

  /** Writes what was gathered; resolves when the socket's buffer has room again, or the peer is gone, or the signal is aborted. */
  async flush(signal?: AbortSignal): Promise<void> {
    this.#write();
    if (!this.#socket.writableNeedDrain) return;
    const wake = (): void => { this.#wakeAll(); };
    signal?.addEventListener('abort', wake);
    try {
      for (;;) {
        if (this.#closed || !this.#socket.writableNeedDrain || signal?.aborted === true) return;
        await this.readable();
      }
    } finally {
      signal?.removeEventListener('abort', wake);
    }
  }

  /** Sends what was gathered and closes. */
  end(): void {
    this.#write();
    this.#socket.end();
    this.#socket.setTimeout(5_000, () => { this.#socket.destroy(); });
  }
  destroy(): void { this.#socket.destroy(); }
  /** Sends a last message, then closes, also when the session is waiting for input: its read ends as if the peer had gone. */
  destroyAfter(message: Buffer): void {
    this.send(message);
    this.#write();
    this.#socket.destroySoon();
  }

  #write(): void {
    if (this.#out.length === 0) return;
    const bytes = this.#out.length === 1 && this.#out[0] !== undefined ? this.#out[0] : Buffer.concat(this.#out);
    this.#out = [];
    this.#outBytes = 0;
    if (!this.#closed) this.#socket.write(bytes);
  }

  #wakeAll(): void {
    const wake = this.#wake;
    this.#wake = [];
    for (const f of wake) f();
  }
}
