/**
 * Extensions: modules of users with own functions, sources and sinks (api.ts), imported by the main thread and by every worker. What is wrong with
 * one is said when the server starts: a module that cannot be read, a name that is taken, an entry without its methods.
 */
import { SqlError } from '../../types/error.js';
import type { Connectors } from '../connector.js';
import type { Extension, SinkDefinition, SourceDefinition, TableFunctionDefinition } from './api.js';
import { ownSink } from './ownsink.js';
import { ownSource } from './ownsource.js';

const NAME = /^[a-z_][a-z0-9_]*$/;
/** Functions of FROM that the planner has itself. */
const TAKEN = new Set(['tumble', 'hop', 'cumulate', 'session', 'table', 'unnest', 'generate_series']);

export async function withExtensions(ours: Connectors, modules: readonly string[]): Promise<Connectors> {
  const functions: TableFunctionDefinition[] = [...ours.functions ?? []];
  const sources = [...ours.sources];
  const sinks = [...ours.sinks];
  for (const module of modules) {
    const extension = await load(module);
    for (const f of listed<TableFunctionDefinition>(module, 'functions', extension.functions, ['columns', 'create'])) {
      if (TAKEN.has(f.name)) throw refused(module, `function "${f.name}" is one of the server's own`);
      add(module, 'function', functions, f);
    }
    for (const s of listed<SourceDefinition>(module, 'sources', extension.sources, ['bounded', 'createFunction'])) add(module, 'source', sources, ownSource(s));
    for (const s of listed<SinkDefinition>(module, 'sinks', extension.sinks, ['createFunction'])) add(module, 'sink', sinks, ownSink(s));
  }
  return { sources, sinks, functions };
}

async function load(module: string): Promise<Extension> {
  try {
    return await import(module) as Extension;
  } catch (e) {
    throw new SqlError('58P01', `extension ${module} could not be loaded: ${e instanceof Error ? e.message : String(e)}`, { cause: e });
  }
}

const refused = (module: string, why: string): SqlError => new SqlError('42710', `extension ${module}: ${why}`);

function listed<T extends { readonly name: string }>(module: string, what: string, list: readonly T[] | undefined, methods: readonly (keyof T & string)[]): readonly T[] {
  if (list === undefined) return [];
  if (!Array.isArray(list)) throw refused(module, `export "${what}" is no array`);
  for (const item of list as readonly T[]) {
    if (typeof item.name !== 'string' || !NAME.test(item.name)) throw refused(module, `"${String(item.name)}" in "${what}" is no name in lower case`);
    const missing = methods.find(m => typeof item[m] !== 'function');
    if (missing !== undefined) throw refused(module, `"${item.name}" in "${what}" has no method ${missing}`);
  }
  return list;
}

function add<T extends { readonly name: string }>(module: string, kind: string, to: T[], item: T): void {
  if (to.some(t => t.name === item.name)) throw refused(module, `${kind} "${item.name}" exists already`);
  to.push(item);
}
