/**
 * The exact JSON record reader: any legal JSON, any column type, with the reason of every refusal. It reads records the compiled
 * decoder (json.ts) does not expect, and single values whose usual form does not hold.
 *
 * A record's bytes are walked once along the tree of paths; of an object on a path all members are collected, then resolved: the
 * last of equal keys wins, and a column without PATH takes its exact key before one that differs in case. Strings with escapes are
 * unescaped in place (never longer than their source), but only in `commit`, once the whole record is known to be good.
 * Raw control characters in strings are let through; everything else is RFC 8259.
 *
 * While it reads, it notes the record's layout (order and spelling of keys) for the compiler.
 */
import { SqlError } from '../../types/error.js';
import type { Datum } from '../../types/value.js';
import type { SourceField } from '../../types/plan.js';
import type { BlockBatchBuilder } from './builder.js';
import { BadValue, fromJson, parseString } from './convert.js';
import type { TimestampFormat } from './convert.js';
import { pathTree } from './jsonpath.js';
import type { PathNode } from './jsonpath.js';

/** Nesting of a record's values. */
const DEPTH_MAX = 512;

/** One key of an object, as records spell it. */
export interface LayoutKey {
  /** Bytes from after the '{' or ',' to the value's first byte, as latin1. */
  readonly spelling: string;
  readonly node: PathNode | null;
  /** What is below, once seen. */
  object: Layout | null;
  /** An object was seen here. */
  opened: boolean;
  /** The value seen first was a text of at most SHORT_BYTES. */
  readonly short: boolean;
}
export interface Layout { readonly keys: LayoutKey[] }

/** Limits of what is compiled; a record beyond them is read here. */
const LAYOUT_KEYS_MAX = 256;
const UNWANTED_DEPTH_MAX = 4;
const SPELLING_BYTES_MAX = 128;
/** Texts of which the end is looked for without memchr, which costs as much as so many bytes. */
const SHORT_BYTES = 15;

interface Member { key: string; spelling: string; plain: boolean; at: number; end: number }

export class JsonExact {
  readonly fields: readonly SourceField[];
  readonly tree: PathNode;
  /** All nodes of the tree, for the compiled decoder to name by index. */
  readonly nodes: PathNode[] = [];
  readonly layout: Layout = { keys: [] };
  /** Raised when `layout` grew. */
  layoutVersion = 0;
  /** Unescaped strings to be written at commit. */
  pendingCount = 0;
  #pending: { at: number; bytes: Buffer }[] = [];
  #d: Buffer = Buffer.alloc(0);
  #end = 0;
  readonly #builder: BlockBatchBuilder;
  readonly #columnOf: readonly number[];
  readonly #timestamps: TimestampFormat;
  readonly #seen: Uint8Array;
  readonly #defaults: readonly (Datum | undefined)[];

  /** `columnOf[i]` is the builder's column of field i (−1: metadata); `defaults[i]` undefined = none. */
  constructor(fields: readonly SourceField[], columnOf: readonly number[], builder: BlockBatchBuilder, defaults: readonly (Datum | undefined)[], timestamps: TimestampFormat) {
    this.fields = fields;
    this.tree = pathTree(fields);
    this.#builder = builder;
    this.#columnOf = columnOf;
    this.#timestamps = timestamps;
    this.#defaults = defaults;
    this.#seen = new Uint8Array(fields.length);
    const walk = (n: PathNode): void => {
      this.nodes.push(n);
      for (const k of n.keys.values()) walk(k);
      for (const k of n.indexes.values()) walk(k);
    };
    walk(this.tree);
  }

  begin(data: Buffer): void {
    this.#d = data;
    this.abandon();
  }

  abandon(): void {
    this.#pending.length = 0;
    this.pendingCount = 0;
  }

  /** Writes unescaped strings into the block: the row is complete. */
  commit(): void {
    for (const w of this.#pending) w.bytes.copy(this.#d, w.at);
    this.abandon();
  }

  /** One record [from, to) into the row. Throws BadValue; the caller clears the row then. */
  record(row: number, from: number, to: number): void {
    this.#seen.fill(0);
    this.#end = to;
    let p = this.#space(from);
    if (this.#d[p] !== 123 && this.tree.keys.size > 0) throw new BadValue(p >= to ? 'expected a JSON object, found nothing' : `expected a JSON object, found ${this.#found(p)}`);
    p = this.#space(this.#visit(this.tree, row, p, this.layout, 0));
    if (p < to) throw new BadValue(`expected the end of the record, found ${this.#found(p)}`);
    for (let i = 0; i < this.fields.length; i++) {
      if (this.#columnOf[i] < 0) continue;
      const f = this.fields[i];
      const fallback = this.#defaults[i];
      if (this.#seen[i] === 0 && fallback !== undefined) {
        this.#builder.columns[this.#columnOf[i]].set(row, fallback);
        if (f.notNull && fallback === null) throw new BadValue(`field "${f.name}" is missing, its default is null, and it is NOT NULL`);
      } else if (f.notNull && this.#seen[i] !== 2) {
        throw new BadValue(this.#seen[i] === 1 ? `field "${f.name}" is null, but NOT NULL` : `field "${f.name}" is missing, but NOT NULL`);
      }
    }
    this.commit();
  }

  /** One value at `p` of a record ending at `to`, for the compiled decoder; gives the position after it, −1 when it is refused. */
  value(node: PathNode, row: number, p: number, to: number): number {
    this.#end = to;
    try {
      return this.#visit(node, row, p, null, 1);
    } catch (e) {
      if (e instanceof BadValue) return -1;
      throw e;
    }
  }

  /** Position after an unwanted value, −1 when its syntax is wrong. */
  pass(p: number, to: number): number {
    try {
      return this.skip(p, to, 1);
    } catch (e) {
      if (e instanceof BadValue) return -1;
      throw e;
    }
  }

  #visit(node: PathNode, row: number, p: number, layout: Layout | null, depth: number): number {
    const c = this.#d[p];
    let end = -1;
    if (node.fields.length > 0) {
      end = this.skip(p, this.#end, depth);
      const below = node.keys.size > 0 || node.indexes.size > 0;
      for (const f of node.fields) this.#set(f, row, p, end, below);
    }
    if (node.keys.size === 0 && node.indexes.size === 0) return end < 0 ? this.skip(p, this.#end, depth) : end;
    if (node.keys.size > 0 && c === 123) {
      const simple = node.fields.length === 0 && node.indexes.size === 0;
      return this.#object(node, row, p, simple ? layout : null, depth);
    }
    if (node.indexes.size > 0 && c === 91) return this.#array(node, row, p, depth);
    end = this.skip(p, this.#end, depth);
    if (c !== 110 && node.fields.length === 0) {
      throw new BadValue(`expected ${node.keys.size > 0 ? 'an object' : 'an array'} at ${node.label}, found ${this.#found(p)}`);
    }
    return end;
  }

  #object(node: PathNode, row: number, at: number, layout: Layout | null, depth: number): number {
    const members: Member[] = [];
    const end = this.#members(at, depth, members);
    const chosen = new Map<PathNode, Member>();
    const foldedOnly = new Map<PathNode, Member>();
    let learn = layout !== null && members.length <= LAYOUT_KEYS_MAX;
    for (const m of members) {
      const exact = node.keys.get(m.key);
      if (exact !== undefined) {
        if (chosen.has(exact)) learn = false;
        chosen.set(exact, m);
      } else if (node.folded.size > 0) {
        const folded = node.folded.get(m.key.toLowerCase());
        if (folded !== undefined) {
          if (foldedOnly.has(folded)) learn = false;
          foldedOnly.set(folded, m);
        }
      }
    }
    for (const [n, m] of foldedOnly) {
      if (chosen.has(n)) learn = false;
      else chosen.set(n, m);
    }
    const below = new Map<Member, { node: PathNode; layout: Layout | null }>();
    for (const [n, m] of chosen) {
      const known = layout === null ? undefined : layout.keys.find((k) => k.node === n);
      const simple = n.keys.size > 0 && n.fields.length === 0 && n.indexes.size === 0 && this.#d[m.at] === 123;
      const sub: Layout | null = !learn || !simple ? null : (known?.object ?? { keys: [] });
      below.set(m, { node: n, layout: sub });
      this.#visit(n, row, m.at, sub, depth + 1);
    }
    if (learn && layout !== null) this.#learn(layout, members, below);
    return end;
  }

  /** Merges the record's keys into the layout, each new one after the one it followed here. */
  #learn(layout: Layout, members: readonly Member[], below: ReadonlyMap<Member, { node: PathNode; layout: Layout | null }>): void {
    let at = 0;
    for (const m of members) {
      if (!m.plain || m.spelling.length > SPELLING_BYTES_MAX) return;
      const target = below.get(m) ?? null;
      const known = layout.keys.findIndex((k) => k.spelling === m.spelling && k.node === (target?.node ?? null));
      if (known >= 0) {
        const k = layout.keys[known];
        if (!k.opened && this.#d[m.at] === 123 && (target === null || target.layout !== null)) {
          k.object = target === null ? this.#unwanted(m, 1) : target.layout;
          k.opened = true;
          this.layoutVersion++;
        }
        at = known + 1;
        continue;
      }
      // A column's key stands once in a layout: its second spelling is left to this reader.
      if (target !== null && layout.keys.some((k) => k.node === target.node)) return;
      if (layout.keys.length >= LAYOUT_KEYS_MAX) return;
      const opened = this.#d[m.at] === 123 && (target === null || target.layout !== null);
      layout.keys.splice(at, 0, { spelling: m.spelling, node: target?.node ?? null, object: target === null ? this.#unwanted(m, 1) : target.layout, opened, short: this.#isShort(m) });
      this.layoutVersion++;
      at++;
    }
  }

  /** Layout of an object that no column reads, for passing it quickly: as it is the first time, for good. */
  #unwanted(member: Member, depth: number): Layout | null {
    if (this.#d[member.at] !== 123 || depth > UNWANTED_DEPTH_MAX) return null;
    const members: Member[] = [];
    this.#members(member.at, depth, members);
    if (members.length === 0 || members.length > LAYOUT_KEYS_MAX || members.some((m) => m.spelling.length > SPELLING_BYTES_MAX)) return null;
    return { keys: members.map((m) => ({ spelling: m.spelling, node: null, object: this.#unwanted(m, depth + 1), opened: true, short: this.#isShort(m) })) };
  }

  #isShort(m: Member): boolean { return this.#d[m.at] === 34 && m.end - m.at <= SHORT_BYTES + 2; }

  #members(at: number, depth: number, out: Member[]): number {
    const d = this.#d;
    let from = at + 1;
    let p = this.#space(from);
    if (d[p] === 125 && p < this.#end) return p + 1;
    for (;;) {
      if (d[p] !== 34 || p >= this.#end) throw this.#syntax(p, 'a key');
      const keyEnd = this.#string(p);
      const raw = d.toString('utf8', p, keyEnd);
      const plain = !raw.includes('\\');
      const colon = this.#space(keyEnd);
      if (d[colon] !== 58 || colon >= this.#end) throw this.#syntax(colon, '":"');
      const valueAt = this.#space(colon + 1);
      const end = this.skip(valueAt, this.#end, depth + 1);
      out.push({ key: plain ? raw.slice(1, -1) : parseString(raw), spelling: d.toString('latin1', from, valueAt), plain, at: valueAt, end });
      p = this.#space(end);
      if (p >= this.#end) throw this.#syntax(p, '"," or "}"');
      if (d[p] === 125) return p + 1;
      if (d[p] !== 44) throw this.#syntax(p, '"," or "}"');
      from = p + 1;
      p = this.#space(from);
    }
  }

  #array(node: PathNode, row: number, at: number, depth: number): number {
    const d = this.#d;
    let p = this.#space(at + 1);
    if (d[p] === 93 && p < this.#end) return p + 1;
    for (let i = 0; ; i++) {
      const child = node.indexes.get(i);
      p = this.#space(child === undefined ? this.skip(p, this.#end, depth + 1) : this.#visit(child, row, p, null, depth + 1));
      if (d[p] === 93 && p < this.#end) return p + 1;
      if (d[p] !== 44 || p >= this.#end) throw this.#syntax(p, '"," or "]"');
      p = this.#space(p + 1);
    }
  }

  #set(f: number, row: number, from: number, to: number, below: boolean): void {
    const d = this.#d;
    const field = this.fields[f];
    const column = this.#builder.columns[this.#columnOf[f]];
    // The last of equal keys wins, and an index path may meet its cell again.
    column.clear(row);
    const c = d[from];
    this.#seen[f] = c === 110 ? 1 : 2;
    if (c === 110 && field.type.kind !== 'jsonb' && field.type.kind !== 'json') return;
    const kind = field.type.kind;
    const anyText = kind === 'text' || (kind === 'varchar' && field.type.mod === undefined);
    try {
      if (anyText) {
        // Strings below may be unescaped in place, so that the span of the whole would change.
        if (c !== 34 && below) column.set(row, d.toString('utf8', from, to));
        else if (c !== 34) column.setSpan(row, from, to);
        else this.#setText(column, row, from, to);
        return;
      }
      const raw = d.toString('utf8', from, to);
      if (c === 110) {
        column.set(row, null);
        return;
      }
      const v = fromJson(field.type, raw, this.#timestamps);
      if (typeof v === 'string' && c === 34 && v.length === raw.length - 2 && raw.slice(1, -1) === v && column.form === 'bytes') column.setSpan(row, from + 1, to - 1);
      else column.set(row, v);
    } catch (e) {
      if (e instanceof BadValue) throw new BadValue(`field "${field.name}": ${e.message}`);
      if (e instanceof SqlError) throw new BadValue(`field "${field.name}": ${e.message}`);
      throw e;
    }
  }

  #setText(column: { setSpan(row: number, from: number, to: number): void }, row: number, from: number, to: number): void {
    const d = this.#d;
    let p = from + 1;
    while (p < to - 1 && d[p] !== 92) p++;
    if (p === to - 1) {
      column.setSpan(row, from + 1, to - 1);
      return;
    }
    const bytes = Buffer.from(parseString(d.toString('utf8', from, to)));
    this.#pending.push({ at: from + 1, bytes });
    this.pendingCount++;
    column.setSpan(row, from + 1, from + 1 + bytes.length);
  }

  /** Position after the JSON value at p; syntax is checked. */
  skip(p: number, end: number, depth: number): number {
    this.#end = end;
    const d = this.#d;
    if (p >= end) throw this.#syntax(p, 'a value');
    const c = d[p];
    if (c === 34) return this.#string(p);
    if (c === 123 || c === 91) return this.#nested(p, depth);
    if (c === 45 || (c >= 48 && c <= 57)) return this.#number(p);
    const word = c === 116 ? 'true' : c === 102 ? 'false' : c === 110 ? 'null' : '';
    if (word === '' || p + word.length > end || d.toString('latin1', p, p + word.length) !== word) throw this.#syntax(p, 'a value');
    return p + word.length;
  }

  #nested(p: number, depth: number): number {
    if (depth > DEPTH_MAX) throw new BadValue(`JSON nested deeper than ${DEPTH_MAX}`);
    const d = this.#d;
    if (d[p] === 123) {
      p = this.#space(p + 1);
      if (d[p] === 125 && p < this.#end) return p + 1;
      for (;;) {
        if (d[p] !== 34 || p >= this.#end) throw this.#syntax(p, 'a key');
        p = this.#space(this.#string(p));
        if (d[p] !== 58 || p >= this.#end) throw this.#syntax(p, '":"');
        p = this.#space(this.skip(this.#space(p + 1), this.#end, depth + 1));
        if (p >= this.#end) throw this.#syntax(p, '"," or "}"');
        if (d[p] === 125) return p + 1;
        if (d[p] !== 44) throw this.#syntax(p, '"," or "}"');
        p = this.#space(p + 1);
      }
    }
    p = this.#space(p + 1);
    if (d[p] === 93 && p < this.#end) return p + 1;
    for (;;) {
      p = this.#space(this.skip(p, this.#end, depth + 1));
      if (p >= this.#end) throw this.#syntax(p, '"," or "]"');
      if (d[p] === 93) return p + 1;
      if (d[p] !== 44) throw this.#syntax(p, '"," or "]"');
      p = this.#space(p + 1);
    }
  }

  #string(at: number): number {
    const d = this.#d;
    const end = this.#end;
    let p = at + 1;
    while (p < end) {
      const c = d[p];
      if (c === 34) return p + 1;
      if (c !== 92) p++;
      else {
        const e = p + 1 < end ? d[p + 1] : 0;
        if (p + 1 >= end) break;
        if (e === 117) {
          for (let i = 2; i < 6; i++) if (p + i >= end || !isHex(d[p + i])) throw this.#syntax(p, 'four hexadecimal digits after \\u');
          p += 6;
        } else if (e === 34 || e === 92 || e === 47 || e === 98 || e === 102 || e === 110 || e === 114 || e === 116) p += 2;
        else throw this.#syntax(p, 'an escape sequence');
      }
    }
    throw new BadValue('a string without its closing quote');
  }

  #number(at: number): number {
    const d = this.#d;
    const end = this.#end;
    let p = at;
    const digits = (): void => {
      const from = p;
      while (p < end && d[p] >= 48 && d[p] <= 57) p++;
      if (p === from) throw this.#syntax(at, 'a number');
    };
    if (d[p] === 45) p++;
    if (d[p] === 48 && p < end) p++;
    else digits();
    if (p < end && d[p] === 46) {
      p++;
      digits();
    }
    if (p < end && (d[p] === 101 || d[p] === 69)) {
      p++;
      if (p < end && (d[p] === 43 || d[p] === 45)) p++;
      digits();
    }
    return p;
  }

  #space(p: number): number {
    const d = this.#d;
    const end = this.#end;
    while (p < end && (d[p] === 32 || d[p] === 9 || d[p] === 13 || d[p] === 10)) p++;
    return p;
  }

  #syntax(p: number, want: string): BadValue {
    return new BadValue(`invalid JSON: expected ${want}, found ${this.#found(p)}`);
  }

  #found(p: number): string {
    if (p >= this.#end) return 'the end of the record';
    const c = this.#d[p];
    const kind = c === 34 ? 'string ' : c === 123 ? 'object ' : c === 91 ? 'array ' : c === 45 || (c >= 48 && c <= 57) ? 'number ' : '';
    const text = this.#d.toString('utf8', p, Math.min(this.#end, p + 40));
    return kind === '' ? `"${text}"` : `${kind}${text}`;
  }
}

function isHex(c: number): boolean {
  return (c >= 48 && c <= 57) || (c >= 65 && c <= 70) || (c >= 97 && c <= 102);
}
