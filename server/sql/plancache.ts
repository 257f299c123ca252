/**
 * Plans of queries that come again with the same text, for all sessions: parsing (planner/parse/async.ts keeps trees) and planning is a quarter of
 * what a short SELECT costs the main thread.
 * A plan is good for one version of the catalog, and for sessions of one user, database and time zone (literals are read in it). Texts with words
 * that stand for the present moment are planned each time, as a literal 'now' is made a value when it is planned.
 */
import type { ParsedStatement } from '../../planner/parse/statement.js';
import type { Session } from '../../planner/bind/context.js';
import type { PlannedQuery } from '../../planner/planner.js';
import { LruCache } from '../../types/lru.js';
import type { SqlType } from '../../types/sqltype.js';

/** Named limits: plans kept; length of a text worth keeping. */
const PLANS_MAX = 500;
const TEXT_MAX = 4096;
const PRESENT = /now|today|tomorrow|yesterday|current|local|epoch/i;

export class PlanCache {
  readonly #plans = new LruCache<PlannedQuery>(PLANS_MAX);
  #version = -1;

  /** The kept plan, or what `plan` gives now. */
  planned(parsed: ParsedStatement, given: readonly (SqlType | null)[], session: Session, version: number, plan: () => PlannedQuery): PlannedQuery {
    if (parsed.sql.length > TEXT_MAX || PRESENT.test(parsed.sql)) return plan();
    if (version !== this.#version) {
      this.#plans.clear();
      this.#version = version;
    }
    const key = JSON.stringify([parsed.sql, given, session.user, session.database, session.timeZone]);
    const kept = this.#plans.get(key);
    if (kept !== undefined) return kept;
    const planned = plan();
    this.#plans.set(key, planned);
    return planned;
  }
}
