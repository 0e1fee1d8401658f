import { CostplusError } from '../errors/error.js';
import { sqlState } from './pool.js';

/** SQLSTATE classes that say the server is away or overloaded: connection, resources, operator intervention. */
const SERVER_AWAY = /^(08|53|57P)/;
const NETWORK_AWAY = new Set(['ECONNREFUSED', 'ECONNRESET', 'ENOTFOUND', 'ETIMEDOUT', 'EPIPE', 'EAI_AGAIN']);
/** What pg says, without a code, when no connection comes or one breaks. */
const CONNECTION_LOST =
  /timeout exceeded when trying to connect|connection terminated|client has encountered a connection error|client was closed/i;
/** Deadlock and serialization failure: the same transaction can succeed when it is run again. */
const COLLISION = new Set(['40P01', '40001']);

/** Whether an error says that the database is away: what was under way may or may not have been committed. */
export function isDatabaseAway(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  if (error instanceof CostplusError) return error.code === 'database_unavailable';
  const state = sqlState(error);
  if (state !== undefined) return SERVER_AWAY.test(state);
  const code = (error as NodeJS.ErrnoException).code;
  return (code !== undefined && NETWORK_AWAY.has(code)) || CONNECTION_LOST.test(error.message);
}

/** Whether a transaction only collided with another one and was rolled back. */
export function isCollision(error: unknown): boolean {
  const state = sqlState(error);
  return state !== undefined && COLLISION.has(state);
}
