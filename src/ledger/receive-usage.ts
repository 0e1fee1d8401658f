import type { EventMark } from '../contracts/event-mark.js';
import { ID_PATTERN } from '../contracts/ids.js';
import type { EventResult, UsageEvent } from '../contracts/usage-event.js';
import { CostplusError } from '../errors/error.js';
import { EVENTS_PER_REQUEST_COUNT } from '../limits.js';
import type { Source } from '../sources/sources.js';
import { verifyEventSignature } from '../usage/event-signature.js';
import { parseUsageEvent } from '../usage/parse-event.js';
import { parseStrictJson } from '../usage/strict-json.js';
import { toUsageEvent } from '../usage/usage-event.js';
import type { Appender } from './append.js';

/** The events of a body `{"events": [...]}`, not looked into yet. Throws `invalid_request`. */
export function readUsageBody(bytes: Buffer): unknown[] {
  const body = parseStrictJson(bytes);
  if (typeof body !== 'object' || body === null || Array.isArray(body)) {
    throw new CostplusError('invalid_request', 'The body must be an object {"events": [...]}.');
  }
  const { events, ...others } = body as { events?: unknown };
  if (Object.keys(others).length > 0) {
    throw new CostplusError('invalid_request', 'The body must have no key beside "events".');
  }
  if (!Array.isArray(events) || events.length < 1 || events.length > EVENTS_PER_REQUEST_COUNT) {
    throw new CostplusError('invalid_request', `events: must be an array of 1 to ${EVENTS_PER_REQUEST_COUNT} events.`, {
      field: 'events',
    });
  }
  return events;
}

/** Who sends: a source, or a key without one. */
export type Sender = Pick<Source, 'default_provider' | 'may_backfill' | 'keys'> & { source_id: string | null };

/** A sender without a source of its own: nothing is assumed of it. */
export const ANONYMOUS: Sender = { source_id: null, default_provider: null, may_backfill: false, keys: [] };

/**
 * Checks each event by itself and appends those that can be read: the same for every door. Returns a result for each
 * event in the order sent, and how many events bore a signature that is not their source's. `marks` has what a door
 * knows each event to lack, in the order of the events.
 */
export async function receiveEvents(
  appender: Appender,
  received: readonly unknown[],
  sender: Sender,
  marks: readonly (readonly EventMark[])[] = [],
): Promise<{ results: EventResult[]; bad_signatures: number }> {
  const results = new Array<EventResult>(received.length);
  const appended: { at: number; event: UsageEvent }[] = [];
  let badSignatures = 0;
  for (let at = 0; at < received.length; at++) {
    const parsed = parseUsageEvent(received[at], `events[${at}]`);
    if ('rejected' in parsed) {
      const { field, reason } = parsed.rejected;
      results[at] = {
        event_id: idOf(received[at]),
        status: 'rejected',
        reason: 'invalid_event',
        detail: reason,
        field,
      };
    } else if (parsed.event.signature !== undefined && !verifyEventSignature(parsed.event, sender.keys)) {
      badSignatures++;
      results[at] = {
        event_id: parsed.event.event_id,
        status: 'rejected',
        reason: 'invalid_signature',
        field: `events[${at}].signature`,
      };
    } else appended.push({ at, event: toUsageEvent(parsed.event, sender, marks[at]) });
  }
  if (appended.length > 0) {
    const answers = await appender.append(
      appended.map(({ event }) => event),
      { may_backfill: sender.may_backfill },
    );
    for (let i = 0; i < appended.length; i++) results[appended[i]!.at] = answers[i]!;
  }
  return { results, bad_signatures: badSignatures };
}

/** The id of a rejected event where it has one; anything else that stands there is not repeated. */
function idOf(received: unknown): string | null {
  if (typeof received !== 'object' || received === null) return null;
  const { event_id } = received as { event_id?: unknown };
  return typeof event_id === 'string' && ID_PATTERN.test(event_id) ? event_id : null;
}
