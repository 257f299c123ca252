/**
 * Requests and notices over a MessagePort-like link, typed by two method tables. Each side gives handlers for its own table and a
 * proxy-free `call` into the other's. Order: messages of one link are handled in the order they were sent; a handler that returns
 * a promise does not hold up the next. Errors cross as ErrorData. When the link closes every open call rejects.
 */
import { fromErrorData, SqlError, toErrorData, type ErrorData } from '../types/error.js';

export type Methods = Record<string, (arg: never) => unknown>;
type ArgOf<F> = F extends (arg: infer A) => unknown ? A : never;
type ResultOf<F> = F extends (arg: never) => infer R ? Awaited<R> : never;

/** What a handler may return to move buffers instead of copying them. */
export class Transfer<T> {
  readonly value: T;
  readonly list: readonly ArrayBuffer[];
  constructor(value: T, list: readonly ArrayBuffer[]) {
    this.value = value;
    this.list = list;
  }
}

export type Handlers<M> = { [K in keyof M]: (arg: ArgOf<M[K]>) => ResultOf<M[K]> | Transfer<ResultOf<M[K]>> | Promise<ResultOf<M[K]> | Transfer<ResultOf<M[K]>>> };

export interface Link {
  post(message: unknown, transfer?: readonly ArrayBuffer[]): void;
}

type Message =
  | { readonly m: 'call'; readonly id: number; readonly method: string; readonly arg: unknown }
  | { readonly m: 'note'; readonly method: string; readonly arg: unknown }
  | { readonly m: 'ok'; readonly id: number; readonly value: unknown }
  | { readonly m: 'err'; readonly id: number; readonly error: ErrorData };

interface Pending { resolve(value: unknown): void; reject(error: unknown): void }

/** `Own`: methods this side answers; `Other`: methods of the other side. */
export class Rpc<Own, Other> {
  readonly #link: Link;
  readonly #handlers: Handlers<Own>;
  readonly #pending = new Map<number, Pending>();
  readonly #onNoteError: (error: unknown) => void;
  #nextId = 1;
  #closed: SqlError | null = null;

  constructor(link: Link, handlers: Handlers<Own>, onNoteError: (error: unknown) => void) {
    this.#link = link;
    this.#handlers = handlers;
    this.#onNoteError = onNoteError;
  }

  call<K extends keyof Other & string>(method: K, arg: ArgOf<Other[K]>, transfer?: readonly ArrayBuffer[]): Promise<ResultOf<Other[K]>> {
    if (this.#closed !== null) return Promise.reject(this.#closed);
    const id = this.#nextId++;
    return new Promise((resolve, reject) => {
      this.#pending.set(id, { resolve: value => { resolve(value as ResultOf<Other[K]>); }, reject });
      this.#link.post({ m: 'call', id, method, arg }, transfer);
    });
  }

  /** One way; an error in the handler goes to the other side's onNoteError. */
  notify<K extends keyof Other & string>(method: K, arg: ArgOf<Other[K]>, transfer?: readonly ArrayBuffer[]): void {
    if (this.#closed === null) this.#link.post({ m: 'note', method, arg }, transfer);
  }

  /** To be called with every message of the link. */
  receive(data: unknown): void {
    const message = data as Message;
    switch (message.m) {
      case 'ok': case 'err': {
        const pending = this.#pending.get(message.id);
        this.#pending.delete(message.id);
        if (message.m === 'ok') pending?.resolve(message.value);
        else pending?.reject(fromErrorData(message.error));
        return;
      }
      case 'note':
        void this.#run(message.method, message.arg).catch(this.#onNoteError);
        return;
      case 'call':
        this.#run(message.method, message.arg).then(
          value => {
            if (value instanceof Transfer) this.#link.post({ m: 'ok', id: message.id, value: value.value }, value.list);
            else this.#link.post({ m: 'ok', id: message.id, value });
          },
          (e: unknown) => { this.#link.post({ m: 'err', id: message.id, error: toErrorData(e) }); },
        );
    }
  }

  close(error: SqlError): void {
    this.#closed = error;
    for (const pending of this.#pending.values()) pending.reject(error);
    this.#pending.clear();
  }

  async #run(method: string, arg: unknown): Promise<unknown> {
    const handler = (this.#handlers as Record<string, ((arg: unknown) => unknown) | undefined>)[method];
    if (handler === undefined) throw new SqlError('XX000', `internal error: no method ${method}`);
    return await handler(arg);
  }
}
