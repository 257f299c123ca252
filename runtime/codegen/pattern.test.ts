import assert from 'node:assert/strict';
import { test } from 'node:test';
import { regex } from '../../types/functions/regex.js';
import { spanPattern } from './pattern.js';

const PATTERNS = [
  '(&|^)channel_id=([^&]*)', '(^|&)a=([^&]+)', 'a=', '^a=', '^a', '(a)', 'aa([^a]*)', 'aa[^a]+', '(&)a=(\\d+)', '=([0-9a-b]*)', '&([^é&]*)', '(^|=)a', 'a(\\d*)', '\\.a', 'a\\.([^.]*)', '&a-([a\\-]*)', '=[&=]+', 'a/([^/]*)', '([&])a', '(^)a',
];
/** Alternatives over longer texts, quantifiers within, what follows the class, letters beyond ASCII, options: left to the engine's own. */
const OTHERS = ['(aa|^)b', '(a|b)c', 'ab*', '(a)b(c)', '[a]b', 'a([^&]*)&', 'é=', 'a([^é]*)', 'a|b', '^', '', 'a{2}', '(a)?b', 'a.', 'a([[:alpha:]]*)', '\\ya', '(?i)a'];
const LETTERS = ['a', 'a', 'b', '&', '&', '=', '=', '.', '-', '/', '1', 'é', '漢', '\n', 'channel_id=', 'a='];

test('a pattern over spans finds what the regular expression finds, with the same groups', () => {
  let seed = 7;
  const random = (n: number): number => { seed = (Math.imul(seed, 1103515245) + 12345) >>> 0; return (seed >>> 8) % n; };
  let taken = 0;
  let matches = 0;
  for (const source of PATTERNS) {
    const re = regex(source, '');
    const pattern = spanPattern(re);
    if (pattern === null) continue;
    taken++;
    const groups = new RegExp(`${re.source}|`, 'u').exec('')?.length ?? 0;
    pattern.begin();
    for (let row = 0; row < 3000; row++) {
      const text = Array.from({ length: random(9) }, () => LETTERS[random(LETTERS.length)]).join('');
      const bytes = Buffer.from(`=a${text}a&`);
      const [s, e] = [2, bytes.length - 2];
      re.lastIndex = 0;
      const expected = re.exec(text);
      assert.equal(pattern.at(row, bytes, s, e), expected !== null, `${source} in ${JSON.stringify(text)}`);
      if (expected === null) continue;
      matches++;
      for (let k = 0; k < groups; k++) assert.equal(bytes.toString('utf8', pattern.from(k), pattern.to(k)), expected[k], `group ${k} of ${source} in ${JSON.stringify(text)}`);
    }
  }
  assert.ok(taken >= 15, `${taken} patterns`);
  assert.ok(matches > 5000, `${matches} matches`);
});

test('expressions of another form are not taken', () => {
  for (const source of OTHERS) assert.equal(spanPattern(regex(source, '')), null, source);
  assert.equal(spanPattern(regex('a', 'i')), null);
});
