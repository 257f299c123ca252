/** Reads validated WITH options by their spec: text → number, boolean, milliseconds, bytes, microseconds. The spec's default stands in for an absent one. */
import type { OptionSpec } from '../runtime/connector.js';
import { SqlError, unreachable } from '../types/error.js';
import { parseBoolean, parseDuration, parseSize } from '../types/settings.js';
import { parseDatum } from '../types/textio.js';

export type Options = Readonly<Record<string, string>>;
export type OptionValue = string | number | boolean;

export const ON_ERROR: OptionSpec = {
  name: 'on_error', kind: 'text', default: 'fail', values: ['fail', 'skip', 'dead_letter'],
  description: 'what a bad record does: fail = stops the job with its position and reason; skip = is counted; dead_letter = goes to millrace.dead_letters',
};
export const TIMESTAMP_FORMAT: OptionSpec = {
  name: 'timestamp_format', kind: 'text', default: 'text', values: ['text', 'seconds', 'millis', 'micros'],
  description: 'what a JSON number means for a timestamp column: text = is refused; else time since 1970 in that unit',
};

const WORDS: Readonly<Record<OptionSpec['kind'], string>> = {
  text: 'a text', secret: 'a text', integer: 'an integer', number: 'a number', boolean: 'true or false', size: 'a size such as \'64MB\'', duration: 'a duration such as \'10s\'',
  timestamp: 'a timestamp such as \'2024-01-01 00:00:00\'',
};

function parse(spec: OptionSpec, text: string): OptionValue | null {
  switch (spec.kind) {
    case 'text': case 'secret': return text;
    case 'integer': return /^\s*[+-]?\d{1,15}\s*$/.test(text) ? Number(text) : null;
    case 'number': return text.trim() !== '' && Number.isFinite(Number(text)) ? Number(text) : null;
    case 'boolean': return parseBoolean(text);
    case 'size': return parseSize(text);
    case 'duration': return parseDuration(text);
    case 'timestamp':
      try {
        const us = parseDatum({ kind: 'timestamptz' }, text, { timeZone: 'UTC', nowUs: Date.now() * 1000 });
        return typeof us === 'number' && Number.isFinite(us) ? us : null;
      } catch (e) {
        if (e instanceof SqlError) return null;
        throw e;
      }
    default: return unreachable(spec.kind);
  }
}

function allowed(spec: OptionSpec): string {
  if (spec.values !== undefined) return `Allowed: ${spec.values.join(', ')}.`;
  const range = spec.min === undefined && spec.max === undefined ? '' : spec.max === undefined ? ` of at least ${spec.min}` : spec.min === undefined ? ` of at most ${spec.max}` : ` from ${spec.min} to ${spec.max}`;
  return `Allowed: ${WORDS[spec.kind]}${range}.`;
}

/** Value of an option's text; 22023 with the allowed values as HINT. */
export function parseOption(spec: OptionSpec, text: string): OptionValue {
  const v = parse(spec, text);
  const bad = v === null || (spec.values !== undefined && !spec.values.includes(text)) || (typeof v === 'number' && ((spec.min !== undefined && v < spec.min) || (spec.max !== undefined && v > spec.max)))
    || (spec.kind === 'text' && spec.required === true && text === '');
  if (v === null || bad) {
    const shown = spec.kind === 'secret' ? '' : `: "${text}"`;
    throw new SqlError('22023', `invalid value for option "${spec.name}"${shown}`, { hint: allowed(spec) });
  }
  return v;
}

function value(options: Options, spec: OptionSpec): OptionValue | undefined {
  const text = options[spec.name] ?? spec.default;
  return text === undefined ? undefined : parseOption(spec, text);
}

/** '' when the option is absent and has no default. */
export function textOption(options: Options, spec: OptionSpec): string {
  return String(value(options, spec) ?? '');
}

/** Numbers, sizes (bytes), durations (ms), timestamps (µs); null when absent without default. */
export function numberOption(options: Options, spec: OptionSpec): number | null {
  const v = value(options, spec);
  return typeof v === 'number' ? v : null;
}

export function booleanOption(options: Options, spec: OptionSpec): boolean {
  return value(options, spec) === true;
}
