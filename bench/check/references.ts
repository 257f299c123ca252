/**
 * The yardstick of `npm run bench:check`: three fixed steps in plain JavaScript that use nothing of the product, so that
 * (time of a step of the product) / (time of the yardstick) tells more about the code than about the machine.
 * Never change them: the stored ratios would mean something else.
 */

const BYTES = 1 << 16;
const SLOTS = 1 << 16;
const FLOATS = 1 << 22;

const text = Uint8Array.from({ length: BYTES }, (_, i) => (i * 7 + (i >> 5)) % 96 + 32);
const table = new Int32Array(SLOTS);
const floats = Float64Array.from({ length: FLOATS }, (_, i) => i * 0.5);
let out = 0;

/** Reads bytes one by one and branches on them, as decoders do. */
function scanBytes(): void {
  let quotes = 0;
  let number = 0;
  for (let i = 0; i < BYTES; i++) {
    const c = text[i];
    if (c === 34) quotes++;
    else if (c >= 48 && c <= 57) number = (number * 10 + c - 48) | 0;
  }
  out += quotes + number;
}

/** Hashes integers into an open-addressing table that fits the cache. */
function hashIntegers(): void {
  table.fill(0);
  for (let i = 1; i <= SLOTS / 2; i++) {
    let h = Math.imul(i ^ (i >>> 16), 0x85ebca6b);
    h ^= h >>> 13;
    let slot = h & (SLOTS - 1);
    while (table[slot] !== 0) slot = (slot + 1) & (SLOTS - 1);
    table[slot] = i;
  }
  out += table[77];
}

/** Reads 32 MB in an order that caches do not foresee. */
function readFarApart(): void {
  let at = 1;
  let sum = 0;
  for (let i = 0; i < 1 << 14; i++) {
    sum += floats[at];
    at = (Math.imul(at, 1664525) + 1013904223) & (FLOATS - 1);
  }
  out += sum;
}

export const references: readonly (() => void)[] = [scanBytes, hashIntegers, readFarApart];

/** What the steps computed: reading it keeps the engine from leaving them out. */
export function referencesOut(): number { return out; }
