/** WITH options of a connector against its specs: unknown connectors and options are refused with a HINT naming the nearest. */
import type { Connectors, OptionSpec, SinkConnector, SourceConnector } from '../runtime/connector.js';
import { SqlError } from '../types/error.js';
import { nearest } from '../types/settings.js';
import { parseOption } from './optionvalues.js';
import { connectors } from './registry.js';

type Found<K extends 'source' | 'sink'> = K extends 'source' ? SourceConnector : SinkConnector;

/** The connector of a job's source node; 42704 when this server has none of that name. */
export function sourceConnector(name: string, among: Connectors = connectors): SourceConnector {
  return named(among.sources, 'source', name, among);
}

export function sinkConnector(name: string, among: Connectors = connectors): SinkConnector {
  return named(among.sinks, 'sink', name, among);
}

function named<T extends { readonly name: string }>(list: readonly T[], kind: 'source' | 'sink', name: string, among: Connectors): T {
  const found = list.find((c) => c.name === name);
  if (found !== undefined) return found;
  const near = nearest(name.toLowerCase(), list.map((c) => c.name));
  const other = kind === 'source' ? among.sinks : among.sources;
  const wrongWay = other.some((c) => c.name === name);
  throw new SqlError('42704', wrongWay ? `connector "${name}" is not a ${kind}` : `connector "${name}" does not exist`, {
    hint: near !== null && !wrongWay ? `Did you mean "${near}"?` : `Connectors for a ${kind}: ${list.map((c) => c.name).join(', ')}.`,
  });
}

/**
 * `among`: with those of extensions. Checks `given` (WITH options without 'connector') and gives the connector with the options, as text.
 * 42704 unknown connector, 42704 unknown option, 22023 bad value, 42601 missing option. No I/O.
 */
export function validateOptions<K extends 'source' | 'sink'>(kind: K, name: string, given: Readonly<Record<string, string>>, among: Connectors = connectors): { connector: Found<K>; options: Record<string, string> } {
  const connector = (kind === 'source' ? sourceConnector(name, among) : sinkConnector(name, among)) as Found<K>;
  const specs: readonly OptionSpec[] = connector.options;
  const prefixes = connector.prefixes ?? [];
  const options: Record<string, string> = {};
  for (const [key, text] of Object.entries(given)) {
    if (prefixes.some((p) => key.startsWith(p) && key.length > p.length)) {
      options[key] = text;
      continue;
    }
    const spec = specs.find((s) => s.name === key || (s.name.startsWith('<column>.') && key.endsWith(s.name.slice('<column>'.length)) && key.length > s.name.length - '<column>'.length));
    if (spec === undefined) {
      const near = nearest(key.toLowerCase(), specs.map((s) => s.name));
      throw new SqlError('42704', `option "${key}" does not exist for the ${name} ${kind}`, { hint: near !== null ? `Did you mean "${near}"?` : `Options: ${specs.map((s) => s.name).join(', ')}${prefixes.map((p) => `, ${p}*`).join('')}.` });
    }
    parseOption({ ...spec, name: key }, text);
    options[key] = text;
  }
  for (const s of specs) {
    if (s.required === true && options[s.name] === undefined) throw new SqlError('42601', `the ${name} ${kind} needs option "${s.name}"`, { hint: `${s.name} = ${s.description}.` });
  }
  return { connector, options };
}
