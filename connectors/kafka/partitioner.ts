/** murmur2 as Kafka's clients compute it, so that a key goes to the partition where a Java producer would send it. */
const SEED = 0x9747b28c;
const M = 0x5bd1e995;

export function murmur2(key: Uint8Array, from = 0, to = key.length): number {
  const length = to - from;
  let h = SEED ^ length;
  let i = from;
  for (; i + 4 <= to; i += 4) {
    let k = Math.imul(key[i] | (key[i + 1] << 8) | (key[i + 2] << 16) | (key[i + 3] << 24), M);
    k = Math.imul(k ^ (k >>> 24), M);
    h = Math.imul(h, M) ^ k;
  }
  const rest = to - i;
  if (rest === 3) h ^= key[i + 2] << 16;
  if (rest >= 2) h ^= key[i + 1] << 8;
  if (rest >= 1) h = Math.imul(h ^ key[i], M);
  h = Math.imul(h ^ (h >>> 13), M);
  return h ^ (h >>> 15);
}

export function partitionOf(key: Uint8Array, from: number, to: number, partitions: number): number {
  return (murmur2(key, from, to) & 0x7fffffff) % partitions;
}
