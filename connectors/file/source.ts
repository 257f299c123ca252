/**
 * file: NDJSON or CSV files as a stream: one file, the files of a folder, or a glob. Each file is a split; a subtask reads its files one
 * after another in the order of their names. A single bounded file of JSON is cut into a stripe for each subtask (stripe.ts), which are its splits.
 *
 * Bounded by default: files as they are found at the start, each to its end. With follow they are read as they grow, and new files
 * of the folder or glob are taken up (watched, and looked at every POLL_MS, since not every file system tells); a last line without
 * its line end waits for it.
 *
 * Position of a split: byte offset and line after the last row given, and a fingerprint of the file's first bytes, so that a file
 * that was replaced is an error (55000) and not a silent repetition. rows_per_second is shared out among the subtasks by their files.
 * Files are spread by a hash of their name: more of them may be there after a restart. Whether a file has stripes follows from the options,
 * the fields and the parallelism only, so that all subtasks decide alike at any time.
 */
import { watch } from 'node:fs';
import type { FSWatcher } from 'node:fs';
import { stat } from 'node:fs/promises';
import path from 'node:path';
import type { BadRecord, OptionSpec, SourceConnector, SourceContext, SourceReader, SourceSpec, SplitBatch } from '../../runtime/connector.js';
import type { Vector } from '../../runtime/batch.js';
import type { Json } from '../../types/connect.js';
import { SqlError } from '../../types/error.js';
import type { SourceField } from '../../types/plan.js';
import { CSV_OPTIONS, FORMAT, blockDecoder, checkFormat } from '../formats/formats.js';
import type { BadSpan, BlockDecoder } from '../formats/format.js';
import { checkMetadata, constantText, numbers } from '../metadata.js';
import { ON_ERROR, TIMESTAMP_FORMAT, booleanOption, numberOption, textOption } from '../optionvalues.js';
import { RateLimit } from '../ratelimit.js';
import { subtaskOfName } from '../splits.js';
import { listFiles, openError, pathKind } from './files.js';
import type { PathKind } from './files.js';
import { LineCounter, StripeTail, stripeName } from './stripe.js';
import type { Stripe } from './stripe.js';
import { FileTail } from './tail.js';
import type { FileBlock } from './tail.js';

const POLL_MS = 500;
const BYTE_ORDER_MARK = Buffer.from([0xef, 0xbb, 0xbf]);
/** Bytes of a bad record that are kept. */
const BAD_RECORD_BYTES_MAX = 4096;

const PATH: OptionSpec = { name: 'path', kind: 'text', required: true, description: 'a file, a folder, or a glob (*, ?, [a-z], **); relative to the server\'s working directory' };
const FOLLOW: OptionSpec = { name: 'follow', kind: 'boolean', default: 'false', description: 'go on reading as files grow and new ones appear' };
const RATE: OptionSpec = { name: 'rows_per_second', kind: 'number', default: '0', min: 0, description: 'at most so many rows a second over all subtasks; 0 = no limit' };
const METADATA = { file: 'text', line: 'integer', offset: 'integer' } as const;

interface Split {
  readonly id: string;
  readonly path: string;
  readonly stripe: Stripe | null;
  /** After the last row given. */
  offset: number;
  line: number;
  /** Fingerprint of the file's start when it was first read. */
  head: { bytes: number; hash: number } | null;
  size: number;
  done: boolean;
  started: boolean;
}

class FileReader implements SourceReader {
  readonly #spec: SourceSpec;
  readonly #context: SourceContext;
  readonly #decoder: BlockDecoder;
  readonly #follow: boolean;
  readonly #stripes: boolean;
  readonly #path: string;
  #kind: PathKind = 'file';
  #rate: RateLimit;
  #restored: Readonly<Record<string, Json>> = {};
  readonly #splits = new Map<string, Split>();
  #order: Split[] = [];
  #current: Split | null = null;
  #tail: FileTail | StripeTail | null = null;
  #block: FileBlock | null = null;
  #at = 0;
  #lineBase = 1;
  #counter: LineCounter | null = null;
  #timer: NodeJS.Timeout | null = null;
  #watcher: FSWatcher | null = null;
  #listedMs = 0;
  #changed = true;
  #closed = false;
  #bound: Readonly<Record<string, Json>> | null = null;
  #busy: Promise<unknown> = Promise.resolve();
  readonly #bad: (span: BadSpan) => void;
  readonly #metadata: (field: SourceField, rows: number, rowStart: Int32Array, rowIndex: Int32Array) => Vector;

  constructor(spec: SourceSpec, context: SourceContext) {
    checkMetadata('file', METADATA, spec.fields);
    this.#spec = spec;
    this.#context = context;
    this.#decoder = blockDecoder(spec.options, spec.fields);
    this.#follow = booleanOption(spec.options, FOLLOW);
    this.#stripes = stripes(spec);
    this.#path = textOption(spec.options, PATH);
    this.#rate = new RateLimit(0, context.now());
    this.#bad = (span): void => this.#badRecord(span);
    this.#metadata = (field, rows, rowStart, rowIndex): Vector => {
      const base = this.#block?.base ?? 0;
      switch (field.metadata) {
        case 'file': return constantText(this.#current?.path ?? '', rows);
        case 'line': return numbers(rows, (i) => this.#lineBase + rowIndex[i]);
        default: return numbers(rows, (i) => base + rowStart[i]);
      }
    };
  }

  async open(positions: Readonly<Record<string, Json>>): Promise<void> {
    this.#restored = positions;
    this.#kind = await pathKind(this.#path);
    await this.#list();
    if (!this.#follow && this.#splits.size === 0 && this.#order.length === 0) await requireFiles(this.#path, this.#kind);
    if (this.#follow) this.#watch();
  }

  /** Takes up files that are new. */
  async #list(): Promise<void> {
    const { subtask, parallelism } = this.#spec;
    const files = await listFiles(this.#path, this.#kind);
    let owned = 0;
    for (const file of files) {
      for (const stripe of this.#stripesOf(file)) {
        // Stripes are spread from the file's own subtask on.
        const owner = (subtaskOfName(file, parallelism) + (stripe?.index ?? 0)) % parallelism;
        if (owner !== subtask) continue;
        owned += 1 / (stripe?.count ?? 1);
        const id = stripe === null ? file : stripeName(file, stripe);
        if (!this.#splits.has(id)) this.#splits.set(id, restoredSplit(id, file, stripe, this.#restored[id]));
      }
    }
    this.#order = [...this.#splits.values()].sort((a, b) => (a.path < b.path ? -1 : 1));
    if (this.#listedMs === 0 && owned > 0) this.#rate = new RateLimit(((numberOption(this.#spec.options, RATE) ?? 0) * owned) / files.length, this.#context.now());
    this.#listedMs = this.#context.now();
  }

  /** Its stripes, null for the file as a whole. A file that was begun in stripes is read to its end in them, at whatever parallelism. */
  #stripesOf(file: string): readonly (Stripe | null)[] {
    if (this.#kind !== 'file' || this.#restored[file] !== undefined) return [null];
    const begun = Object.keys(this.#restored).map(id => (id.startsWith(`${file}#`) ? /^#\d+\/(\d+)$/.exec(id.slice(file.length))?.[1] : undefined)).find(n => n !== undefined);
    const count = begun !== undefined ? Number(begun) : this.#stripes ? this.#spec.parallelism : 0;
    return count === 0 ? [null] : Array.from({ length: count }, (_, index) => ({ index, count }));
  }

  #watch(): void {
    const target = this.#kind === 'glob' ? globFolder(this.#path) : this.#path;
    try {
      this.#watcher = watch(target, { persistent: false }, () => this.#wake());
      this.#watcher.on('error', () => this.#watcher?.close());
    } catch (e) {
      this.#context.log('debug', `cannot watch ${target}, polling instead`, { reason: e instanceof Error ? e.message : String(e) });
    }
  }

  #wake(): void {
    if (this.#changed || this.#closed) return;
    this.#changed = true;
    this.#context.wake();
  }

  next(): SplitBatch | 'idle' | 'end' | Promise<SplitBatch | 'idle' | 'end'> {
    const allowed = this.#rate.allowance(this.#context.now());
    if (allowed < 1) return this.#pause(this.#rate.waitMs());
    const batch = this.#decode(allowed);
    if (batch !== null) return batch;
    const advanced = this.#advance(allowed);
    this.#busy = advanced.catch(() => undefined);
    return advanced;
  }

  #pause(ms: number): 'idle' {
    this.#changed = false;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      this.#timer = null;
      this.#wake();
    }, ms);
    return 'idle';
  }

  /** Rows of the block in memory, or null when there are none left. */
  #decode(allowed: number): SplitBatch | null {
    const block = this.#block;
    const split = this.#current;
    if (block === null || split === null || this.#at >= block.to) return null;
    const to = Math.min(block.to, this.#end(split) - block.base);
    if (this.#at >= to) return null;
    this.#at = this.#decoder.decode(this.#at, to, allowed, this.#bad);
    split.offset = block.base + this.#at;
    if (split.stripe === null) split.line = this.#lineBase + this.#decoder.lines;
    const rows = this.#decoder.rows;
    if (rows === 0) return null;
    this.#rate.take(rows);
    return { split: split.id, batch: this.#decoder.finish(this.#metadata) };
  }

  bound(positions: Readonly<Record<string, Json>> | null): void { this.#bound = positions; }

  /** Where the split's rows end for now: a border that others wait at. */
  #end(split: Split): number {
    if (this.#bound === null) return Infinity;
    const position = this.#bound[split.id];
    return position === undefined ? 0 : place(position);
  }

  /** The current file has more, past a border. Where it has none the next file's turn is come. */
  #waitsAtBorder(): boolean {
    const split = this.#current;
    return this.#bound !== null && split !== null && split.offset >= this.#end(split) && (split.offset < split.size || (this.#block !== null && this.#at < this.#block.to));
  }

  async #advance(allowed: number): Promise<SplitBatch | 'idle' | 'end'> {
    for (;;) {
      if (this.#closed) return 'idle';
      if (this.#waitsAtBorder()) return 'idle';
      if (this.#tail === null && !(await this.#nextFile())) {
        if (this.#bound !== null) return 'idle';
        if (!this.#follow) return 'end';
        return this.#pause(POLL_MS);
      }
      const split = this.#current;
      const tail = this.#tail;
      if (split === null || tail === null) continue;
      if (this.#block !== null) tail.recycle(this.#block);
      this.#block = null;
      this.#block = await tail.next();
      split.size = tail.size;
      if (this.#block === null) {
        await this.#leave(split, tail);
        continue;
      }
      this.#at = this.#block.base === 0 && this.#block.block.compare(BYTE_ORDER_MARK, 0, 3, 0, 3) === 0 ? 3 : this.#block.from;
      this.#lineBase = split.line;
      this.#decoder.begin(this.#block.block);
      const batch = this.#decode(allowed);
      if (batch !== null) return batch;
    }
  }

  async #leave(split: Split, tail: FileTail | StripeTail): Promise<void> {
    this.#tail = null;
    this.#current = null;
    split.done = !this.#follow;
    await tail.close();
  }

  /** Opens the next file with something unread; false when there is none now. */
  async #nextFile(): Promise<boolean> {
    if (this.#follow && (this.#changed || this.#context.now() - this.#listedMs >= POLL_MS)) await this.#list();
    for (const split of this.#order) {
      if (split.done) continue;
      if (this.#bound !== null && (this.#bound[split.id] === undefined || (split.started && split.offset >= this.#end(split)))) continue;
      if (this.#follow && !(await this.#grown(split))) continue;
      return this.#openSplit(split);
    }
    return false;
  }

  async #grown(split: Split): Promise<boolean> {
    let size: number;
    try {
      size = (await stat(split.path)).size;
    } catch (e) {
      if (this.#kind === 'file') throw openError(split.path, e);
      this.#context.log('info', `${split.path} is gone; it is left out from now on`, { read: split.offset });
      split.done = true;
      return false;
    }
    if (size < split.offset) throw replaced(split.path, `It has ${size} bytes, ${split.offset} were read.`);
    const before = split.size;
    split.size = size;
    // A partial last line was seen before: wait for more of it.
    return size > split.offset && (size !== before || !split.started);
  }

  async #openSplit(split: Split): Promise<boolean> {
    const tail = split.stripe === null ? await FileTail.openAt(split.path, split.offset, !this.#follow, this.#decoder) : await StripeTail.openAt(split.path, split.offset, split.stripe, !this.#decoder.refers);
    try {
      const head = await tail.head(split.head?.bytes);
      if (split.head !== null && (head.bytes !== split.head.bytes || head.hash !== split.head.hash)) throw replaced(split.path, 'Its first bytes are not those that were read.');
      if (split.head === null || split.offset === 0) split.head = head;
      if (this.#decoder.needsHeader && tail instanceof FileTail) {
        const record = await tail.firstRecord();
        if (record === null) {
          split.done = !this.#follow;
          await tail.close();
          return !this.#follow && (await this.#nextFile());
        }
        this.#decoder.header(record);
        if (split.offset === 0) {
          split.offset = record.length;
          split.line += count(record, 10);
          tail.seek(split.offset);
        }
      }
    } catch (e) {
      await tail.close();
      throw e instanceof SqlError ? e : openError(split.path, e);
    }
    split.started = true;
    this.#current = split;
    this.#tail = tail;
    return true;
  }

  #line(span: BadSpan, byte: number): number {
    const split = this.#current;
    if (split === null || split.stripe === null) return this.#lineBase + span.index;
    // Nobody reads the place of a record that is skipped.
    if (textOption(this.#spec.options, ON_ERROR) === 'skip') return 0;
    this.#counter ??= new LineCounter(split.path);
    return this.#counter.lineAt(byte);
  }

  #badRecord(span: BadSpan): void {
    const block = this.#block;
    const file = this.#current?.path ?? '';
    if (block === null) return;
    const end = Math.min(span.end, span.start + BAD_RECORD_BYTES_MAX);
    const byte = block.base + span.start;
    const record: BadRecord = { split: this.#current?.id ?? file, position: `${file}:${this.#line(span, byte)} (byte ${byte})`, reason: span.reason, raw: new Uint8Array(block.block.subarray(span.start, end)) };
    this.#context.badRecord(record);
  }

  positions(): Record<string, Json> {
    const out: Record<string, Json> = {};
    for (const s of this.#order) if (s.head !== null) out[s.id] = { offset: s.offset, line: s.line, head: { bytes: s.head.bytes, hash: s.head.hash } };
    return out;
  }

  unreadSplits(): readonly string[] {
    return this.#order.filter((s) => !s.started && !s.done).map((s) => s.id);
  }

  finishedSplits(): ReadonlySet<string> {
    return new Set(this.#order.filter((s) => s.done).map((s) => s.id));
  }

  progress(): readonly { readonly split: string; readonly position: string; readonly lag: number | null }[] {
    return this.#order.map((s) => ({ split: s.id, position: String(s.offset), lag: s.started ? Math.ceil(Math.max(s.size - s.offset, 0) / (s.stripe?.count ?? 1)) : null }));
  }

  async close(): Promise<void> {
    this.#closed = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#watcher?.close();
    await this.#busy;
    await this.#tail?.close();
    this.#tail = null;
  }
}

/** A split's position as bytes from the file's start. */
function place(position: Json): number {
  return typeof position === 'object' && position !== null && 'offset' in position && typeof position.offset === 'number' ? position.offset : 0;
}

function replaced(file: string, detail: string): SqlError {
  return new SqlError('55000', `file "${file}" was replaced or truncated since it was read`, { detail, hint: 'Files of a stream may only grow; drop the stream and create it anew to read the file from its start.' });
}

/** Whether each subtask reads a part of the file: line numbers and line ends inside of CSV's quotes are known from its beginning only. */
function stripes(spec: SourceSpec): boolean {
  return spec.parallelism > 1 && textOption(spec.options, FORMAT) === 'json' && !booleanOption(spec.options, FOLLOW) && !spec.fields.some((f) => f.metadata === 'line');
}

function restoredSplit(id: string, file: string, stripe: Stripe | null, position: Json | undefined): Split {
  const split: Split = { id, path: file, stripe, offset: 0, line: 1, head: null, size: 0, done: false, started: false };
  if (typeof position !== 'object' || position === null || !('offset' in position) || !('line' in position) || !('head' in position)) return split;
  const { offset, line, head } = position;
  if (typeof offset === 'number') split.offset = offset;
  if (typeof line === 'number') split.line = line;
  split.started = split.offset > 0;
  if (typeof head === 'object' && head !== null && 'bytes' in head && 'hash' in head && typeof head.bytes === 'number' && typeof head.hash === 'number') split.head = { bytes: head.bytes, hash: head.hash };
  return split;
}

function count(b: Uint8Array, byte: number): number {
  let n = 0;
  for (const c of b) if (c === byte) n++;
  return n;
}

/** The folder above a glob's first pattern: only it is watched, deeper changes are found by polling. */
function globFolder(glob: string): string {
  const parts = glob.split(path.sep);
  const first = parts.findIndex((s) => /[*?[]/.test(s));
  return parts.slice(0, first).join(path.sep) || (path.isAbsolute(glob) ? path.sep : '.');
}

async function requireFiles(given: string, kind: PathKind): Promise<void> {
  if ((await listFiles(given, kind)).length > 0) return;
  throw new SqlError('58P01', kind === 'glob' ? `no file matches "${given}"` : `folder "${given}" has no files`, { hint: 'With follow = \'true\' files may come later.' });
}

export const fileSource: SourceConnector = {
  name: 'file',
  description: 'NDJSON or CSV files: a file, a folder or a glob; also followed as they grow. A single JSON file that is not followed is read by all subtasks, block by block in turn; of a folder each file by one',
  options: [PATH, FORMAT, FOLLOW, RATE, ON_ERROR, TIMESTAMP_FORMAT, ...CSV_OPTIONS],
  bounded: (options) => !booleanOption(options, FOLLOW),
  validate: (options) => checkFormat(options),
  check: async (options) => {
    const given = textOption(options, PATH);
    const kind = await pathKind(given);
    if (!booleanOption(options, FOLLOW)) await requireFiles(given, kind);
    const [first] = await listFiles(given, kind);
    if (first !== undefined && /\.(gz|zst|bz2|xz|lz4|snappy|zip)$/.test(first)) throw new SqlError('0A000', `compressed file "${first}" is not supported`, { hint: 'Unpack it first.' });
    if (first !== undefined) {
      const tail = await FileTail.openAt(first, 0, true, blockDecoder(options, []));
      await tail.close();
    }
  },
  sharing: (options) => ((numberOption(options, RATE) ?? 0) > 0 ? null : { place, unit: 'bytes', variant: (spec) => String(stripes(spec)) }),
  create: (spec, context) => new FileReader(spec, context),
};
