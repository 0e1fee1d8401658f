import { sha256 } from '../contracts/canonical-json.js';
import type { EventMark } from '../contracts/event-mark.js';
import type { Quantities, ReceivedUsageEvent, UsageEvent, UsageFormat } from '../contracts/usage-event.js';
import type { NormalisedUsage } from './counts.js';
import { unsignedForm } from './event-signature.js';
import { eventTimeMs } from './event-time.js';
import { detectFormat, FORMAT_OWNER, normaliseUsage } from './normalise.js';

const ZERO_DECIMAL = /^0+(?:\.0+)?$/;

/** Quantities without zeros: a zero never needs a price, so it must never hold an event for the lack of one. */
function withoutZeros(usage: Readonly<Quantities>): Quantities {
  const kept: Quantities = {};
  for (const meter of Object.keys(usage)) {
    const quantity = usage[meter]!;
    if (typeof quantity === 'number' ? quantity !== 0 : !ZERO_DECIMAL.test(quantity)) kept[meter] = quantity;
  }
  return kept;
}

/** The format of the provider's usage: as the sender names it, else told from its shape. */
function formatOf({ provider_usage: provided }: ReceivedUsageEvent): UsageFormat | null {
  return provided === undefined ? null : (provided.format ?? detectFormat(provided.usage));
}

function meteredUsage(
  received: ReceivedUsageEvent,
  format: UsageFormat | null,
  defaultProvider: string | null,
): NormalisedUsage | { impossible: string } {
  const provided = received.provider_usage;
  if (provided === undefined) return { usage: withoutZeros(received.usage ?? {}), info: {} };
  if (format === null) throw new RangeError('provider_usage was not checked by parseUsageEvent');
  const [prefix, name] = received.model_id.split('/', 2);
  const provider = received.provider ?? (name === undefined ? defaultProvider : prefix!);
  return normaliseUsage(format, provided.usage, received.model_id, provider);
}

/** The event's own word counts first: a key that a gateway calls the customer's can be one of ours. */
function paidBy(
  received: ReceivedUsageEvent,
  normalised: NormalisedUsage | null,
  marks: readonly EventMark[],
): UsageEvent['paid_by'] {
  if (received.paid_by !== undefined) return received.paid_by === 'customer' ? 'customer' : null;
  return normalised?.paid_by ?? (marks.includes('byok') ? 'customer' : null);
}

function orNull<T extends object>(value: T): T | null {
  return Object.keys(value).length === 0 ? null : value;
}

/**
 * What the ledger appends of an event that `parseUsageEvent` accepted. `occurred_at_ms` is floored to the millisecond;
 * `payload` is the RFC 8785 form of the event as received without its signature, so that a change of a normaliser makes
 * no conflicts. Impossible counts give `usage: null` and the reason in `held_reason`. `marks` say what the door that the
 * event came through left out or made up.
 */
export function toUsageEvent(
  received: ReceivedUsageEvent,
  source: { source_id: string | null; default_provider: string | null },
  marks: readonly EventMark[] = [],
): UsageEvent {
  const occurredAtMs = eventTimeMs(received.occurred_at);
  if (occurredAtMs === null) throw new RangeError('occurred_at was not checked by parseUsageEvent');
  const format = formatOf(received);
  const metered = meteredUsage(received, format, source.default_provider);
  const normalised = 'impossible' in metered ? null : metered;
  const payload = unsignedForm(received);
  return {
    event_id: received.event_id,
    customer_id: received.customer_id,
    source_id: source.source_id,
    provider: received.provider ?? null,
    provider_hint: source.default_provider ?? (format === null ? null : FORMAT_OWNER[format]),
    model_id: received.model_id,
    occurred_at_ms: occurredAtMs,
    usage: normalised === null ? null : normalised.usage,
    held_reason: 'impossible' in metered ? metered.impossible : null,
    info: normalised === null ? null : orNull(normalised.info),
    feature: received.feature ?? null,
    subscription_item_id: received.subscription_item_id ?? null,
    action_id: received.action_id ?? null,
    region: received.region ?? normalised?.region ?? null,
    service_tier: received.service_tier ?? normalised?.service_tier ?? null,
    paid_by: paidBy(received, normalised, marks),
    reported_cost: received.reported_cost ?? normalised?.reported_cost ?? null,
    dimensions: received.dimensions === undefined ? null : orNull(received.dimensions),
    request_id: received.request_id ?? null,
    signature: received.signature ?? null,
    marks: marks.length === 0 ? null : [...marks].sort(),
    payload,
    payload_hash: sha256(payload),
  };
}
