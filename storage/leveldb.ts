/**
 * Kv over LevelDB (classic-level). One directory may be open in several worker threads of this process at once; another process
 * gets 55006. Compression is on for state on disk; the block cache is small, as hot entries live in memory above.
 */
import { ClassicLevel } from 'classic-level';
import { environmentCode, SqlError } from '../types/error.js';
import type { Kv, KvBatch, KvIterator, KvOpener, KvOptions, KvRange, KvSnapshot } from './kv.js';

type Level = ClassicLevel<Uint8Array, Uint8Array>;
type LevelSnapshot = ReturnType<Level['snapshot']>;
const CACHE_BYTES = 16 * 1024 * 1024;
/** Named limit: memory of one iterator's read-ahead. */
const READ_AHEAD_BYTES = 256 * 1024;

/**
 * Opens a directory. Among the threads that have it open, the first to open it must be the last to close it: they share one
 * database, whose block cache belongs to the first (classic-level 3.0.0 deletes it at that one's close, and the others crash). So the main
 * thread opens what workers open, before them, and closes it when they have closed it or are gone.
 */
export async function openLevelDb(directory: string, options: KvOptions = {}): Promise<Kv> {
  const level: Level = new ClassicLevel(directory, {
    keyEncoding: 'buffer', valueEncoding: 'buffer', multithreading: options.exclusive !== true,
    cacheSize: options.cacheBytes ?? CACHE_BYTES, writeBufferSize: 8 * 1024 * 1024, maxFileSize: 8 * 1024 * 1024,
  } as ConstructorParameters<typeof ClassicLevel<Uint8Array, Uint8Array>>[1]);
  try {
    await level.open();
  } catch (e) {
    throw openError(directory, e);
  }
  return new LevelKv(level);
}

export const levelDb: KvOpener = { open: openLevelDb };

class LevelSnapshotHandle implements KvSnapshot {
  readonly inner: LevelSnapshot;
  constructor(inner: LevelSnapshot) { this.inner = inner; }
  close(): void {
    // Closing waits for reads in progress; nobody has to wait for that.
    this.inner.close().catch(() => undefined);
  }
}

function innerOf(snapshot: KvSnapshot | undefined): LevelSnapshot | undefined {
  return snapshot === undefined ? undefined : (snapshot as LevelSnapshotHandle).inner;
}

class LevelKv implements Kv {
  readonly #level: Level;
  readonly #health: Health = { failure: null };
  constructor(level: Level) { this.#level = level; }

  async get(key: Uint8Array, snapshot?: KvSnapshot): Promise<Uint8Array | undefined> {
    try {
      return await this.#level.get(key, { snapshot: innerOf(snapshot) });
    } catch (e) { throw ioError(e); }
  }

  getSync(key: Uint8Array, snapshot?: KvSnapshot): Uint8Array | undefined {
    try {
      return this.#level.getSync(key, { snapshot: innerOf(snapshot) });
    } catch (e) { throw ioError(e); }
  }

  async getMany(keys: readonly Uint8Array[], snapshot?: KvSnapshot): Promise<(Uint8Array | undefined)[]> {
    if (keys.length === 0) return [];
    try {
      return await this.#level.getMany(keys as Uint8Array[], { snapshot: innerOf(snapshot) });
    } catch (e) { throw ioError(e); }
  }

  batch(): KvBatch { return new LevelBatch(this.#level, this.#health); }

  iterate(range: KvRange, snapshot?: KvSnapshot): KvIterator {
    const iterator = this.#level.iterator({ ...range, snapshot: innerOf(snapshot), highWaterMarkBytes: READ_AHEAD_BYTES });
    return {
      async next(count) {
        try {
          return await iterator.nextv(count);
        } catch (e) { throw ioError(e); }
      },
      close: () => iterator.close(),
    };
  }

  snapshot(): KvSnapshot { return new LevelSnapshotHandle(this.#level.snapshot()); }

  async approximateSize(start: Uint8Array, end: Uint8Array): Promise<number> { return await this.#level.approximateSize(start, end); }

  async close(): Promise<void> { await this.#level.close(); }
}

/** LevelDB goes on after a torn log record, and loses what follows it at the next open: so nothing may follow. */
interface Health { failure: Error | null }

class LevelBatch implements KvBatch {
  readonly #batch: ReturnType<Level['batch']>;
  readonly #health: Health;
  length = 0;
  bytes = 0;
  constructor(level: Level, health: Health) {
    this.#batch = level.batch();
    this.#health = health;
  }
  put(key: Uint8Array, value: Uint8Array): void {
    this.#batch.put(key, value);
    this.length++;
    this.bytes += key.length + value.length;
  }
  del(key: Uint8Array): void {
    this.#batch.del(key);
    this.length++;
    this.bytes += key.length;
  }
  async write(sync: boolean): Promise<void> {
    const { failure } = this.#health;
    if (failure !== null) throw Object.assign(new Error(`the store is closed to writes after: ${failure.message}`, { cause: failure }), { code: (failure as { code?: unknown }).code ?? 'EIO' });
    try {
      await this.#batch.write({ sync });
    } catch (e) {
      const error = ioError(e);
      this.#health.failure ??= error instanceof Error ? error : new Error(String(error));
      throw error;
    }
  }
  discard(): void { this.#batch.close().catch(() => undefined); }
}

/** LevelDB says what the system said in its message only: its code is put back. */
function ioError(e: unknown): unknown {
  if (!(e instanceof Error) || environmentCode(e) !== undefined) return e;
  const message = `${e.message} ${e.cause instanceof Error ? e.cause.message : ''}`;
  if (/no space left/i.test(message)) return Object.assign(new Error(e.message, { cause: e }), { code: 'ENOSPC' });
  if (/quota exceeded/i.test(message)) return Object.assign(new Error(e.message, { cause: e }), { code: 'EDQUOT' });
  if (/IO error|input\/output error|corruption/i.test(message)) return Object.assign(new Error(e.message, { cause: e }), { code: 'EIO' });
  return e;
}

function openError(directory: string, e: unknown): unknown {
  const cause = e instanceof Error && e.cause instanceof Error ? e.cause : e;
  const code = (cause as { code?: unknown }).code;
  if (code === 'LEVEL_LOCKED') return new SqlError('55006', `directory "${directory}" is in use by another server`, { cause: e });
  const detail = cause instanceof Error ? cause.message : String(cause);
  const inner = cause instanceof Error ? ioError(cause) : undefined;
  const state = inner instanceof Error ? environmentCode(inner) : undefined;
  return new SqlError(state ?? '58030', `could not open directory "${directory}"`, { detail, cause: e });
}
