import { z } from 'zod';
import { dateSchema, idSchema, instantSchema } from '../contracts/ids.js';
import { PAYERS } from '../contracts/patterns.js';
import { ruleSchema } from '../contracts/plan.js';
import type { EventCharge } from '../invoicing/event-charges.js';
import type { UsageTrail } from '../invoicing/usage-trail.js';
import { count, decimal, quantities } from './view-values.js';

const chargedRowView = z.strictObject({
  meter: z.string(),
  quantity: decimal,
  price_id: z.string(),
  price: decimal,
  multiplier: decimal.nullable(),
  per: z.number().int().positive(),
  currency: z.string(),
  cost: decimal,
});
const counts = z.record(z.string(), z.number());

const eventChargeView: z.ZodType<EventCharge> = z.strictObject({
  meter: z.string(),
  plan: z.strictObject({ plan_id: idSchema, version: z.number().int().positive() }),
  rule: count,
  priced_by: z.enum(['event', 'total', 'rate']),
  amounts: z.array(z.strictObject({ amount: decimal, currency: z.string() })),
  counted: decimal.nullable(),
  explanation: z.string(),
  total: z
    .strictObject({
      quantity: decimal.nullable(),
      unit: z.string().nullable(),
      charge: decimal,
      currency: z.string(),
      lines: z.array(z.number().int().positive()),
      tiers: z.array(z.strictObject({ above: decimal, up_to: decimal.nullable(), quantity: decimal, charge: decimal })),
    })
    .nullable(),
});

export const usageTrailView: z.ZodType<UsageTrail> = z.strictObject({
  event: z.unknown(),
  status: z.enum(['accepted', 'held', 'late', 'written_off']),
  held_reason: z.string().nullable(),
  marks: z.array(z.string()),
  paid_by: z.enum(PAYERS),
  reported_cost: z.strictObject({ amount: decimal, currency: z.string() }).nullable(),
  decision: count.nullable(),
  received: z.strictObject({
    at: instantSchema,
    source: z.string().nullable(),
    payload_hash: z.string(),
    signature: z.string().nullable(),
  }),
  normalised: z.strictObject({
    occurred_at: instantSchema,
    usage: quantities.nullable(),
    info: counts.nullable(),
  }),
  period: z
    .strictObject({ start: instantSchema, end: instantSchema, start_date: dateSchema, status: z.string() })
    .nullable(),
  price: z
    .strictObject({
      catalog_version: z.number().int().positive(),
      provider: z.string(),
      priced_as: z.string(),
      how: z.string(),
      unpriced_tier: z.string().nullable(),
      rows: z.array(chargedRowView),
    })
    .nullable(),
  cost: decimal.nullable(),
  rule: z.array(z.strictObject({ meter: z.string(), index: count, rule: ruleSchema })).nullable(),
  charge: decimal.nullable(),
  charge_currency: z.string().nullable(),
  charges: z.array(eventChargeView).nullable(),
  billed_in: z.strictObject({ start_date: dateSchema }).nullable(),
  voided: z.strictObject({ at: instantSchema, by: z.string(), reason: z.string() }).nullable(),
  line: z.strictObject({ number: z.number().int().positive(), description: z.string(), amount: decimal }).nullable(),
  invoice: z
    .strictObject({
      revision: z.number().int().positive(),
      content_hash: z.string(),
      stripe_invoice_id: z.string().nullable(),
    })
    .nullable(),
});
