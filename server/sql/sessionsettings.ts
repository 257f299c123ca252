/**
 * The settings of one session: what the client sent at its start (parameters, PGOPTIONS) over the server's, SET over that.
 *
 * Transactions: values are those of before when it rolls back; SET LOCAL's end with it either way. A copy of the session's own values is made at the
 * first change in a transaction, and kept until its end.
 */
import { SqlError } from '../../types/error.js';
import { settingSpec, Settings, type SettingValue } from '../../types/settings.js';
import type { SessionInfo } from '../session/backend.js';

export class SessionSettings {
  readonly values: Settings;
  #before: ReadonlyMap<string, SettingValue> | null = null;
  /** Settings of SET LOCAL, with the session's value that comes back at the end. */
  readonly #local = new Map<string, SettingValue | undefined>();

  constructor(server: Settings, info: Pick<SessionInfo, 'user' | 'parameters'>) {
    const client = new Settings(server, 'client');
    client.force('session_authorization', info.user);
    for (const [name, value] of info.parameters) {
      if (name.startsWith('_pq_.')) continue;
      const given = name === 'options' ? optionsOf(value) : [{ name, value }];
      for (const o of given) {
        refuseServerScope(o.name, o.value, undefined);
        client.set(o.name, o.value);
      }
    }
    this.values = new Settings(client, 'session');
  }

  /** SET; `value` null = DEFAULT. Errors have `position`. */
  set(name: string, value: string | null, local: boolean, position: number | undefined): void {
    located(position, () => {
      const spec = settingSpec(name);
      const before = this.values.own().get(spec.name);
      this.#keep();
      if (value === null) this.values.reset(name);
      else {
        refuseServerScope(name, value, position);
        this.values.setChecked(name, value, (n, v) => `SET ${n} = ${v};`);
      }
      if (!local) this.#local.delete(spec.name);
      else if (!this.#local.has(spec.name)) this.#local.set(spec.name, before);
    });
  }

  /** RESET name, or ALL (null). */
  reset(name: string | null, position: number): void {
    this.#keep();
    if (name === null) this.values.resetAll();
    else located(position, () => this.#local.delete(this.values.reset(name).name));
  }

  #keep(): void { this.#before ??= new Map(this.values.own()); }

  /** The end of a transaction. */
  end(committed: boolean): void {
    if (!committed && this.#before !== null) this.values.replace(this.#before);
    if (committed) for (const [name, value] of this.#local) { if (value === undefined) this.values.reset(name); else this.values.force(name, value); }
    this.#before = null;
    this.#local.clear();
  }
}

function located<T>(position: number | undefined, work: () => T): T {
  try {
    return work();
  } catch (e) {
    if (e instanceof SqlError) e.position ??= position;
    throw e;
  }
}

/** Settings that only a start of the server takes. */
export function refuseServerScope(name: string, value: string, position: number | undefined): void {
  const spec = settingSpec(name);
  if (spec.scope !== 'server') return;
  throw new SqlError('55P02', `parameter "${spec.name}" cannot be changed without restarting the server`, { position, hint: `Start with --config FILE that holds ${spec.name} = ${value}.` });
}

/** PGOPTIONS: `-c name=value` and `--name=value`, blanks within a value behind a backslash. */
function optionsOf(text: string): { name: string; value: string }[] {
  const words = (text.match(/(?:\\.|[^\s\\])+/g) ?? []).map(w => w.replace(/\\(.)/g, '$1'));
  const found: { name: string; value: string }[] = [];
  for (let i = 0; i < words.length; i++) {
    const word = words[i];
    const pair = word === '-c' ? words[++i] ?? '' : word.startsWith('-c') ? word.slice(2) : word.startsWith('--') ? word.slice(2) : '';
    const equals = pair.indexOf('=');
    if (equals < 1) throw new SqlError('42601', `invalid command-line argument for server process: ${word}`, { hint: '-c name=value' });
    // In --names a hyphen stands for an underscore; names with dots are Flink's, whose hyphens are their own.
    const name = pair.slice(0, equals);
    found.push({ name: name.includes('.') ? name : name.replace(/-/g, '_'), value: pair.slice(equals + 1) });
  }
  return found;
}
