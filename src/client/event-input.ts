import type { ReceivedUsageEvent } from '../contracts/usage-event.js';
import { signEvent } from '../usage/event-signature.js';
import { parseUsageEvent } from '../usage/parse-event.js';
import { newId } from './event-id.js';

/**
 * A usage event as a service reports it. `event_id` is made where it is left out; give one of your own where the same
 * cost may be reported twice. `occurred_at` is now where it is left out.
 */
export type UsageEventInput = Omit<ReceivedUsageEvent, 'event_id' | 'occurred_at' | 'signature'> & {
  event_id?: string | undefined;
  occurred_at?: string | Date | undefined;
};

/** An event in the text in which it is sent, however often: the same id with the same payload is a duplicate. */
export interface PreparedEvent {
  event_id: string;
  customer_id: string;
  /** One line of JSON. */
  text: string;
}

/**
 * Checks an event as the server will, and writes it down with its id, its time and, where a key is given, its own
 * signature. The refusal names the field and never what it held.
 */
export function prepareEvent(
  input: UsageEventInput,
  signingKey: Buffer | null,
  nowMs: number = Date.now(),
): PreparedEvent | { event_id: string | null; rejected: { field: string; reason: string } } {
  const { event_id = newId('evt', nowMs), occurred_at = new Date(nowMs), ...others } = input;
  const at =
    occurred_at instanceof Date && !Number.isNaN(occurred_at.getTime()) ? occurred_at.toISOString() : occurred_at;
  const parsed = parseUsageEvent({ event_id, ...others, occurred_at: at }, 'event');
  if ('rejected' in parsed) return { event_id: typeof event_id === 'string' ? event_id : null, ...parsed };
  const { event } = parsed;
  const signed = signingKey === null ? event : { ...event, signature: signEvent(event, signingKey) };
  return { event_id: event.event_id, customer_id: event.customer_id, text: JSON.stringify(signed) };
}
