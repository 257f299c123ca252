/**
 * SourceText: one SQL text and the three ways its places are counted.
 *
 *   character   code points; what error positions are given in (1-based), as Postgres counts
 *   byte        UTF-8; what `location` fields in libpg-query's trees are (0-based)
 *   unit        UTF-16; JavaScript's string indexes (0-based); what tokens and slices use
 *
 * A text may be a slice of a larger one (a statement of several, a query inside CREATE SINK): `base` is the number of characters before
 * it, and positions are always those of the whole text. For ASCII all three are the same and nothing is computed; otherwise one
 * pass builds unit indexes of every 64th character and byte, and a look-up walks at most 64 characters.
 */
const STEP = 64;

interface Index {
  /** Unit index and byte offset of character k * STEP. */
  readonly units: Uint32Array;
  readonly bytes: Uint32Array;
}

export class SourceText {
  readonly text: string;
  /** Characters of the whole text before this one. */
  readonly base: number;
  readonly #ascii: boolean;
  #index: Index | null = null;

  constructor(text: string, base = 0) {
    this.text = text;
    this.base = base;
    this.#ascii = isAscii(text);
  }

  /** 1-based character position, in the whole text, of a tree's byte location; undefined when the node has none (−1). */
  position(location: number | undefined): number | undefined {
    if (location === undefined || location < 0) return undefined;
    return this.base + this.characterOfByte(location) + 1;
  }
  /** 1-based character position, in the whole text, of a UTF-16 index. */
  positionOfUnit(unit: number): number { return this.base + this.characterOfUnit(unit) + 1; }

  characterOfByte(byte: number): number {
    if (this.#ascii) return byte;
    const { bytes, units } = this.#indexed();
    let k = lastAtMost(bytes, byte);
    let at = bytes[k] ?? 0;
    let unit = units[k] ?? 0;
    k *= STEP;
    while (at < byte && unit < this.text.length) {
      const c = this.text.codePointAt(unit) ?? 0;
      at += utf8Length(c);
      unit += c > 0xffff ? 2 : 1;
      k++;
    }
    return k;
  }

  characterOfUnit(unit: number): number {
    if (this.#ascii) return unit;
    const { units } = this.#indexed();
    const block = lastAtMost(units, unit);
    let k = block * STEP;
    for (let at = units[block] ?? 0; at < unit;) {
      at += (this.text.codePointAt(at) ?? 0) > 0xffff ? 2 : 1;
      k++;
    }
    return k;
  }

  unitOfCharacter(character: number): number {
    if (this.#ascii) return character;
    const { units } = this.#indexed();
    const block = Math.min(Math.floor(character / STEP), units.length - 1);
    let at = units[block] ?? 0;
    for (let k = block * STEP; k < character && at < this.text.length; k++) at += (this.text.codePointAt(at) ?? 0) > 0xffff ? 2 : 1;
    return at;
  }

  unitOfByte(byte: number): number { return this.unitOfCharacter(this.characterOfByte(byte)); }

  byteOfUnit(unit: number): number {
    if (this.#ascii) return unit;
    const { units, bytes } = this.#indexed();
    const block = lastAtMost(units, unit);
    let byte = bytes[block] ?? 0;
    for (let at = units[block] ?? 0; at < unit;) {
      const c = this.text.codePointAt(at) ?? 0;
      byte += utf8Length(c);
      at += c > 0xffff ? 2 : 1;
    }
    return byte;
  }

  /** The part [start, end) in UTF-16 units, as a text of its own whose positions are still those of the whole. */
  slice(start: number, end: number): SourceText {
    return new SourceText(this.text.slice(start, end), this.base + this.characterOfUnit(start));
  }

  #indexed(): Index {
    if (this.#index !== null) return this.#index;
    const units: number[] = [];
    const bytes: number[] = [];
    let byte = 0;
    let character = 0;
    for (let unit = 0; unit < this.text.length; character++) {
      if (character % STEP === 0) { units.push(unit); bytes.push(byte); }
      const c = this.text.codePointAt(unit) ?? 0;
      byte += utf8Length(c);
      unit += c > 0xffff ? 2 : 1;
    }
    this.#index = { units: Uint32Array.from(units), bytes: Uint32Array.from(bytes) };
    return this.#index;
  }
}

function isAscii(text: string): boolean {
  for (let i = 0; i < text.length; i++) if (text.charCodeAt(i) > 127) return false;
  return true;
}

function utf8Length(codePoint: number): number {
  return codePoint < 0x80 ? 1 : codePoint < 0x800 ? 2 : codePoint < 0x10000 ? 3 : 4;
}

/** Index of the last entry that is <= v (entries ascend, the first is 0). */
function lastAtMost(entries: Uint32Array, v: number): number {
  let low = 0;
  let high = entries.length - 1;
  while (low < high) {
    const mid = (low + high + 1) >> 1;
    if ((entries[mid] ?? 0) <= v) low = mid;
    else high = mid - 1;
  }
  return low;
}
