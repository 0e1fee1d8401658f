import type { EventMark } from '../contracts/event-mark.js';
import { type DoorEntry, foreignEventId, objectOf, refused, stringOf } from './door.js';

/** Stripe's token types: the first two of its token meter and AI SDK meter, the others of gateways that tell caches apart. */
const METER_OF_TYPE: Readonly<Record<string, string>> = {
  input: 'input_tokens',
  output: 'output_tokens',
  cached_input: 'cache_read_tokens',
  cached_write: 'cache_write_tokens',
};

/** A meter event as Stripe's API takes it, read and answered by the routes. */
export interface MeterEvent {
  event_name: string;
  identifier: string | null;
  stripe_customer_id: string;
  model: string;
  token_type: string;
  value: string;
  /** RFC 3339; null where the event names no time. */
  occurred_at: string | null;
}

/**
 * A meter event of v1 (form: `timestamp` in seconds as text) or v2 (JSON: RFC 3339). Other keys of `payload` are
 * dimensions of meters and are not read. Returns the parameter at fault and why it is refused.
 */
export function readMeterEvent(value: unknown): MeterEvent | { param: string; message: string } {
  const given = objectOf(value);
  const payload = objectOf(given?.payload);
  if (given === null || payload === null) return { param: 'payload', message: 'is missing' };
  const eventName = stringOf(given.event_name);
  if (eventName === undefined) return { param: 'event_name', message: 'is missing' };
  const customer = stringOf(payload.stripe_customer_id);
  if (customer === undefined) return { param: 'payload[stripe_customer_id]', message: 'is missing' };
  const [model, type] = [stringOf(payload.model), stringOf(payload.token_type)];
  if (model === undefined) return { param: 'payload[model]', message: 'is missing: only token meters are taken here' };
  if (type === undefined || !Object.hasOwn(METER_OF_TYPE, type)) {
    return { param: 'payload[token_type]', message: `must be one of ${Object.keys(METER_OF_TYPE).join(', ')}` };
  }
  const amount = payload.value;
  const count = typeof amount === 'number' ? String(amount) : amount;
  if (typeof count !== 'string' || !/^\d{1,15}$/.test(count)) {
    return { param: 'payload[value]', message: 'must be a whole number of tokens' };
  }
  const occurredAt = given.timestamp === undefined ? null : timeOf(given.timestamp);
  if (occurredAt === undefined) return { param: 'timestamp', message: 'must be seconds since 1970, or RFC 3339 in v2' };
  const identifier = stringOf(given.identifier) ?? null;
  return {
    event_name: eventName,
    identifier,
    stripe_customer_id: customer,
    model,
    token_type: type,
    value: count,
    occurred_at: occurredAt,
  };
}

function timeOf(value: unknown): string | undefined {
  const text = typeof value === 'number' ? String(value) : value;
  if (typeof text !== 'string') return undefined;
  if (/^\d{9,11}$/.test(text)) return new Date(Number(text) * 1_000).toISOString();
  return text;
}

/**
 * The usage event of a meter event. Identity: `identifier`, else `fallbackId`, which is as lasting as whoever made it.
 * `customerId` is the customer with this Stripe customer id, or null. Half of a call: the other direction of it is another
 * meter event, so that nobody knows how large its whole input was.
 */
export function meterEventUsage(
  meterEvent: MeterEvent,
  customerId: string | null,
  fallbackId: string,
  receivedAtMs: number,
): DoorEntry {
  const meter = METER_OF_TYPE[meterEvent.token_type];
  if (meter === undefined) return refused('payload[token_type]', 'is not known');
  const marks: EventMark[] = ['split_call', 'context_size_unknown'];
  if (meterEvent.token_type === 'input') marks.push('cache_counts_unknown');
  if (meterEvent.identifier === null) marks.push('no_lasting_id');
  if (meterEvent.occurred_at === null) marks.push('time_of_receipt');
  if (customerId === null) marks.push('unknown_stripe_customer');
  return {
    event: {
      event_id: foreignEventId('stripe', meterEvent.identifier ?? fallbackId),
      customer_id: customerId ?? meterEvent.stripe_customer_id,
      model_id: meterEvent.model,
      occurred_at: meterEvent.occurred_at ?? new Date(receivedAtMs).toISOString(),
      usage: { [meter]: Number(meterEvent.value) },
    },
    marks,
  };
}

/** The parameters of a form body of v1, `payload[key]` nested once; null for what is no such form or names one twice. */
export function readMeterForm(text: string): Record<string, unknown> | null {
  const payload: Record<string, string> = {};
  const params: Record<string, unknown> = { payload };
  for (const [name, value] of new URLSearchParams(text)) {
    const nested = /^payload\[([A-Za-z0-9_]{1,100})\]$/.exec(name)?.[1];
    const [target, key] = nested === undefined ? [params, name] : [payload, nested];
    if (Object.hasOwn(target, key)) return null;
    target[key] = value;
  }
  return params;
}
