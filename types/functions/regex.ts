/**
 * Patterns: LIKE, SIMILAR TO and PostgreSQL's advanced regular expressions as JavaScript RegExps, compiled once and kept in a
 * bounded cache.
 *
 * Translation of AREs: \m \M \y \Y \A \Z, [[:class:]], [[:<:]], embedded options (?i), ***= and ***: directors; the rest is the
 * same in both. Known difference: PostgreSQL takes the longest match over alternatives (POSIX), JavaScript the first; a pattern
 * whose greediness is mixed may match another length. Invalid patterns are 2201B.
 */
import { SqlError } from '../error.js';

const CACHE_MAX = 512;

export class RegexCache<T> {
  readonly #made = new Map<string, T>();
  readonly #make: (pattern: string, flags: string) => T;

  constructor(make: (pattern: string, flags: string) => T) {
    this.#make = make;
  }

  get(pattern: string, flags = ''): T {
    const key = `${flags}/${pattern}`;
    let r = this.#made.get(key);
    if (r === undefined) {
      r = this.#make(pattern, flags);
      if (this.#made.size >= CACHE_MAX) this.#made.clear();
      this.#made.set(key, r);
    }
    return r;
  }
}

const CLASSES: Readonly<Record<string, string>> = {
  alpha: '\\p{L}', digit: '\\p{Nd}', alnum: '\\p{L}\\p{N}', upper: '\\p{Lu}', lower: '\\p{Ll}', space: '\\s', blank: ' \\t', punct: '!-\\/:-@\\[-`\\{-~',
  print: '\\x20-\\x7e\\u00a0-\\u{10ffff}', graph: '\\x21-\\x7e\\u00a1-\\u{10ffff}', cntrl: '\\x00-\\x1f\\x7f', xdigit: '0-9A-Fa-f', word: '\\w', ascii: '\\x00-\\x7f',
};

function invalidRegex(why: string): SqlError {
  return new SqlError('2201B', `invalid regular expression: ${why}`);
}

/** Body of a bracket expression starting after '['; gives JavaScript's text and where it ends. */
function bracket(p: string, at: number): { text: string; end: number } {
  let i = at;
  let out = '[';
  if (p[i] === '^') {
    out += '^';
    i++;
  }
  let first = true;
  for (;;) {
    const c = p[i];
    if (c === undefined) throw invalidRegex('brackets [] not balanced');
    if (c === ']' && !first) return { text: `${out}]`, end: i + 1 };
    first = false;
    if (c === '[' && (p[i + 1] === ':' || p[i + 1] === '.' || p[i + 1] === '=')) {
      const close = p.indexOf(`${p[i + 1]}]`, i + 2);
      if (close < 0) throw invalidRegex('brackets [] not balanced');
      const name = p.slice(i + 2, close);
      if (p[i + 1] === ':') {
        const cls = CLASSES[name];
        if (cls === undefined) throw invalidRegex('invalid character class');
        out += cls;
      } else out += escapeClass(name);
      i = close + 2;
    } else if (c === '\\') {
      const e = p[i + 1];
      if (e === undefined) throw invalidRegex('invalid escape \\ sequence');
      const { text, end } = escapeSequence(p, i, true);
      out += text;
      i = end;
    } else {
      const wide = p.codePointAt(i) ?? 0;
      const ch = String.fromCodePoint(wide);
      out += ch === '-' ? '-' : escapeClass(ch);
      i += ch.length;
    }
  }
}

function escapeClass(ch: string): string {
  return ch.replace(/[\\\]^[\-&|~!#$%*+,.:;<=>?@`{}()/]/g, (c) => ('\\^$.*+?()[]{}|/-'.includes(c) ? `\\${c}` : c));
}

/** \b of JavaScript knows ASCII words only. */
const WORD_BORDER = '(?:(?<![\\p{L}\\p{N}_])(?=[\\p{L}\\p{N}_])|(?<=[\\p{L}\\p{N}_])(?![\\p{L}\\p{N}_]))';

function escapeSequence(p: string, at: number, inClass: boolean): { text: string; end: number } {
  const e = p[at + 1];
  if (e === undefined) throw invalidRegex('invalid escape \\ sequence');
  const plain = (text: string): { text: string; end: number } => ({ text, end: at + 2 });
  switch (e) {
    case 'd': case 'D': case 's': case 'S': return plain(`\\${e}`);
    case 'w': return plain(inClass ? '\\p{L}\\p{N}_' : '[\\p{L}\\p{N}_]');
    case 'W': return plain(inClass ? '\\W' : '[^\\p{L}\\p{N}_]');
    case 'n': case 't': case 'r': case 'f': case 'v': return plain(`\\${e}`);
    case 'a': return plain('\\x07');
    case 'b': return plain('\\x08');
    case 'B': return plain('\\\\');
    case 'e': return plain('\\x1b');
    case 'm': return plain('(?<![\\p{L}\\p{N}_])(?=[\\p{L}\\p{N}_])');
    case 'M': return plain('(?<=[\\p{L}\\p{N}_])(?![\\p{L}\\p{N}_])');
    case 'y': return plain(WORD_BORDER);
    case 'Y': return plain(`(?!${WORD_BORDER})`);
    case 'A': return plain('(?<![^])');
    case 'Z': return plain('(?![^])');
    case 'c': return { text: `\\c${p[at + 2] ?? 'A'}`, end: at + 3 };
    case 'u': case 'U': case 'x': {
      const m = (e === 'u' ? /^[0-9a-fA-F]{4}/ : e === 'U' ? /^[0-9a-fA-F]{8}/ : /^[0-9a-fA-F]{1,8}/).exec(p.slice(at + 2));
      if (m === null || parseInt(m[0], 16) > 0x10ffff) throw invalidRegex('invalid escape \\ sequence');
      return { text: `\\u{${m[0]}}`, end: at + 2 + m[0].length };
    }
    default:
  }
  if (/[1-9]/.test(e) && !inClass) return plain(`\\${e}`);
  if (e === '0') return plain('\\x00');
  if (/[A-Za-z]/.test(e)) throw invalidRegex('invalid escape \\ sequence');
  return plain(inClass ? escapeClass(e) : e.replace(/[\\^$.*+?()[\]{}|/]/g, '\\$&'));
}

/** ARE → JavaScript source (for flags 'u'). `newline`: . and [^ do not match a newline. */
function translate(p: string, newline: boolean, expanded: boolean): string {
  let out = '';
  let i = 0;
  let open = 0;
  while (i < p.length) {
    const c = p[i];
    if (c === '\\') {
      const e = escapeSequence(p, i, false);
      out += e.text;
      i = e.end;
    } else if (c === '[') {
      if (p.startsWith('[[:<:]]', i) || p.startsWith('[[:>:]]', i)) {
        out += p[i + 3] === '<' ? '(?<![\\p{L}\\p{N}_])(?=[\\p{L}\\p{N}_])' : '(?<=[\\p{L}\\p{N}_])(?![\\p{L}\\p{N}_])';
        i += 7;
      } else {
        const b = bracket(p, i + 1);
        out += newline && b.text.startsWith('[^') ? `${b.text.slice(0, -1)}\\n]` : b.text;
        i = b.end;
      }
    } else if (c === '(') {
      const special = /^\(\?(?::|=|!|<=|<!)/.exec(p.slice(i, i + 4));
      if (special === null && p[i + 1] === '?') {
        if (p[i + 2] !== '#') throw invalidRegex('quantifier operand invalid');
        const close = p.indexOf(')', i);
        i = close < 0 ? p.length : close + 1;
        continue;
      }
      open++;
      out += special?.[0] ?? '(';
      i += special?.[0].length ?? 1;
    } else if (c === ')') {
      if (--open < 0) throw invalidRegex('parentheses () not balanced');
      out += c;
      i++;
    } else if (c === '.') {
      out += newline ? '[^\\n]' : '[^]';
      i++;
    } else if (c === '{') {
      const m = /^\{(\d+)(,(\d*))?\}/.exec(p.slice(i));
      if (m === null) {
        if (/^\{\d/.test(p.slice(i))) throw invalidRegex('invalid repetition count(s)');
        out += '\\{';
        i++;
      } else {
        if (Number(m[1]) > 255 || Number(m[3] ?? 0) > 255 || (m[3] !== undefined && m[3] !== '' && Number(m[3]) < Number(m[1]))) throw invalidRegex('invalid repetition count(s)');
        out += m[0];
        i += m[0].length;
      }
    } else if (c === '}' || c === ']' || c === '/') {
      out += `\\${c}`;
      i++;
    } else if (expanded && (/\s/.test(c) || c === '#')) {
      if (c === '#') while (i < p.length && p[i] !== '\n') i++;
      else i++;
    } else {
      out += c;
      i++;
    }
  }
  if (open > 0) throw invalidRegex('parentheses () not balanced');
  return out;
}

function compile(pattern: string, flags: string): RegExp {
  let p = pattern;
  let insensitive = false;
  let newline = false;
  let anchors = false;
  let expanded = false;
  let literal = false;
  const option = (f: string): void => {
    switch (f) {
      case 'i': insensitive = true; break;
      case 'c': insensitive = false; break;
      case 'n': case 'm': newline = anchors = true; break;
      case 'p': newline = true; break;
      case 'w': anchors = true; break;
      case 's': newline = anchors = false; break;
      case 'x': expanded = true; break;
      case 't': expanded = false; break;
      case 'q': literal = true; break;
      case 'g': case 'b': case 'e': break;
      default: throw new SqlError('22023', `invalid regular expression option: "${f}"`);
    }
  };
  for (const f of flags) option(f);
  if (p.startsWith('***=')) {
    literal = true;
    p = p.slice(4);
  } else if (p.startsWith('***:')) p = p.slice(4);
  const embedded = literal ? null : /^\(\?([a-z]+)\)/.exec(p);
  if (embedded !== null) {
    for (const f of embedded[1]) option(f);
    p = p.slice(embedded[0].length);
  }
  const source = literal ? p.replace(/[\\^$.*+?()[\]{}|/]/g, '\\$&') : translate(p, newline, expanded);
  try {
    return new RegExp(source, `gu${insensitive ? 'i' : ''}${anchors ? 'm' : ''}`);
  } catch (cause) {
    const why = cause instanceof Error && /nothing to repeat/i.test(cause.message) ? 'quantifier operand invalid' : 'invalid pattern';
    throw new SqlError('2201B', `invalid regular expression: ${why}`, { cause });
  }
}

const regexes = new RegexCache(compile);

/** Global, Unicode RegExp of an ARE and option letters. Its lastIndex is the caller's: set it to 0 before use. */
export function regex(pattern: string, flags = ''): RegExp {
  const r = regexes.get(pattern, flags);
  r.lastIndex = 0;
  return r;
}

export function regexTest(s: string, pattern: string, flags = ''): boolean {
  return regex(pattern, flags).test(s);
}

type Matcher = (s: string) => boolean;

function compileLike(pattern: string, flags: string): Matcher {
  const insensitive = flags.startsWith('i');
  const escape = flags.slice(1);
  let source = '';
  let plain: string[] = [''];
  let simple = !insensitive;
  for (let i = 0; i < pattern.length; i++) {
    const c = pattern[i];
    if (escape !== '' && pattern.startsWith(escape, i)) {
      i += escape.length;
      if (i >= pattern.length) return danglingEscape(source, insensitive);
      source += quoteRegex(pattern[i]);
      plain[plain.length - 1] += pattern[i];
    } else if (c === '%') {
      source += '[^]*';
      plain.push('');
    } else if (c === '_') {
      source += '[^]';
      simple = false;
    } else {
      source += quoteRegex(c);
      plain[plain.length - 1] += c;
    }
  }
  // Without _ and with at most two %, string searches do; most patterns are such.
  if (simple && plain.length === 1) {
    const [all] = plain;
    return (s) => s === all;
  }
  if (simple && plain.length === 2) {
    const [head, tail] = plain;
    return (s) => s.length >= head.length + tail.length && s.startsWith(head) && s.endsWith(tail);
  }
  if (simple && plain.length === 3 && plain[0] === '' && plain[2] === '') {
    const part = plain[1];
    return (s) => s.includes(part);
  }
  plain = [];
  const re = new RegExp(`^${source}$`, insensitive ? 'ui' : 'u');
  return (s) => re.test(s);
}

/** PostgreSQL notices an escape character at the end only when matching gets there. */
function danglingEscape(source: string, insensitive: boolean): Matcher {
  const reached = new RegExp(`^${source}[^]`, insensitive ? 'ui' : 'u');
  return (s) => {
    if (reached.test(s)) throw new SqlError('22025', 'LIKE pattern must not end with escape character');
    return false;
  };
}

function quoteRegex(c: string): string {
  return /[\\^$.*+?()[\]{}|/-]/.test(c) ? (c === '-' ? c : `\\${c}`) : c;
}

const likes = new RegexCache(compileLike);

/** Matcher of a LIKE (or ILIKE) pattern; `escape` is one character or '' for none. */
export function likeMatcher(pattern: string, insensitive = false, escape = '\\'): Matcher {
  return likes.get(pattern, (insensitive ? 'i' : ' ') + escape);
}

/** LIKE pattern with another escape character → one with the backslash (like_escape). */
export function likeEscape(pattern: string, escape: string): string {
  if (escape === '\\') return pattern;
  if (Array.from(escape).length > 1) throw badEscape();
  let out = '';
  for (let i = 0; i < pattern.length; i++) {
    const c = pattern[i];
    if (escape !== '' && c === escape) {
      i++;
      if (i >= pattern.length) return `${out}\\`;
      out += `\\${pattern[i]}`;
    } else out += c === '\\' ? '\\\\' : c;
  }
  return out;
}

function badEscape(): SqlError {
  return new SqlError('22025', 'invalid escape string', { hint: 'Escape string must be empty or one character.' });
}

/** similar_to_escape: SIMILAR TO pattern → ARE. */
export function similarToRegex(pattern: string, escape = '\\'): string {
  if (Array.from(escape).length > 1) throw badEscape();
  let out = '^(?:';
  let inClass = false;
  for (let i = 0; i < pattern.length; i++) {
    const c = pattern[i];
    if (escape !== '' && c === escape) {
      i++;
      if (i < pattern.length) out += `\\${pattern[i]}`;
    } else if (inClass) {
      if (c === '\\') out += '\\\\';
      else out += c;
      if (c === ']') inClass = false;
    } else if (c === '[') {
      out += c;
      inClass = true;
    } else if (c === '%') out += '.*';
    else if (c === '_') out += '.';
    else if (c === '(') out += '(?:';
    else if (c === '\\' || c === '.' || c === '^' || c === '$') out += `\\${c}`;
    else out += c;
  }
  return `${out})$`;
}
