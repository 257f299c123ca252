/**
 * Constant regular expressions in kernels, over UTF-8 bytes d[s, e).
 *
 *   TextPattern   any expression: a text that every match holds is looked for first, then a string is made and the expression run
 *   SpanPattern   expressions of the form   [^ | c | (c|^)] literal [class* | class+]   with or without captures around the parts: no string.
 *                 Each place of the literal is tried, the leftmost first; what stands before it is one letter at most, so that the leftmost
 *                 place is the leftmost match. Nothing follows the class, so that it takes what it can.
 *
 * A filter and a projection that hold the same expression ask the same object: it remembers the row of the batch (`begin` forgets it).
 */
import { utf8Text } from '../../types/encoding/bytes.js';
import { Needle, requiredLiteral } from './text.js';

abstract class RowPattern {
  #row = -1;
  #found = false;

  protected abstract find(d: Uint8Array, s: number, e: number): boolean;

  /** Before the rows of a batch. */
  begin(): void { this.#row = -1; }

  /** Whether the text of the row matches. */
  at(row: number, d: Uint8Array, s: number, e: number): boolean {
    if (row === this.#row) return this.#found;
    this.#found = this.find(d, s, e);
    this.#row = row;
    return this.#found;
  }
}

export class TextPattern extends RowPattern {
  readonly #re: RegExp;
  readonly #literal: Needle | null;
  #match: RegExpExecArray | null = null;

  constructor(re: RegExp, literal: Needle | null) {
    super();
    this.#re = re;
    this.#literal = literal;
  }

  protected override find(d: Uint8Array, s: number, e: number): boolean {
    this.#match = null;
    if (this.#literal !== null && this.#literal.find(d, s, e) < 0) return false;
    this.#re.lastIndex = 0;
    this.#match = this.#re.exec(utf8Text(d, s, e));
    return this.#match !== null;
  }

  /** A group of the last row's match; undefined when it took no part. */
  group(k: number): string | undefined { return this.#match?.[k]; }
}

interface Form {
  /** The byte before the literal; −1 = none. */
  readonly before: number;
  /** Whether the literal (or `before`) may stand at the text's start only, or there in place of `before`. */
  readonly atStart: boolean;
  readonly literal: string;
  /** By byte: whether the class takes it; null = the pattern ends with the literal. */
  readonly takes: Uint8Array | null;
  readonly least: 0 | 1;
  /** Group numbers of the prefix and of the class; 0 = not captured. */
  readonly prefixGroup: number;
  readonly classGroup: number;
}

export class SpanPattern extends RowPattern {
  readonly #form: Form;
  readonly #needle: Needle;
  readonly #length: number;
  /** Bounds of the whole match, of the prefix and of what the class took. */
  #start = 0;
  #at = 0;
  #end = 0;

  constructor(form: Form) {
    super();
    this.#form = form;
    this.#needle = new Needle(form.literal);
    this.#length = form.literal.length;
  }

  protected override find(d: Uint8Array, s: number, e: number): boolean {
    const { before, atStart, takes, least } = this.#form;
    for (let at = this.#needle.find(d, s, e); at >= 0; at = this.#needle.find(d, at + 1, e)) {
      const prefixed = before >= 0 && at > s && d[at - 1] === before;
      if (!prefixed && (before >= 0 || atStart) && !(atStart && at === s)) continue;
      const from = at + this.#length;
      let end = from;
      if (takes !== null) {
        while (end < e && takes[d[end]] === 1) end++;
        if (end - from < least) continue;
      }
      this.#start = prefixed ? at - 1 : at;
      this.#at = at;
      this.#end = end;
      return true;
    }
    return false;
  }

  /** Bounds of a group of the last row's match. */
  from(k: number): number { return k === this.#form.classGroup && k > 0 ? this.#at + this.#length : this.#start; }
  to(k: number): number { return k === this.#form.prefixGroup && k > 0 ? this.#at : this.#end; }
}

const PREFIX = /^(?:(\()(?:(\^)\||)((?:\\[^A-Za-z0-9]|[A-Za-z0-9_&=:;,/ %@"'<>~#!-]))?(?:(\|)(\^)|)\)|(\^))/;
const LITERAL = /^(?:\\[^A-Za-z0-9]|[A-Za-z0-9_&=:;,/ %@"'<>~#!-])+/;
const CLASS = /^(\()?(?:\[(\^)?((?:\\[^A-Za-z0-9]|[^\\\]^[])+)\]|(\\d))([*+])(\))?$/;
const plain = (text: string): string => text.replace(/\\(.)/g, '$1');
const isAscii = (text: string): boolean => Buffer.byteLength(text) === text.length;

/** The pattern over spans, or null when the expression has another form. */
export function spanPattern(re: RegExp): SpanPattern | null {
  if (/[^gsu]/.test(re.flags)) return null;
  let rest = re.source;
  let before = -1;
  let atStart = false;
  let groups = 0;
  let prefixGroup = 0;
  const p = PREFIX.exec(rest);
  if (p !== null) {
    const [all, open, first, letter, , last, alone] = p;
    // (c|^), (^|c), (c) and (^) only.
    if (open !== undefined && letter === undefined) return null;
    if (first !== undefined && last !== undefined) return null;
    if (letter !== undefined) {
      const c = plain(letter);
      if (!isAscii(c)) return null;
      before = c.charCodeAt(0);
    }
    atStart = first !== undefined || last !== undefined || alone !== undefined;
    if (open !== undefined) prefixGroup = ++groups;
    rest = rest.slice(all.length);
  }
  let text = LITERAL.exec(rest)?.[0] ?? '';
  // A quantifier belongs to the last letter.
  if (text === '' || /^[*+?{]/.test(rest.slice(text.length))) return null;
  rest = rest.slice(text.length);
  text = plain(text);
  if (!isAscii(text)) return null;
  let takes: Uint8Array | null = null;
  let classGroup = 0;
  let least: 0 | 1 = 0;
  if (rest !== '') {
    const c = CLASS.exec(rest);
    if (c === null || (c[1] === undefined) !== (c[6] === undefined)) return null;
    takes = classBytes(c[2] !== undefined, c[3] ?? '0-9');
    if (takes === null) return null;
    if (c[1] !== undefined) classGroup = ++groups;
    least = c[5] === '+' ? 1 : 0;
  }
  return new SpanPattern({ before, atStart, literal: text, takes, least, prefixGroup, classGroup });
}

/** Letters and ranges of ASCII; a negated class takes every other character, and so all bytes of those beyond. */
function classBytes(negated: boolean, members: string): Uint8Array | null {
  const takes = new Uint8Array(256);
  const letters = [...members.matchAll(/\\(.)|([^\\])/gs)].map(m => ({ c: m[1] ?? m[2], escaped: m[1] !== undefined }));
  for (let i = 0; i < letters.length; i++) {
    const { c } = letters[i];
    if (!isAscii(c)) return null;
    const ranged = i + 2 < letters.length && letters[i + 1].c === '-' && !letters[i + 1].escaped;
    const to = ranged ? letters[i + 2].c : c;
    if (!isAscii(to)) return null;
    takes.fill(1, c.charCodeAt(0), to.charCodeAt(0) + 1);
    if (ranged) i += 2;
  }
  if (negated) for (let i = 0; i < 256; i++) takes[i] ^= 1;
  return takes;
}

/** `pattern` as the statement has it, when it came without options. */
export const textPattern = (re: RegExp, pattern: string | null): TextPattern => new TextPattern(re, pattern === null ? null : requiredLiteral(pattern));
