/**
 * CRC32C (Castagnoli), slicing by sixteen: sixteen table look-ups for sixteen bytes, about 1.6 GB/s. The checksum of checkpoint blocks and log records.
 */
const POLYNOMIAL = 0x82f63b78;
const T = new Int32Array(16 * 256);
for (let n = 0; n < 256; n++) {
  let c = n;
  for (let k = 0; k < 8; k++) c = (c & 1) !== 0 ? (c >>> 1) ^ POLYNOMIAL : c >>> 1;
  T[n] = c;
}
for (let n = 0; n < 256; n++) {
  for (let t = 1; t < 16; t++) T[t * 256 + n] = T[T[(t - 1) * 256 + n] & 255] ^ (T[(t - 1) * 256 + n] >>> 8);
}

/** Words a call: few enough that V8 compiles the function as called often, not for one long loop, whose code would be left at its end each time. */
const WORDS_A_CALL = 4096;

function ofWords(w: Int32Array, from: number, to: number, crc: number): number {
  let c = crc;
  for (let k = from; k < to; k += 4) {
    const a = c ^ w[k];
    const b = w[k + 1];
    const d = w[k + 2];
    const e = w[k + 3];
    c = T[3840 + (a & 255)] ^ T[3584 + ((a >>> 8) & 255)] ^ T[3328 + ((a >>> 16) & 255)] ^ T[3072 + (a >>> 24)]
      ^ T[2816 + (b & 255)] ^ T[2560 + ((b >>> 8) & 255)] ^ T[2304 + ((b >>> 16) & 255)] ^ T[2048 + (b >>> 24)]
      ^ T[1792 + (d & 255)] ^ T[1536 + ((d >>> 8) & 255)] ^ T[1280 + ((d >>> 16) & 255)] ^ T[1024 + (d >>> 24)]
      ^ T[768 + (e & 255)] ^ T[512 + ((e >>> 8) & 255)] ^ T[256 + ((e >>> 16) & 255)] ^ T[e >>> 24];
  }
  return c;
}

/** CRC of bytes[start, end), going on from `seed` (a CRC already computed over what stands before). Unsigned. */
export function crc32c(bytes: Uint8Array, start = 0, end = bytes.length, seed = 0): number {
  let c = ~seed;
  let p = start;
  while (p < end && ((bytes.byteOffset + p) & 3) !== 0) c = T[(c ^ bytes[p++]) & 255] ^ (c >>> 8);
  const words = ((end - p) >>> 4) << 2;
  if (words > 0) {
    const w = new Int32Array(bytes.buffer, bytes.byteOffset + p, words);
    for (let k = 0; k < words; k += WORDS_A_CALL) c = ofWords(w, k, Math.min(k + WORDS_A_CALL, words), c);
    p += words * 4;
  }
  for (; p < end; p++) c = T[(c ^ bytes[p]) & 255] ^ (c >>> 8);
  return ~c >>> 0;
}
