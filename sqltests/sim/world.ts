/**
 * The simulated world: one queue of events in virtual time, one random generator. Timers, messages, reads and writes are events; whoever waits for one
 * goes on when it is its turn, and nothing else happens meanwhile: a seed gives one run, always the same.
 *
 * A Domain is what dies at once: the main thread of a process, or one worker. Events of a dead domain do not happen. Cost: a heap operation and a turn
 * of the event loop an event.
 */
import type { Env } from '../../types/env.js';
import { seeded, type Random } from '../../types/encoding/testdatums.js';

interface Event { readonly at: number; readonly order: number; readonly domain: Domain | null; readonly what: string; readonly run: () => void }

export class Domain {
  readonly name: string;
  alive = true;
  constructor(name: string) { this.name = name; }
}

/** Named limit: a run of more events has come to no end. */
const EVENTS_MAX = 200_000;
const START_MS = 1_700_000_000_000;

const turn = (): Promise<void> => new Promise(resolve => { setImmediate(resolve); });

export class World {
  readonly random: Random;
  now = START_MS;
  events = 0;
  /** Changes with everything that happens, in its order. */
  trace = 0;
  #monotonic = 0;
  #order = 0;
  readonly #heap: Event[] = [];
  readonly #log: ((line: string) => void) | null;

  constructor(seed: number, log: ((line: string) => void) | null = null) {
    this.random = seeded(seed);
    this.#log = log;
  }

  chance(percent: number): boolean { return this.random(1000) < percent * 10; }

  /** `run` happens `ms` from now unless the domain is dead by then; null = it happens anyway. */
  at(ms: number, domain: Domain | null, what: string, run: () => void): void { this.#push({ at: this.now + ms, order: this.#order++, domain, what, run }); }

  /** Waits that long; for ever when the domain dies. */
  wait(ms: number, domain: Domain | null, what: string): Promise<void> { return new Promise(resolve => { this.at(ms, domain, what, resolve); }); }

  note(what: string): void {
    for (let i = 0; i < what.length; i++) this.trace = Math.imul(this.trace ^ what.charCodeAt(i), 16777619);
    this.#log?.(`${this.now - START_MS} ${what}`);
  }

  /** Lets things happen until `done`; false when there is nothing left, or no end in sight. */
  async run(done: () => boolean): Promise<boolean> {
    for (;;) {
      if (done()) return true;
      const event = this.#pop();
      if (event === null || this.events > EVENTS_MAX) return false;
      if (event.domain?.alive === false) continue;
      this.now = Math.max(this.now, event.at);
      this.events++;
      this.note(event.what);
      event.run();
      await turn();
    }
  }

  /** The clock of a domain; work takes a little of its time. */
  env(domain: Domain): Env {
    return {
      now: () => this.now, nowUs: () => this.now * 1000, random: () => this.random(1 << 30) / (1 << 30),
      after: (ms, run) => {
        let live = true;
        this.at(Math.ceil(ms), domain, 'timer', () => { if (live) run(); });
        return { cancel: () => { live = false; } };
      },
      monotonic: () => this.#monotonic += this.random(50) === 0 ? 10 : 0.01,
      turn: () => this.wait(0, domain, 'turn'),
    };
  }

  #push(event: Event): void {
    const heap = this.#heap;
    let at = heap.push(event) - 1;
    while (at > 0) {
      const up = (at - 1) >> 1;
      if (before(heap[up], event)) break;
      heap[at] = heap[up];
      at = up;
    }
    heap[at] = event;
  }

  #pop(): Event | null {
    const heap = this.#heap;
    const first = heap[0];
    const last = heap.pop();
    if (first === undefined || last === undefined) return null;
    if (heap.length === 0) return first;
    let at = 0;
    for (;;) {
      let child = at * 2 + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && before(heap[child + 1], heap[child])) child++;
      if (before(last, heap[child])) break;
      heap[at] = heap[child];
      at = child;
    }
    heap[at] = last;
    return first;
  }
}

function before(a: Event, b: Event): boolean { return a.at < b.at || (a.at === b.at && a.order < b.order); }

/** Messages from one domain to another: each takes its time, none overtakes. */
export class Wire {
  readonly #world: World;
  readonly #to: Domain;
  readonly #what: string;
  #last = 0;
  constructor(world: World, to: Domain, what: string) {
    this.#world = world;
    this.#to = to;
    this.#what = what;
  }
  send(deliver: () => void): void {
    const { now, random } = this.#world;
    const at = Math.max(this.#last, now + (random(20) === 0 ? random(30) : random(3)));
    this.#last = at;
    this.#world.at(at - now, this.#to, this.#what, deliver);
  }
}
