/**
 * Look-ups in the catalogue: by id (plans), by name (resolution), casts. Built once when the module is loaded.
 */
import type { SqlType } from '../sqltype.js';
import type { AggregateDef, ArgPattern, FunctionDef, SetFunctionDef } from './catalogue.js';
import { aggregates } from './aggregate.js';
import { arithmeticFunctions } from './arithmetic.js';
import { arrayFunctions } from './array.js';
import { byteaFunctions } from './bytea.js';
import { comparisonFunctions } from './comparison.js';
import { datetimeFunctions } from './datetime.js';
import { jsonFunctions } from './json.js';
import { mathFunctions } from './math.js';
import { matchFunctions } from './match.js';
import { setFunctions } from './set.js';
import { stringFunctions } from './string.js';
import { systemFunctions } from './system.js';
import { windowFunctions } from './window.js';

export { castFor } from './cast.js';

const FUNCTIONS: readonly FunctionDef[] = [
  ...arithmeticFunctions, ...comparisonFunctions, ...stringFunctions, ...matchFunctions, ...mathFunctions, ...datetimeFunctions,
  ...jsonFunctions, ...arrayFunctions, ...byteaFunctions, ...systemFunctions,
];

function indexBy<T extends { readonly id: string; readonly name: string }>(all: readonly T[]): { byId: Map<string, T>; byName: Map<string, T[]> } {
  const byId = new Map<string, T>();
  const byName = new Map<string, T[]>();
  for (const f of all) {
    if (byId.has(f.id)) throw new Error(`internal error: ${f.id} is defined twice`);
    byId.set(f.id, f);
    const same = byName.get(f.name);
    if (same === undefined) byName.set(f.name, [f]);
    else same.push(f);
  }
  return { byId, byName };
}

const functions = indexBy(FUNCTIONS);
const sets = indexBy(setFunctions);
const aggregateIndex = indexBy(aggregates);
const windowIndex = indexBy(windowFunctions);

export function functionById(id: string): FunctionDef | null {
  return functions.byId.get(id) ?? null;
}

/** Overloads of a function or operator, in the catalogue's order. */
export function functionsByName(name: string): readonly FunctionDef[] {
  return functions.byName.get(name) ?? [];
}

export function setFunctionById(id: string): SetFunctionDef | null {
  return sets.byId.get(id) ?? null;
}

export function setFunctionsByName(name: string): readonly SetFunctionDef[] {
  return sets.byName.get(name) ?? [];
}

export function aggregateById(id: string): AggregateDef | null {
  return aggregateIndex.byId.get(id) ?? null;
}

export function aggregatesByName(name: string): readonly AggregateDef[] {
  return aggregateIndex.byName.get(name) ?? [];
}

/** Overloads of a function that exists with OVER only. */
export function windowFunctionsByName(name: string): readonly AggregateDef[] {
  return windowIndex.byName.get(name) ?? [];
}

/** Every scalar function: pg_proc, and HINTs for misspelt names. */
export function allFunctions(): readonly FunctionDef[] {
  return FUNCTIONS;
}

export function allSetFunctions(): readonly SetFunctionDef[] {
  return setFunctions;
}

export function allAggregates(): readonly AggregateDef[] {
  return aggregates;
}

function patternName(p: ArgPattern | SqlType): string {
  if ('pseudo' in p) return p.pseudo;
  return p.kind === 'array' ? `${patternName(p.elem)}[]` : p.kind;
}

/** Id of a signature: functionId('+', [INT8, INT8]) = '+(int8,int8)'. */
export function functionId(name: string, args: readonly ArgPattern[], variadic = false): string {
  return `${name}(${args.map(patternName).join(',')}${variadic ? '…' : ''})`;
}
