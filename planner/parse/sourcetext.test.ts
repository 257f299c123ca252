import { test } from 'node:test';
import assert from 'node:assert/strict';
import { SourceText } from './sourcetext.js';
import { tokenize } from './lexer.js';

const texts = ['', 'plain ascii', 'é€😀x', 'a'.repeat(200) + '😀é'.repeat(150) + 'z', '😀'.repeat(65)];

test('characters, bytes and UTF-16 units convert into each other at every place', () => {
  for (const text of texts) {
    const source = new SourceText(text, 10);
    let unit = 0;
    let byte = 0;
    [...text, ''].forEach((c, character) => {
      assert.equal(source.characterOfByte(byte), character);
      assert.equal(source.characterOfUnit(unit), character);
      assert.equal(source.unitOfCharacter(character), unit);
      assert.equal(source.unitOfByte(byte), unit);
      assert.equal(source.byteOfUnit(unit), byte);
      assert.equal(source.position(byte), 10 + character + 1);
      assert.equal(source.slice(unit, text.length).base, 10 + character);
      unit += c.length;
      byte += Buffer.byteLength(c);
    });
    assert.equal(source.position(-1), undefined);
  }
});

const tokens = (text: string): string[] => tokenize(new SourceText(text)).map((t) => `${t.kind} ${t.text}`);

test("tokens follow Postgres' lexical rules", () => {
  assert.deepEqual(tokens(`SeLeCt "A""b" 'it''s' E'a\\n\\x41\\u00e9\\'' $$x'y$$ $t$a$$b$t$ U&'\\00e9' B'01' n'x'`), [
    'word select', 'quoted A"b', "string it's", "string a\nAé'", "string x'y", 'string a$$b', 'string é', 'bit 01', 'string x']);
  assert.deepEqual(tokens("'a'\n  'b' 'c' -- x\n/* a /* b */ c */ 'd'"), ['string ab', 'string c', 'string d']);
  assert.deepEqual(tokens('1 1.5 .5 1e-3 0xFF 1_000 1..2 $12'), ['number 1', 'number 1.5', 'number .5', 'number 1e-3', 'number 0xFF', 'number 1_000', 'number 1', 'symbol ..', 'number 2', 'param $12']);
  assert.deepEqual(tokens('a=-1 b<=c d->>e f::int g:=h i@-j k/*x*/+l m--n'), ['word a', 'symbol =', 'symbol -', 'number 1', 'word b', 'symbol <=', 'word c', 'word d', 'symbol ->>', 'word e', 'word f', 'symbol ::',
    'word int', 'word g', 'symbol :=', 'word h', 'word i', 'symbol @-', 'word j', 'word k', 'symbol +', 'word l', 'word m']);
  assert.deepEqual(tokens("'\u0001\\' x"), ['string \u0001\\', 'word x']);
});
