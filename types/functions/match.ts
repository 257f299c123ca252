/**
 * Pattern matching: LIKE, ILIKE, SIMILAR TO, regular expression operators and the regexp_* functions.
 */
import { SqlArray } from '../array.js';
import { SqlError } from '../error.js';
import { charLength, charSlice } from '../strings.js';
import type { Datum } from '../value.js';
import type { FunctionDef } from './catalogue.js';
import { fn } from './define.js';
import { likeEscape, likeMatcher, regex, regexTest, similarToRegex } from './regex.js';

function likes(left: string): FunctionDef[] {
  return [
    fn(`~~(${left},text)`, 'bool', (s: string, p: string) => likeMatcher(p)(s)),
    fn(`!~~(${left},text)`, 'bool', (s: string, p: string) => !likeMatcher(p)(s)),
    fn(`~~*(${left},text)`, 'bool', (s: string, p: string) => likeMatcher(p, true)(s)),
    fn(`!~~*(${left},text)`, 'bool', (s: string, p: string) => !likeMatcher(p, true)(s)),
    fn(`~(${left},text)`, 'bool', (s: string, p: string) => regexTest(s, p)),
    fn(`!~(${left},text)`, 'bool', (s: string, p: string) => !regexTest(s, p)),
    fn(`~*(${left},text)`, 'bool', (s: string, p: string) => regexTest(s, p, 'i')),
    fn(`!~*(${left},text)`, 'bool', (s: string, p: string) => !regexTest(s, p, 'i')),
  ];
}

/** Captured groups, or the whole match when there are none. */
export function groupsOf(m: RegExpExecArray): Datum[] {
  return m.length > 1 ? m.slice(1).map((g) => g ?? null) : [m[0]];
}

function noGlobal(flags: string, name: string, other: string): void {
  if (flags.includes('g')) {
    throw new SqlError('22023', `${name} does not support the "global" option`, other === '' ? {} : { hint: `Use the ${other} function instead.` });
  }
}

function regexpMatch(s: string, pattern: string, flags: string): SqlArray | null {
  noGlobal(flags, 'regexp_match()', 'regexp_matches');
  const m = regex(pattern, flags).exec(s);
  return m === null ? null : SqlArray.of(groupsOf(m));
}

/** \1 … \9, \& and \\ in a replacement. */
function expand(replacement: string, m: RegExpExecArray): string {
  if (!replacement.includes('\\')) return replacement;
  return replacement.replace(/\\([0-9&\\]?)/g, (all, c: string) => {
    if (c === '&' || c === '0') return c === '0' ? all : m[0];
    if (c === '\\') return '\\';
    return c === '' ? '\\' : m[Number(c)] ?? '';
  });
}

/** An empty match goes on after the whole character: from inside a surrogate pair a Unicode RegExp steps back to its start, for ever. */
function afterCharacter(s: string, at: number): number {
  return at + ((s.codePointAt(at) ?? 0) > 0xffff ? 2 : 1);
}

function replace(s: string, pattern: string, replacement: string, flags: string, start = 1, nth = -1): string {
  const re = regex(pattern, flags);
  const all = nth === 0 || (nth < 0 && flags.includes('g'));
  const wanted = nth < 0 ? 1 : nth;
  const from = charSlice(s, 0, start - 1).length;
  let out = s.slice(0, from);
  let at = from;
  let n = 0;
  re.lastIndex = from;
  for (let m = re.exec(s); m !== null; m = re.exec(s)) {
    n++;
    if (all || n === wanted) {
      out += s.slice(at, m.index) + expand(replacement, m);
      at = m.index + m[0].length;
    }
    if (!all && n >= wanted) break;
    if (m[0] === '') re.lastIndex = afterCharacter(s, re.lastIndex);
  }
  return out + s.slice(at);
}

/** All matches from a character position. */
export function matchesOf(s: string, pattern: string, flags: string, start = 1): RegExpExecArray[] {
  const re = regex(pattern, flags);
  if (start > 1 && start > charLength(s) + 1) return [];
  re.lastIndex = charSlice(s, 0, start - 1).length;
  const out: RegExpExecArray[] = [];
  for (let m = re.exec(s); m !== null; m = re.exec(s)) {
    out.push(m);
    if (m[0] === '') {
      re.lastIndex = afterCharacter(s, re.lastIndex);
      if (re.lastIndex > s.length) break;
    }
  }
  return out;
}

function positive(name: string, v: number, least = 1): void {
  if (v < least) throw new SqlError('22023', `invalid value for parameter "${name}": ${v}`);
}

function count(s: string, pattern: string, start: number, flags: string): number {
  positive('start', start);
  noGlobal(flags, 'regexp_count()', '');
  return matchesOf(s, pattern, flags, start).length;
}

function nthMatch(s: string, pattern: string, start: number, n: number, flags: string): RegExpExecArray | undefined {
  positive('start', start);
  positive('n', n);
  return matchesOf(s, pattern, flags, start)[n - 1];
}

function substr(s: string, pattern: string, start: number, n: number, flags: string, group: number): string | null {
  positive('start', start);
  positive('n', n);
  positive('subexpr', group, 0);
  noGlobal(flags, 'regexp_substr()', '');
  const m = nthMatch(s, pattern, start, n, flags);
  // Without groups the whole match stands for group 1.
  return m?.[m.length === 1 && group === 1 ? 0 : group] ?? null;
}

function instr(s: string, pattern: string, start: number, n: number, end: number, flags: string, group: number): number {
  positive('start', start);
  positive('n', n);
  if (end !== 0 && end !== 1) throw new SqlError('22023', `invalid value for parameter "endoption": ${end}`);
  positive('subexpr', group, 0);
  noGlobal(flags, 'regexp_instr()', '');
  const m = nthMatch(s, pattern, start, n, flags);
  const text = m?.[m.length === 1 && group === 1 ? 0 : group];
  if (m === undefined || text === undefined) return 0;
  const at = group === 0 ? m.index : m.index + m[0].indexOf(text);
  return charLength(s.slice(0, end === 1 ? at + text.length : at)) + 1;
}

/** Pieces between matches; an empty match at an end splits nothing. */
export function splitByRegex(s: string, pattern: string, flags: string, name = 'regexp_split_to_table()'): string[] {
  noGlobal(flags, name, '');
  const out: string[] = [];
  let at = 0;
  for (const m of matchesOf(s, pattern, flags)) {
    if (m[0] === '' && (m.index === at && m.index === 0 || m.index >= s.length)) continue;
    if (m[0] === '' && m.index === at) continue;
    out.push(s.slice(at, m.index));
    at = m.index + m[0].length;
  }
  out.push(s.slice(at));
  return out;
}

/** substring(string FROM pattern): the first group, or the whole match. */
function substringRegex(s: string, pattern: string): string | null {
  const m = regex(pattern).exec(s);
  return m === null ? null : (m.length > 1 ? m[1] ?? null : m[0]);
}

/** substring(string SIMILAR pattern ESCAPE e): the part between the two e" marks. */
function substringSimilar(s: string, pattern: string, escape: string): string | null {
  const parts = pattern.split(`${escape}"`);
  if (parts.length === 1) return regexTest(s, similarToRegex(pattern, escape)) ? s : null;
  if (parts.length !== 3) throw new SqlError('2200C', 'SQL regular expression may not contain more than two escape-double-quote separators');
  const bodies = parts.map((p) => similarToRegex(p, escape).slice(1, -1));
  const m = regex(`^${bodies[0].replace('(?:.*)', '(?:.*?)')}(${bodies[1]})${bodies[2]}$`).exec(s);
  return m === null ? null : m[1];
}

/** Names of arguments; the text behind a replacement is the flags. */
const ARG_NAMES: Readonly<Record<string, readonly string[]>> = {
  regexp_match: ['string', 'pattern', 'flags'], regexp_like: ['string', 'pattern', 'flags'], regexp_split_to_array: ['string', 'pattern', 'flags'],
  regexp_replace: ['string', 'pattern', 'replacement', 'start', 'N', 'flags'], regexp_count: ['string', 'pattern', 'start', 'flags'],
  regexp_substr: ['string', 'pattern', 'start', 'N', 'flags', 'subexpr'], regexp_instr: ['string', 'pattern', 'start', 'N', 'endoption', 'flags', 'subexpr'],
};
function withNames(def: FunctionDef): FunctionDef {
  const names = ARG_NAMES[def.name];
  if (names === undefined) return def;
  return { ...def, argNames: def.id === 'regexp_replace(text,text,text,text)' ? ['string', 'pattern', 'replacement', 'flags'] : names.slice(0, def.args.length) };
}

const FUNCTIONS: readonly FunctionDef[] = [
  ...likes('text'), ...likes('bpchar'), ...likes('name'),
  fn('like(text,text)', 'bool', (s: string, p: string) => likeMatcher(p)(s)),
  fn('notlike(text,text)', 'bool', (s: string, p: string) => !likeMatcher(p)(s)),
  fn('like_escape(text,text)', 'text', likeEscape),
  fn('similar_to_escape(text)', 'text', (p: string) => similarToRegex(p)),
  fn('similar_to_escape(text,text)', 'text', (p: string, e: string) => similarToRegex(p, e)),
  fn('regexp_match(text,text)', 'text[]', (s: string, p: string) => regexpMatch(s, p, '')),
  fn('regexp_match(text,text,text)', 'text[]', regexpMatch),
  fn('regexp_replace(text,text,text)', 'text', (s: string, p: string, r: string) => replace(s, p, r, '')),
  fn('regexp_replace(text,text,text,text)', 'text', (s: string, p: string, r: string, f: string) => {
    if (/^\d/.test(f)) throw new SqlError('22023', `invalid regular expression option: "${f[0]}"`, { hint: 'If you meant to use regexp_replace() with a start parameter, cast the fourth argument to integer explicitly.' });
    return replace(s, p, r, f);
  }),
  fn('regexp_replace(text,text,text,int4)', 'text', (s: string, p: string, r: string, start: number) => { positive('start', start); return replace(s, p, r, '', start, 1); }),
  fn('regexp_replace(text,text,text,int4,int4)', 'text', (s: string, p: string, r: string, start: number, n: number) => {
    positive('start', start);
    positive('n', n, 0);
    return replace(s, p, r, '', start, n);
  }),
  fn('regexp_replace(text,text,text,int4,int4,text)', 'text', (s: string, p: string, r: string, start: number, n: number, f: string) => {
    positive('start', start);
    positive('n', n, 0);
    return replace(s, p, r, f, start, n);
  }),
  fn('regexp_like(text,text)', 'bool', (s: string, p: string) => regexTest(s, p)),
  fn('regexp_like(text,text,text)', 'bool', (s: string, p: string, f: string) => { noGlobal(f, 'regexp_like()', ''); return regexTest(s, p, f); }),
  fn('regexp_count(text,text)', 'int4', (s: string, p: string) => count(s, p, 1, '')),
  fn('regexp_count(text,text,int4)', 'int4', (s: string, p: string, start: number) => count(s, p, start, '')),
  fn('regexp_count(text,text,int4,text)', 'int4', count),
  fn('regexp_substr(text,text)', 'text', (s: string, p: string) => substr(s, p, 1, 1, '', 0)),
  fn('regexp_substr(text,text,int4)', 'text', (s: string, p: string, start: number) => substr(s, p, start, 1, '', 0)),
  fn('regexp_substr(text,text,int4,int4)', 'text', (s: string, p: string, start: number, n: number) => substr(s, p, start, n, '', 0)),
  fn('regexp_substr(text,text,int4,int4,text)', 'text', (s: string, p: string, start: number, n: number, f: string) => substr(s, p, start, n, f, 0)),
  fn('regexp_substr(text,text,int4,int4,text,int4)', 'text', substr),
  fn('regexp_instr(text,text)', 'int4', (s: string, p: string) => instr(s, p, 1, 1, 0, '', 0)),
  fn('regexp_instr(text,text,int4)', 'int4', (s: string, p: string, start: number) => instr(s, p, start, 1, 0, '', 0)),
  fn('regexp_instr(text,text,int4,int4)', 'int4', (s: string, p: string, start: number, n: number) => instr(s, p, start, n, 0, '', 0)),
  fn('regexp_instr(text,text,int4,int4,int4)', 'int4', (s: string, p: string, start: number, n: number, e: number) => instr(s, p, start, n, e, '', 0)),
  fn('regexp_instr(text,text,int4,int4,int4,text)', 'int4', (s: string, p: string, start: number, n: number, e: number, f: string) => instr(s, p, start, n, e, f, 0)),
  fn('regexp_instr(text,text,int4,int4,int4,text,int4)', 'int4', instr),
  fn('regexp_split_to_array(text,text)', 'text[]', (s: string, p: string) => SqlArray.of(splitByRegex(s, p, ''))),
  fn('regexp_split_to_array(text,text,text)', 'text[]', (s: string, p: string, f: string) => SqlArray.of(splitByRegex(s, p, f, 'regexp_split_to_array()'))),
  fn('substring(text,text)', 'text', substringRegex),
  fn('substring(text,text,text)', 'text', substringSimilar),
];
export const matchFunctions = FUNCTIONS.map(withNames);

