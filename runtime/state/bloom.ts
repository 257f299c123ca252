/**
 * Bloom filter over 32-bit hashes: which keys may be outside memory. Grows by layers (each twice the last), so the error rate stays
 * near 2 %; about 10 bits a key. Past BLOOM_BYTES_MAX it saturates: then every key may be outside.
 */
const FIRST_LAYER_KEYS = 4096;
const BITS_PER_KEY = 10;
/** Named limit: bytes of one filter. */
export const BLOOM_BYTES_MAX = 32 * 1024 * 1024;

export class Bloom {
  #layers: Int32Array[] = [];
  #layerKeys = 0;
  #layerKeysMax = 0;
  #bytes = 0;
  #saturated = false;

  get bytes(): number { return this.#bytes; }

  clear(): void {
    this.#layers = [];
    this.#layerKeys = this.#layerKeysMax = this.#bytes = 0;
    this.#saturated = false;
  }

  /** From now on every key may be present. */
  saturate(): void {
    this.clear();
    this.#saturated = true;
  }

  add(hash: number): void {
    if (this.#saturated || this.mayContain(hash)) return;
    if (this.#layerKeys >= this.#layerKeysMax) {
      this.#layerKeysMax = this.#layerKeysMax === 0 ? FIRST_LAYER_KEYS : this.#layerKeysMax * 2;
      const words = 1 << (32 - Math.clz32(((this.#layerKeysMax * BITS_PER_KEY) >>> 5) - 1));
      if (this.#bytes + words * 4 > BLOOM_BYTES_MAX) {
        this.saturate();
        return;
      }
      this.#layers.push(new Int32Array(words));
      this.#bytes += words * 4;
      this.#layerKeys = 0;
    }
    this.#layerKeys++;
    const layer = this.#layers[this.#layers.length - 1];
    const mask = layer.length * 32 - 1;
    let h = Math.imul(hash, 0x9e3779b1);
    const step = (Math.imul(hash, 0x85ebca6b) >>> 7) | 1;
    for (let k = 0; k < 5; k++) {
      const bit = (h >>> 3) & mask;
      layer[bit >>> 5] |= 1 << (bit & 31);
      h = (h + Math.imul(step, 0x27d4eb2f)) | 0;
    }
  }

  mayContain(hash: number): boolean {
    if (this.#saturated) return true;
    const start = Math.imul(hash, 0x9e3779b1);
    const step = Math.imul((Math.imul(hash, 0x85ebca6b) >>> 7) | 1, 0x27d4eb2f);
    next: for (const layer of this.#layers) {
      const mask = layer.length * 32 - 1;
      let h = start;
      for (let k = 0; k < 5; k++) {
        const bit = (h >>> 3) & mask;
        if ((layer[bit >>> 5] & (1 << (bit & 31))) === 0) continue next;
        h = (h + step) | 0;
      }
      return true;
    }
    return false;
  }
}
