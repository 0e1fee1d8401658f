import { z } from 'zod';
import { dateSchema, idSchema, instantSchema } from '../contracts/ids.js';
import { PAYERS } from '../contracts/patterns.js';
import { PERIOD_STATUSES } from '../contracts/period.js';
import type { ActionView } from '../invoicing/action-view.js';
import type { HeldEvent } from '../ledger/held-events.js';
import type { HeldGroupView, HeldModelView } from '../ledger/held-usage.js';
import type { HeldAnswer } from '../ledger/resolve-held.js';
import type { ReportedCostView } from '../reconciliation/reported-costs.js';
import type { UsageReviewView } from '../reconciliation/usage-review.js';
import { count, decimal, pageView, quantities } from './view-values.js';

/* What the routes of held usage, actions, reported costs and the review of usage answer; see view-values.ts. */

export const heldGroupView: z.ZodType<HeldGroupView> = z.strictObject({
  customer_id: idSchema,
  start_date: dateSchema.nullable(),
  period_status: z.enum(PERIOD_STATUSES).nullable(),
  sealed: z.boolean(),
  reason: z.string(),
  provider: z.string().nullable(),
  model_id: z.string(),
  meter: z.string().nullable(),
  events: count,
  decisions: z.array(count),
});

export const heldModelView: z.ZodType<HeldModelView> = z.strictObject({
  reason: z.string(),
  provider: z.string().nullable(),
  model_id: z.string(),
  meter: z.string().nullable(),
  events: count,
  customers: count,
});

export const heldEventView: z.ZodType<HeldEvent> = z.strictObject({
  event_id: idSchema,
  occurred_at: instantSchema,
  reason: z.string(),
  provider: z.string().nullable(),
  model_id: z.string(),
  meter: z.string().nullable(),
  usage: quantities.nullable(),
});

export const heldAnswerView: z.ZodType<HeldAnswer> = z.strictObject({
  applied: z.boolean(),
  decisions: z.array(
    z.strictObject({
      decision_id: count,
      customer_id: idSchema,
      start_date: dateSchema.nullable(),
      sealed: z.boolean(),
    }),
  ),
});

export const actionView: z.ZodType<ActionView> = z.strictObject({
  customer_id: idSchema,
  action_id: idSchema,
  first_at: instantSchema,
  last_at: instantSchema,
  events: count,
  held_events: count,
  late_events: count,
  complete: z.boolean(),
  calls_without_charge: count,
  totals: z.array(z.strictObject({ currency: z.string(), cost: decimal, charge: decimal, margin: decimal.nullable() })),
  costs: z.array(
    z.strictObject({
      provider: z.string(),
      model_id: z.string(),
      meter: z.string(),
      paid_by: z.enum(PAYERS),
      quantity: decimal,
      cost: decimal,
      currency: z.string(),
    }),
  ),
  calls: pageView(
    z.strictObject({
      event_id: idSchema,
      occurred_at: instantSchema,
      start_date: dateSchema.nullable(),
      status: z.enum(['accepted', 'held', 'late', 'written_off']),
      held_reason: z.string().nullable(),
      provider: z.string().nullable(),
      model_id: z.string(),
      paid_by: z.enum(PAYERS),
      usage: quantities.nullable(),
      cost: decimal.nullable(),
      currency: z.string().nullable(),
      charge: decimal.nullable(),
      charge_currency: z.string().nullable(),
    }),
  ),
});

export const reportedCostView: z.ZodType<ReportedCostView> = z.strictObject({
  provider: z.string(),
  model_id: z.string(),
  source: z.string().nullable(),
  events: count,
  catalog_cost: decimal,
  catalog_currency: z.string(),
  reported_cost: decimal,
  reported_currency: z.string(),
  drift_factor: decimal.nullable(),
  beyond_tolerance: z.boolean(),
});

export const HOW_FOUND = ['exact', 'alias', 'rule', 'fallback_provider'] as const;

export const usageReviewView: z.ZodType<UsageReviewView> = z.strictObject({
  provider: z.string(),
  model_id: z.string(),
  priced_as: z.string(),
  how: z.enum(HOW_FOUND),
  unpriced_tier: z.string().nullable(),
  events: count,
  customers: count,
});
