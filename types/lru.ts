/** LruCache: at most `max` values by text; the one asked for longest ago goes first. */
export class LruCache<T> {
  readonly #max: number;
  readonly #values = new Map<string, T>();

  constructor(max: number) { this.#max = max; }

  get size(): number { return this.#values.size; }

  get(key: string): T | undefined {
    const value = this.#values.get(key);
    if (value === undefined) return undefined;
    this.#values.delete(key);
    this.#values.set(key, value);
    return value;
  }

  set(key: string, value: T): void {
    this.#values.delete(key);
    this.#values.set(key, value);
    if (this.#values.size <= this.#max) return;
    const { value: oldest } = this.#values.keys().next();
    if (oldest !== undefined) this.#values.delete(oldest);
  }

  clear(): void { this.#values.clear(); }
}
