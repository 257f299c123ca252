/**
 * The hash of key bytes: MurmurHash3's 32-bit mix over little-endian words (public domain, Austin Appleby), 4 bytes a step. It decides
 * key groups, so it may never change for stored state: its version stands in the job's metadata.
 */
export const HASH_VERSION = 1;

export function hashBytes(data: Uint8Array, start: number, end: number): number {
  let h = 0x9747b28c;
  let i = start;
  for (const last = end - 3; i < last; i += 4) {
    let k = data[i] | (data[i + 1] << 8) | (data[i + 2] << 16) | (data[i + 3] << 24);
    k = Math.imul(k, 0xcc9e2d51);
    k = (k << 15) | (k >>> 17);
    h ^= Math.imul(k, 0x1b873593);
    h = (h << 13) | (h >>> 19);
    h = (Math.imul(h, 5) + 0xe6546b64) | 0;
  }
  let k = 0;
  const rest = end - i;
  if (rest === 3) k = data[i + 2] << 16;
  if (rest >= 2) k |= data[i + 1] << 8;
  if (rest >= 1) { k |= data[i]; k = Math.imul(k, 0xcc9e2d51); k = (k << 15) | (k >>> 17); h ^= Math.imul(k, 0x1b873593); }
  h ^= end - start;
  h ^= h >>> 16;
  h = Math.imul(h, 0x85ebca6b);
  h ^= h >>> 13;
  h = Math.imul(h, 0xc2b2ae35);
  return h ^ (h >>> 16);
}

/** The same hash over whole words of a little-endian buffer: `words` words from word index `at`. A quarter of the loads. */
export function hashWords(data: Int32Array, at: number, words: number): number {
  let h = 0x9747b28c;
  for (let i = at, end = at + words; i < end; i++) {
    let k = Math.imul(data[i], 0xcc9e2d51);
    k = (k << 15) | (k >>> 17);
    h ^= Math.imul(k, 0x1b873593);
    h = (h << 13) | (h >>> 19);
    h = (Math.imul(h, 5) + 0xe6546b64) | 0;
  }
  h ^= words * 4;
  h ^= h >>> 16;
  h = Math.imul(h, 0x85ebca6b);
  h ^= h >>> 13;
  h = Math.imul(h, 0xc2b2ae35);
  return h ^ (h >>> 16);
}
