import {
  CLIENT_BACKOFF_FIRST_MILLISECONDS,
  CLIENT_BACKOFF_LAST_MILLISECONDS,
  CLIENT_RETRY_AFTER_MAX_SECONDS,
} from '../limits.js';

/**
 * Milliseconds to wait after the n-th failure in a row (1 for the first), by full jitter: anything from 0 to a bound
 * that doubles. Many services that lost the same server must not come back at the same moment. `random` is in [0, 1).
 */
export function backoffMs(failures: number, random: number): number {
  const bound = Math.min(CLIENT_BACKOFF_LAST_MILLISECONDS, CLIENT_BACKOFF_FIRST_MILLISECONDS * 2 ** (failures - 1));
  return Math.floor(random * bound);
}

/**
 * Milliseconds that a Retry-After header asks for: whole seconds or an HTTP date (RFC 9110, 10.2.3), at most
 * CLIENT_RETRY_AFTER_MAX_SECONDS. Null where there is none or it says nothing.
 */
export function retryAfterMs(header: string | null, nowMs: number): number | null {
  if (header === null) return null;
  const text = header.trim();
  const ms = /^\d+$/.test(text) ? Number(text) * 1_000 : Date.parse(text) - nowMs;
  if (!Number.isFinite(ms)) return null;
  return Math.max(0, Math.min(ms, CLIENT_RETRY_AFTER_MAX_SECONDS * 1_000));
}
