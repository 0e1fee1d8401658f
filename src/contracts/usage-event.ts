import { z } from 'zod';
import { DIMENSIONS_COUNT, FEATURES_COUNT, METERS_PER_EVENT_COUNT } from '../limits.js';
import type { EventMark } from './event-mark.js';
import {
  currencySchema,
  idSchema,
  instantSchema,
  labelSchema,
  meterSchema,
  modelSchema,
  unsignedDecimalSchema,
} from './ids.js';
import { PAYERS, USAGE_FORMATS, type UsageFormat } from './patterns.js';

export { EVENT_STATUSES, type EventResult, type EventStatus } from './event-result.js';

export { USAGE_FORMATS, type UsageFormat };

/** A quantity as received: a whole number, or a decimal string where the meter allows fractions. */
const quantitySchema = z.union([z.number().int().nonnegative().max(Number.MAX_SAFE_INTEGER), unsignedDecimalSchema]);

/** Meters of one event; checked against `allowsFractions` and the count limit by parseUsageEvent. */
export const usageSchema = z
  .record(meterSchema, quantitySchema)
  .refine((usage) => Object.keys(usage).length <= METERS_PER_EVENT_COUNT, `at most ${METERS_PER_EVENT_COUNT} meters`);

/** A usage event as received. Closed: an unknown key is refused, so that no prompt text gets in (invariant 6). */
export const usageEventSchema = z.strictObject({
  event_id: idSchema,
  customer_id: idSchema,
  provider: modelSchema.optional(),
  model_id: modelSchema,
  occurred_at: instantSchema,
  usage: usageSchema.optional(),
  /**
   * The provider's own usage object; src/usage reads known count keys only and refuses texts. Without a `format` it is told
   * from the shape, and refused where more than one is possible.
   */
  provider_usage: z
    .strictObject({ format: z.enum(USAGE_FORMATS).optional(), usage: z.record(z.string(), z.unknown()) })
    .optional(),
  request_id: labelSchema.optional(),
  subscription_item_id: idSchema.optional(),
  feature: labelSchema.optional(),
  action_id: idSchema.optional(),
  region: labelSchema.optional(),
  service_tier: labelSchema.optional(),
  features: z.array(labelSchema).max(FEATURES_COUNT).optional(),
  dimensions: z
    .record(idSchema, labelSchema)
    .refine((d) => Object.keys(d).length <= DIMENSIONS_COUNT, `at most ${DIMENSIONS_COUNT} dimensions`)
    .optional(),
  reported_cost: z.strictObject({ amount: unsignedDecimalSchema, currency: currencySchema }).optional(),
  /** Whose provider key paid for it; `customer`: it costs us nothing. Left out: `us`, unless the usage itself says so. */
  paid_by: z.enum(PAYERS).optional(),
  reservation_id: idSchema.optional(),
  signature: z
    .string()
    .regex(/^v1,[A-Za-z0-9+/]{43}=$/, 'must be "v1," and the base64 of an HMAC-SHA256')
    .optional(),
});
export type ReceivedUsageEvent = z.infer<typeof usageEventSchema>;

/** Additive meters without zeros: whole numbers, or decimal strings where the meter allows fractions. */
export type Quantities = Record<string, number | string>;

/** A usage event after parsing and normalising: what the ledger appends and pricing reads. */
export interface UsageEvent {
  event_id: string;
  customer_id: string;
  source_id: string | null;
  provider: string | null;
  /** Provider to take when none is named: the source's default, else the owner of the usage format. */
  provider_hint: string | null;
  model_id: string;
  /** Floored to the millisecond: boundaries of prices and periods are whole milliseconds. */
  occurred_at_ms: number;
  /** Null when the counts are impossible; then `held_reason` says why. */
  usage: Quantities | null;
  held_reason: string | null;
  /** Subset counts kept for information, never charged. */
  info: Record<string, number> | null;
  feature: string | null;
  subscription_item_id: string | null;
  action_id: string | null;
  region: string | null;
  service_tier: string | null;
  /** Null: we paid. */
  paid_by: 'customer' | null;
  /** What the provider or gateway says it cost: exact decimal. */
  reported_cost: { amount: string; currency: string } | null;
  dimensions: Record<string, string> | null;
  request_id: string | null;
  signature: string | null;
  /** What the door that the event came through left out or made up, sorted; null for none. */
  marks: EventMark[] | null;
  /** RFC 8785 form of the event as received, without its signature. */
  payload: string;
  /** SHA-256 of `payload`, 32 bytes. */
  payload_hash: Buffer;
}
