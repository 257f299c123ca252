/**
 * Json: a json or jsonb value. json keeps its original text and parses it when first looked into (order and duplicate keys
 * kept); jsonb is a tree with numbers exact as numeric, keys unique (last wins) and in jsonb's order (UTF-8 length, then bytes),
 * printed as PostgreSQL prints it (`{"a": 1, "b": [2]}`). Immutable.
 *
 * JSON.parse is not used: it loses digits and scales of numbers, duplicate keys and PostgreSQL's error details.
 */
import { SqlError } from './error.js';
import { Numeric } from './numeric.js';
import { compareStrings, utf8Length } from './strings.js';

export type JsonNode = null | boolean | string | Numeric | readonly JsonNode[] | JsonObject;

/** Nesting that the parser accepts. */
const DEPTH_MAX = 6400;

export class JsonObject {
  readonly keys: readonly string[];
  readonly values: readonly JsonNode[];

  constructor(keys: readonly string[], values: readonly JsonNode[]) {
    this.keys = keys;
    this.values = values;
  }

  /** Keys in jsonb's order, the last of equal ones kept. */
  static canonical(keys: readonly string[], values: readonly JsonNode[]): JsonObject {
    let sorted = true;
    for (let i = 1; i < keys.length && sorted; i++) sorted = compareKeys(keys[i - 1], keys[i]) < 0;
    if (sorted) return new JsonObject(keys, values);
    const last = new Map<string, JsonNode>();
    for (let i = 0; i < keys.length; i++) last.set(keys[i], values[i]);
    const order = [...last.keys()].sort(compareKeys);
    return new JsonObject(order, order.map((k) => last.get(k) ?? null));
  }

  /** Value of a key (the last one of duplicates); undefined when absent. */
  get(key: string): JsonNode | undefined {
    const i = this.keys.lastIndexOf(key);
    return i < 0 ? undefined : this.values[i];
  }

  has(key: string): boolean {
    return this.keys.includes(key);
  }
}

function compareKeys(a: string, b: string): number {
  const x = utf8Length(a);
  const y = utf8Length(b);
  return x !== y ? x - y : compareStrings(a, b);
}

export class Json {
  /** Original text (json), or the canonical text once it was asked for (jsonb). */
  #text: string | null;
  #root: JsonNode | undefined;
  readonly binary: boolean;

  private constructor(text: string | null, root: JsonNode | undefined, binary: boolean) {
    this.#text = text;
    this.#root = root;
    this.binary = binary;
  }

  /** json from text: validated, text kept. 22P02. */
  static json(text: string): Json {
    return new Json(text, parseTree(text, false), false);
  }

  /** jsonb from text: normalised. 22P02. */
  static jsonb(text: string): Json {
    return new Json(null, parseTree(text, true), true);
  }

  static ofNode(root: JsonNode): Json {
    return new Json(null, root, true);
  }

  /** json whose text is known to be valid (built by us or stored before). */
  static trusted(text: string, binary: boolean): Json {
    return new Json(text, undefined, binary);
  }

  get root(): JsonNode {
    if (this.#root === undefined) this.#root = parseTree(this.#text ?? 'null', this.binary);
    return this.#root;
  }

  toString(): string {
    if (this.#text === null) this.#text = formatJson(this.#root ?? null);
    return this.#text;
  }

  toJSON(): string {
    return this.toString();
  }

  /** jsonb's btree order. */
  compare(o: Json): number {
    const a = this.root;
    const b = o.root;
    // PostgreSQL stores a root scalar as an array of one: an empty array sorts before scalars, longer ones after.
    const aArray = Array.isArray(a);
    const bArray = Array.isArray(b);
    if (aArray !== bArray && !(a instanceof JsonObject) && !(b instanceof JsonObject)) {
      const x = aArray ? a.length : 1;
      const y = bArray ? b.length : 1;
      return x !== y ? x - y : aArray ? 1 : -1;
    }
    return compareNodes(a, b);
  }
}

/** null < string < number < boolean < array < object. */
function rank(n: JsonNode): number {
  if (n === null) return 0;
  if (typeof n === 'string') return 1;
  if (n instanceof Numeric) return 2;
  if (typeof n === 'boolean') return 3;
  return n instanceof JsonObject ? 5 : 4;
}

export function compareNodes(a: JsonNode, b: JsonNode): number {
  if (typeof a === 'string' && typeof b === 'string') return compareStrings(a, b);
  if (a instanceof Numeric && b instanceof Numeric) return a.compare(b);
  if (typeof a === 'boolean' && typeof b === 'boolean') return Number(a) - Number(b);
  if (a instanceof JsonObject && b instanceof JsonObject) {
    if (a.keys.length !== b.keys.length) return a.keys.length - b.keys.length;
    for (let i = 0; i < a.keys.length; i++) {
      const c = compareStrings(a.keys[i], b.keys[i]) || compareNodes(a.values[i], b.values[i]);
      if (c !== 0) return c;
    }
    return 0;
  }
  if (isArray(a) && isArray(b)) {
    if (a.length !== b.length) return a.length - b.length;
    for (let i = 0; i < a.length; i++) {
      const c = compareNodes(a[i], b[i]);
      if (c !== 0) return c;
    }
    return 0;
  }
  return rank(a) - rank(b);
}

export function isArray(n: JsonNode | undefined): n is readonly JsonNode[] {
  return Array.isArray(n);
}

/** jsonb `@>`: every part of b is found in a at the same place; arrays as sets; a root array contains a scalar. */
export function jsonContains(a: JsonNode, b: JsonNode, top = true): boolean {
  if (a instanceof JsonObject) {
    if (!(b instanceof JsonObject)) return false;
    for (let i = 0; i < b.keys.length; i++) {
      const v = a.get(b.keys[i]);
      if (v === undefined || !jsonContains(v, b.values[i], false)) return false;
    }
    return true;
  }
  if (isArray(a)) {
    if (!isArray(b)) return top && !(b instanceof JsonObject) && a.some((x) => compareNodes(x, b) === 0);
    return b.every((y) => a.some((x) => (isArray(y) || y instanceof JsonObject ? jsonContains(x, y, false) : compareNodes(x, y) === 0)));
  }
  return !isArray(b) && !(b instanceof JsonObject) && compareNodes(a, b) === 0;
}

const ESCAPES: Readonly<Record<string, string>> = { '"': '\\"', '\\': '\\\\', '\b': '\\b', '\f': '\\f', '\n': '\\n', '\r': '\\r', '\t': '\\t' };
// eslint-disable-next-line no-control-regex
const NEEDS_ESCAPE = /["\\\u0000-\u001f]/;
// eslint-disable-next-line no-control-regex
const ESCAPE_ALL = /["\\\u0000-\u001f]/g;

/** A JSON string literal as PostgreSQL writes it: only what must be is escaped. */
export function quoteJson(s: string): string {
  if (!NEEDS_ESCAPE.test(s)) return `"${s}"`;
  return `"${s.replace(ESCAPE_ALL, (c) => ESCAPES[c] ?? `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`)}"`;
}

/** jsonb's text. */
export function formatJson(n: JsonNode): string {
  if (n === null) return 'null';
  if (typeof n === 'string') return quoteJson(n);
  if (typeof n === 'boolean') return n ? 'true' : 'false';
  if (n instanceof Numeric) return n.toString();
  if (n instanceof JsonObject) {
    let out = '{';
    for (let i = 0; i < n.keys.length; i++) out += `${i > 0 ? ', ' : ''}${quoteJson(n.keys[i])}: ${formatJson(n.values[i])}`;
    return `${out}}`;
  }
  let out = '[';
  for (let i = 0; i < n.length; i++) out += `${i > 0 ? ', ' : ''}${formatJson(n[i])}`;
  return `${out}]`;
}

/** jsonb_pretty: four spaces a level. */
export function prettyJson(n: JsonNode, indent = ''): string {
  const inner = `${indent}    `;
  if (n instanceof JsonObject) {
    if (n.keys.length === 0) return `{\n${indent}}`;
    return `{\n${n.keys.map((k, i) => `${inner}${quoteJson(k)}: ${prettyJson(n.values[i], inner)}`).join(',\n')}\n${indent}}`;
  }
  if (isArray(n)) {
    if (n.length === 0) return `[\n${indent}]`;
    return `[\n${n.map((v) => inner + prettyJson(v, inner)).join(',\n')}\n${indent}]`;
  }
  return formatJson(n);
}

/** json_typeof's word. */
export function jsonTypeOf(n: JsonNode): string {
  if (n === null) return 'null';
  if (typeof n === 'string') return 'string';
  if (typeof n === 'boolean') return 'boolean';
  if (n instanceof Numeric) return 'number';
  return n instanceof JsonObject ? 'object' : 'array';
}

/** Value at a key; null for absent. */
export function jsonField(n: JsonNode, key: string): JsonNode | undefined {
  return n instanceof JsonObject ? n.get(key) : undefined;
}

/** Element of an array; negative counts from the end. */
export function jsonElement(n: JsonNode, index: number): JsonNode | undefined {
  if (!isArray(n)) return undefined;
  return n[index < 0 ? n.length + index : index];
}

/** #>: each step a key, or an integer for arrays. */
export function jsonPath(n: JsonNode, path: readonly string[]): JsonNode | undefined {
  let at: JsonNode | undefined = n;
  for (const step of path) {
    if (at instanceof JsonObject) at = at.get(step);
    else if (isArray(at) && /^\s*[+-]?\d+$/.test(step)) at = jsonElement(at, Number(step));
    else return undefined;
    if (at === undefined) return undefined;
  }
  return at;
}

function parseTree(text: string, binary: boolean): JsonNode {
  return new JsonParser(text, binary).parse();
}

const NUMBER = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
const WORD = /[A-Za-z0-9_.+\-\u0080-\uffff]+/y;

class JsonParser {
  readonly #text: string;
  readonly #binary: boolean;
  #at = 0;

  constructor(text: string, binary: boolean) {
    this.#text = text;
    this.#binary = binary;
  }

  parse(): JsonNode {
    const n = this.#value(0, 'Expected JSON value');
    this.#space();
    if (this.#at < this.#text.length) throw this.#expected('Expected end of input');
    return n;
  }

  #space(): void {
    for (;;) {
      const c = this.#text.charCodeAt(this.#at);
      if (c !== 32 && c !== 10 && c !== 13 && c !== 9) return;
      this.#at++;
    }
  }

  #error(detail: string): SqlError {
    return new SqlError('22P02', 'invalid input syntax for type json', { detail });
  }

  /** "<what>, but found <token>." with PostgreSQL's notion of a token. */
  #expected(what: string): SqlError {
    if (this.#at >= this.#text.length) return this.#error('The input string ended unexpectedly.');
    const c = this.#text[this.#at];
    if (c === '"') {
      const start = this.#at;
      this.#string();
      return this.#error(`${what}, but found ${JSON.stringify(this.#text.slice(start, this.#at))}.`.replace(/\\"/g, '"'));
    }
    if ('{}[],:'.includes(c)) return this.#error(`${what}, but found "${c}".`);
    WORD.lastIndex = this.#at;
    const word = WORD.exec(this.#text)?.[0] ?? c;
    if (word === 'true' || word === 'false' || word === 'null' || /^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?$/.test(word)) {
      return this.#error(`${what}, but found "${word}".`);
    }
    return this.#error(`Token "${word}" is invalid.`);
  }

  #value(depth: number, what: string): JsonNode {
    if (depth > DEPTH_MAX) throw new SqlError('54001', 'stack depth limit exceeded');
    this.#space();
    const text = this.#text;
    switch (text[this.#at]) {
      case '{': return this.#object(depth);
      case '[': return this.#array(depth);
      case '"': return this.#string();
      default:
    }
    WORD.lastIndex = this.#at;
    const word = WORD.exec(text)?.[0];
    if (word === 'true' || word === 'false' || word === 'null') {
      this.#at += word.length;
      return word === 'null' ? null : word === 'true';
    }
    NUMBER.lastIndex = this.#at;
    const number = NUMBER.exec(text)?.[0];
    if (number === undefined || number !== word) throw this.#expected(what);
    this.#at += number.length;
    const n = Numeric.parse(number);
    return this.#binary && n.isZero() ? n.abs() : n;
  }

  #object(depth: number): JsonObject {
    const keys: string[] = [];
    const values: JsonNode[] = [];
    this.#at++;
    this.#space();
    if (this.#text[this.#at] === '}') {
      this.#at++;
      return new JsonObject(keys, values);
    }
    for (;;) {
      this.#space();
      if (this.#text[this.#at] !== '"') throw this.#expected(keys.length === 0 ? 'Expected string or "}"' : 'Expected string');
      keys.push(this.#string());
      this.#space();
      if (this.#text[this.#at] !== ':') throw this.#expected('Expected ":"');
      this.#at++;
      values.push(this.#value(depth + 1, 'Expected JSON value'));
      this.#space();
      const c = this.#text[this.#at];
      if (c !== ',' && c !== '}') throw this.#expected('Expected "," or "}"');
      this.#at++;
      if (c === '}') return this.#binary ? JsonObject.canonical(keys, values) : new JsonObject(keys, values);
    }
  }

  #array(depth: number): JsonNode[] {
    const out: JsonNode[] = [];
    this.#at++;
    this.#space();
    if (this.#text[this.#at] === ']') {
      this.#at++;
      return out;
    }
    for (;;) {
      out.push(this.#value(depth + 1, out.length === 0 ? 'Expected array element or "]"' : 'Expected JSON value'));
      this.#space();
      const c = this.#text[this.#at];
      if (c !== ',' && c !== ']') throw this.#expected('Expected "," or "]"');
      this.#at++;
      if (c === ']') return out;
    }
  }

  #string(): string {
    const text = this.#text;
    let from = ++this.#at;
    let out = '';
    for (;;) {
      const c = text.charCodeAt(this.#at);
      if (c === 34) break;
      if (c !== c) throw this.#error(`Token "${text.slice(from - 1)}" is invalid.`);
      if (c < 32) throw this.#error(`Character with value 0x${c.toString(16).padStart(2, '0')} must be escaped.`);
      if (c === 92) {
        out += text.slice(from, this.#at) + this.#escape();
        from = this.#at;
      } else this.#at++;
    }
    out += text.slice(from, this.#at++);
    return out;
  }

  #escape(): string {
    const c = this.#text[this.#at + 1];
    if (c === 'u') {
      const hex = this.#text.slice(this.#at + 2, this.#at + 6);
      if (!/^[0-9a-fA-F]{4}$/.test(hex)) throw this.#error('"\\u" must be followed by four hexadecimal digits.');
      const code = parseInt(hex, 16);
      if (code === 0 && this.#binary) {
        throw new SqlError('22P05', 'unsupported Unicode escape sequence', { detail: '\\u0000 cannot be converted to text.' });
      }
      this.#at += 6;
      if (code >= 0xdc00 && code <= 0xdfff) throw this.#error('Unicode low surrogate must follow a high surrogate.');
      if (code < 0xd800 || code > 0xdbff) return String.fromCharCode(code);
      const low = /^\\u([dD][c-fC-F][0-9a-fA-F]{2})/.exec(this.#text.slice(this.#at, this.#at + 6));
      if (low === null) throw this.#error('Unicode low surrogate must follow a high surrogate.');
      this.#at += 6;
      return String.fromCharCode(code, parseInt(low[1], 16));
    }
    const plain = '"\\/bfnrt'.indexOf(c ?? ' ');
    if (c === undefined || plain < 0) throw this.#error(`Escape sequence "\\${c ?? ''}" is invalid.`);
    this.#at += 2;
    return '"\\/\b\f\n\r\t'[plain];
  }
}
