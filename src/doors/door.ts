import { createHash } from 'node:crypto';
import { canonicalJson } from '../contracts/canonical-json.js';
import type { EventMark } from '../contracts/event-mark.js';
import type { EventResult } from '../contracts/event-result.js';
import { ID_LENGTH_CHARS } from '../limits.js';

/** A usage event as `POST /v1/usage` takes it, built of named members of a foreign payload; not checked yet. */
export type BuiltEvent = Record<string, unknown>;

/** What a door makes of one entry of a foreign payload. */
export type DoorEntry =
  | { event: BuiltEvent; marks: readonly EventMark[] }
  | { refused: EventResult }
  /** Nothing that cost anything: a span of another kind, an answer out of a cache. */
  | { ignored: true };

export const IGNORED: DoorEntry = { ignored: true };

/** An entry from which no event can be built; `field` and `detail` are words of this code, never of the payload. */
export function refused(field: string, detail: string): DoorEntry {
  return { refused: { event_id: null, status: 'rejected', reason: 'invalid_event', field, detail } };
}

/** A JSON object of a foreign payload; null for anything else. */
export function objectOf(value: unknown): Readonly<Record<string, unknown>> | null {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
    ? (value as Record<string, unknown>)
    : null;
}

/** A string that is not empty, or undefined. */
export function stringOf(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined;
}

/**
 * The id that an event has for ever, from ids of the payload itself: the same payload sent again is the same event.
 * Ids that have the form of an id and no colon stand in it as they are, others as the hash of all of them.
 */
export function foreignEventId(door: string, ...ids: readonly string[]): string {
  const plain = `${door}:${ids.join(':')}`;
  if (plain.length <= ID_LENGTH_CHARS && ids.every((id) => /^[A-Za-z0-9._-]+$/.test(id))) return plain;
  return hashedEventId(door, ...ids);
}

/** As `foreignEventId`, always hashed: for ids that are URIs. */
export function hashedEventId(door: string, ...ids: readonly string[]): string {
  return `${door}:sha256-${createHash('sha256').update(canonicalJson(ids), 'utf8').digest('hex')}`;
}

/** An event without the members that are undefined: the payload that is hashed has only what was there. */
export function withoutUndefined(event: BuiltEvent): BuiltEvent {
  return Object.fromEntries(Object.entries(event).filter(([, value]) => value !== undefined));
}

/** RFC 3339 of seconds since 1970, as Unix clocks of gateways give them; undefined for what is no such time. */
export function timeOfSeconds(value: unknown): string | undefined {
  if (typeof value !== 'number' || !Number.isFinite(value) || value <= 0 || value > 32_503_680_000) return undefined;
  return new Date(Math.floor(value * 1_000)).toISOString();
}
