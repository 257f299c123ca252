/** The protocol layer's Backend over a Database. */
import type { Backend, BackendSession, SessionEvents, SessionInfo } from '../session/backend.js';
import type { Database } from '../database.js';
import { SqlSession } from './session.js';

export class DatabaseBackend implements Backend {
  readonly #database: Database;
  constructor(database: Database) { this.#database = database; }
  async openSession(info: SessionInfo, events: SessionEvents): Promise<BackendSession> { return new SqlSession(this.#database, info, events); }
}
