import { z } from 'zod';
import type { CommandAnswer } from '../contracts/engine.js';
import { dateSchema, idSchema, instantSchema } from '../contracts/ids.js';
import { PERIOD_STATUSES, type PeriodView } from '../contracts/period.js';
import { STRIPE_ALERT_KINDS, type StripeAlertView } from '../contracts/stripe-alert.js';
import { issuedRevisionView, openingChangeView, waitingLateView } from './correction-views.js';
import { count, decimal, spanView } from './view-values.js';

const totalsView = z.strictObject({
  events: count,
  held_events: count,
  cost: decimal,
  charge: decimal,
  currency: z.string(),
  without_rate: z.array(z.strictObject({ currency: z.string(), cost: decimal, charge: decimal })),
  late_events: count,
  late_charge: decimal,
  catalog_version: z.number().int(),
  priced_at: instantSchema,
});
const periodHead = {
  customer_id: idSchema,
  period: spanView,
  start_date: dateSchema,
  seals_at: instantSchema,
  status: z.enum(PERIOD_STATUSES),
  status_reason: z.string().nullable(),
  payment_status: z.string().nullable(),
  totals: totalsView.nullable(),
};
export const stripeAlertView: z.ZodType<StripeAlertView> = z.strictObject({
  kind: z.enum(STRIPE_ALERT_KINDS),
  customer_id: idSchema,
  start_date: dateSchema.nullable(),
  object_id: z.string(),
  detail: z.string(),
  raised_at: instantSchema,
});
export const periodSummaryView = z.strictObject({
  ...periodHead,
  opening_changed: z.boolean(),
  /** The newest issued revision. */
  invoice: z.strictObject({ revision: z.number().int().positive(), total: decimal, currency: z.string() }).nullable(),
});
export const periodView: z.ZodType<PeriodView> = z.strictObject({
  ...periodHead,
  waits_for: z
    .strictObject({
      start_date: dateSchema,
      status: z.enum(PERIOD_STATUSES),
      status_reason: z.string().nullable(),
    })
    .nullable(),
  opening_changed: z.boolean(),
  opening_changes: z.array(openingChangeView),
  plan: z.strictObject({ plan_id: idSchema, version: z.number().int().positive() }).nullable(),
  late_events: count,
  budgets: z.array(
    z.strictObject({
      budget_id: idSchema,
      measure: z.enum(['cost', 'charge']),
      amount: decimal,
      spent: decimal,
      currency: z.string(),
      without_rate: z.array(z.string()),
      thresholds: z.array(
        z.strictObject({ threshold: decimal, reached: z.boolean(), raised_at: instantSchema.nullable() }),
      ),
    }),
  ),
  held: z.array(
    z.strictObject({ reason: z.string(), provider: z.string().nullable(), model_id: z.string(), events: count }),
  ),
  late_usage: waitingLateView.nullable(),
  voided_since: count,
  invoices: z.array(issuedRevisionView),
  meter_events: z
    .strictObject({
      event_name: z.string(),
      ledger: z.string(),
      sent: z.string(),
      pending: z.string(),
      unsendable: z.string(),
      uncertain: z.string(),
      rejected: z.string(),
      cancelled: z.string(),
      after_close: z.string().nullable(),
      counted: z.string().nullable(),
      counted_at: instantSchema.nullable(),
      equal: z.boolean().nullable(),
    })
    .nullable(),
  stripe_alerts: z.array(stripeAlertView),
  timeline: z.array(z.strictObject({ at: instantSchema, kind: z.string(), detail: z.record(z.string(), z.unknown()) })),
});
export const commandAnswerView: z.ZodType<CommandAnswer> = z.strictObject({
  status: z.enum(PERIOD_STATUSES),
  status_version: count,
  applied: z.boolean(),
  waits_for: dateSchema.optional(),
});
