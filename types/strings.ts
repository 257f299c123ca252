/**
 * Strings by code points. JavaScript compares and counts UTF-16 units; SQL counts characters and C collation compares code
 * points (the same as UTF-8 bytes). Strings without surrogates, nearly all, take the fast way.
 */

const SURROGATE = /[\ud800-\udfff]/;

/** Order by code points: −1, 0 or 1. */
export function compareStrings(a: string, b: string): number {
  if (a === b) return 0;
  const n = a.length < b.length ? a.length : b.length;
  for (let i = 0; i < n; i++) {
    const x = a.charCodeAt(i);
    const y = b.charCodeAt(i);
    if (x !== y) {
      // Surrogates stand for code points above every other unit: lift them past U+E000..U+FFFF.
      const xs = x >= 0xd800 && x <= 0xdfff;
      const ys = y >= 0xd800 && y <= 0xdfff;
      if (xs !== ys) return xs ? 1 : -1;
      return x < y ? -1 : 1;
    }
  }
  return a.length < b.length ? -1 : 1;
}

/** Characters (code points) of a string. */
export function charLength(s: string): number {
  if (!SURROGATE.test(s)) return s.length;
  let n = 0;
  for (let i = 0; i < s.length; i++) {
    const c = s.charCodeAt(i);
    if (c < 0xdc00 || c > 0xdfff) n++;
  }
  return n;
}

/** Characters [from, to) by code points. */
export function charSlice(s: string, from: number, to: number): string {
  if (!SURROGATE.test(s)) return s.slice(from, to);
  return Array.from(s).slice(from, to).join('');
}

/** 0-based character index of `part` in `s`, or −1. */
export function charIndexOf(s: string, part: string): number {
  const i = s.indexOf(part);
  return i <= 0 ? i : charLength(s.slice(0, i));
}

export function hasSurrogate(s: string): boolean {
  return SURROGATE.test(s);
}

export function utf8Length(s: string): number {
  let n = s.length;
  for (let i = 0; i < s.length; i++) {
    const c = s.charCodeAt(i);
    if (c >= 0x80) n += c < 0x800 || (c >= 0xd800 && c <= 0xdfff) ? 1 : 2;
  }
  return n;
}
