/** One at a time, in order of asking. */
export class Mutex {
  #last: Promise<void> = Promise.resolve();

  /** Waits for the turn; the caller must call the returned function, once, to end it. */
  async acquire(): Promise<() => void> {
    let release = (): void => undefined;
    const before = this.#last;
    this.#last = new Promise(resolve => { release = resolve; });
    await before;
    return release;
  }

  async run<T>(work: () => Promise<T>): Promise<T> {
    const release = await this.acquire();
    try {
      return await work();
    } finally {
      release();
    }
  }
}
